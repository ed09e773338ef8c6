"""The bytes of a segment: a header, then frames. No I/O.

Segment header, 40 bytes::

    magic "llmtapJ1" · version u16 · flags u16 · salt u32 · first sequence u64 · made at u64 (wall µs) · crc u32 · 0 u32

Frame, 24 bytes and a payload::

    magic u32 · length u32 · kind u8 · flags u8 · check u16 · sequence u64 · crc u32

The CRC-32 runs over header and payload, seeded with the segment's salt. It is not chained: a
flipped bit costs one record, and a copy of journal bytes inside somebody's prompt is not taken
for a frame, because its salt is another. ``check`` is 16 bits of CRC over the header alone, so a
reader of a growing file can tell a frame that is still being written from one whose length is
damaged, and need not wait for bytes that will never come.

The salt stands in the file name too, so that damage to the header costs nothing.
"""

from __future__ import annotations

import enum
import struct
import zlib
from collections.abc import Iterator

from msgspec import Struct

SEGMENT_MAGIC = b"llmtapJ1"
VERSION = 1
COMPACTED = 1  #: segment flag: only frames of calls that were open are left, so sequences have holes
_SEGMENT = struct.Struct("<8sHHIQQI4x")
SEGMENT_HEADER_SIZE = _SEGMENT.size

MAGIC = b"\xf1\x4a\x54\xa9"
_FRAME = struct.Struct("<4sIBBHQI")
_CHECKED = struct.Struct("<4sIBBQ")
FRAME_HEADER_SIZE = _FRAME.size
MAX_PAYLOAD = 16 << 20  #: bytes; longer lengths are damage


class Kind(enum.IntEnum):
    """What a frame carries."""

    BEGIN = 1
    PART = 2
    HEAD = 3
    END = 4
    EVENT = 5
    JOB = 6


class Frame(Struct, frozen=True):
    """A valid frame and where it lies in its segment."""

    seq: int
    kind: int
    payload: bytes
    offset: int  #: of the frame's header


class Damage(Struct, frozen=True):
    """Bytes that are no frame."""

    offset: int
    size: int


class SegmentHeader(Struct, frozen=True):
    """What the first bytes of a segment say."""

    salt: int
    first_seq: int
    flags: int = 0
    version: int = VERSION


def segment_name(first_seq: int, salt: int) -> str:
    """``0000000000000001-9f3c22aa.seg``: sorts by sequence."""
    return f"{first_seq:016x}-{salt:08x}.seg"


def parse_segment_name(name: str) -> tuple[int, int] | None:
    """(first sequence, salt), or None when this is no segment's name."""
    stem, dot, suffix = name.partition(".")
    first, dash, salt = stem.partition("-")
    if not dot or suffix != "seg" or not dash or len(first) != 16 or len(salt) != 8:
        return None
    try:
        return int(first, 16), int(salt, 16)
    except ValueError:
        return None


def encode_segment_header(header: SegmentHeader, made_at_us: int) -> bytes:
    """The 40 bytes at the start of a segment."""
    fields = (SEGMENT_MAGIC, header.version, header.flags, header.salt, header.first_seq, made_at_us)
    crc = zlib.crc32(_SEGMENT.pack(*fields, 0))
    return _SEGMENT.pack(*fields, crc)


def decode_segment_header(data: bytes) -> SegmentHeader | None:
    """None when the header is damaged: its file name still says salt and first sequence."""
    if len(data) < SEGMENT_HEADER_SIZE:
        return None
    *fields, crc = _SEGMENT.unpack_from(data)
    if fields[0] != SEGMENT_MAGIC or zlib.crc32(_SEGMENT.pack(*fields, 0)) != crc:
        return None
    return SegmentHeader(salt=fields[3], first_seq=fields[4], flags=fields[2], version=fields[1])


def encode_frame(salt: int, seq: int, kind: int, payload: bytes) -> bytes:
    """Header and payload, ready to append."""
    checked = _CHECKED.pack(MAGIC, len(payload), kind, 0, seq)
    header_crc = zlib.crc32(checked, salt)
    crc = zlib.crc32(payload, header_crc)
    return _FRAME.pack(MAGIC, len(payload), kind, 0, header_crc & 0xFFFF, seq, crc) + payload


def scan(data: bytes, salt: int, base: int, *, final: bool) -> Iterator[Frame | Damage]:
    """Frames and damaged stretches in ``data``, which lies at ``base`` in its segment.

    Stops before a frame that is not wholly there. With ``final`` no more bytes will come: what is
    left at the end is a torn tail and is not reported, but what lies before a later valid frame is.
    The consumed length is the end of the last item; the caller keeps the rest.
    """
    position = 0
    while position < len(data):
        frame = _frame_at(data, salt, position, base)
        if isinstance(frame, Frame):
            yield frame
            position += FRAME_HEADER_SIZE + len(frame.payload)
            continue
        if frame is _INCOMPLETE and not final:
            return
        after = _resynchronise(data, salt, position + 1, base, final=final)
        if after is None:
            return
        yield Damage(base + position, after - position)
        position = after


_INCOMPLETE = object()
_INVALID = object()


def _frame_at(data: bytes, salt: int, position: int, base: int) -> Frame | object:
    """The frame at ``position``, or whether it is invalid or may still be growing."""
    if len(data) - position < FRAME_HEADER_SIZE:
        grows = MAGIC.startswith(data[position : position + 4]) or data.startswith(MAGIC, position)
        return _INCOMPLETE if grows else _INVALID
    magic, length, kind, flags, check, seq, crc = _FRAME.unpack_from(data, position)
    if magic != MAGIC or length > MAX_PAYLOAD:
        return _INVALID
    header_crc = zlib.crc32(_CHECKED.pack(magic, length, kind, flags, seq), salt)
    if header_crc & 0xFFFF != check:
        return _INVALID
    start = position + FRAME_HEADER_SIZE
    payload = data[start : start + length]
    if len(payload) < length:
        return _INCOMPLETE
    if zlib.crc32(payload, header_crc) != crc:
        return _INVALID
    return Frame(seq, kind, payload, base + position)


def _resynchronise(data: bytes, salt: int, start: int, base: int, *, final: bool) -> int | None:
    """Where the next valid frame begins, or None when there is none (yet)."""
    while (position := data.find(MAGIC, start)) >= 0:
        found = _frame_at(data, salt, position, base)
        if isinstance(found, Frame):
            return position
        if found is _INCOMPLETE and not final:
            return None
        start = position + 1
    return None
