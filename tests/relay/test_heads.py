"""Heads and chunked bodies as the fast path reads them, against plain readers of the test's own."""

# ruff: noqa: E501  (tables)

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.relay.chunks import Chunks
from proxy.relay.heads import AnswerHead, Framing, RequestHead, answered, passed_on, sent_on, usual
from tests.fakes.wire import Seen, ViolationError, parse_head

TOKEN = "!#$%&'*+-.^_`|~0123456789abcXYZ"
HOP = {b"connection", b"keep-alive", b"te", b"proxy-connection", b"x-hop"}

# --- requests ------------------------------------------------------------------------------------

names = st.text(TOKEN, min_size=1, max_size=8).map(str.encode)
values = st.text(TOKEN + ' \t,;:="@/?#(){}[]<>\\', max_size=20).map(lambda text: text.strip(" \t").encode())
spaces = st.sampled_from([b"", b" ", b"\t", b"  \t"])
meaning = st.sampled_from([
    (b"Host", b"relay"), (b"HOST", b""), (b"Content-Length", b"3"), (b"content-length", b"0"), (b"Content-Length", b"+3"),
    (b"Content-Length", b"3,3"), (b"Content-Length", b"9999999999999999"), (b"Content-Length", b""), (b"Content-Length", b"\xb2"),
    (b"Transfer-Encoding", b"chunked"), (b"Expect", b"100-continue"), (b"Upgrade", b"h2c"), (b"Trailer", b"X-T"),
    (b"Connection", b"close"), (b"Connection", b"Keep-Alive, X-Hop"), (b"X-Hop", b"1"), (b"TE", b"trailers"),
    (b"X-A", b"\xc3\xa4"), (b"X-A", b"a\x00b"), (b"X-A", b"a\rb"), (b"X A", b"1"), (b"", b"1"),
])  # fmt: skip
lines = st.lists(st.tuples(st.one_of(st.tuples(names, values), meaning), spaces, spaces), max_size=6)
methods = st.sampled_from(
    [b"GET", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"HEAD", b"CONNECT", b"get", b"GET "]
)
targets = st.one_of(
    st.text(TOKEN + '"<>@:/?=&[]{}\\', max_size=20).map(lambda text: b"/" + text.encode()),
    st.sampled_from([b"*", b"http://a/b", b"/a#b", b"/a b", b"/\xff", b"//a", b"", b"a:1", b"/\x7f", b"/a\t"]),
)
versions = st.sampled_from([b"HTTP/1.1"] * 8 + [b"HTTP/1.0", b"HTTP/1.2", b"http/1.1", b"HTTP/2.0"])
Line = tuple[tuple[bytes, bytes], bytes, bytes]


def request_head(method: bytes, target: bytes, version: bytes, given_lines: list[Line], host: bool) -> bytes:
    shown = [(b"Host", b"relay")] * host + [
        (name, before + value + after) for (name, value), before, after in given_lines
    ]
    return b"%b %b %b\r\n" % (method, target, version) + b"".join(b"%b:%b\r\n" % line for line in shown) + b"\r\n"


heads = st.builds(request_head, methods, targets, versions, lines, st.booleans())


def read_strictly(raw: bytes) -> Seen | None:
    """By the reader of the fake upstream, to which every doubt is a violation."""
    seen = Seen(0, 0, 0.0)
    try:
        parse_head(seen, raw)
    except ViolationError:
        return None
    return seen


@given(heads)
def test_a_usual_head_reads_the_same_way_to_a_strict_reader(raw: bytes) -> None:
    head = usual(raw)
    if head is None:
        return
    seen = read_strictly(raw)
    assert seen is not None
    assert (seen.method, seen.target, seen.version, seen.headers) == (head.method, head.target, b"HTTP/1.1", head.lines)
    assert head.names == {name.lower() for name, _ in seen.headers}
    assert head.length == int(seen.value(b"content-length") or 0)
    assert head.names.isdisjoint({b"transfer-encoding", b"expect", b"upgrade", b"trailer"})
    assert raw.isascii()


