"""Putting calls together from the frames of one journal.

Bodies of open calls are held in memory within a budget that all journals share; beyond it only
their places are kept, and they are read again from the segment when the call ends.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

import msgspec
from msgspec import Struct

from ..journal.codec import decode
from ..journal.frame import FRAME_HEADER_SIZE, Frame, Kind
from ..journal.reader import SegmentFile
from ..records import Begin, End, Event, Exchange, Head, Job, Part, Side

log = logging.getLogger(__name__)


class Budget:
    """Bytes of bodies that may be held in memory."""

    def __init__(self, limit_bytes: int) -> None:
        self._left = limit_bytes

    def take(self, size: int) -> bool:
        """Whether ``size`` more bytes may be held."""
        if size > self._left:
            return False
        self._left -= size
        return True

    def give(self, size: int) -> None:
        """They are held no longer."""
        self._left += size


class Piece(Struct):
    """One frame of an open call: its payload, or where to read it again."""

    seq: int
    kind: int
    segment: SegmentFile
    offset: int  #: of the payload in the segment
    length: int
    payload: bytes | None

    def read(self) -> bytes:
        """The payload."""
        return self.payload if self.payload is not None else self.segment.payload_at(self.offset, self.length)


class OpenCall:
    """A call whose end has not been seen."""

    def __init__(self, begin: Begin, first: Piece) -> None:
        self.begin = begin
        self.first_seq = first.seq
        self.pieces: list[Piece] = [first]
        self.head: Head | None = None
        self.held_bytes = 0
        self.shown = False  #: a running row was written

    def exchange(self, end: End | None = None) -> Exchange:
        """Its bytes, as far as they came."""
        return _exchange(self, end)


class EndedCall(Struct, frozen=True):
    """A call to store. Its bytes are put together only when they are wanted."""

    call: OpenCall
    end: End | None
    seq: int  #: of its end frame; of its begin frame when it has no end
    ended_us: int  #: monotonic: the order across journals

    @property
    def first_seq(self) -> int:
        """Of its begin frame: from here on the journal is needed until the call is stored."""
        return self.call.first_seq

    @property
    def size(self) -> int:
        """Bytes of its frames."""
        return sum(piece.length for piece in self.call.pieces)

    def exchange(self) -> Exchange:
        """All of it."""
        return self.call.exchange(self.end)


class Assembler:
    """The open calls of one journal."""

    def __init__(self, budget: Budget, stored: set[int]) -> None:
        self.open: dict[bytes, OpenCall] = {}
        self.undecodable: list[Frame] = []
        self.jobs: list[Job] = []  #: asked for, and not taken yet
        self.begun: list[Begin] = []  #: accepted, and not taken yet
        self.events: list[tuple[int, Event]] = []  #: with their sequences; not taken yet
        self._budget = budget
        self._stored = stored

    def feed(self, segment: SegmentFile, frame: Frame) -> EndedCall | None:
        """Take one frame; the call that it ends, if it ends one that is not stored yet."""
        try:
            record = decode(frame.kind, frame.payload)
        except (msgspec.DecodeError, ValueError):
            self.undecodable.append(frame)
            return None
        match record:
            case Begin():
                self.begun.append(record)
                self.open[record.id] = OpenCall(record, self._piece(segment, frame, keep=True))
            case Head():
                self._add(record.id, segment, frame)
                if (call := self.open.get(record.id)) is not None:
                    call.head = record
            case Part():
                self._add(record.id, segment, frame)
            case End():
                return self._end(record, frame.seq)
            case Job():
                self.jobs.append(record)
            case Event():
                self.events.append((frame.seq, record))
        return None

    def abandon(self) -> Iterator[EndedCall]:
        """The owner is gone: every open call, as far as it came."""
        for call_id in list(self.open):
            call = self.open.pop(call_id)
            yield EndedCall(call, None, call.first_seq, call.begin.accepted_us)

    def release(self, ended: EndedCall) -> None:
        """An ended call's bytes are held no longer."""
        self._budget.give(ended.call.held_bytes)

    def low_seq(self, next_seq: int) -> int:
        """The oldest sequence that is still needed."""
        return min((call.first_seq for call in self.open.values()), default=next_seq)

    # --- inside -----------------------------------------------------------------------------

    def _add(self, call_id: bytes, segment: SegmentFile, frame: Frame) -> None:
        call = self.open.get(call_id)
        if call is None:
            return  # its beginning was lost, or it is stored already
        keep = self._budget.take(len(frame.payload))
        if keep:
            call.held_bytes += len(frame.payload)
        call.pieces.append(self._piece(segment, frame, keep=keep))

    def _end(self, end: End, seq: int) -> EndedCall | None:
        call = self.open.pop(end.id, None)
        if call is None or seq in self._stored:
            self._stored.discard(seq)
            if call is not None:
                self._budget.give(call.held_bytes)
            return None
        return EndedCall(call, end, seq, end.ended_us)

    @staticmethod
    def _piece(segment: SegmentFile, frame: Frame, *, keep: bool) -> Piece:
        offset = frame.offset + FRAME_HEADER_SIZE
        return Piece(frame.seq, frame.kind, segment, offset, len(frame.payload), frame.payload if keep else None)


def _exchange(call: OpenCall, end: End | None) -> Exchange:
    parts = [part for piece in call.pieces if piece.kind == Kind.PART and isinstance(part := _decoded(piece), Part)]
    request, request_whole = _join(parts, Side.REQUEST)
    response, response_whole = _join(parts, Side.RESPONSE)
    whole = request_whole and response_whole
    begin = call.begin
    if end is not None and not begin.no_log:
        whole = whole and (begin.omit_request or len(request) == end.request_bytes)
        whole = whole and (begin.omit_response or len(response) == end.response_bytes)
    return Exchange(
        begin=begin,
        head=call.head,
        end=end,
        request_body=request,
        response_body=response,
        marks=tuple(mark for part in parts if part.side == Side.RESPONSE for mark in part.marks),
        holes=not whole,
    )


def _decoded(piece: Piece) -> object:
    return decode(piece.kind, piece.read())


def _join(parts: list[Part], side: Side) -> tuple[bytes, bool]:
    """(the bytes of one side, whether they follow on each other from the first)."""
    chosen = [part for part in parts if part.side == side]
    offset, whole = 0, True
    for part in chosen:
        whole = whole and part.offset == offset
        offset = part.offset + len(part.data)
    return b"".join(part.data for part in chosen), whole
