"""The OpenAI API but for Responses: chat and text completions, embeddings, moderations, models."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from typing import Any

from tests.fakes.scripts import Headers, Script, json_answer

from . import saying

CHAT_MODELS = {"gpt-4.1-mini": "gpt-4.1-mini-2025-04-14", "gpt-4o-mini": "gpt-4o-mini-2024-07-18"}
CHAT_USAGE: dict[str, Any] = {
    "prompt_tokens": 1031,
    "completion_tokens": 29,
    "total_tokens": 1060,
    "prompt_tokens_details": {"cached_tokens": 1024, "audio_tokens": 0},
    "completion_tokens_details": {
        "reasoning_tokens": 8,
        "audio_tokens": 0,
        "accepted_prediction_tokens": 0,
        "rejected_prediction_tokens": 0,
    },
}
COMPLETION_USAGE = {"prompt_tokens": 5, "completion_tokens": 14, "total_tokens": 19}
EMBEDDING_USAGE = {"prompt_tokens": 8, "total_tokens": 8}
CATEGORIES = ("harassment", "hate", "self-harm", "sexual", "violence")
HEADERS: Headers = (
    ("x-request-id", "req_011CQ5"),
    ("openai-processing-ms", "321"),
    ("openai-version", "2020-10-01"),
    ("x-ratelimit-limit-requests", "500"),
    ("x-ratelimit-remaining-requests", "499"),
    ("x-ratelimit-limit-tokens", "200000"),
    ("x-ratelimit-remaining-tokens", "198969"),
)
OVERLOADED = {"message": "The server had an error.", "type": "server_error", "param": None, "code": None}
LIMITED = {"message": "Rate limit reached.", "type": "requests", "param": None, "code": "rate_limit_exceeded"}


def refused_as_unknown(message: str) -> Script:
    """What asking for something that is not there gets."""
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    return saying.refused(404, error, HEADERS)


_CALLS: list[dict[str, Any]] = [
    {
        "id": f"call_{place}{saying.TOOL}",
        "type": "function",
        "function": {"name": saying.TOOL, "arguments": saying.arguments(city)},
    }
    for place, city in enumerate(saying.CITIES)
]


# --- chat completions -------------------------------------------------------------------------------


def chat(request: dict[str, Any]) -> Script:
    """``POST /v1/chat/completions``."""
    if not request.get("stream"):
        return json_answer(_completion(request), headers=HEADERS)
    return saying.done_events(_chunks(request), HEADERS)


def _asks_for_tools(request: dict[str, Any]) -> bool:
    return bool(request.get("tools")) and request["messages"][-1]["role"] != "tool"


def _envelope(request: dict[str, Any], kind: str) -> dict[str, Any]:
    return {
        "id": "chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG",
        "object": kind,
        "created": 1_741_570_283,
        "model": CHAT_MODELS[request["model"]],
        "service_tier": "default",
        "system_fingerprint": "fp_50cad350e4",
    }


def _completion(request: dict[str, Any]) -> dict[str, Any]:
    calls = _asks_for_tools(request)
    message = {"role": "assistant", "content": None if calls else saying.TEXT, "refusal": None, "annotations": []}
    choice = {
        "index": 0,
        "message": message | ({"tool_calls": _CALLS} if calls else {}),
        "logprobs": None,
        "finish_reason": "tool_calls" if calls else "stop",
    }
    return _envelope(request, "chat.completion") | {"choices": [choice], "usage": CHAT_USAGE}


def _chunks(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """With ``include_usage`` every chunk has a usage, null but for the last, whose choices are empty."""
    counted = (request.get("stream_options") or {}).get("include_usage")
    envelope = _envelope(request, "chat.completion.chunk") | ({"usage": None} if counted else {})
    calls = _asks_for_tools(request)
    for delta in _tool_deltas() if calls else _text_deltas():
        yield envelope | {"choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}]}
    finish = "tool_calls" if calls else "stop"
    yield envelope | {"choices": [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": finish}]}
    if counted:
        yield envelope | {"choices": [], "usage": CHAT_USAGE}


def _text_deltas() -> Iterator[dict[str, Any]]:
    yield {"role": "assistant", "content": "", "refusal": None}
    yield from ({"content": word} for word in saying.WORDS)


def _tool_deltas() -> Iterator[dict[str, Any]]:
    yield {"role": "assistant", "content": None}
    for index, call in enumerate(_CALLS):
        function = call["function"]
        yield {"tool_calls": [{"index": index, **call, "function": function | {"arguments": ""}}]}
        for piece in saying.pieces(function["arguments"]):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


# --- text completions -------------------------------------------------------------------------------


def completions(request: dict[str, Any]) -> Script:
    """``POST /v1/completions``."""
    envelope = {
        "id": "cmpl-uqkvlQyYK7bGYrRHQ0eXlWi7",
        "object": "text_completion",
        "created": 1_589_478_378,
        "model": request["model"],
        "system_fingerprint": "fp_44709d6fcb",
    }
    if not request.get("stream"):
        choices = [{"text": saying.TEXT, "index": 0, "logprobs": None, "finish_reason": "stop"}]
        return json_answer(envelope | {"choices": choices, "usage": COMPLETION_USAGE}, headers=HEADERS)
    counted = (request.get("stream_options") or {}).get("include_usage")
    texts = [(word, None) for word in saying.WORDS] + [("", "stop")]
    chunks = [
        envelope
        | {"choices": [{"text": text, "index": 0, "logprobs": None, "finish_reason": finish}]}
        | ({"usage": None} if counted else {})
        for text, finish in texts
    ]
    last = [envelope | {"choices": [], "usage": COMPLETION_USAGE}] if counted else []
    return saying.done_events([*chunks, *last], HEADERS)


# --- the others -------------------------------------------------------------------------------------


def embeddings(request: dict[str, Any]) -> Script:
    """``POST /v1/embeddings``; in base64 little-endian float32 when that is asked for."""
    texts = request["input"] if isinstance(request["input"], list) else [request["input"]]
    as_base64 = request.get("encoding_format") == "base64"
    data = [
        {"object": "embedding", "index": index, "embedding": _base64(vector) if as_base64 else vector}
        for index, vector in enumerate(saying.vectors(texts))
    ]
    answer = {"object": "list", "data": data, "model": request["model"], "usage": EMBEDDING_USAGE}
    return json_answer(answer, headers=HEADERS)


def _base64(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def moderations(request: dict[str, Any]) -> Script:
    """``POST /v1/moderations``: everything is violent."""
    result = {
        "flagged": True,
        "categories": {name: name == "violence" for name in CATEGORIES},
        "category_scores": {name: 0.99 if name == "violence" else 0.0 for name in CATEGORIES},
        "category_applied_input_types": {name: ["text"] for name in CATEGORIES},
    }
    answer = {"id": "modr-0d9740456c391e43c445bf0f010940c7", "model": request["model"], "results": [result]}
    return json_answer(answer, headers=HEADERS)


def models() -> Script:
    """``GET /v1/models``."""
    data = [{"id": name, "object": "model", "created": 1_686_935_002, "owned_by": "openai"} for name in CHAT_MODELS]
    return json_answer({"object": "list", "data": data}, headers=HEADERS)
