"""How bytes lie in a segment: raw, or zstd when that is smaller, with one of the segment's dictionaries or
without; and whether they are the bytes themselves or a template of them. Frames have no magic number, size or
checksum: the row says the size, and everything is hashed. zstandard is loaded when it is first needed: listing
calls needs none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zstandard import ZstdCompressionDict, ZstdCompressor, ZstdDecompressor

RAW = 0
ZSTD = 1
TEMPLATE = 2  #: added to one of the others: what is packed is a template, see template.py
DICTIONARY = 4  #: zstd with a dictionary: this times its number
LARGEST_BYTES = 64 << 20  #: of what is packed: bounds the memory that damaged rows can ask for

_WORTH_BYTES = 48  # below this zstd's own header eats the gain
_LEVEL = 3
_DICTIONARY_BYTES = 112 << 10
_SEGMENT_BYTES = 1600  # of samples, weighed at once: trying sizes out takes four times as long, and packs no better

Dictionaries = Callable[[int], bytes]


class DamagedError(Exception):
    """Stored bytes that do not give back what was stored."""


class Packer:
    """Packs with one dictionary, or with none (number 0)."""

    def __init__(self, number: int = 0, dictionary: bytes = b"") -> None:
        self._enc = number * DICTIONARY or ZSTD
        self._compressor = _compressor(dictionary)

    def pack(self, data: bytes) -> tuple[int, bytes]:
        """Encoding and bytes to store."""
        if len(data) >= _WORTH_BYTES:
            packed = self._compressor.compress(data)
            if len(packed) < len(data):
                return self._enc, packed
        return RAW, data


class Unpacker:
    """Gives back what was packed; ``dictionaries`` gives one by its number."""

    def __init__(self, dictionaries: Dictionaries) -> None:
        self._dictionaries = dictionaries
        self._decompressors: dict[int, ZstdDecompressor] = {}

    def unpack(self, enc: int, size: int, stored: bytes) -> bytes:
        """What was packed, ``size`` bytes. Raises ``DamagedError``."""
        data = self.unpack_within(enc, size, stored)
        if len(data) != size:
            raise DamagedError(f"{len(data)} bytes instead of {size}")
        return data

    def unpack_within(self, enc: int, most: int, stored: bytes) -> bytes:
        """What was packed, at most so many bytes."""
        if enc == RAW:
            return stored
        if enc != ZSTD and enc % DICTIONARY:
            raise DamagedError(f"encoding {enc} is unknown")
        if not 0 <= most <= LARGEST_BYTES:
            raise DamagedError(f"{most} bytes are more than a piece can have")
        return self._decompressed(0 if enc == ZSTD else enc // DICTIONARY, most, stored)

    def _decompressed(self, number: int, most: int, stored: bytes) -> bytes:
        from zstandard import ZstdError

        decompressor = self._decompressors.get(number)
        if decompressor is None:
            decompressor = _decompressor(self._dictionaries(number) if number else b"")
            self._decompressors[number] = decompressor
        try:
            return decompressor.decompress(stored, max_output_size=most) if most else b""
        except ZstdError as error:
            raise DamagedError(str(error)) from error


def trained(samples: Sequence[bytes]) -> bytes | None:
    """A dictionary of what comes again in the samples; None when they have too little in common."""
    from zstandard import ZstdError, train_dictionary

    try:
        made = train_dictionary(
            _DICTIONARY_BYTES, list(samples), k=_SEGMENT_BYTES, d=8, f=20, split_point=1.0, accel=3, level=_LEVEL
        )
        return bytes(made.as_bytes())
    except ZstdError:
        return None


def _compressor(dictionary: bytes) -> ZstdCompressor:
    from zstandard import FORMAT_ZSTD1_MAGICLESS, ZstdCompressionParameters, ZstdCompressor

    parameters = ZstdCompressionParameters.from_level(
        _LEVEL, format=FORMAT_ZSTD1_MAGICLESS, write_content_size=False, write_checksum=False, write_dict_id=False
    )
    return ZstdCompressor(dict_data=_dictionary(dictionary), compression_params=parameters)


def _decompressor(dictionary: bytes) -> ZstdDecompressor:
    from zstandard import FORMAT_ZSTD1_MAGICLESS, ZstdDecompressor

    return ZstdDecompressor(dict_data=_dictionary(dictionary), format=FORMAT_ZSTD1_MAGICLESS)


def _dictionary(data: bytes) -> ZstdCompressionDict | None:
    from zstandard import ZstdCompressionDict

    return ZstdCompressionDict(data) if data else None
