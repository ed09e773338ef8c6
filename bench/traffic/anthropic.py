"""Messages, as Anthropic's client sends them and Anthropic answers; the last message carries a mark for its cache."""

from __future__ import annotations

import random
from collections.abc import Iterator

import orjson

from .style import JSON, Answer, Fragment, RawHeaders, Request, Style, letters

_TOKEN = 4  #: characters
_MARK = {"cache_control": {"type": "ephemeral"}}
_VERSIONS = {"claude-sonnet-4-5": "claude-sonnet-4-5-20250929", "claude-haiku-4-5": "claude-haiku-4-5-20251001"}
_ERRORS = {
    429: ("rate_limit_error", "This request would exceed your organization's rate limit of 50 requests per minute."),
    500: ("api_error", "Internal server error"),
    529: ("overloaded_error", "Overloaded"),
}


class Anthropic:
    """See ``Format``."""

    name = "anthropic"
    base = "https://api.anthropic.com"
    path = "/v1/messages"
    models = tuple(_VERSIONS)
    overload = 529

    def request_headers(self, key: str) -> RawHeaders:
        """See ``Format``."""
        return [
            (b"Host", b"localhost:8800"),
            (b"Accept-Encoding", b"gzip, deflate"),
            (b"Connection", b"keep-alive"),
            (b"Accept", b"application/json"),
            (b"Content-Type", b"application/json"),
            (b"User-Agent", b"AsyncAnthropic/Python 1.12.0"),
            (b"X-Stainless-Package-Version", b"1.12.0"),
            (b"X-Api-Key", b"sk-ant-api03-" + key.encode()),
            (b"anthropic-version", b"2023-06-01"),
        ]

    def response_headers(self, rng: random.Random, answer: Answer) -> RawHeaders:
        """See ``Format``."""
        left = rng.randrange(300_000, 400_000)
        return [
            (b"anthropic-ratelimit-input-tokens-limit", b"400000"),
            (b"anthropic-ratelimit-input-tokens-remaining", b"%d" % left),
            (b"anthropic-ratelimit-output-tokens-limit", b"80000"),
            (b"anthropic-ratelimit-output-tokens-remaining", b"%d" % (80_000 - answer.output_tokens)),
            (b"request-id", b"req_011" + letters(rng, 21).encode()),
            (b"anthropic-organization-id", b"3f6c1a52-8f0e-4a55-9d5e-2b7c6e1f9a10"),
            (b"x-envoy-upstream-service-time", b"%d" % (answer.output_tokens * 10 + rng.randrange(200, 900))),
            (b"x-robots-tag", b"none"),
        ]

    def new_id(self, rng: random.Random) -> str:
        """See ``Format``."""
        return "msg_01" + letters(rng, 22)

    def new_call_id(self, rng: random.Random) -> str:
        """See ``Format``."""
        return "toolu_01" + letters(rng, 22)

    def system(self, style: Style, text: str) -> bytes:
        """See ``Format``."""
        return style.dump([{"type": "text", "text": text, **_MARK}])

    def tools(self, style: Style, tools: list[JSON]) -> bytes:
        """See ``Format``."""
        written = [
            {"name": tool["name"], "description": tool["description"], "input_schema": tool["parameters"]}
            for tool in tools
        ]
        written[-1] |= _MARK
        return style.dump(written)

    def said(self, style: Style, text: str) -> Fragment:
        """See ``Format``."""
        return _marked(style, [{"type": "text", "text": text}])

    def echo(self, style: Style, answer: Answer) -> Fragment:
        """See ``Format``."""
        content = _content(answer)
        if style.verbose and answer.text is not None:
            content[0]["citations"] = None
        fragment = style.dump({"role": "assistant", "content": content})
        return fragment, fragment

    def results(self, style: Style, results: list[tuple[str, str]]) -> list[Fragment]:
        """See ``Format``."""
        blocks = [{"type": "tool_result", "tool_use_id": call, "content": text} for call, text in results]
        return [_marked(style, blocks)]

    def request(self, style: Style, request: Request) -> bytes:
        """See ``Format``."""
        *before, last = request.messages
        messages = style.array([*[fragment[0] for fragment in before], last[1]])
        fields = [
            (b"max_tokens", b"8192"),
            (b"messages", messages),
            (b"model", style.dump(request.model)),
            (b"metadata", style.dump({"user_id": request.user})),
            (b"system", request.system),
        ]
        if request.stream:
            fields.append((b"stream", b"true"))
        if request.tools is not None:
            fields.append((b"tools", request.tools))
        return style.mapping(fields)

    def response(self, answer: Answer) -> bytes:
        """See ``Format``."""
        if answer.status != 200:
            kind, message = _ERRORS[answer.status]
            return orjson.dumps({"type": "error", "error": {"type": kind, "message": message}, "request_id": answer.id})
        return orjson.dumps(_message(answer, _content(answer), _stop(answer), answer.output_tokens))

    def stream(self, answer: Answer) -> bytes:
        """See ``Format``."""
        return b"".join(
            b"event: %b\ndata: %b\n\n" % (event["type"].encode(), orjson.dumps(event)) for event in _events(answer)
        )


def _marked(style: Style, blocks: list[JSON]) -> Fragment:
    last = [*blocks[:-1], {**blocks[-1], **_MARK}]
    return style.dump({"role": "user", "content": blocks}), style.dump({"role": "user", "content": last})


def _content(answer: Answer) -> list[JSON]:
    text = [] if answer.text is None else [{"type": "text", "text": answer.text}]
    return text + [
        {"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments} for call in answer.calls
    ]


def _stop(answer: Answer) -> str:
    return "tool_use" if answer.calls else "end_turn"


def _message(answer: Answer, content: list[JSON], stop: str | None, output_tokens: int) -> JSON:
    return {
        "model": _VERSIONS[answer.model],
        "id": answer.id,
        "type": "message",
        "role": "assistant",
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": {
            "input_tokens": answer.input_tokens - answer.cached_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": answer.cached_tokens,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
            "output_tokens": output_tokens,
            "service_tier": "standard",
        },
    }


def _events(answer: Answer) -> Iterator[JSON]:
    yield {"type": "message_start", "message": _message(answer, [], None, 1)}
    for index, block in enumerate(_content(answer)):
        yield from _block_events(index, block)
    stop = {"stop_reason": _stop(answer), "stop_sequence": None}
    yield {"type": "message_delta", "delta": stop, "usage": {"output_tokens": answer.output_tokens}}
    yield {"type": "message_stop"}


def _block_events(index: int, block: JSON) -> Iterator[JSON]:
    if block["type"] == "text":
        start, kind, field, whole = {**block, "text": ""}, "text_delta", "text", block["text"]
    else:
        written = orjson.dumps(block["input"]).decode()
        start, kind, field, whole = {**block, "input": {}}, "input_json_delta", "partial_json", written
    yield {"type": "content_block_start", "index": index, "content_block": start}
    for place in range(0, len(whole), _TOKEN):
        piece = whole[place : place + _TOKEN]
        yield {"type": "content_block_delta", "index": index, "delta": {"type": kind, field: piece}}
    yield {"type": "content_block_stop", "index": index}