@given(st.binary(max_size=60), heads, st.integers(0, 200))
def test_a_usual_head_with_garbage_inside_reads_the_same_way_or_is_not_usual(
    garbage: bytes, raw: bytes, at: int
) -> None:
    harmed = raw[:at] + garbage + raw[at:]
    head = usual(harmed)
    if head is not None:
        seen = read_strictly(harmed)
        assert seen is not None
        assert (seen.target, seen.headers) == (head.target, head.lines)
        assert harmed.count(b"\r\n\r\n") == 1


PLAIN = b'POST /v1/x?y="z" HTTP/1.1\r\nHost: relay\r\nX-A:\t a b \r\nx-empty:\r\nContent-Length: 12\r\n\r\n'


def test_what_clients_send_is_usual() -> None:
    head = usual(PLAIN)
    assert head is not None
    assert (head.method, head.target, head.length, head.close) == (b"POST", b'/v1/x?y="z"', 12, False)
    assert head.lines == [(b"Host", b"relay"), (b"X-A", b"a b"), (b"x-empty", b""), (b"Content-Length", b"12")]


def test_no_part_of_a_head_and_nothing_behind_it_is_usual() -> None:
    assert [at for at in range(len(PLAIN)) if usual(PLAIN[:at])] == []
    assert [end for end in range(256) if usual(PLAIN + bytes([end]))] == []
    assert usual(PLAIN + PLAIN) is None


def test_every_byte_outside_ascii_and_every_control_makes_a_head_unusual() -> None:
    allowed = {9, *range(32, 127)}
    for byte in range(256):
        assert (usual(PLAIN.replace(b"a b", b"a%cb" % byte)) is not None) == (byte in allowed), byte


