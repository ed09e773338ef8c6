"""How bytes lie in a segment: raw, or zstd when that is smaller; and whether they are the bytes
themselves or a template of them. 4 and above are left for dictionaries and deltas. zstandard is
loaded when it is first needed: listing calls needs none.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zstandard import ZstdCompressor, ZstdDecompressor

RAW = 0
ZSTD = 1
TEMPLATE = 2  #: added to one of the above: what is packed is a template, see template.py
_WORTH_BYTES = 96  # below this zstd's own header eats the gain
_LEVEL = 3


class DamagedError(Exception):
    """Stored bytes that do not give back what was stored."""


def pack(data: bytes) -> tuple[int, bytes]:
    """Encoding and bytes to store."""
    if len(data) >= _WORTH_BYTES:
        packed = _compressor().compress(data)
        if len(packed) < len(data):
            return ZSTD, packed
    return RAW, data


def unpack(enc: int, size: int, stored: bytes) -> bytes:
    """What was packed, ``size`` bytes."""
    data = unpack_within(enc, size, stored)
    if len(data) != size:
        raise DamagedError(f"{len(data)} bytes instead of {size}")
    return data


def unpack_within(enc: int, most: int, stored: bytes) -> bytes:
    """What was packed; ``most`` bounds the memory that damaged bytes can ask for."""
    if enc == ZSTD:
        return _decompress(stored, most)
    if enc == RAW:
        return stored
    raise DamagedError(f"encoding {enc} is unknown")


def _decompress(stored: bytes, most: int) -> bytes:
    from zstandard import ZstdError, frame_content_size

    try:
        if not 0 <= frame_content_size(stored) <= most:
            raise DamagedError(f"the frame does not hold up to {most} bytes")
        return _decompressor().decompress(stored)
    except ZstdError as error:
        raise DamagedError(str(error)) from error


@cache
def _compressor() -> ZstdCompressor:
    from zstandard import ZstdCompressor

    return ZstdCompressor(level=_LEVEL)


@cache
def _decompressor() -> ZstdDecompressor:
    from zstandard import ZstdDecompressor

    return ZstdDecompressor()
