"""Newline-delimited JSON, read incrementally: one value a line.

Bytes in, lines out: ``feed`` what was read, in pieces of any size, then ``finish``. The lines do not
depend on where the pieces were cut. Says nothing of what is on a line: whether it is JSON at all is for
those to find out who know what they expect. Lines end with LF, or CR LF; no other character ends
one, because JSON text may hold it. Blank lines are passed over; one larger than a limit is dropped
and counted; the last needs no line end.
"""

from __future__ import annotations

from msgspec import Struct

MAX_LINE_BYTES = 64 << 20

_BOM = b"\xef\xbb\xbf"
_BLANK = b" \t\r"


class Line(Struct, frozen=True, gc=False):
    """One line that holds something. The read that brought the byte before ``end`` brought the line."""

    data: bytes  #: without its line end, and spaces before that
    end: int  #: stream offset just after its LF


class Decoder:
    """The lines of one stream. Takes time linear in the bytes, however they are cut.

    Holds no more than ``max_line_bytes`` of a line that is not complete.
    """

    def __init__(self, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self.oversized = 0  #: lines dropped because they were too large
        self._max = max_line_bytes
        self._fed = 0
        self._held = bytearray()  # the beginning of a line
        self._size = 0  # of that line so far
        self._at_start = True  # a byte order mark may come

    def feed(self, data: bytes) -> list[Line]:
        """Take the next bytes; the lines that they complete."""
        *lines, rest = data.split(b"\n")
        found: list[Line] = []
        end = self._fed
        if lines and (self._size or self._at_start):
            end += len(lines[0]) + 1
            self._take(self._completed(lines.pop(0)), end, found)
        for line in lines:
            end += len(line) + 1
            if line.endswith(b"}") and len(line) <= self._max:  # nearly always
                found.append(Line(line, end))
            else:
                self._take(line, end, found)
        self._fed += len(data)
        self._hold(rest)
        return found

    def finish(self) -> list[Line]:
        """The stream is over: the line that its end cut short, if there is one."""
        found: list[Line] = []
        self._take(self._completed(b""), self._fed, found)
        return found

    def _take(self, line: bytes | None, end: int, found: list[Line]) -> None:
        if line is None or len(line) > self._max:
            self.oversized += 1
        elif held := line.rstrip(_BLANK):
            found.append(Line(held, end))

    def _completed(self, rest: bytes) -> bytes | None:
        """The line whose end has come; none when it is too large."""
        self._hold(rest)
        line = bytes(self._held) if self._size <= self._max else None
        if line is not None and self._at_start:
            line = line.removeprefix(_BOM)
        self._at_start = False
        self._held.clear()
        self._size = 0
        return line

    def _hold(self, piece: bytes) -> None:
        """Keep the beginning of a line whose end has not come, unless it is too large already."""
        self._size += len(piece)
        if self._size > self._max:
            self._held.clear()
        else:
            self._held += piece
