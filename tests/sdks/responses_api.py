"""OpenAI's Responses API: at once, streamed, and in the background.

It remembers what it makes in the background: the first look at one finds it in progress, any later
one finds it completed.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from tests.fakes.scripts import Script, json_answer

from . import saying
from .openai_api import HEADERS, refused_as_unknown

JSON = dict[str, Any]

MODELS = {"gpt-5-mini": "gpt-5-mini-2025-08-07"}
USAGE: JSON = {
    "input_tokens": 1075,
    "input_tokens_details": {"cached_tokens": 1024},
    "output_tokens": 93,
    "output_tokens_details": {"reasoning_tokens": 64},
    "total_tokens": 1168,
}


class Responses:
    """The API of one account."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._background: dict[str, JSON] = {}  #: response id → what it will be
        self._looked_at: set[str] = set()

    def create(self, request: JSON) -> Script:
        """``POST /v1/responses``."""
        completed = _completed(request, f"resp_67cb61fa3a448190bcf2c42d{next(self._numbers):08x}")
        if request.get("background"):
            self._background[completed["id"]] = completed
            return json_answer(_unfinished(completed, "queued"), headers=HEADERS)
        if request.get("stream"):
            numbered = ({**event, "sequence_number": number} for number, event in enumerate(_events(completed)))
            return saying.named_events(numbered, HEADERS)
        return json_answer(completed, headers=HEADERS)

    def retrieve(self, response_id: str) -> Script:
        """``GET /v1/responses/{id}``."""
        found = self._background.get(response_id)
        if found is None:
            return refused_as_unknown(f"Response with id '{response_id}' not found.")
        if response_id in self._looked_at:
            return json_answer(found, headers=HEADERS)
        self._looked_at.add(response_id)
        return json_answer(_unfinished(found, "in_progress"), headers=HEADERS)


def _completed(request: JSON, response_id: str) -> JSON:
    tools = request.get("tools") or []
    return {
        "id": response_id,
        "object": "response",
        "created_at": 1_741_386_490,
        "status": "completed",
        "background": bool(request.get("background")),
        "error": None,
        "incomplete_details": None,
        "instructions": request.get("instructions"),
        "max_output_tokens": None,
        "model": MODELS[request["model"]],
        "output": [
            _reasoning(response_id),
            *(_calls(response_id) if _asks_for_tools(request) else [_message(response_id)]),
        ],
        "parallel_tool_calls": True,
        "previous_response_id": request.get("previous_response_id"),
        "reasoning": {"effort": "medium", "summary": "detailed"},
        "service_tier": "default",
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": tools,
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": USAGE,
        "user": None,
        "metadata": request.get("metadata") or {},
    }


def _unfinished(completed: JSON, status: str) -> JSON:
    return completed | {"status": status, "output": [], "usage": None}


def _asks_for_tools(request: JSON) -> bool:
    given = request["input"]
    told = isinstance(given, list) and given[-1].get("type") == "function_call_output"
    return bool(request.get("tools")) and not told


# --- items ------------------------------------------------------------------------------------------


def _reasoning(response_id: str) -> JSON:
    summary = [{"type": "summary_text", "text": saying.REASONING}]
    return {"id": response_id.replace("resp", "rs"), "type": "reasoning", "summary": summary}


def _message(response_id: str) -> JSON:
    content = [{"type": "output_text", "text": saying.TEXT, "annotations": [], "logprobs": []}]
    return {
        "id": response_id.replace("resp", "msg"),
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": content,
    }


def _calls(response_id: str) -> list[JSON]:
    return [
        {
            "id": response_id.replace("resp", f"fc{place}"),
            "type": "function_call",
            "status": "completed",
            "call_id": f"call_{place}_{response_id[-8:]}",
            "name": saying.TOOL,
            "arguments": saying.arguments(city),
        }
        for place, city in enumerate(saying.CITIES)
    ]


# --- events -----------------------------------------------------------------------------------------


def _events(completed: JSON) -> Iterator[JSON]:
    begun = _unfinished(completed, "in_progress")
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    for index, item in enumerate(completed["output"]):
        yield {"type": "response.output_item.added", "output_index": index, "item": item | _BEGUN[item["type"]]}
        for event in _INSIDE[item["type"]](item):
            yield event | {"item_id": item["id"], "output_index": index}
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    yield {"type": "response.completed", "response": completed}


def _inside_reasoning(item: JSON) -> Iterator[JSON]:
    place = {"summary_index": 0}
    part = item["summary"][0]
    yield {"type": "response.reasoning_summary_part.added", "part": part | {"text": ""}} | place
    for thought in saying.THOUGHTS:
        yield {"type": "response.reasoning_summary_text.delta", "delta": thought} | place
    yield {"type": "response.reasoning_summary_text.done", "text": saying.REASONING} | place
    yield {"type": "response.reasoning_summary_part.done", "part": part} | place


def _inside_message(item: JSON) -> Iterator[JSON]:
    place = {"content_index": 0}
    part = item["content"][0]
    yield {"type": "response.content_part.added", "part": part | {"text": ""}} | place
    for word in saying.WORDS:
        yield {"type": "response.output_text.delta", "delta": word, "logprobs": []} | place
    yield {"type": "response.output_text.done", "text": saying.TEXT, "logprobs": []} | place
    yield {"type": "response.content_part.done", "part": part} | place


def _inside_call(item: JSON) -> Iterator[JSON]:
    for piece in saying.pieces(item["arguments"]):
        yield {"type": "response.function_call_arguments.delta", "delta": piece}
    yield {"type": "response.function_call_arguments.done", "name": item["name"], "arguments": item["arguments"]}


#: What an item lacks while it is under way, and the events that bring it; by its type.
_BEGUN: dict[str, JSON] = {
    "reasoning": {"summary": []},
    "message": {"status": "in_progress", "content": []},
    "function_call": {"status": "in_progress", "arguments": ""},
}
_INSIDE = {"reasoning": _inside_reasoning, "message": _inside_message, "function_call": _inside_call}
