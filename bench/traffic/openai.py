"""Chat completions, as OpenAI's client sends them and OpenAI answers."""

from __future__ import annotations

import random
from collections.abc import Iterator

import orjson

from .style import JSON, Answer, Fragment, RawHeaders, Request, Style, letters

_TOKEN = 4  #: characters
_VERSIONS = {
    "gpt-5-mini": "gpt-5-mini-2025-08-07",
    "gpt-5": "gpt-5-2025-08-07",
    "gpt-4.1": "gpt-4.1-2025-04-14",
    "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
}
_ERRORS = {
    429: ("Rate limit reached for requests. Please try again in 20ms.", "requests", "rate_limit_exceeded"),
    500: ("The server had an error while processing your request. Sorry about that!", "server_error", None),
    503: ("The engine is currently overloaded, please try again later", "server_error", None),
}


class OpenAI:
    """See ``Format``."""

    name = "openai"
    base = "https://api.openai.com"
    path = "/v1/chat/completions"
    models = tuple(_VERSIONS)
    overload = 503

    def request_headers(self, key: str) -> RawHeaders:
        """See ``Format``."""
        return [
            (b"Host", b"localhost:8800"),
            (b"Accept-Encoding", b"gzip, deflate"),
            (b"Connection", b"keep-alive"),
            (b"Accept", b"application/json"),
            (b"Content-Type", b"application/json"),
            (b"User-Agent", b"AsyncOpenAI/Python 2.45.0"),
            (b"X-Stainless-Package-Version", b"2.45.0"),
            (b"Authorization", b"Bearer sk-proj-" + key.encode()),
        ]

    def response_headers(self, rng: random.Random, answer: Answer) -> RawHeaders:
        """See ``Format``."""
        left = rng.randrange(9_000, 10_000)
        processing = b"%d" % (answer.output_tokens * 10 + rng.randrange(200, 900))
        return [
            (b"access-control-expose-headers", b"X-Request-ID"),
            (b"openai-organization", b"acme-7"),
            (b"openai-processing-ms", processing),
            (b"openai-project", b"proj_7Qx0ZcJ8K2mWcV4nT1bA5sLd"),
            (b"openai-version", b"2020-10-01"),
            (b"x-envoy-upstream-service-time", processing),
            (b"x-ratelimit-limit-requests", b"10000"),
            (b"x-ratelimit-limit-tokens", b"10000000"),
            (b"x-ratelimit-remaining-requests", b"%d" % left),
            (b"x-ratelimit-remaining-tokens", b"%d" % (left * 1000 - answer.input_tokens)),
            (b"x-ratelimit-reset-requests", b"%dms" % ((10_000 - left) * 6)),
            (b"x-ratelimit-reset-tokens", b"%dms" % (answer.input_tokens // 160)),
            (b"x-request-id", b"req_%032x" % rng.getrandbits(128)),
        ]

    def new_id(self, rng: random.Random) -> str:
        """See ``Format``."""
        return "chatcmpl-" + letters(rng, 29)

    def new_call_id(self, rng: random.Random) -> str:
        """See ``Format``."""
        return "call_" + letters(rng, 24)

    def system(self, style: Style, text: str) -> bytes:
        """See ``Format``."""
        return style.dump({"role": "system", "content": text})

    def tools(self, style: Style, tools: list[JSON]) -> bytes:
        """See ``Format``."""
        return style.dump([{"type": "function", "function": tool} for tool in tools])

    def said(self, style: Style, text: str) -> Fragment:
        """See ``Format``."""
        return _always(style.dump({"role": "user", "content": text}))

    def echo(self, style: Style, answer: Answer) -> Fragment:
        """See ``Format``."""
        plain: JSON = {"role": "assistant", "content": answer.text}
        calls = _calls(answer, style) or None
        if style.verbose:
            empty: JSON = {
                "refusal": None,
                "role": "assistant",
                "annotations": [],
                "audio": None,
                "function_call": None,
            }
            return _always(style.dump({"content": answer.text, **empty, "tool_calls": calls}))
        return _always(style.dump(plain | ({"tool_calls": calls} if calls else {})))

    def results(self, style: Style, results: list[tuple[str, str]]) -> list[Fragment]:
        """See ``Format``."""
        return [_always(style.dump({"role": "tool", "tool_call_id": call, "content": text})) for call, text in results]

    def request(self, style: Style, request: Request) -> bytes:
        """See ``Format``."""
        messages = style.array([request.system, *[fragment[0] for fragment in request.messages]])
        fields = [(b"messages", messages), (b"model", style.dump(request.model))]
        fields = fields[::-1] if style.spaced else fields
        if request.metadata is not None:
            fields.append((b"metadata", style.dump(request.metadata)))
        if request.stream:
            fields += [(b"stream", b"true"), (b"stream_options", style.dump({"include_usage": True}))]
        if request.tools is not None:
            fields += [(b"tool_choice", b'"auto"'), (b"tools", request.tools)]
        return style.mapping([*fields, (b"user", style.dump(request.user))])

    def response(self, answer: Answer) -> bytes:
        """See ``Format``."""
        if answer.status != 200:
            message, kind, code = _ERRORS[answer.status]
            body: JSON = {"error": {"message": message, "type": kind, "param": None, "code": code}}
        else:
            body = _completion(answer)
        return orjson.dumps(body, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)

    def stream(self, answer: Answer) -> bytes:
        """See ``Format``."""
        return b"".join(b"data: " + chunk + b"\n\n" for chunk in (*_chunks(answer), b"[DONE]"))


def _always(fragment: bytes) -> Fragment:
    return fragment, fragment


def _calls(answer: Answer, style: Style) -> list[JSON]:
    return [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": style.dump(call.arguments).decode()},
        }
        for call in answer.calls
    ]


def _completion(answer: Answer) -> JSON:
    message: JSON = {"role": "assistant", "content": answer.text}
    if answer.calls:
        message["tool_calls"] = _calls(answer, Style())
    finish = "tool_calls" if answer.calls else "stop"
    return {
        "id": answer.id,
        "object": "chat.completion",
        "created": answer.created_s,
        "model": _VERSIONS[answer.model],
        "choices": [
            {
                "index": 0,
                "message": message | {"refusal": None, "annotations": []},
                "logprobs": None,
                "finish_reason": finish,
            }
        ],
        "usage": _usage(answer),
        "service_tier": "default",
        "system_fingerprint": "fp_44709d6fcb",
    }


def _usage(answer: Answer) -> JSON:
    nothing = {"accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0}
    return {
        "prompt_tokens": answer.input_tokens,
        "completion_tokens": answer.output_tokens,
        "total_tokens": answer.input_tokens + answer.output_tokens,
        "prompt_tokens_details": {"cached_tokens": answer.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0, **nothing},
    }


def _chunks(answer: Answer) -> Iterator[bytes]:
    head: JSON = {
        "id": answer.id,
        "object": "chat.completion.chunk",
        "created": answer.created_s,
        "model": _VERSIONS[answer.model],
        "service_tier": "default",
        "system_fingerprint": "fp_44709d6fcb",
    }
    around = orjson.dumps(head)[:-1] + b',"choices":[{"index":0,"delta":'
    behind = b',"logprobs":null,"finish_reason":null}],"usage":null}'
    for delta in _deltas(answer):
        yield around + orjson.dumps(delta) + behind
    finish = b"tool_calls" if answer.calls else b"stop"
    yield around + b'{},"logprobs":null,"finish_reason":"' + finish + b'"}],"usage":null}'
    yield orjson.dumps(head | {"choices": [], "usage": _usage(answer)})


def _deltas(answer: Answer) -> Iterator[JSON]:
    yield {"role": "assistant", "content": "" if answer.text else None, "refusal": None}
    text = answer.text or ""
    for start in range(0, len(text), _TOKEN):
        yield {"content": text[start : start + _TOKEN]}
    for index, call in enumerate(_calls(answer, Style())):
        arguments = call["function"].pop("arguments")
        call["function"]["arguments"] = ""
        yield {"tool_calls": [{"index": index, **call}]}
        for start in range(0, len(arguments), _TOKEN):
            yield {"tool_calls": [{"index": index, "function": {"arguments": arguments[start : start + _TOKEN]}}]}
