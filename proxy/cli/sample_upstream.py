"""An OpenAI-compatible server for ``llmtap demo``: it knows a few answers by heart and needs no key, no network.

It behaves as providers do where llmtap has something to record: tokens come one by one with
small pauses, usage has cached and reasoning tokens, a stream tells its usage only when asked,
tools are called, and a request may meet an error. ``x-sample`` in a request chooses what goes
wrong: ``429``, ``500``, ``cut`` (the answer breaks off half-way).
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

from aiohttp import web

_SECONDS_TO_FIRST = 0.12
_SECONDS_PER_WORD = 0.012
_CACHE_TOKENS_MIN = 1024  #: shorter prompts are not cached, as with the real thing
_CACHE_BLOCK = 128

ANSWERS = {
    "refund": "Orders can be returned within 30 days. I have started the refund of $42.00 for order 1042; "
    "it reaches the card within five working days.",
    "summar": "Revenue grew 12 % to $4.1M, churn fell to 1.8 %, and the new region opens in March. "
    "The open question is hiring: two of five roles are filled.",
    "haiku": "Packets pass unchanged\nthe tap hears every word said\nand adds none of its own",
    "translate": "Der Zug nach Bern fährt um 14:32 Uhr von Gleis 7.",
    "sql": "SELECT customer, sum(total) AS spent\nFROM orders\nGROUP BY customer\nORDER BY spent DESC\nLIMIT 10;",
    "classify": "billing",
    "weather": "It is 18 °C and clear in Zürich, 21 °C with light rain in Lisbon. Lisbon is the warmer one.",
    "name": "1. Northwind  2. Clearwater  3. Lantern  4. Tidepool  5. Juniper",
}
_OTHERWISE = "This is llmtap's sample upstream. It knows few answers, but yours was recorded like any other."
_ERRORS: dict[str, tuple[int, dict[str, Any]]] = {
    "429": (
        429,
        {
            "message": "Rate limit reached for requests per minute. Please try again in 2s.",
            "type": "requests",
            "param": None,
            "code": "rate_limit_exceeded",
        },
    ),
    "500": (
        500,
        {
            "message": "The server had an error while processing your request.",
            "type": "server_error",
            "param": None,
            "code": None,
        },
    ),
}
_VERSIONS = {
    "gpt-5": "gpt-5-2025-08-07",
    "gpt-5-mini": "gpt-5-mini-2025-08-07",
    "gpt-4o": "gpt-4o-2024-08-06",
    "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
}


def sample_app() -> web.Application:
    """The server, as an aiohttp application."""
    app = web.Application()
    app.add_routes([web.post("/v1/chat/completions", _chat), web.get("/v1/models", _models)])
    return app


async def _models(_request: web.Request) -> web.Response:
    return web.json_response({"object": "list", "data": [{"id": name, "object": "model"} for name in _VERSIONS]})


_numbers = itertools.count(1)


async def _chat(request: web.Request) -> web.StreamResponse:
    fault = request.headers.get("x-sample", "")
    if fault in _ERRORS:
        status, error = _ERRORS[fault]
        return web.json_response({"error": error}, status=status)
    asked = await request.json()
    answer = _answer(asked)
    answer["usage"] = _usage(asked, answer["message"])
    await asyncio.sleep(_SECONDS_TO_FIRST)
    if asked.get("stream"):
        return await _stream(request, asked, answer, cut=fault == "cut")
    await asyncio.sleep(_SECONDS_PER_WORD * len(_words(answer["message"]["content"] or "")))
    choice = {"index": 0, "message": answer["message"], "finish_reason": answer["finish_reason"], "logprobs": None}
    return web.json_response(_envelope(asked, "chat.completion") | {"choices": [choice], "usage": answer["usage"]})


async def _stream(
    request: web.Request, asked: dict[str, Any], answer: dict[str, Any], *, cut: bool
) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    with contextlib.suppress(ConnectionResetError):  # the reader left
        await _send_all(request, response, asked, answer, cut=cut)
    return response


async def _send_all(
    request: web.Request, response: web.StreamResponse, asked: dict[str, Any], answer: dict[str, Any], *, cut: bool
) -> None:
    envelope = _envelope(asked, "chat.completion.chunk")
    deltas = list(_deltas(answer["message"]))
    for delta in deltas[: len(deltas) // 2] if cut else deltas:
        await _send(response, envelope | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
        await asyncio.sleep(_SECONDS_PER_WORD)
    if cut:
        assert request.transport is not None
        request.transport.abort()
        return
    end = {"index": 0, "delta": {}, "finish_reason": answer["finish_reason"]}
    await _send(response, envelope | {"choices": [end]})
    if (asked.get("stream_options") or {}).get("include_usage"):
        await _send(response, envelope | {"choices": [], "usage": answer["usage"]})
    await response.write(b"data: [DONE]\n\n")
    await response.write_eof()


async def _send(response: web.StreamResponse, chunk: dict[str, Any]) -> None:
    await response.write(b"data: " + json.dumps(chunk, separators=(",", ":")).encode() + b"\n\n")


def _envelope(asked: dict[str, Any], kind: str) -> dict[str, Any]:
    number = next(_numbers)
    model = str(asked.get("model"))
    return {
        "id": f"chatcmpl-sample{number:04d}",
        "object": kind,
        "created": 1_763_000_000 + number,
        "model": _VERSIONS.get(model, model),
        "service_tier": "default",
        "system_fingerprint": "fp_sample",
    }


# --- what to say -----------------------------------------------------------------------------


def _answer(asked: dict[str, Any]) -> dict[str, Any]:
    last = asked["messages"][-1]
    if asked.get("tools") and last["role"] == "user":
        return {"message": _calling_tools(asked), "finish_reason": "tool_calls"}
    question = next((m["content"] for m in reversed(asked["messages"]) if m["role"] == "user"), "")
    text = next((known for word, known in ANSWERS.items() if word in str(question).lower()), _OTHERWISE)
    return {"message": {"role": "assistant", "content": text, "refusal": None}, "finish_reason": "stop"}


def _calling_tools(asked: dict[str, Any]) -> dict[str, Any]:
    """Call the first tool once for each city, or number, that the user names."""
    tool = asked["tools"][0]["function"]
    argument = next(iter(tool["parameters"]["properties"]))
    named = re.findall(r"\b(?:Zürich|Lisbon|\d{3,})", asked["messages"][-1]["content"]) or ["?"]
    calls = [
        {
            "id": f"call_{next(_numbers):06d}",
            "type": "function",
            "function": {"name": tool["name"], "arguments": json.dumps({argument: value}, ensure_ascii=False)},
        }
        for value in named
    ]
    return {"role": "assistant", "content": None, "tool_calls": calls, "refusal": None}


def _deltas(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield {"role": "assistant", "content": "" if message["content"] else None}
    for word in _words(message["content"] or ""):
        yield {"content": word}
    for index, call in enumerate(message.get("tool_calls", ())):
        name, arguments = call["function"]["name"], call["function"]["arguments"]
        yield {"tool_calls": [{"index": index, **call, "function": {"name": name, "arguments": ""}}]}
        for piece in _words(arguments):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def _words(text: str) -> list[str]:
    return re.findall(r"\s*\S+", text)


def _usage(asked: dict[str, Any], message: dict[str, Any]) -> dict[str, Any]:
    given = len(json.dumps([asked["messages"], asked.get("tools")], ensure_ascii=False)) // 4
    said = len(json.dumps([message["content"], message.get("tool_calls")], ensure_ascii=False)) // 4
    thought = 128 if str(asked.get("model")).startswith("gpt-5") else 0
    cached = given // _CACHE_BLOCK * _CACHE_BLOCK if given >= _CACHE_TOKENS_MIN and len(asked["messages"]) > 2 else 0
    return {
        "prompt_tokens": given,
        "completion_tokens": said + thought,
        "total_tokens": given + said + thought,
        "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": thought, "audio_tokens": 0},
    }
