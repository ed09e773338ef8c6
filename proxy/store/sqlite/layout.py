"""Where the pieces of an exchange lie in a segment, what is kept of it besides its bodies, and the seal over both."""

from __future__ import annotations

from itertools import accumulate, pairwise

import msgspec
from msgspec import Struct

from ...bodies.cut import Cut
from ...bodies.digests import digest
from ...bodies.marks import Mark
from ...bodies.slices import Slices, Value
from ...records import Begin, End, Exchange, Head, Header, evolve
from .blob import DamagedError
from .previews import Span

SEAL_BYTES = 8
Marks = tuple[tuple[int, int], ...]


class Record(Struct, frozen=True, array_like=True):
    """All of an exchange but its bodies. Fields are only ever appended, with defaults."""

    begin: Begin  #: without its id, and without header lines
    head: Head | None  #: the same
    end: End | None  #: without its id
    marks: tuple[int, ...]  #: offset, time, offset, time…, each less the one before: small numbers pack well
    holes: bool
    asked: tuple[bytes, ...]  #: header values that differ between calls
    answered: tuple[bytes, ...]
    previews: tuple[str | None, str | None] = (None, None)  #: those that stand nowhere in the bodies


class CutBody(Struct, frozen=True, array_like=True):
    """Numbers of the pieces of a body that was cut."""

    envelope: int  #: an ``Envelope``
    run: int  #: with its last message; 0: none
    place: int  #: so many messages of that run are its own
    values: tuple[int, ...]
    marks: tuple[tuple[int, int], ...]  #: where each stood, and the number of what it was


#: Of a body in one piece, its number; 0 is that of no bytes.
Body = int | CutBody
#: Where first words stand; True: in the record.
Preview = Span | bool | None


class Layout(Struct, frozen=True, array_like=True):
    """Where the pieces of a call lie."""

    request: Body
    response: Body
    asked: int  #: header lines of the request, apart from what differs between calls
    answered: int
    previews: tuple[Preview, Preview]
    newest: int = 0  #: the highest number of a piece: others are written by how far they are from it


class Envelope(Struct, frozen=True, array_like=True):
    """What stands around the values and messages of a body."""

    literals: tuple[bytes, ...]
    names: tuple[str | None, ...]  #: of its values; None: the messages
    separator: bytes


class Names(Struct, frozen=True, array_like=True):
    """What a seal covers of one body."""

    envelope: bytes
    values: tuple[bytes, ...] = ()
    messages: bytes = b""
    marks: tuple[Mark, ...] = ()


_to_bytes = msgspec.msgpack.Encoder().encode
_to_record = msgspec.msgpack.Decoder(Record).decode
_to_layout = msgspec.msgpack.Decoder(Layout).decode
_to_numbers = msgspec.msgpack.Decoder(list[int]).decode
_to_envelope = msgspec.msgpack.Decoder(Envelope).decode


def record_bytes(
    exchange: Exchange,
    asked: tuple[bytes, ...],
    answered: tuple[bytes, ...],
    previews: tuple[str | None, str | None],
) -> bytes:
    """All of an exchange but its bodies and what its header lines share with others, for ``exchange.record``."""
    head, end = exchange.head, exchange.end
    return _to_bytes(
        Record(
            evolve(exchange.begin, id=b"", headers=()),
            None if head is None else evolve(head, id=b"", headers=()),
            None if end is None else evolve(end, id=b""),
            _differences(exchange.marks),
            exchange.holes,
            asked,
            answered,
            previews,
        )
    )


def record_of(data: bytes) -> Record:
    """What ``record_bytes`` made. Raises ``DamagedError``."""
    try:
        return _to_record(data)
    except msgspec.MsgspecError as error:
        raise DamagedError(f"its record cannot be read: {error}") from error


