"""Content codings: round trips, stacks, cuts at every byte, corruption, bombs."""

from __future__ import annotations

import gzip
import random
import zlib
from collections.abc import Callable

import brotli
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.wire.encoding import decode, encoded_offset

LIMIT = 1 << 20
TEXT = b'{"model":"gpt-4o","messages":[{"role":"user","content":"' + bytes(range(256)) * 4 + b'"}]}'


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


ENCODERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("X-GZip", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "raw deflate": ("deflate", raw_deflate),
    "br": ("br", brotli.compress),
    "zstd": ("zstd", zstd),
}
each_coding = pytest.mark.parametrize(("name", "encode"), ENCODERS.values(), ids=ENCODERS)


@each_coding
@pytest.mark.parametrize("data", [b"", b"x", TEXT, TEXT * 300], ids=["empty", "one byte", "small", "large"])
def test_round_trip(name: str, encode: Callable[[bytes], bytes], data: bytes) -> None:
    decoded = decode(encode(data), name, LIMIT)
    assert (decoded.data, decoded.notes, decoded.complete) == (data, (), True)


@settings(deadline=None)
@given(data=st.binary(max_size=3000), stack=st.lists(st.sampled_from(list(ENCODERS)), max_size=4))
def test_stacked_codings_are_undone_in_reverse(data: bytes, stack: list[str]) -> None:
    body = data
    for coding in stack:
        body = ENCODERS[coding][1](body)
    decoded = decode(body, " , ".join(ENCODERS[coding][0] for coding in stack), LIMIT)
    assert (decoded.data, decoded.complete) == (data, True)


@each_coding
def test_a_body_cut_at_any_byte_gives_what_came(name: str, encode: Callable[[bytes], bytes]) -> None:
    body = encode(TEXT)
    longest = b""
    for cut in range(1, len(body)):
        decoded = decode(body[:cut], name, LIMIT)
        assert TEXT.startswith(decoded.data)
        assert decoded.data.startswith(longest)
        assert not decoded.complete
        assert decoded.notes == (f"{name.lower()}: cut short",)
        longest = decoded.data
    assert decode(b"", name, LIMIT).complete


@pytest.mark.parametrize(("name", "encode"), [ENCODERS["gzip"], ENCODERS["deflate"], ENCODERS["br"], ENCODERS["zstd"]])
def test_corruption_anywhere_never_raises(name: str, encode: Callable[[bytes], bytes]) -> None:
    seeded = random.Random(7)
    body = bytearray(encode(seeded.randbytes(20_000) + TEXT * 10))
    for _ in range(200):
        damaged = bytearray(body)
        damaged[seeded.randrange(len(body))] ^= 1 << seeded.randrange(8)
        decoded = decode(bytes(damaged), name, LIMIT)
        assert decoded.complete == (not decoded.notes)
        assert len(decoded.data) <= LIMIT


@settings(deadline=None)
@given(body=st.binary(max_size=300), name=st.sampled_from(["gzip", "deflate", "br", "zstd"]))
def test_any_bytes_are_decoded_without_raising(body: bytes, name: str) -> None:
    decoded = decode(body, name, 1000)
    assert len(decoded.data) <= 1000
    encoded_offset(body, name, 5)


def test_a_wrong_checksum_costs_no_text() -> None:
    body = bytearray(gzip.compress(TEXT))
    body[-5] ^= 1
    decoded = decode(bytes(body), "gzip", LIMIT)
    assert decoded.data == TEXT
    assert decoded.notes[0].startswith("gzip: corrupt")


@each_coding
def test_a_bomb_costs_a_note(name: str, encode: Callable[[bytes], bytes]) -> None:
    bomb = encode(bytes(64 << 20))
    decoded = decode(bomb, name, 100_000)
    assert decoded.data == bytes(100_000)
    assert decoded.notes == (f"{name.lower()}: expands to more than 100000 bytes, the rest was left out",)
    assert not decoded.complete


@each_coding
def test_a_body_as_large_as_the_limit_is_whole(name: str, encode: Callable[[bytes], bytes]) -> None:
    assert decode(encode(TEXT), name, len(TEXT)).complete
    assert not decode(encode(TEXT), name, len(TEXT) - 1).complete


@pytest.mark.parametrize("size", [1 << 20, 3 << 20, (3 << 20) + 1])
def test_brotli_that_fills_its_last_piece_is_whole(size: int) -> None:
    decoded = decode(brotli.compress(bytes(size)), "br", 4 << 20)
    assert (len(decoded.data), decoded.notes, decoded.complete) == (size, (), True)


def test_several_members_and_frames() -> None:
    assert decode(gzip.compress(b"ab") + gzip.compress(b"c"), "gzip", LIMIT).data == b"abc"
    assert decode(zstd(b"ab") + zstd(b"c"), "zstd", LIMIT).data == b"abc"
    assert decode(gzip.compress(b"") * 20_000 + gzip.compress(b"c"), "gzip", LIMIT).data == b"c"


def test_what_follows_the_end_is_noted() -> None:
    for name, encode in (ENCODERS["gzip"], ENCODERS["deflate"], ENCODERS["zstd"], ENCODERS["br"]):
        decoded = decode(encode(b"abc") + b"trailing", name, LIMIT)
        assert decoded.data == b"abc"
        assert not decoded.complete
        assert decoded.notes[0].startswith(f"{name}: ")


def test_an_unknown_coding_leaves_the_body_as_it_is() -> None:
    decoded = decode(b"body", "aws-magic", LIMIT)
    assert (decoded.data, decoded.complete) == (b"body", False)
    assert decoded.notes == ("content-encoding: 'aws-magic' is unknown",)
    below = decode(gzip.compress(b"body"), "aws-magic, gzip", LIMIT)
    assert (below.data, len(below.notes)) == (b"body", 1)


def test_a_tower_of_codings_is_not_climbed() -> None:
    assert decode(b"body", ", ".join(["gzip"] * 1000), LIMIT).notes == (
        "content-encoding: 1000 codings, left as they are",
    )


@pytest.mark.parametrize("none", ["", "identity", " , Identity,"])
def test_no_coding(none: str) -> None:
    assert decode(b"body", none, 2).data == b"body"
    assert encoded_offset(b"body", none, 3) == 3


@each_coding
def test_the_encoded_offset_is_the_first_that_suffices(name: str, encode: Callable[[bytes], bytes]) -> None:
    body = encode(random.Random(3).randbytes(9000) + TEXT * 20)
    for wanted in (1, 100, 5000, 9000, 9000 + len(TEXT) * 20):
        offset = encoded_offset(body, name, wanted)
        assert offset is not None
        assert len(decode(body[:offset], name, LIMIT).data) >= wanted
        assert len(decode(body[: offset - 1], name, LIMIT).data) < wanted


def test_the_encoded_offset_of_a_flushed_stream_is_the_read_that_brought_it() -> None:
    packer = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    reads = [packer.compress(event) + packer.flush(zlib.Z_SYNC_FLUSH) for event in (b"data: 1\n\n", b"data: 2\n\n")]
    offset = encoded_offset(b"".join(reads), "gzip", 18)
    assert offset is not None
    assert len(reads[0]) < offset <= len(reads[0] + reads[1])


def test_an_encoded_offset_that_cannot_be_told() -> None:
    assert encoded_offset(gzip.compress(b"abc"), "gzip", 4) is None
    assert encoded_offset(b"abc", "gzip", 1) is None
    assert encoded_offset(b"abc", "unknown", 1) is None
    assert encoded_offset(b"abc", "gzip, br", 1) is None