@pytest.mark.parametrize(
    ("value", "closes"),
    [(b"close", True), (b"Close", True), (b"keep-alive, close", True), (b"keep-alive", False), (b"", False)],
)
def test_what_a_client_says_of_its_connection(value: bytes, closes: bool) -> None:
    head = usual(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: " + value + b"\r\n\r\n")
    assert head is not None
    assert head.close is closes


@pytest.mark.parametrize("value", [b"X-Hop", b"close, X-Hop", b"Content-Length", b"Host", b"closed"])
def test_a_connection_header_that_names_others_is_not_usual(value: bytes) -> None:
    assert usual(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: " + value + b"\r\n\r\n") is None


@given(heads)
def test_a_head_that_is_sent_on_is_the_same_without_what_ends_here(raw: bytes) -> None:
    head = usual(raw)
    if head is None:
        return
    sent = read_strictly(sent_on(head, b"/to", b"upstream:1", frozenset({b"host"})))
    assert sent is not None
    named = {
        name.strip().lower() for key, value in head.lines if key.lower() == b"connection" for name in value.split(b",")
    }
    ended = HOP - {b"x-hop"} | named | {b"host"}
    assert (sent.method, sent.target, sent.value(b"host")) == (head.method, b"/to", b"upstream:1")
    assert sent.headers[1:] == [line for line in head.lines if line[0].lower() not in ended]


def test_a_long_head_is_read_in_linear_time() -> None:
    """Patterns that step back would never finish on these."""
    for filling in (b" " * 200_000, b"a " * 100_000, b"\t" * 200_000, b"a" * 200_000):
        assert usual(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + filling + b"\x01\r\n\r\n") is None
    assert usual(b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: 1\r\n" * 50_000 + b"\r") is None


# --- answers --------------------------------------------------------------------------------------

STATUS = re.compile(rb"HTTP/1\.([01]) ([0-9]{3})(?: (.*))?", re.DOTALL)


def answer(*given_lines: bytes, first: bytes = b"HTTP/1.1 200 OK") -> AnswerHead | None:
    return answered(b"\r\n".join([first, *given_lines]) + b"\r\n\r\n")


@pytest.mark.parametrize(
    ("first", "given_lines", "framing", "length"),
    [
        (b"HTTP/1.1 200 OK", [b"Content-Length: 5"], Framing.LENGTH, 5),
        (b"HTTP/1.1 200 OK", [b"Content-Length:0"], Framing.NONE, 0),
        (b"HTTP/1.1 200 OK", [b"Transfer-Encoding: Chunked"], Framing.CHUNKED, 0),
        (b"HTTP/1.1 200 OK", [], Framing.CLOSE, 0),
        (b"HTTP/1.0 200 OK", [], Framing.CLOSE, 0),
        (b"HTTP/1.1 200", [], Framing.CLOSE, 0),
        (b"HTTP/1.1 204 No Content", [], Framing.NONE, 0),
        (b"HTTP/1.1 304 Not Modified", [b"Content-Length: 5"], Framing.NONE, 0),
        (b"HTTP/1.1 103 Early Hints", [b"Link: </a>"], Framing.NONE, 0),
    ],
)
def test_where_an_answer_ends(first: bytes, given_lines: list[bytes], framing: Framing, length: int) -> None:
    head = answer(*given_lines, first=first)
    assert head is not None
    assert (head.framing, head.length) == (framing, length)


@pytest.mark.parametrize(
    "given_lines",
    [
        [b"Content-Length: 5", b"Content-Length: 5"],
        [b"Content-Length: 5", b"Transfer-Encoding: chunked"],
        [b"Content-Length: +5"],
        [b"Content-Length: 5, 5"],
        [b"Content-Length: "],
        [b"Content-Length: 1234567890123456"],
        ["Content-Length: ٣".encode()],
        [b"Transfer-Encoding: gzip, chunked"],
        [b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"],
        [b"Transfer-Encoding: identity"],
        [b"X-A: a\x00b"],
        [b"X-A: a\x7fb"],
        [b"X-A: a\rb"],
    ],
)
def test_what_can_be_read_in_two_ways_is_no_answer(given_lines: list[bytes]) -> None:
    assert answer(*given_lines) is None


@pytest.mark.parametrize(
    "first", [b"HTTP/1.0 200 OK", b"HTTP/2.0 200 OK", b"HTTP/1.1 20 OK", b"HTTP/1.1 099 OK", b"hello"]
)
def test_chunks_are_of_http_1_1_and_a_status_has_three_digits(first: bytes) -> None:
    assert answer(b"Transfer-Encoding: chunked", first=first) is None


@pytest.mark.parametrize(
    ("first", "connection", "keeps"),
    [
        (b"HTTP/1.1 200 OK", b"", True),
        (b"HTTP/1.1 200 OK", b"close", False),
        (b"HTTP/1.1 200 OK", b"X-Hop, CLOSE", False),
        (b"HTTP/1.0 200 OK", b"", False),
        (b"HTTP/1.0 200 OK", b"keep-alive", True),
    ],
)
def test_whether_an_upstream_keeps_its_connection(first: bytes, connection: bytes, keeps: bool) -> None:
    head = answer(b"Connection: " + connection, b"Content-Length: 1", first=first)
    assert head is not None
    assert head.keep_alive is keeps


header_bytes = st.binary(max_size=20).map(lambda value: re.sub(rb"[\x00-\x08\x0a-\x1f\x7f]", b"", value).strip(b" \t"))
safe_names = names.filter(lambda name: name.lower() not in HOP)


@given(st.integers(100, 999), header_bytes, st.lists(st.tuples(safe_names, header_bytes), max_size=5))
def test_an_answers_head_is_passed_on_byte_for_byte(
    status: int, reason: bytes, given_lines: list[tuple[bytes, bytes]]
) -> None:
    first = b"HTTP/1.1 %d %b" % (status, reason)
    head = answer(*(b"%b:\t%b " % line for line in given_lines), b"Connection: X-Hop", b"X-Hop: 1", first=first)
    assert head is not None
    assert (head.status, head.reason) == (status, reason)
    wanted = [*given_lines, (b"x-added", b"1")]
    assert (
        passed_on(head, [(b"x-added", b"1")])
        == first + b"\r\n" + b"".join(b"%b: %b\r\n" % line for line in wanted) + b"\r\n"
    )


# --- chunks ------------------------------------------------------------------------------------------

extensions = st.sampled_from([b"", b"", b";a=b", b";z", b';q="x y"'])
bodies = st.lists(
    st.tuples(st.one_of(st.binary(min_size=1, max_size=40), st.just(b"\r\n\r\n0\r\n\r\n")), extensions), max_size=5
)
trailers = st.sampled_from([b"", b"", b"X-T: 1\r\n", b"X-T: 1\r\nX-U: \r\n"])


def chunked(pieces: list[tuple[bytes, bytes]], trailer: bytes, last: bytes = b"0") -> bytes:
    return (
        b"".join(b"%X%b\r\n%b\r\n" % (len(data), ext, data) for data, ext in pieces)
        + last
        + b"\r\n"
        + trailer
        + b"\r\n"
    )


def plain_decoder(data: bytes) -> tuple[bytes, int]:
    """(contents, bytes up to the end of the body) of a whole body; a plain loop without states."""
    contents, at = b"", 0
    while True:
        end = data.index(b"\r\n", at)
        size = int(data[at:end].partition(b";")[0], 16)
        at = end + 2
        if not size:
            break
        contents += data[at : at + size]
        assert data[at + size : at + size + 2] == b"\r\n"
        at += size + 2
    while data[at : data.index(b"\r\n", at)]:
        at = data.index(b"\r\n", at) + 2
    return contents, at + 2


def fed(parts: list[bytes]) -> tuple[bytes, bytes, bool]:
    """(bytes of the body, contents, whether it ended) as the pieces are fed, to the end of the body."""
    chunks, raw, contents = Chunks(), b"", b""
    for part in parts:
        if chunks.whole:
            break
        of_body, piece = chunks.feed(part)
        raw, contents = raw + of_body, contents + piece
    return raw, contents, chunks.whole


@given(bodies, trailers, st.sampled_from([b"0", b"000", b"0;a=b"]), st.binary(max_size=30), st.data())
def test_a_chunked_body_is_found_however_it_comes(
    pieces: list[tuple[bytes, bytes]], trailer: bytes, last: bytes, behind: bytes, data: st.DataObject
) -> None:
    body = chunked(pieces, trailer, last)
    wanted = (body, b"".join(piece for piece, _ in pieces), True)
    assert plain_decoder(body + behind) == (wanted[1], len(body))
    everything = body + behind
    assert fed([everything]) == wanted
    assert fed([everything[at : at + 1] for at in range(len(everything))]) == wanted
    cuts = sorted(data.draw(st.lists(st.integers(0, len(everything)), max_size=6)))
    assert fed([everything[a:b] for a, b in zip([0, *cuts], [*cuts, len(everything)], strict=True)]) == wanted


@given(bodies, trailers, st.data())
def test_no_beginning_of_a_body_is_whole(
    pieces: list[tuple[bytes, bytes]], trailer: bytes, data: st.DataObject
) -> None:
    body = chunked(pieces, trailer)
    at = data.draw(st.integers(0, len(body) - 1))
    raw, contents, whole = fed([body[:at]])
    assert (raw, whole) == (body[:at], False)
    assert b"".join(piece for piece, _ in pieces).startswith(contents)


@pytest.mark.parametrize("behind", [b"\r\n", b"0\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"\r\n\r\n", b"x" * 100_000])
def test_what_comes_behind_a_body_is_left_out(behind: bytes) -> None:
    body = chunked([(b"abc", b"")], b"")
    for at in range(len(body) + 1):
        assert fed([body[:at], body[at:] + behind]) == (body, b"abc", True)


@pytest.mark.parametrize(
    "body",
    [
        b"zz\r\nabc\r\n", b"+3\r\nabc\r\n", b"0x3\r\nabc\r\n", b"-1\r\n", b" 3\r\nabc\r\n", b"\r\n", b"3\nabc\r\n", b"3\r\nabcd\r\n",
        b"3\r\nabc0\r\n\r\n", b"10000000000000000\r\n", b"3\r\nabc\r\n\r\n", b"3;\x01\r\nabc\r\n",
    ],
)  # fmt: skip
def test_bad_framing_is_an_error_however_it_comes(body: bytes) -> None:
    with pytest.raises(ValueError, match="bad chunk framing"):
        fed([body])
    with pytest.raises(ValueError, match="bad chunk framing"):
        fed([body[at : at + 1] for at in range(len(body))])


def test_many_small_chunks_and_empty_lines_take_no_quadratic_time() -> None:
    body = chunked([(b"\r\n\r\n", b"")] * 50_000, b"")
    assert fed([body]) == (body, b"\r\n\r\n" * 50_000, True)


def test_a_request_head_is_a_value() -> None:
    head = usual(PLAIN)
    assert isinstance(head, RequestHead)
    with pytest.raises(AttributeError):
        head.length = 1  # type: ignore[misc]
