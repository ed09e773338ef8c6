"""The segment format, as bytes: what is written is read, whole, torn or damaged."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.journal.frame import (
    MAGIC,
    MAX_PAYLOAD,
    SEGMENT_HEADER_SIZE,
    Damage,
    Frame,
    Kind,
    SegmentHeader,
    decode_segment_header,
    encode_frame,
    encode_segment_header,
    parse_segment_name,
    scan,
    segment_name,
)

SALT = 0x9F3C22AA

payloads = st.lists(st.binary(max_size=200) | st.just(MAGIC * 3), min_size=1, max_size=8)


def stream(items: list[bytes], salt: int = SALT) -> bytes:
    return b"".join(encode_frame(salt, seq, Kind.PART, payload) for seq, payload in enumerate(items, 1))


def frames(data: bytes, salt: int = SALT, *, final: bool = True) -> list[Frame]:
    return [item for item in scan(data, salt, 0, final=final) if isinstance(item, Frame)]


@given(payloads)
def test_what_is_written_is_read(items: list[bytes]) -> None:
    read = frames(stream(items))
    assert [frame.payload for frame in read] == items
    assert [frame.seq for frame in read] == list(range(1, len(items) + 1))


@given(payloads, st.data())
def test_any_prefix_gives_the_frames_that_are_whole_and_nothing_else(items: list[bytes], data: st.DataObject) -> None:
    whole = stream(items)
    cut = data.draw(st.integers(0, len(whole)))
    for final in (False, True):
        found = list(scan(whole[:cut], SALT, 0, final=final))
        assert all(isinstance(item, Frame) for item in found)
        assert [frame.payload for frame in frames(whole[:cut], final=final)] == items[: len(found)]


def test_a_growing_file_is_read_byte_by_byte_like_a_whole_one() -> None:
    items = [b"one", MAGIC, b"", b"x" * 300]
    whole, seen, start = stream(items), [], 0
    for end in range(len(whole) + 1):
        for item in scan(whole[start:end], SALT, start, final=False):
            assert isinstance(item, Frame)
            seen.append(item.payload)
            start = end
    assert seen == items


def test_a_copy_of_journal_bytes_inside_a_payload_is_not_taken_for_a_frame() -> None:
    foreign = stream([b"from another segment"], salt=SALT + 1)
    whole = bytearray(stream([foreign, b"after"]))
    whole[0] ^= 1  # the outer frame is damaged, so the reader searches inside it
    assert [frame.payload for frame in frames(bytes(whole))] == [b"after"]


@pytest.mark.parametrize("seed", range(500))
def test_one_flipped_bit_costs_at_most_one_record_and_never_gives_a_wrong_one(seed: int) -> None:
    rng = random.Random(seed)
    items = [rng.randbytes(rng.choice([0, 1, 30, 500])) for _ in range(rng.randint(1, 12))]
    whole = bytearray(stream(items))
    position = rng.randrange(len(whole))
    whole[position] ^= 1 << rng.randrange(8)
    read = frames(bytes(whole))
    assert all(items[frame.seq - 1] == frame.payload for frame in read)
    assert len(read) >= len(items) - 1
    assert all(earlier.seq < later.seq for earlier, later in pairwise(read))


def test_a_damaged_length_does_not_make_a_live_reader_wait_for_bytes_that_will_never_come() -> None:
    whole = bytearray(stream([b"first", b"second"]))
    whole[4:8] = (MAX_PAYLOAD - 1).to_bytes(4, "little")
    found = list(scan(bytes(whole), SALT, 0, final=False))
    assert isinstance(found[0], Damage)
    assert [item.payload for item in found[1:]] == [b"second"]


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1))
def test_segment_names_and_headers_say_the_same(first_seq: int, salt: int) -> None:
    assert parse_segment_name(segment_name(first_seq, salt)) == (first_seq, salt)
    encoded = encode_segment_header(SegmentHeader(salt, first_seq), 123)
    assert len(encoded) == SEGMENT_HEADER_SIZE
    assert decode_segment_header(encoded) == SegmentHeader(salt, first_seq)


def test_a_damaged_segment_header_is_told() -> None:
    encoded = bytearray(encode_segment_header(SegmentHeader(SALT, 7), 123))
    encoded[20] ^= 4
    assert decode_segment_header(bytes(encoded)) is None
    assert decode_segment_header(b"short") is None


@pytest.mark.parametrize("name", ["counter", "x.seg", "0000000000000001-9f3c22aa.new", "000000000000000g-9f3c22aa.seg"])
def test_other_files_are_no_segments(name: str) -> None:
    assert parse_segment_name(name) is None
