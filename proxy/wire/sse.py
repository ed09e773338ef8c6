"""Server-sent events, read incrementally as the WHATWG HTML standard defines them.

Bytes in, events out: ``feed`` what was read, in pieces of any size, then ``finish``. The events do
not depend on where the pieces were cut. Three deviations from the standard, all on purpose: an
event that the end of the stream cuts short is given out, because a last blank line is often
forgotten; an event larger than a limit is dropped and counted; ``id`` and ``retry`` are left out,
because nothing here reconnects.
"""

from __future__ import annotations

from msgspec import Struct

MESSAGE = "message"  #: the type of an event that names none
MAX_EVENT_BYTES = 64 << 20

_BOM = b"\xef\xbb\xbf"
_PLAIN = b"data: "
_BLANK_THEN_PLAIN = b"\n" + _PLAIN
_COMMENT = b":"


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
        plain = b"\r" not in data
        start = self._skip_lf(data)
        lf = data.find(b"\n", start)
        while True:
            if plain and not self._size:
                start = self._plain_events(data, start, base, events)
            if 0 <= lf < start:
                lf = data.find(b"\n", start)
            # Looking for CR no further than the next LF keeps this linear.
            stop = lf if plain else data.find(b"\r", start, lf if lf >= 0 else len(data))
            stop = lf if stop < 0 else stop
            if stop < 0:
                break
            if stop > start or self._held:
                self._line(data[start:stop])
            else:
                self._dispatch(base + stop + 1, events)
            start = stop + (2 if data.startswith(b"\r\n", stop) else 1)
        self._after_cr = data.endswith(b"\r") or (self._after_cr and not data)
        if start < len(data):
            self._hold(data[start:])
        return events

    def finish(self) -> list[Event]:
        """The stream is over: the event that its end cut short, if there is one."""
        events: list[Event] = []
        if self._held:
            self._line(b"")
        self._dispatch(self._fed, events)
        return events

    def _skip_lf(self, data: bytes) -> int:
        return 1 if self._after_cr and data.startswith(b"\n") else 0

    def _plain_events(self, data: bytes, start: int, base: int, events: list[Event]) -> int:
        """The common case, quickly: events of one data line. Stops where another kind begins."""
        find = data.find
        plain = data.startswith(_PLAIN, start)
        while plain:
            stop = find(b"\n", start)
            if stop < 0 or stop - start > self._max:
                break
            plain = data[stop + 1 : stop + 8] == _BLANK_THEN_PLAIN
            if not plain and data[stop + 1 : stop + 2] != b"\n":
                break
            events.append(Event(MESSAGE, data[start + 6 : stop], base + stop + 2))
            start = stop + 2
            self._at_start = False
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
        self._type = MESSAGE
        self._data.clear()
        self._size = 0
