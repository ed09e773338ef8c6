"""Anthropic's Messages API: messages at once and streamed, and counting tokens.

A system prompt or message that is marked for the cache is partly read from it and partly written to
it: such tokens come on top of ``input_tokens``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.fakes.scripts import Headers, Script, json_answer

from . import saying

JSON = dict[str, Any]

MODELS = {"claude-haiku-4-5": "claude-haiku-4-5-20251001"}
INPUT_TOKENS, OUTPUT_TOKENS, THINKING_TOKENS = 21, 61, 12
READ_TOKENS, WRITTEN_5M_TOKENS, WRITTEN_1H_TOKENS = 2048, 120, 40
COUNTED_TOKENS = 2229
FIRST_OUTPUT_TOKENS = 3  #: what a stream's first event says: not the answer's
HEADERS: Headers = (
    ("request-id", "req_018EeWyXxfu5pfWkrYcMdjWG"),
    ("anthropic-ratelimit-requests-limit", "4000"),
    ("anthropic-ratelimit-requests-remaining", "3999"),
    ("anthropic-ratelimit-requests-reset", "2099-01-01T00:00:00Z"),
)
OVERLOADED = {"type": "overloaded_error", "message": "Overloaded"}


def messages(request: JSON) -> Script:
    """``POST /v1/messages``."""
    if request.get("stream"):
        return saying.named_events(_events(request), HEADERS)
    return json_answer(_message(request), headers=HEADERS)


def count_tokens(_request: JSON) -> Script:
    """``POST /v1/messages/count_tokens``."""
    return json_answer({"input_tokens": COUNTED_TOKENS}, headers=HEADERS)


def overloaded() -> Script:
    """What a busy service says; the client may come back at once."""
    error = {"type": "error", "error": OVERLOADED, "request_id": "req_018EeWyXxfu5pfWkrYcMdjWG"}
    return json_answer(error, 529, [*HEADERS, ("retry-after-ms", "5")])


# --- the message ------------------------------------------------------------------------------------


def _message(request: JSON) -> JSON:
    calls = _asks_for_tools(request)
    thoughts = [_thinking()] if request.get("thinking") else []
    return {
        "id": "msg_013Zva2CMHLNnXjNJJKqJ2EF",
        "type": "message",
        "role": "assistant",
        "model": MODELS[request["model"]],
        "content": [*thoughts, *(_tool_uses() if calls else [{"type": "text", "text": saying.TEXT}])],
        "stop_reason": "tool_use" if calls else "end_turn",
        "stop_sequence": None,
        "usage": _usage(request),
    }


def _asks_for_tools(request: JSON) -> bool:
    content = request["messages"][-1]["content"]
    told = isinstance(content, list) and content[0]["type"] == "tool_result"
    return bool(request.get("tools")) and not told


def _thinking() -> JSON:
    return {"type": "thinking", "thinking": saying.REASONING, "signature": "EqQBCgIYAhIM1gbcDa9GJwZA2b3h"}


def _tool_uses() -> list[JSON]:
    return [
        {"type": "tool_use", "id": f"toolu_01A09q90qw90lq91789{place}", "name": saying.TOOL, "input": {"city": city}}
        for place, city in enumerate(saying.CITIES)
    ]


def _usage(request: JSON) -> JSON:
    cached = "cache_control" in str(request)
    written_5m, written_1h = (WRITTEN_5M_TOKENS, WRITTEN_1H_TOKENS) if cached else (0, 0)
    thought = {"output_tokens_details": {"thinking_tokens": THINKING_TOKENS}} if request.get("thinking") else {}
    return {
        "input_tokens": INPUT_TOKENS,
        "cache_creation_input_tokens": written_5m + written_1h,
        "cache_read_input_tokens": READ_TOKENS if cached else 0,
        "cache_creation": {"ephemeral_5m_input_tokens": written_5m, "ephemeral_1h_input_tokens": written_1h},
        "output_tokens": OUTPUT_TOKENS,
        "service_tier": "standard",
        **thought,
    }


# --- the stream -------------------------------------------------------------------------------------


def _events(request: JSON) -> Iterator[JSON]:
    """Usage stands in the first event, the count of the whole answer only in the last but one."""
    message = _message(request)
    begun = {"content": [], "stop_reason": None, "usage": message["usage"] | {"output_tokens": FIRST_OUTPUT_TOKENS}}
    yield {"type": "message_start", "message": message | begun}
    for index, block in enumerate(message["content"]):
        empty = {name: "" for name in ("text", "thinking", "signature") if name in block}
        begun = block | empty | ({"input": {}} if "input" in block else {})
        yield {"type": "content_block_start", "index": index, "content_block": begun}
        if not index:
            yield {"type": "ping"}
        for delta in _DELTAS[block["type"]](block):
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    delta = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    counted = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")
    usage = {name: message["usage"][name] for name in counted}
    yield {"type": "message_delta", "delta": delta, "usage": usage | _details(message["usage"])}
    yield {"type": "message_stop"}


def _details(usage: JSON) -> JSON:
    return {name: usage[name] for name in ("output_tokens_details",) if name in usage}


def _text_deltas(_block: JSON) -> Iterator[JSON]:
    return ({"type": "text_delta", "text": word} for word in saying.WORDS)


def _thinking_deltas(block: JSON) -> Iterator[JSON]:
    yield from ({"type": "thinking_delta", "thinking": thought} for thought in saying.THOUGHTS)
    yield {"type": "signature_delta", "signature": block["signature"]}


def _input_deltas(block: JSON) -> Iterator[JSON]:
    written = saying.arguments(block["input"]["city"])
    return ({"type": "input_json_delta", "partial_json": piece} for piece in ("", *saying.pieces(written)))


_DELTAS = {"text": _text_deltas, "thinking": _thinking_deltas, "tool_use": _input_deltas}
