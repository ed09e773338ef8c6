"""What passes through a call, on its way into the journal.

Nothing here parses or holds traffic back, but for two moments: before a call's request goes
upstream its ``Begin`` is in the journal, and before the client can take an answer for complete,
its ``End`` is (or, in an event stream, everything up to the marker that ends it).
"""

from __future__ import annotations

import asyncio
import re

from ..clock import monotonic_us
from ..journal.writer import Record, Written
from ..records import Begin, End, Head, Header, Outcome, Part, Side, evolve
from .recording import Recording

#: SDKs hang up right at these, so all before them must be safe before they are passed on.
TERMINAL_MARKER = re.compile(rb"\[DONE\]|message_stop|response\.(?:completed|failed|incomplete)|\"done\": ?true")
_LONGEST_MARKER = 24
_MOST_MARKS = 4096  #: per call; beyond it one a part is kept
_MARKS_PER_PART = 256
_PART_BYTES = 1 << 20  #: a part is never longer


class Body:
    """Bytes of one side that are not in the journal yet; of one that is not ``kept`` only how many there were."""

    __slots__ = ("chunks", "kept", "marks", "offset", "side", "size", "waiting")

    def __init__(self, side: Side, *, kept: bool) -> None:
        self.side = side
        self.kept = kept
        self.size = 0  #: of the body so far
        self.offset = 0  #: of the first unwritten byte
        self.waiting = 0
        self.chunks: list[bytes] = []
        self.marks: list[tuple[int, int]] = []

    def add(self, data: bytes, offset_us: int, *, mark: bool) -> None:
        """Take over bytes that were read at ``offset_us``."""
        self.chunks.append(data)
        self.size += len(data)
        self.waiting += len(data)
        if mark or not self.marks:
            self.marks.append((self.size, offset_us))
        else:
            self.marks[-1] = (self.size, offset_us)

    def take(self, call_id: bytes) -> list[Part]:
        """What is unwritten, as parts of bounded size."""
        if not self.waiting:
            return []
        data = b"".join(self.chunks)
        parts = []
        for start in range(0, len(data), _PART_BYTES):
            piece = data[start : start + _PART_BYTES]
            end = self.offset + start + len(piece)
            marks = tuple(mark for mark in self.marks if end - len(piece) < mark[0] <= end)
            parts.append(Part(id=call_id, side=self.side, offset=end - len(piece), data=piece, marks=marks))
        self.offset = self.size
        self.waiting = 0
        self.chunks.clear()
        self.marks.clear()
        return parts


