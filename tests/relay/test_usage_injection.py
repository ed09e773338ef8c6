"""What is put into a request and taken out of its answer: bytes in, bytes out, however they are split."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Callable

import brotli
import pytest
import zstandard
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.errors import UpstreamCut
from proxy.relay.usage_injection import (
    MOST_EVENT_BYTES,
    MOST_REQUEST_BYTES,
    UnaskedAnswer,
    UsageFilter,
    asking,
    asking_headers,
    can_filter,
    may_ask,
)

USAGE = b'{"id":"c","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}'
CHAT = "/v1/chat/completions"
TYPE = ("Content-Type", "application/json")


def filtered(pieces: list[bytes]) -> bytes:
    """A stream to its regular end."""
    usage = UsageFilter()
    return b"".join([*(usage.feed(piece) for piece in pieces), usage.finish()])


# --- requests ---------------------------------------------------------------------------------------

ASKED = {
    "nothing said": (b'{"stream":true,"x":1}', b'{"stream_options":{"include_usage":true},"stream":true,"x":1}'),
    "white space": (b' \n{ "stream" : true }\n', b' \n{"stream_options":{"include_usage":true}, "stream" : true }\n'),
    "null": (b'{"stream_options": null ,"stream":true}', b'{"stream_options": {"include_usage":true} ,"stream":true}'),
    "empty": (b'{"stream":true,"stream_options":{ }}', b'{"stream":true,"stream_options":{"include_usage":true }}'),
    "another option": (
        b'{"stream":true,"stream_options":{"include_obfuscation":false}}',
        b'{"stream":true,"stream_options":{"include_usage":true,"include_obfuscation":false}}',
    ),
    "false": (
        b'{"stream":true,"stream_options":{"a":1, "include_usage" :\tfalse}}',
        b'{"stream":true,"stream_options":{"a":1, "include_usage" :\ttrue}}',
    ),
    "null inside": (
        b'{"stream":true,"stream_options":{"include_usage":null}}',
        b'{"stream":true,"stream_options":{"include_usage":true}}',
    ),
    "the same words in a string": (
        b'{"a":"\\"stream_options\\":null","messages":[{"stream_options":null}],"stream_options":null,"stream":true}',
        b'{"a":"\\"stream_options\\":null","messages":[{"stream_options":null}],'
        b'"stream_options":{"include_usage":true},"stream":true}',
    ),
    "said twice": (
        b'{"stream_options":null,"stream":true,"stream_options":null}',
        b'{"stream_options":null,"stream":true,"stream_options":{"include_usage":true}}',
    ),
    "odd bytes": (
        b'{"stream":true,"n":1e400,"f":1.0,"s":"\\u00e9\\/\xc3\xa9\\ud83d\\ude00","a":1,"a":2}',
        b'{"stream_options":{"include_usage":true},"stream":true,"n":1e400,"f":1.0,'
        b'"s":"\\u00e9\\/\xc3\xa9\\ud83d\\ude00","a":1,"a":2}',
    ),
}


@pytest.mark.parametrize("name", ASKED)
def test_a_stream_is_asked_and_every_other_byte_stays(name: str) -> None:
    sent, wanted = ASKED[name]
    assert asking(sent) == wanted
    assert asking(wanted) is None, "what was put in is not understood"


@pytest.mark.parametrize(
    "body",
    [
        b'{"stream":true,"stream_options":{"include_usage":true}}',
        b'{"stream":false}',
        b'{"stream":null}',
        b'{"stream":"true"}',
        b'{"stream":1}',
        b"{}",
        b"",
        b"null",
        b"[]",
        b'{"stream":true',
        b'{"stream":true}{"stream":true}',
        b'\xef\xbb\xbf{"stream":true}',
        b'{"stream":true,"x":NaN}',
        b'{"stream":true,"stream":false}',
        b'{"stream":true,"stream_options":[]}',
        b'{"stream":true,"stream_options":"x"}',
        b'{"stream":true,"stream_options":{"include_usage":1}}',
        b'{"stream":true,"stream_opti\\u006fns":null}',
        b'{"stream":true,"stream_options":{"include_us\\u0061ge":false}}',
        b'{"stream":true,"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"stream":true,"stream_options":{"include_usage":false,"x":"' + b"x" * 4096 + b'"}}',
        b'{"stream":true,"x":"' + b'\\"stream_options\\":null' * 100 + b'",' + b'"y":{"stream_options":null},' * 100
        + b'"stream_options":null}',
        "{}".encode("utf-16"),
    ],
)  # fmt: skip
def test_what_is_no_plain_question_is_left_alone(body: bytes) -> None:
    assert asking(body) is None


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("stream_options"), inner),
    max_leaves=10,
)


@given(
    st.dictionaries(st.text(), VALUES),
    st.sampled_from([..., None, {}, {"include_usage": False}, {"a": {"include_usage": False}, "b": "include_usage"}]),
    st.sampled_from([None, 1, "\t"]),
)
def test_an_asked_request_says_the_same_and_asks(
    members: dict[str, object], options: object, indent: int | str | None
) -> None:
    request = {**members, "stream": True} | ({} if options is ... else {"stream_options": options})
    written = json.dumps(request, indent=indent)
    asked = asking(written.encode())
    if asked is None:
        assert written.count('"stream_options"') > 2
        return
    before = options if isinstance(options, dict) else {}
    assert json.loads(asked) == {**request, "stream_options": {**before, "include_usage": True}}


@pytest.mark.parametrize(
    ("method", "path", "headers", "may"),
    [
        ("POST", CHAT, [TYPE], True),
        ("POST", "/v1/completions", [("content-type", "Application/JSON; charset=utf-8")], True),
        ("POST", CHAT, [TYPE, ("Content-Encoding", "identity"), ("Content-Length", "10")], True),
        ("GET", CHAT, [TYPE], False),
        ("POST", "/v1/responses", [TYPE], False),
        ("POST", "/v1/chat/completions/x", [TYPE], False),
        ("POST", CHAT, [], False),
        ("POST", CHAT, [("Content-Type", "text/plain")], False),
        ("POST", CHAT, [TYPE, ("Content-Encoding", "gzip")], False),
        ("POST", CHAT, [TYPE, ("Content-Length", str(MOST_REQUEST_BYTES + 1))], False),
        ("POST", CHAT, [TYPE, ("Content-Digest", "sha-256=:x:")], False),
        ("POST", CHAT, [TYPE, ("X-Amz-Content-Sha256", "x")], False),
        ("POST", CHAT, [TYPE, ("Signature-Input", "sig1=()")], False),
        ("POST", CHAT, [TYPE, ("authorization", "AWS4-HMAC-SHA256 C=x"), ("Authorization", "Bearer x")], False),
        ("POST", CHAT, [TYPE, ("Authorization", "Bearer AWS4-x")], True),
    ],
)
def test_which_requests_are_looked_at(method: str, path: str, headers: list[tuple[str, str]], may: bool) -> None:
    assert may_ask(method, path, headers) is may


def test_headers_keep_order_and_spelling() -> None:
    headers = [("A", "1"), ("content-LENGTH", "5"), ("accept-Encoding", "gzip"), ("Accept-Encoding", "br"), ("B", "2")]
    wanted = ["1", "4", "identity", "identity", "2"]
    assert asking_headers(headers, 4) == [(name, value) for (name, _), value in zip(headers, wanted, strict=True)]


@pytest.mark.parametrize(
    ("status", "kind", "encoding", "can"),
    [
        (200, "text/event-stream", "", True),
        (200, "text/event-stream", "Identity", True),
        (200, "text/event-stream", "GZip", True),
        (200, "text/event-stream", "gzip, br", False),
        (200, "text/event-stream", "compress", False),
        (200, "application/json", "", False),
        (400, "text/event-stream", "", False),
    ],
)
def test_which_answers_are_filtered(status: int, kind: str, encoding: str, can: bool) -> None:
    assert can_filter(status, kind, encoding) is can


# --- answers ----------------------------------------------------------------------------------------

AZURE_FIRST = b'data: {"choices":[],"prompt_filter_results":[{"prompt_index":0}],"usage":null}'
KEPT = [
    b'data: {"choices":[{"index":0,"delta":{"content":"hi"}}],"usage":null}',
    b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"total_tokens":5}}',
    AZURE_FIRST,
    b'data: {"choices":[],"usage":[]}',
    b'data: {"choices":null,"usage":{}}',
    b'data: {"usage":{"total_tokens":5}}',
    b'data: {"choices":[],"usage":{},"error":{"message":"overloaded"}}',
    b'data: {"choices":[],"usage":{},"citations":["https://example.com"]}',
    b'data: {"choices":[],"usage":{},"prompt_filter_results":[]}',
    b'data: {"choices":[],"usage":{},"anything":0}',
    b'data: {"choices":[],"usage":{}',
    b"data: [DONE]",
    b"data",
    b"event: ping\ndata: {}",
    b": OPENROUTER PROCESSING",
    b'x-data: {"choices":[],"usage":{}}',
    "data: {\"choices\":[{\"delta\":{\"content\":\"Grüße 🎉 \\\"usage\\\"\"}}]}".encode(),
    b'data: {"choices":[],\r\ndata:"usage"}',
]  # fmt: skip
DROPPED = [
    b"data: " + USAGE,
    b"data:" + USAGE,
    b"id: 7\nevent: message\ndata: " + USAGE + b"\nretry: 1",
    b'data: {"choices": [ ],\ndata: "x_groq": {}, "usage": {"total_tokens": 1}}',
    b"\xef\xbb\xbfdata: " + USAGE,
    b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","service_tier":null,'
    b'"system_fingerprint":"f","obfuscation":"x","provider":"p","error":null,"choices":[],"usage":{}}',
]


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """(a stream with usage chunks, the same without them)."""
    eol = draw(st.sampled_from([b"\n", b"\r\n", b"\r"]))
    whole, without = b"", b""
    for event in draw(st.lists(st.sampled_from([*KEPT, *DROPPED]), max_size=8)):
        if event.startswith(b"\xef") and whole:
            continue  # a byte order mark stands at the beginning or is something else
        written = event.replace(b"\r\n", b"\n").replace(b"\n", eol) + eol + eol
        extra = draw(st.sampled_from([b"", b"", eol, b": ping" + eol, eol + b":" + eol]))
        whole += written + extra
        without += (b"" if event in DROPPED else written) + extra
    return whole, without


@given(streams(), st.data())
def test_only_usage_chunks_are_taken_out_however_the_stream_is_split(
    stream: tuple[bytes, bytes], data: st.DataObject
) -> None:
    whole, without = stream
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=12)))
    pieces = [whole[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert filtered([whole]) == without
    assert filtered(pieces) == without
    assert filtered([whole[at : at + 1] for at in range(len(whole))]) == without


ODD = st.lists(
    st.sampled_from([b"\r", b"\n", b"\r\n", b":", b"c", b"data: ", b"data:", USAGE, b"data: " + USAGE + b"\n\n", b" "])
).map(b"".join)


@given(ODD, st.data())
@example(b"data: " + USAGE + b"\r\n\r\nx", None)
@example(b"data: " + USAGE + b"\r\r\n\n", None)
def test_any_line_ends_in_any_order_give_one_answer(whole: bytes, data: st.DataObject | None) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6))) if data else [len(whole) - 1]
    pieces = [whole[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    once = filtered([whole])
    assert filtered(pieces) == once
    assert filtered([whole[at : at + 1] for at in range(len(whole))]) == once
    assert USAGE in whole or once == whole


def test_an_event_is_passed_on_as_soon_as_it_is_whole_and_a_comment_as_its_line_is() -> None:
    usage = UsageFilter()
    steps = [
        (b"data: 1\n", b""),
        (b"\n", b"data: 1\n\n"),
        (b": keep-alive\n", b": keep-alive\n"),
        (b"data: 2\n\ndata: 3", b"data: 2\n\n"),
        (b"\r\n\r", b"data: 3\r\n\r"),
        (b"\n", b"\n"),
        (b"data: " + USAGE + b"\r\n\r", b""),
        (b"\ndata: [DONE]\n\n", b"data: [DONE]\n\n"),
    ]
    assert [(data, usage.feed(data)) for data, _ in steps] == steps
    assert (usage.held, usage.finish()) == (b"", b"")


def test_what_the_end_cut_short_is_passed_on_unless_it_is_the_usage() -> None:
    assert filtered([b"data: 1\n\ndata: [DONE]"]) == b"data: 1\n\ndata: [DONE]"
    assert filtered([b"data: 1\n\ndata: " + USAGE]) == b"data: 1\n\n"
    assert filtered([b"data: " + USAGE + b"\n"]) == b""
    assert filtered([b"data: " + USAGE[:-1]]) == b"data: " + USAGE[:-1]


@pytest.mark.parametrize("over", [-1, 0, 1, 2])
@pytest.mark.parametrize("eol", [b"\n", b"\r\n", b"\r"], ids=repr)
@pytest.mark.parametrize("step", [1 << 22, 100_000, MOST_EVENT_BYTES - 1, MOST_EVENT_BYTES])
def test_an_event_beyond_the_bound_is_passed_on_whatever_it_is(over: int, eol: bytes, step: int) -> None:
    """The limit is the same for a stream in one piece and in many; what follows is filtered again."""
    ends = len(eol) * 2 - eol.count(b"\r\n")  # the very last LF of a CRLF does not count
    padding = b" " * (MOST_EVENT_BYTES + over - len(b"data: " + USAGE) - ends)
    event = b"data: " + padding + USAGE + eol + eol
    whole = b"data: 1" + eol + eol + event + b"data: " + USAGE + eol + eol + b"data: 2" + eol + eol
    wanted = b"data: 1" + eol + eol + (event if over > 0 else b"") + b"data: 2" + eol + eol
    got = filtered([whole[at : at + step] for at in range(0, len(whole), step)])
    assert (len(got), got == wanted) == (len(wanted), True)


@pytest.mark.parametrize("over", [-1, 0, 1])
@pytest.mark.parametrize("step", [1 << 22, 65_536, MOST_EVENT_BYTES])
def test_a_comment_beyond_the_bound_is_passed_on(over: int, step: int) -> None:
    """…with the event that it stands before, if no blank line parts them."""
    comment = b":" + b"c" * (MOST_EVENT_BYTES + over - 2) + b"\n"
    whole = comment + b"data: " + USAGE + b"\n\n" + b"data: 2\n\n"
    wanted = whole if over > 0 else comment + b"data: 2\n\n"
    got = filtered([whole[at : at + step] for at in range(0, len(whole), step)])
    assert (len(got), got == wanted) == (len(wanted), True)


# --- answers that come encoded ----------------------------------------------------------------------

CODINGS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "none": ("identity", bytes),
    "gzip": ("gzip", lambda data: gzip.compress(data, mtime=0)),
    "zlib": ("deflate", zlib.compress),
    "bare deflate": ("deflate", lambda data: zlib.compress(data, wbits=-zlib.MAX_WBITS)),
    "br": ("br", brotli.compress),
    "zstd": ("zstd", zstandard.ZstdCompressor().compress),
}
each_coding = pytest.mark.parametrize(("name", "encode"), CODINGS.values(), ids=CODINGS)
EVENTS = [b'data: {"choices":[{"delta":{"content":"%d"}}]}\n\n' % n for n in range(50)]
STREAM = b"".join((*EVENTS, b"data: " + USAGE + b"\n\n", b"data: [DONE]\n\n"))
WITHOUT = b"".join((*EVENTS, b"data: [DONE]\n\n"))


@each_coding
@pytest.mark.parametrize("step", [1, 7, 1 << 20])
def test_an_encoded_stream_is_decoded_and_filtered_however_it_is_split(
    name: str, encode: Callable[[bytes], bytes], step: int
) -> None:
    body, unasked = encode(STREAM), UnaskedAnswer(name)
    got = [piece for at in range(0, len(body), step) for piece in unasked.feed(body[at : at + step])]
    assert b"".join([*got, unasked.finish()]) == WITHOUT
    assert UnaskedAnswer(name).finish() == b"", "a stream of nothing"


def test_what_is_flushed_is_passed_on_at_once() -> None:
    packer, unasked = zlib.compressobj(wbits=31), UnaskedAnswer("gzip")
    for event in EVENTS:
        data = packer.compress(event) + packer.flush(zlib.Z_SYNC_FLUSH)
        assert b"".join(unasked.feed(data)) == event


@pytest.mark.parametrize("name", [name for name in CODINGS if name != "none"])
def test_a_coding_that_ends_early_or_breaks_is_a_cut_behind_what_was_good(name: str) -> None:
    coding, encode = CODINGS[name]
    body = encode(STREAM)
    for end in range(1, len(body)):
        unasked = UnaskedAnswer(coding)
        assert WITHOUT.startswith(b"".join(unasked.feed(body[:end])))
        with pytest.raises(UpstreamCut):
            unasked.finish()
    if name == "bare deflate":
        return  # has no checksum, so what damage does to it is chance
    damaged, unasked = body[:-1] + bytes([body[-1] ^ 255]) + b"\xff" * 9, UnaskedAnswer(coding)
    got: list[bytes] = []
    with pytest.raises(UpstreamCut):
        got.extend(unasked.feed(damaged))
    assert WITHOUT.startswith(b"".join(got))


@pytest.mark.parametrize("name", ["gzip", "br", "zstd"])
def test_a_bomb_comes_in_bounded_pieces(name: str) -> None:
    coding, encode = CODINGS[name]
    unasked = UnaskedAnswer(coding)
    sizes = [len(piece) for piece in unasked.feed(encode(b"\n" * (64 << 20)))]
    assert max(sizes) <= 9 << 20
    assert sum(sizes) + len(unasked.finish()) == 64 << 20


def test_no_pattern_is_made_of_what_a_client_sends() -> None:
    """Python would keep it: large ones cost seconds and hundreds of megabytes."""
    re.purge()
    options = b'{"include_usage":false,"x":"%b"}'
    for n in range(20):
        assert asking(b'{"stream":true,"stream_options":' + options % (b"%d" % n) + b"}")
    assert len(re._cache) == 0  # type: ignore[attr-defined]


def test_little_is_held() -> None:
    usage = UsageFilter()
    most = 0
    for _ in range(64):
        usage.feed(b"x" * 65_536)
        most = max(most, len(usage.held))
    assert most <= MOST_EVENT_BYTES
