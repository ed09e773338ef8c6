"""From an exchange to a ``Parsed``: the choice of a dialect, codings, limits, what stays hidden."""

from __future__ import annotations

import gzip
import zlib

import orjson
import pytest

from proxy.dialects.table import choose, parse
from proxy.records import Begin, Exchange, Head, Header, Parsed, evolve

REQUEST = orjson.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]})
ANSWER = orjson.dumps({"model": "gpt-4o-1", "choices": [{"index": 0, "message": {"content": "hello"}}]})
EVENTS = [
    b'data: {"choices":[{"index":0,"delta":{"role":"assistant"}}]}\n\n',
    b'data: {"choices":[{"index":0,"delta":{"content":"hello"}}]}\n\n',
    b"data: [DONE]\n\n",
]
LIMIT = 1 << 20


def exchange(
    request: bytes = REQUEST,
    response: bytes = ANSWER,
    endpoint: str = "/v1/chat/completions",
    request_headers: dict[str, str] | None = None,
    response_headers: dict[str, str] | None = None,
    no_log: bool = False,
) -> Exchange:
    return Exchange(
        begin=Begin(
            id=bytes(16),
            started_at_us=1,
            accepted_us=1,
            method="POST",
            target=endpoint,
            endpoint=endpoint,
            headers=headers(request_headers or {}),
            no_log=no_log,
        ),
        head=Head(id=bytes(16), offset_us=1, status=200, headers=headers(response_headers or {})),
        request_body=request,
        response_body=response,
    )


def headers(values: dict[str, str]) -> tuple[Header, ...]:
    return tuple(Header(name.encode(), value.encode()) for name, value in values.items())


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/chat/completions", "openai_chat"),
        ("/chat/completions", "openai_chat"),
        ("/v1/chat/completions/", "openai_chat"),
        ("/openai/deployments/my-gpt/chat/completions", "openai_chat"),
        ("/v1beta/openai/chat/completions", "openai_chat"),
        ("/v1/chat/completions/chatcmpl-1", "generic"),
        ("/v1/xchat/completions", "openai_completions"),
        ("/v1/completions", "openai_completions"),
        ("/openai/deployments/my-gpt/completions", "openai_completions"),
        ("/v1/embeddings", "openai_embeddings"),
        ("/v1/moderations", "openai_moderations"),
        ("/v1/responses", "openai_responses"),
        ("/v1/responses/resp_1/cancel", "openai_responses"),
        ("/v1/messages", "anthropic_messages"),
        ("/v1/messages/count_tokens", "anthropic_messages"),
        ("/v1beta/models/gemini-2.5-flash:streamGenerateContent", "gemini"),
        ("/api/chat", "ollama"),
        ("/v2/rerank", "rerank"),
        ("/v1/models", "models"),
        ("/v1/models/gpt-4o", "models"),
        ("/v1/audio/speech", "generic"),
        ("/", "generic"),
        ("", "generic"),
    ],
)
def test_the_path_chooses_the_dialect(path: str, name: str) -> None:
    assert choose(path, {}, "openai").name == name


def test_both_halves_are_read() -> None:
    parsed = parse(exchange(), LIMIT)
    assert (parsed.model_requested, parsed.model, parsed.output, parsed.notes) == ("gpt-4o", "gpt-4o-1", "hello", ())


def test_encoded_bodies_are_decoded() -> None:
    encoded = exchange(
        gzip.compress(REQUEST), zlib.compress(ANSWER), request_headers={"content-encoding": "gzip"},
        response_headers={"Content-Encoding": "deflate"},
    )  # fmt: skip
    assert parse(encoded, LIMIT) == parse(exchange(), LIMIT)


def test_the_first_content_lies_in_the_bytes_that_were_sent() -> None:
    packer = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    reads = [packer.compress(event) + packer.flush(zlib.Z_SYNC_FLUSH) for event in EVENTS] + [packer.flush()]
    stream = {"content-type": "text/event-stream"}
    plain = parse(exchange(response=b"".join(EVENTS), response_headers=stream), LIMIT)
    packed = parse(exchange(response=b"".join(reads), response_headers=stream | {"content-encoding": "gzip"}), LIMIT)
    assert plain.first_content_offset == len(EVENTS[0] + EVENTS[1])
    assert packed.first_content_offset is not None
    assert len(reads[0]) < packed.first_content_offset <= len(reads[0] + reads[1])
    assert packed == evolve(plain, first_content_offset=packed.first_content_offset)