class Capture:
    """The record of one call in the making."""

    def __init__(self, recording: Recording, begin: Begin) -> None:
        self.id = begin.id
        self.ended = False
        self.lost = False  #: something of it could not be journaled
        self._recording = recording
        self._journal = recording.journal
        self._begin = begin
        self._began = False
        self._generation = recording.journal.generation
        self._lost_parts = 0
        self._flushed: Written = True
        self._status: int | None = None
        self._head: Head | None = None  #: of the answer, while it is not in the journal
        self._request = Body(Side.REQUEST, kept=not (begin.no_log or begin.omit_request))
        self._response = Body(Side.RESPONSE, kept=not (begin.no_log or begin.omit_response))
        self._marks = 0
        self._stream_tail: bytes | None = None  #: last bytes of an event stream, for markers split between reads

    @property
    def elapsed_us(self) -> int:
        """Since the call was accepted."""
        return monotonic_us() - self._begin.accepted_us

    async def begin(self) -> bool:
        """Journal the beginning; False when it could not be."""
        return await self.settled(self.begin_now())

    def begin_now(self) -> Written:
        """As ``begin``, for where nothing may be awaited."""
        written = self._append([self._begin])
        self._began = written is not False
        if isinstance(written, asyncio.Future):
            written.add_done_callback(self._begin_decided)
        return written

    def request_data(self, data: bytes) -> None:
        """Body bytes from the client."""
        self._add(self._request, data)

    def response_head(
        self,
        status: int,
        reason: str,
        http_version: str,
        headers: tuple[Header, ...],
        *,
        ours: bool,
        event_stream: bool,
        usage_injected: bool = False,
    ) -> None:
        """Status line and headers; they are journaled with the first bytes that follow."""
        self._status = status
        self._stream_tail = b"" if event_stream else None
        if not self._began:
            return
        self._head = Head(
            id=self.id,
            offset_us=self.elapsed_us,
            status=status,
            reason=reason,
            http_version=http_version,
            headers=() if self._begin.no_log else headers,
            ours=ours,
            usage_injected=usage_injected,
        )
        self._recording.wait_for_more(self)

    async def response_data(self, data: bytes) -> bool:
        """Body bytes from the upstream, before they are passed on; False when what must be safe by now is not."""
        if self.response_data_now(data):
            return await self.settled(self.flush()) and not self.lost
        return True

    def response_data_now(self, data: bytes) -> bool:
        """As ``response_data``; True when ``flush`` must have settled before these bytes are passed on."""
        self._add(self._response, data)
        return self._stream_tail is not None and self._ends_stream(data)

    def flush(self) -> Written:
        """Write what waits on both sides; what is being written already is waited for too."""
        records = self._unwritten()
        if records and self._began:
            self._flushed = self._append(records)
        elif isinstance(self._flushed, bool) or self._flushed.done():
            self._flushed = True
        return self._flushed

    async def end(self, outcome: Outcome, **details: object) -> bool:
        """Journal the end, before the client can see it; False when it could not be."""
        return await self.settled(self.end_now(outcome, **details))

    def end_now(self, outcome: Outcome, **details: object) -> Written:
        """As ``end``, for where nothing may be awaited. Only the first call counts."""
        if self.ended:
            return True
        self.ended = True
        records = self._unwritten()
        if not self._began or self._generation != self._journal.generation:
            self._lose()
            return False
        end = self._make_end(outcome, details)
        return self._append([*records, end], end)

    # --- inside -----------------------------------------------------------------------------

    def _append(self, records: list[Record], end: End | None = None) -> Written:
        """Append, and note a loss whenever it becomes known: now, or when a slow disk has decided."""
        written = self._journal.append(records)
        if written is False:
            self._note_loss(len(records), end)
        elif isinstance(written, asyncio.Future):
            written.add_done_callback(lambda done: self._note_loss(0 if done.result() else len(records), end))
        return written

    def _begin_decided(self, done: asyncio.Future[bool]) -> None:
        self._began = done.result()

    def _note_loss(self, records: int, end: End | None) -> None:
        if not records:
            return
        self._lost_parts += records
        self._lose()
        if end is not None:
            self._recording.keep_end(evolve(end, lost_parts=self._lost_parts))

    def _lose(self) -> None:
        if not self.lost:
            self.lost = True
            self._journal.lose_calls(1)

    async def settled(self, written: Written) -> bool:
        """Wait for a slow disk, but no longer than ``max_wait_ms``; then the record counts as lost until it is not."""
        if isinstance(written, bool):
            return written
        await asyncio.wait([written], timeout=self._recording.settings.max_wait_ms / 1000)
        if written.done():
            return written.result()
        self._journal.lose_calls(1)
        # Once the disk has decided, ``_note_loss`` counts what is really lost.
        written.add_done_callback(lambda _: self._journal.lose_calls(-1))
        return not self._recording.refuses

    def _unwritten(self) -> list[Record]:
        """What waits, in the order in which it passed."""
        self._recording.forget(self)
        head, self._head = self._head, None
        return [*self._request.take(self.id), *([head] if head else []), *self._response.take(self.id)]

    def _make_end(self, outcome: Outcome, details: dict[str, object]) -> End:
        now_us = monotonic_us()
        fields = {
            "status": self._status,
            "request_bytes": self._request.size,
            "response_bytes": self._response.size,
            "lost_parts": self._lost_parts,
            **details,
        }
        offset_us = now_us - self._begin.accepted_us
        return End(id=self.id, ended_us=now_us, offset_us=offset_us, outcome=outcome, **fields)  # type: ignore[arg-type]

    def _add(self, body: Body, data: bytes) -> None:
        if not (body.kept and self._began):
            body.size += len(data)
            return
        self._marks += 1
        body.add(data, self.elapsed_us, mark=self._marks <= _MOST_MARKS)
        if body.waiting >= self._recording.settings.part_bytes or len(body.marks) >= _MARKS_PER_PART:
            self.flush()
        else:
            self._recording.wait_for_more(self)

    def _ends_stream(self, data: bytes) -> bool:
        assert self._stream_tail is not None
        seen = self._stream_tail + data
        self._stream_tail = seen[-_LONGEST_MARKER:]
        return TERMINAL_MARKER.search(seen) is not None
