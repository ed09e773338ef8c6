"""Calls that attack whoever looks at them: each payload in every field that somebody else fills."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import orjson

from proxy.clock import CallIds
from proxy.records import Event, EventKind, Exchange

from .stored import exchange_of

PAYLOADS_FILE = Path(__file__).with_name("payloads.txt")
_ESCAPE = re.compile(r"\\(?:([\\ntr])|x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8}))")
_NAMED = {"\\": "\\", "n": "\n", "t": "\t", "r": "\r"}
_IN_NO_HEADER = re.compile(r"[\r\n\0]")
_GAP_US = 1_000_000

_ids = CallIds()


def payloads() -> list[str]:
    """All of them, their escapes undone."""
    lines = PAYLOADS_FILE.read_text(encoding="utf-8").splitlines()
    return [_ESCAPE.sub(_meant, line) for line in lines if line and not line.startswith("#:")]


def _meant(found: re.Match[str]) -> str:
    return _NAMED.get(found[1]) or chr(int(found[2] or found[3] or found[4], 16))


def attack(payload: str, at_us: int, *, fails: bool) -> Exchange:
    """A call with the payload wherever a client or an upstream can put it."""
    answer = _error(payload) if fails else _answer(payload, at_us)
    return exchange_of(
        at_us,
        "/v1/chat/completions?x=" + _IN_NO_HEADER.sub(" ", payload),
        orjson.dumps(_request(payload)),
        orjson.dumps(answer),
        _headers(payload),
        {"content-type": "application/json", "x-request-id": _line(payload), "x-odd": _line(payload)},
        400 if fails else 200,
    )


def _line(payload: str) -> str:
    return _IN_NO_HEADER.sub(" ", payload)


def _headers(payload: str) -> dict[str, str]:
    names = ("user", "session", "tag", "meta-team", "trace", "parent")
    others = ("x-litellm-agent-id", "helicone-prompt-id", "helicone-prompt-version")
    ours = dict.fromkeys((*(f"x-llmtap-{name}" for name in names), *others), _line(payload))
    return {"User-Agent": _line(payload), "Content-Type": "application/json", "Accept": _line(payload), **ours}


def _tool(payload: str, number: int) -> dict[str, object]:
    arguments = orjson.dumps({payload: payload}).decode() if number else payload
    return {"id": f"call_{payload}_{number}", "type": "function", "function": {"name": payload, "arguments": arguments}}


def _request(payload: str) -> dict[str, object]:
    tool = {"name": payload, "description": payload, "parameters": {"type": "object", "title": payload}}
    return {
        "model": payload,
        "user": payload,
        "metadata": {payload: payload, "team": payload},
        "prompt_cache_key": payload,
        "tools": [{"type": "function", "function": tool}],
        "messages": [
            {"role": "system", "content": payload},
            {"role": "user", "name": payload, "content": f"earlier {payload}"},
            {"role": "assistant", "content": payload, "tool_calls": [_tool(payload, 0), _tool(payload, 1)]},
            {"role": "tool", "tool_call_id": f"call_{payload}_0", "content": payload},
            {"role": "tool", "tool_call_id": f"call_{payload}_1", "content": orjson.dumps([payload]).decode()},
            {"role": payload, "content": payload},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": payload},
                    {"type": "image_url", "image_url": {"url": payload}},
                    {"type": "image_url", "image_url": {"url": f"data:image/svg+xml,{payload}"}},
                    {"type": "file", "file": {"filename": payload, "file_data": f"data:text/html,{payload}"}},
                    {"type": payload, payload: payload},
                ],
            },
        ],
    }


def _answer(payload: str, at_us: int) -> dict[str, object]:
    where = {"url": payload, "title": payload, "start_index": 0, "end_index": 1}
    cited = {"type": "url_citation", "url_citation": where}
    message = {
        "role": "assistant",
        "content": payload,
        "reasoning_content": payload,
        "refusal": payload,
        "annotations": [cited],
        "tool_calls": [_tool(payload, 2), _tool(payload, 3)],
    }
    return {
        "id": f"{at_us}{payload}",
        "object": "chat.completion",
        "model": payload,
        "service_tier": payload,
        "system_fingerprint": payload,
        "choices": [{"index": 0, "message": message, "finish_reason": payload}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
    }


def _error(payload: str) -> dict[str, object]:
    return {"error": {"message": payload, "type": payload, "code": payload, "param": payload}}


def said(payload: str, call_id: str, at_us: int) -> Iterator[Event]:
    """What people can say of a call, the payload in all of it."""
    target = {"call": call_id}
    scores = [
        {"name": "review", "value": True, "comment": payload},
        {"name": payload[:200], "value": 0.5, "comment": payload},
        {"name": "tone", "value": payload[:200]},
    ]
    feedback = {"target": target, "scores": scores, "comment": payload, "expected": payload}
    kinds = (
        (EventKind.FEEDBACK, {**feedback, "tags": [payload[:200]], "metadata": {payload[:200]: payload}}),
        (EventKind.FEEDBACK, {"target": target, "part": f"tool:{payload}"[:200], "comment": payload}),
        (EventKind.NOTE, {"call": call_id, "text": payload}),
        (EventKind.TAGS, {"call": call_id, "add": [payload[:150] + "+"]}),
        (EventKind.TAG, {"name": payload[:200], "color": payload, "description": payload}),
        (EventKind.VIEW, {"name": payload, "page": "/", "query": payload}),
        (EventKind.VIEW, {"name": payload, "page": "/review", "query": payload}),
        (EventKind.AUDIT, {"action": payload, "target": payload, "project": payload}),
    )
    for kind, words in kinds:
        yield Event(id=_ids.next(at_us), kind=kind, at_us=at_us, author=payload[:200] or "x", said=words)


def attacks(now_us: int) -> list[Exchange]:
    """All payloads, a call each, the last of them the newest; each fifth fails."""
    return [
        attack(payload, now_us - (len(payloads()) - place) * _GAP_US, fails=place % 5 == 4)
        for place, payload in enumerate(payloads())
    ]