def exchange_of(
    record: Record, call: bytes, bodies: tuple[bytes, bytes], headers: tuple[tuple[Header, ...], tuple[Header, ...]]
) -> Exchange:
    """The exchange that a record is of; bodies and headers of request and answer."""
    return Exchange(
        begin=evolve(record.begin, id=call, headers=headers[0]),
        head=None if record.head is None else evolve(record.head, id=call, headers=headers[1]),
        end=None if record.end is None else evolve(record.end, id=call),
        request_body=bodies[0],
        response_body=bodies[1],
        marks=_marks(record.marks),
        holes=record.holes,
    )


def _differences(marks: Marks) -> tuple[int, ...]:
    return tuple([now[side] - before[side] for before, now in pairwise(((0, 0), *marks)) for side in (0, 1)])


def _marks(flat: tuple[int, ...]) -> Marks:
    marks: list[tuple[int, int]] = []
    offset = time = 0
    for index in range(0, len(flat) - 1, 2):
        offset, time = offset + flat[index], time + flat[index + 1]
        marks.append((offset, time))
    return tuple(marks)


def layout_bytes(layout: Layout) -> bytes:
    """For ``exchange.layout``."""
    return _to_bytes(_turned(layout))


def _turned(layout: Layout) -> Layout:
    """Numbers of pieces as distances from the newest, which are small, and back."""

    def turn(number: int) -> int:
        return number and layout.newest + 1 - number

    def body(place: Body) -> Body:
        if not isinstance(place, CutBody):
            return turn(place)
        values, marks = [turn(value) for value in place.values], [(at, turn(mark)) for at, mark in place.marks]
        return CutBody(turn(place.envelope), place.run, place.place, tuple(values), tuple(marks))

    first, last = (
        Span(turn(span.piece), span.at, span.length) if isinstance(span, Span) else span for span in layout.previews
    )
    bodies = body(layout.request), body(layout.response)
    return Layout(*bodies, turn(layout.asked), turn(layout.answered), (first, last), layout.newest)


def layout_of(data: bytes) -> Layout:
    """What ``layout_bytes`` made. Raises ``DamagedError``."""
    try:
        return _turned(_to_layout(data))
    except msgspec.MsgspecError as error:
        raise DamagedError(f"its layout cannot be read: {error}") from error


def run_bytes(messages: list[int]) -> bytes:
    """Numbers of messages that follow on each other, each less the one before: for ``run.msgs``."""
    return _to_bytes([now - before for before, now in pairwise((0, *messages))])


def numbers_of(run: bytes) -> list[int]:
    """What ``run_bytes`` made. Raises ``DamagedError``."""
    try:
        return list(accumulate(_to_numbers(run)))
    except msgspec.MsgspecError as error:
        raise DamagedError(f"its list of messages cannot be read: {error}") from error


def envelope_bytes(parts: Slices) -> bytes:
    """What stands around the values and messages of a body that was cut."""
    names = tuple([value.name if value else None for value in parts.values])
    return _to_bytes(Envelope(parts.literals, names, parts.separator))


def slices_of(envelope: bytes, values: list[bytes], messages: tuple[bytes, ...]) -> Slices:
    """The pieces of a body together again. Raises ``DamagedError``."""
    try:
        found = _to_envelope(envelope)
        left = iter(values)
        placed = tuple([None if name is None else Value(name, next(left)) for name in found.names])
    except (msgspec.MsgspecError, StopIteration) as error:
        raise DamagedError(f"its envelope cannot be read: {error}") from error
    return Slices(found.literals, placed, messages, found.separator)


def names_of(cut: Cut, envelope: bytes) -> Names:
    """What the seal covers of a body; ``envelope``: the digest of what stands around."""
    return Names(envelope, cut.values, cut.last, cut.marks) if cut.slices.values else Names(envelope)


def sealed(salt: bytes, uuid: bytes, record: bytes, bodies: tuple[Names, Names], lines: tuple[bytes, bytes]) -> bytes:
    """Shows whether an exchange was put together wrongly; ``lines``: digests of what its header lines share."""
    return digest(salt, _to_bytes((uuid, record, bodies, lines)))[:SEAL_BYTES]
