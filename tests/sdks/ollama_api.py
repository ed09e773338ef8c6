"""Ollama's own API: chat, generate and embed. Unless a request says otherwise it gets a stream, a line an event."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.fakes.scripts import Script, json_answer

from . import saying

JSON = dict[str, Any]

INPUT_TOKENS, OUTPUT_TOKENS, EMBEDDED_TOKENS = 26, 282, 8
TOOK_NS = 5_191_566_416
_COUNTS = {
    "total_duration": TOOK_NS,
    "load_duration": 2_154_458,
    "prompt_eval_count": INPUT_TOKENS,
    "prompt_eval_duration": 383_809_000,
    "eval_count": OUTPUT_TOKENS,
    "eval_duration": 4_799_921_000,
}


def chat(request: JSON) -> Script:
    """``POST /api/chat``."""
    said = list(_calls() if _asks_for_tools(request) else _words("thinking", "content", request))
    return _answer(request, [{"message": {"role": "assistant", "content": ""} | each} for each in said], _one_message)


def generate(request: JSON) -> Script:
    """``POST /api/generate``."""
    said = [{"response": ""} | each for each in _words("thinking", "response", request)]
    return _answer(request, said, _joined)


def embed(request: JSON) -> Script:
    """``POST /api/embed``."""
    texts = request["input"] if isinstance(request["input"], list) else [request["input"]]
    counts = {"total_duration": 14_143_917, "load_duration": 1_019_500, "prompt_eval_count": EMBEDDED_TOKENS}
    return json_answer({"model": request["model"], "embeddings": saying.vectors(texts), **counts})


def _asks_for_tools(request: JSON) -> bool:
    return bool(request.get("tools")) and request["messages"][-1]["role"] != "tool"


def _words(thoughts: str, words: str, request: JSON) -> Iterator[JSON]:
    if request.get("think"):
        yield from ({thoughts: thought} for thought in saying.THOUGHTS)
    yield from ({words: word} for word in saying.WORDS)


def _calls() -> Iterator[JSON]:
    for index, city in enumerate(saying.CITIES):
        function = {"index": index, "name": saying.TOOL, "arguments": {"city": city}}
        yield {"tool_calls": [{"function": function}]}


# --- at once or line by line ------------------------------------------------------------------------


def _answer(request: JSON, said: list[JSON], together: Any) -> Script:
    envelope = {"model": request["model"], "created_at": "2025-11-04T14:42:05.123456Z"}
    end = {"done": True, "done_reason": "stop", **_COUNTS}
    if request.get("stream") is False:
        return json_answer(envelope | together(said) | end)
    empty = {"message": {"role": "assistant", "content": ""}} if "message" in said[0] else {"response": ""}
    lines = [*(envelope | each | {"done": False} for each in said), envelope | empty | end]
    return saying.streamed("application/x-ndjson", (saying.compact(line) + b"\n" for line in lines))


def _joined(said: list[JSON]) -> JSON:
    """Texts one after the other, lists too."""
    whole: JSON = {}
    for each in said:
        for name, value in each.items():
            whole[name] = whole[name] + value if name in whole and name != "role" else value
    return whole


def _one_message(said: list[JSON]) -> JSON:
    return {"message": _joined([each["message"] for each in said])}
