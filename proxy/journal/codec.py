"""Records ↔ payloads. MessagePack arrays for the small ones, a fixed header and raw bytes for parts. No I/O."""

from __future__ import annotations

import struct
from collections.abc import Callable

import msgspec

from ..records import Begin, End, Event, Head, Job, Part, Side
from .frame import Kind

Record = Begin | Part | Head | End | Job | Event
_PART = struct.Struct("<16sBxHQ")
_MARK = struct.Struct("<QQ")
MAX_MARKS = 256  #: per part; a capture flushes before it has more

_encoder = msgspec.msgpack.Encoder()


def encode(record: Record) -> tuple[int, bytes]:
    """(kind, payload) of a record."""
    if isinstance(record, Part):
        return Kind.PART, encode_part(record)
    return _KINDS[type(record)], _encoder.encode(record)


def encode_part(part: Part) -> bytes:
    """Id, side, marks, offset, then the bytes as they came."""
    marks = part.marks[:MAX_MARKS]
    head = _PART.pack(part.id, part.side, len(marks), part.offset)
    return b"".join((head, *(_MARK.pack(*mark) for mark in marks), part.data))


def decode(kind: int, payload: bytes) -> Record | None:
    """The record, or None for a kind that this version does not know.

    Raises ``msgspec.DecodeError`` or ``ValueError`` for a payload that is no such record.
    """
    decoder = _DECODERS.get(kind)
    return decoder(payload) if decoder else None


def _decode_part(payload: bytes) -> Part:
    if len(payload) < _PART.size:
        raise ValueError("part too short")
    call_id, side, count, offset = _PART.unpack_from(payload)
    data_at = _PART.size + count * _MARK.size
    if len(payload) < data_at:
        raise ValueError("part shorter than its marks")
    marks = tuple(_MARK.iter_unpack(payload[_PART.size : data_at]))
    return Part(id=call_id, side=Side(side), offset=offset, data=payload[data_at:], marks=marks)


_KINDS: dict[type, int] = {Begin: Kind.BEGIN, Head: Kind.HEAD, End: Kind.END, Job: Kind.JOB, Event: Kind.EVENT}
_DECODERS: dict[int, Callable[[bytes], Record]] = {
    Kind.BEGIN: msgspec.msgpack.Decoder(Begin).decode,
    Kind.HEAD: msgspec.msgpack.Decoder(Head).decode,
    Kind.END: msgspec.msgpack.Decoder(End).decode,
    Kind.JOB: msgspec.msgpack.Decoder(Job).decode,
    Kind.EVENT: msgspec.msgpack.Decoder(Event).decode,
    Kind.PART: _decode_part,
}
