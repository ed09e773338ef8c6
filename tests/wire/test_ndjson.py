"""The line decoder: what a line is, every way of cutting a stream, bounds."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.wire.ndjson import Decoder, Line

#: (what it shows, stream, its lines as (data, end))
CASES = [
    ("empty", b"", []),
    ("one", b"{}\n", [(b"{}", 3)]),
    ("two", b"{}\n[1]\n", [(b"{}", 3), (b"[1]", 7)]),
    ("no last line end", b"{}\n{", [(b"{}", 3), (b"{", 4)]),
    ("CR LF", b"{}\r\n{}\r\n", [(b"{}", 4), (b"{}", 8)]),
    ("CR alone ends no line", b"{\r}\n", [(b"{\r}", 4)]),
    ("blank lines", b"\n\r\n \t\n{}\n\n", [(b"{}", 9)]),
    ("spaces around", b"  {}\t \n", [(b"  {}", 7)]),
    ("byte order mark", b"\xef\xbb\xbf{}\n", [(b"{}", 6)]),
    ("only a byte order mark", b"\xef\xbb\xbf", []),
    ("byte order mark only at the start", b"{}\n\xef\xbb\xbf{}\n", [(b"{}", 3), (b"\xef\xbb\xbf{}", 9)]),
    ("separators of Unicode end no line", "{\u2028}\x0b\x0c\n".encode(), [("{\u2028}\x0b\x0c".encode(), 8)]),
    ("not JSON at all", b"nonsense\n\xff\x00\n", [(b"nonsense", 9), (b"\xff\x00", 12)]),
]


def decode(*pieces: bytes, max_line_bytes: int = 1 << 20) -> list[Line]:
    decoder = Decoder(max_line_bytes)
    return [line for piece in pieces for line in decoder.feed(piece)] + decoder.finish()


@pytest.mark.parametrize(("stream", "lines"), [pytest.param(*case[1:], id=case[0]) for case in CASES])
def test_lines_do_not_depend_on_the_cuts(stream: bytes, lines: list[tuple[bytes, int]]) -> None:
    expected = [Line(*line) for line in lines]
    assert decode(stream) == expected
    assert decode(*(stream[at : at + 1] for at in range(len(stream)))) == expected
    for cut in range(len(stream) + 1):
        assert decode(stream[:cut], b"", stream[cut:]) == expected


PIECES = st.sampled_from([b"{}", b"\n", b"\n", b"\r", b" ", b"\xef\xbb\xbf", b"xxxx"])


@settings(deadline=None)
@given(stream=st.lists(PIECES, max_size=14).map(b"".join) | st.binary(max_size=60), data=st.data())
def test_any_bytes_in_any_pieces_give_the_same_lines(stream: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    limit = data.draw(st.integers(0, 9))
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert decode(*pieces) == decode(stream)
    assert decode(*pieces, max_line_bytes=limit) == decode(stream, max_line_bytes=limit)


@settings(deadline=None)
@given(stream=st.lists(PIECES, max_size=14).map(b"".join))
def test_ends_grow_and_lie_just_behind_their_lines(stream: bytes) -> None:
    lines = decode(stream)
    ends = [line.end for line in lines]
    assert ends == sorted(set(ends))
    assert all(stream[: line.end].rstrip(b"\n\r \t").endswith(line.data) for line in lines)


def test_a_line_is_given_with_the_byte_that_ends_it() -> None:
    decoder = Decoder()
    assert decoder.feed(b'{"a":1}') == []
    assert decoder.feed(b"\n{") == [Line(b'{"a":1}', 8)]
    assert decoder.feed(b"}\n") == [Line(b"{}", 11)]
    assert decoder.finish() == []


@pytest.mark.parametrize("size", [1, 7, 65_536])
def test_an_oversized_line_is_dropped_and_counted(size: int) -> None:
    stream = b"{}\n" + b"x" * 5000 + b"\n{}\n" + b"y" * 1000 + b"\n" + b"z" * 1001
    decoder = Decoder(max_line_bytes=1000)
    lines = [line for at in range(0, len(stream), size) for line in decoder.feed(stream[at : at + size])]
    assert [line.data[:2] for line in lines + decoder.finish()] == [b"{}", b"{}", b"yy"]
    assert decoder.oversized == 2


def test_an_endless_line_is_not_kept() -> None:
    decoder = Decoder(max_line_bytes=1000)
    for _ in range(1000):
        assert decoder.feed(b"x" * 1000) == []
    assert len(decoder._held) <= 1000


def test_work_grows_with_the_bytes_and_not_with_their_square() -> None:
    """Quadratic work would take minutes here and run into the time limit of tests."""
    stream = b"x" * 3_000_000 + b"\n"
    assert len(decode(*(stream[at : at + 20] for at in range(0, len(stream), 20)), max_line_bytes=1 << 30)) == 1
    assert len(decode(*([b"\n"] * 200_000))) == 0
