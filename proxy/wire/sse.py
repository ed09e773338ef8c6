"""Server-sent events, read incrementally as the WHATWG HTML standard defines them.

Bytes in, events out: ``feed`` what was read, in pieces of any size, then ``finish``. The events do
not depend on where the pieces were cut. Three deviations from the standard, all on purpose: an
event that the end of the stream cuts short is given out, because a last blank line is often
forgotten; an event larger than a limit is dropped and counted; ``id`` and ``retry`` are left out,
because nothing here reconnects.

Two ways of reading give the same events. The careful one takes one line after the other, whatever it
is and whatever ends it. The quick one cuts a block where events of one form begin, as nearly all
streams are made of (a data line, perhaps a type before it, line ends of one kind), and leaves what is
not of that form to the careful one.
"""

from __future__ import annotations

from itertools import accumulate, repeat

from msgspec import Struct

MESSAGE = "message"  #: the type of an event that names none
MAX_EVENT_BYTES = 64 << 20

_BOM = b"\xef\xbb\xbf"
_DATA = b"data: "
_EVENT = b"event: "
_COMMENT = b":"
_LF, _CR = b"\n\r"
_BLOCK_BYTES = 65_536  # looked at together: small enough to stay in the processor's cache


class Event(Struct, frozen=True, gc=False):
    """One event. The read that brought the byte before ``end`` brought the event."""

    type: str
    data: bytes  #: the data lines, joined with LF
    end: int  #: stream offset just after its blank line; of a CRLF, after the CR that already ends it


class Decoder:
    """The events of one stream. Takes time linear in the bytes, however they are cut.

    Holds no more than ``max_event_bytes`` of a line or event that is not complete.
    """

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self.oversized = 0  #: events dropped because they were too large
        self._max = max_event_bytes
        self._fed = 0
        self._at_start = True  # a byte order mark may come
        self._after_cr = False  # an LF that comes next belongs to a line that has ended
        self._held = bytearray()  # the beginning of a line
        self._type = MESSAGE
        self._data: list[bytes] = []
        self._size = 0  # bytes of the event so far, line ends not counted

    def feed(self, data: bytes) -> list[Event]:
        """Take the next bytes; the events that they complete."""
        events: list[Event] = []
        base, self._fed = self._fed, self._fed + len(data)
        for at in range(0, len(data), _BLOCK_BYTES):
            self._block(data[at : at + _BLOCK_BYTES], base + at, events)
        return events

    def finish(self) -> list[Event]:
        """The stream is over: the event that its end cut short, if there is one."""
        events: list[Event] = []
        if self._held:
            self._line(b"")
        self._dispatch(self._fed, events)
        return events

    def _block(self, data: bytes, base: int, events: list[Event]) -> None:
        start = self._lines(data, base, events, only_begun=True)
        if len(data) <= self._max:  # no event that begins here can be too large
            start += self._alike(data[start:], base + start, events)
        if start < len(data):
            self._lines(data[start:], base + start, events)

    # --- the quick way ------------------------------------------------------------------------------

    def _alike(self, data: bytes, base: int, events: list[Event]) -> int:
        """The whole events in ``data``, which begins with one: those of one form at once, others by their lines.

        Gives the place up to which ``data`` was taken. This is done for every token of every
        stream: the expressions here are the ones that were measured to be quick.
        """
        eol = b"\r\n" if _CR in data else b"\n"
        blank = eol + eol
        stop = data.rfind(blank)
        form = _form(data, stop, eol) if stop >= 0 else b""
        if not form:
            return 0
        at = base
        if data.startswith(form):
            found = data[len(form) : stop].split(blank + form)
            self._at_start = False
        else:
            before, *found = data[:stop].split(blank + form)
            at += self._lines(before + blank, at, events)
        kind = form[len(_EVENT) : -len(eol + _DATA)].decode("utf-8", "replace") or MESSAGE
        around, early = len(form + blank), len(eol) - 1
        if _is_line(b"".join(found)):
            ends = list(accumulate(map(around.__add__, map(len, found)), initial=at))
            events += map(Event, repeat(kind), found, ([end - early for end in ends] if early else ends)[1:])
            return ends[-1] - base
        for content in found:
            if _is_line(content):
                at += len(content) + around
                events.append(Event(kind, content, at - early))
            else:
                at += self._lines(form + content + blank, at, events)
        return at - base

    # --- the careful way ----------------------------------------------------------------------------

    def _lines(self, data: bytes, base: int, events: list[Event], *, only_begun: bool = False) -> int:
        """Line by line, and what is left is held; or only to the end of the event that is under way.

        Gives the place up to which ``data`` was taken.
        """
        start = 1 if self._after_cr and data.startswith(b"\n") else 0
        plain = b"\r" not in data
        lf = data.find(b"\n", start)
        while self._size or not only_begun:
            if 0 <= lf < start:
                lf = data.find(b"\n", start)
            # Looking for CR no further than the next LF keeps this linear.
            stop = lf if plain else data.find(b"\r", start, lf if lf >= 0 else len(data))
            stop = lf if stop < 0 else stop
            if stop < 0:
                if start < len(data):
                    self._hold(data[start:])
                start = len(data)
                break
            if stop > start or self._held:
                self._line(data[start:stop])
            else:
                self._dispatch(base + stop + 1, events)
            start = stop + (2 if data.startswith(b"\r\n", stop) else 1)
        self._after_cr = start == len(data) and data.endswith(b"\r")
        return start

    def _hold(self, piece: bytes) -> None:
        """Keep the beginning of a line whose end has not come."""
        self._size += len(piece)
        if self._size > self._max:
            self._held[:] = _COMMENT  # stands for a line that will be dropped
        else:
            self._held += piece

    def _line(self, rest: bytes) -> None:
        """A line has ended: ``rest`` is what follows the part that was held."""
        line = self._completed(rest)
        if self._at_start:
            self._at_start = False
            line = line.removeprefix(_BOM)
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
        elif name == b"event":
            self._type = value.removeprefix(b" ").decode("utf-8", "replace")

    def _completed(self, rest: bytes) -> bytes:
        if not self._held and self._size + len(rest) <= self._max:
            self._size += len(rest)
            return rest
        self._hold(rest)
        line = bytes(self._held)
        self._held.clear()
        return line

    def _dispatch(self, end: int, events: list[Event]) -> None:
        if self._size > self._max:
            self.oversized += 1
        elif self._data:
            events.append(Event(self._type or MESSAGE, b"\n".join(self._data), end))
        self._at_start = False
        self._type = MESSAGE
        self._data.clear()
        self._size = 0


def _is_line(data: bytes) -> bool:
    return _LF not in data and _CR not in data


def _form(data: bytes, stop: int, eol: bytes) -> bytes:
    """What stands before the data of an event in the middle: ``data: ``, perhaps after a type; else nothing.

    ``stop`` is the last blank line, where the last event ends.
    """
    middle = data.find(eol + eol, stop // 2, stop)
    start = 0 if middle < 0 else middle + 2 * len(eol)
    if not data.startswith(_EVENT, start):
        return _DATA if data.startswith(_DATA, start, stop) else b""
    end = data.find(eol, start, stop)
    is_form = end >= 0 and _is_line(data[start:end]) and data.startswith(_DATA, end + len(eol), stop)
    return data[start : end + len(eol + _DATA)] if is_form else b""