def test_bodies_above_the_limit_are_left_out_with_a_note() -> None:
    parsed = parse(exchange(request=REQUEST + b" " * 1000, response=ANSWER), 500)
    assert parsed.notes == (f"the request has {len(REQUEST) + 1000} bytes, too many to be read",)
    assert (parsed.model_requested, parsed.output) == (None, "hello")


def test_a_bomb_costs_a_note_and_nothing_else() -> None:
    bomb = gzip.compress(b" " * 10_000_000 + REQUEST)
    parsed = parse(exchange(request=bomb, request_headers={"content-encoding": "gzip"}), LIMIT)
    assert parsed.output == "hello"
    assert parsed.notes[0] == "the request: gzip: expands to more than 1048576 bytes, the rest was left out"


def test_a_cut_encoded_stream_gives_what_came() -> None:
    packer = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    body = b"".join(packer.compress(event) + packer.flush(zlib.Z_SYNC_FLUSH) for event in EVENTS[:2])
    parsed = parse(
        exchange(response=body, response_headers={"content-type": "text/event-stream", "content-encoding": "gzip"}),
        LIMIT,
    )
    assert (parsed.output, parsed.terminal) == ("hello", False)
    assert parsed.notes == ("the answer: gzip: cut short",)


def test_hidden_headers_are_not_taken_for_values() -> None:
    hidden = Head(
        id=bytes(16),
        offset_us=1,
        status=200,
        headers=(Header(b"content-encoding", b"fp:0123456789abcdef", hidden=True),),
    )
    assert parse(evolve(exchange(), head=hidden), LIMIT).output == "hello"


def test_no_log_means_that_nothing_is_read() -> None:
    assert parse(exchange(no_log=True), LIMIT) == Parsed()


def test_a_call_without_an_answer() -> None:
    unanswered = evolve(exchange(response=b""), head=None)
    parsed = parse(unanswered, LIMIT)
    assert (parsed.model_requested, parsed.output, parsed.terminal, parsed.error_type) == ("gpt-4o", None, False, None)


# --- generic --------------------------------------------------------------------------------------------


def test_generic_picks_out_what_json_apis_have_in_common() -> None:
    parsed = parse(exchange(endpoint="/v1/unheard-of"), LIMIT)
    assert parsed == Parsed(model_requested="gpt-4o", model="gpt-4o-1", terminal=True)


def test_generic_knows_an_error_object() -> None:
    body = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'
    parsed = parse(exchange(endpoint="/v1/unheard-of", response=body), LIMIT)
    assert (parsed.error_type, parsed.error_message) == ("overloaded_error", "Overloaded")


@pytest.mark.parametrize(
    "body", [b"", b"\x00\xff", b"{", b"[1]", b"plain", b'{"model":' + b"[" * 10_000, b'{"a":"\\ud800"}']
)
def test_generic_takes_any_bytes(body: bytes) -> None:
    parsed = parse(exchange(endpoint="/upload", request=body, response=body), LIMIT)
    assert (parsed.model_requested, parsed.model, parsed.terminal, parsed.error_type) == (None, None, None, None)


def test_generic_leaves_the_end_of_a_stream_to_the_framing() -> None:
    body = b"event: message_stop\ndata: {}\n\n"
    parsed = parse(
        exchange(endpoint="/v1/unheard-of", response=body, response_headers={"content-type": "text/event-stream"}),
        LIMIT,
    )
    assert (parsed.stream, parsed.terminal) == (True, None)


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/openai/deployments/my%20gpt/chat/completions", "my gpt"),
        ("/v1/projects/p/locations/l/publishers/anthropic/models/claude-sonnet-4@20250514:rawPredict",
         "claude-sonnet-4@20250514"),
        ("/v1/chat/completions", None),
    ],
)  # fmt: skip
def test_the_path_names_the_model_where_the_body_does_not(path: str, model: str | None) -> None:
    assert parse(exchange(b'{"messages":[]}', endpoint=path), LIMIT).model_requested == model
    assert parse(exchange(REQUEST, endpoint=path), LIMIT).model_requested == "gpt-4o"


def test_a_colon_may_be_written_in_another_way() -> None:
    assert choose("/v1beta/models/gemini-2.5-flash%3AgenerateContent", {}, "").name == "gemini"
