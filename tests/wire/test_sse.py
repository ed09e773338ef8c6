"""The event stream decoder: the standard's rules, every way of cutting a stream, bounds."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.wire.sse import Decoder, Event

ONE = b"data: 1\n\n"

#: (what it shows, stream, its events as (type, data, end))
CASES = [
    ("empty", b"", []),
    ("one", ONE, [("message", b"1", 9)]),
    ("two", ONE * 2, [("message", b"1", 9), ("message", b"1", 18)]),
    ("CR", b"data: 1\r\rdata: 2\r\r", [("message", b"1", 9), ("message", b"2", 18)]),
    ("CRLF ends at its CR", b"data: 1\r\n\r\ndata: 2\r\n\r\n", [("message", b"1", 10), ("message", b"2", 21)]),
    (
        "mixed line ends",
        b"data: 1\r\n\ndata: 2\n\r\ndata: 3\r\n\r",
        [("message", b"1", 10), ("message", b"2", 19), ("message", b"3", 30)],
    ),
    ("byte order mark", b"\xef\xbb\xbf" + ONE, [("message", b"1", 12)]),
    ("byte order mark only at the start", ONE + b"\xef\xbb\xbf" + ONE, [("message", b"1", 9)]),
    ("half a byte order mark", b"\xef\xbb" + ONE, []),
    ("comments", b": ping\n\n: x\ndata: 1\n: y\n\n:\n\n", [("message", b"1", 25)]),
    ("data lines are joined", b"data: a\ndata: b\ndata\ndata:\n\n", [("message", b"a\nb\n\n", 28)]),
    ("one space is taken off", b"data:  a\ndata:b\n\n", [("message", b" a\nb", 17)]),
    ("type", b"event: error\ndata: x\n\ndata: y\n\n", [("error", b"x", 22), ("message", b"y", 31)]),
    ("type without data", b"event: error\n\ndata: y\n\n", [("message", b"y", 23)]),
    ("empty type", b"event\ndata: y\n\n", [("message", b"y", 15)]),
    ("type that is not UTF-8", b"event: \xff\ndata: y\n\n", [("\ufffd", b"y", 18)]),
    ("fields that mean nothing here", b"id: 1\nretry: 5\nx: y\ngarbage\ndata: y\n\n", [("message", b"y", 37)]),
    ("names are exact", b"Data: 1\ndata : 2\n data: 3\n\n", []),
    ("data line that is empty", b"data:\n\n", [("message", b"", 7)]),
    ("no last blank line", b"data: 1\n\ndata: 2\n", [("message", b"1", 9), ("message", b"2", 17)]),
    ("no last line end", b"data: 1\n\ndata: 2", [("message", b"1", 9), ("message", b"2", 16)]),
    ("three line ends", b"data: 1\n\n\ndata: 2\n\n", [("message", b"1", 9), ("message", b"2", 19)]),
    ("line ends first", b"\n\r\n\rdata: 1\n\n", [("message", b"1", 13)]),
    (
        "line separators of Unicode end no line",
        "data: a\u2028b\x0b\x0cc\n\n".encode(),
        [("message", "a\u2028b\x0b\x0cc".encode(), 16)],
    ),
    ("NUL", b"data: \x00\n\n", [("message", b"\x00", 9)]),
]


def decode(*pieces: bytes, max_event_bytes: int = 1 << 20) -> list[Event]:
    decoder = Decoder(max_event_bytes)
    return [event for piece in pieces for event in decoder.feed(piece)] + decoder.finish()


@pytest.mark.parametrize(("stream", "events"), [pytest.param(*case[1:], id=case[0]) for case in CASES])
def test_events_do_not_depend_on_the_cuts(stream: bytes, events: list[tuple[str, bytes, int]]) -> None:
    expected = [Event(*event) for event in events]
    assert decode(stream) == expected
    assert decode(*(stream[at : at + 1] for at in range(len(stream)))) == expected
    for cut in range(len(stream) + 1):
        assert decode(stream[:cut], b"", stream[cut:]) == expected


LINES = st.sampled_from(
    [
        b"data: {}",
        b"data:x",
        b"data",
        b"event: error",
        b": c",
        b"",
        b"",
        b"",
        b"\xef\xbb\xbf",
        b"junk",
        b"data: \xff\x00",
    ]
)
STREAMS = st.lists(st.tuples(LINES, st.sampled_from([b"\n", b"\n", b"\r\n", b"\r"])), max_size=12).map(
    lambda lines: b"".join(line + end for line, end in lines)
)


@settings(deadline=None)
@given(stream=STREAMS | st.binary(max_size=60), data=st.data())
def test_any_bytes_in_any_pieces_give_the_same_events(stream: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    limit = data.draw(st.integers(0, 9))
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert decode(*pieces) == decode(stream)
    assert decode(*pieces, max_event_bytes=limit) == decode(stream, max_event_bytes=limit)


BLOCKS = st.sampled_from(
    ["data: a", "data: bcd", "data: ", "event: x\ndata: a", "event: yy\ndata: bcd", "event: \ndata: e"] * 3
    + [
        "data:f",
        "data: g\ndata: h",
        ": c",
        "event: x",
        "event: x\nid: 1\ndata: a",
        "data: a\rb",
        "",
        "\ufeffdata: a",
        "x",
    ]
)


@settings(deadline=None, max_examples=500)
@given(
    blocks=st.lists(BLOCKS, max_size=20), eol=st.sampled_from(["\n", "\n", "\r\n", "\r\n", "\r"]), cut=st.integers(0, 9)
)
def test_blocks_are_read_as_their_lines_are(blocks: list[str], eol: str, cut: int) -> None:
    """Fed whole, events of one form are taken together; fed byte by byte, each is read line by line."""
    whole = "".join(f"{block}\n\n" for block in blocks).replace("\n", eol).encode()
    stream = whole[: len(whole) - cut]
    assert decode(stream) == decode(*(stream[at : at + 1] for at in range(len(stream))))


def test_blocks_of_more_than_is_looked_at_together() -> None:
    lines = [b"event: delta\r\ndata: %d\r\n\r\n" % number for number in range(20_000)]
    lines[7000:7000] = [b": ping\r\n\r\n", b"data: a\r\ndata: b\r\n\r\n"]
    events = decode(b"".join(lines))
    assert [event.data for event in events if event.type == "delta"] == [b"%d" % number for number in range(20_000)]
    assert [event.data for event in events if event.type == "message"] == [b"a\nb"]
    ends = [sum(map(len, lines[: number + 1])) - 1 for number in (0, 6999, 7001, 20_001)]
    assert [events[0].end, events[6999].end, events[7000].end, events[20_000].end] == ends


@settings(deadline=None)
@given(stream=STREAMS)
def test_ends_grow_and_lie_within_the_stream(stream: bytes) -> None:
    ends = [event.end for event in decode(stream)]
    assert ends == sorted(set(ends))
    assert all(0 < end <= len(stream) for end in ends)


def test_an_event_is_given_with_the_byte_that_ends_it() -> None:
    decoder = Decoder()
    assert decoder.feed(b"data: 1\r\n\r") == [Event("message", b"1", 10)]
    assert decoder.feed(b"\ndata: 2\n") == []
    assert decoder.feed(b"\n") == [Event("message", b"2", 20)]


@pytest.mark.parametrize("size", [1, 7, 65_536])
def test_an_oversized_event_is_dropped_and_counted(size: int) -> None:
    stream = ONE + b"data: " + b"x" * 5000 + b"\n\n" + ONE + b"data: a\n" * 900 + b"\n" + ONE
    decoder = Decoder(max_event_bytes=1000)
    events = [event for at in range(0, len(stream), size) for event in decoder.feed(stream[at : at + size])]
    assert [event.data for event in events] == [b"1", b"1", b"1"]
    assert decoder.oversized == 2


def test_an_event_as_large_as_the_limit_is_kept() -> None:
    assert len(decode(b"data: " + b"x" * 994 + b"\n\n", max_event_bytes=1000)) == 1
    assert len(decode(b"data: " + b"x" * 995 + b"\n\n", max_event_bytes=1000)) == 0


def test_an_endless_line_is_not_kept() -> None:
    decoder = Decoder(max_event_bytes=1000)
    for _ in range(1000):
        assert decoder.feed(b"x" * 1000) == []
    assert len(decoder._held) < 1000


def test_a_line_of_2_mb_in_small_reads() -> None:
    line = b"x" * 2_000_000
    stream = b"data: " + line + b"\n\n" + ONE
    decoder = Decoder()
    events = [event for at in range(0, len(stream), 700) for event in decoder.feed(stream[at : at + 700])]
    assert [event.data for event in events] == [line, b"1"]
    assert events[0].end == 2_000_008


@pytest.mark.parametrize(
    ("stream", "events"),
    [(b"x" * 60_000, 0), (b"data: x\r" * 8000, 1), (b"data: x\r\r" * 7000, 7000), (b"\r" * 60_000, 0)],
    ids=["one line", "one event", "CR only", "blank lines"],
)
def test_work_grows_with_the_bytes_and_not_with_their_square(stream: bytes, events: int) -> None:
    """Quadratic work would take minutes here and run into the time limit of tests."""
    assert len(decode(*(stream[at : at + 1] for at in range(len(stream))))) == events
    assert len(decode(stream * 20, max_event_bytes=1 << 30)) == (events * 20 if events > 1 else events)
