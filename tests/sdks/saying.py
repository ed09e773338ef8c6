"""What every provider here says, so that a test knows it beforehand, and the HTTP that they say it in.

A model that is offered tools asks for the weather in both cities at once; one that has been told the
weather, or was offered none, says ``TEXT``. All of them embed a text as one of ``VECTORS``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from tests.fakes.scripts import LAST_CHUNK, Headers, Script, Send, chunk, head, json_answer

WORDS = ("Sunny in ", "Zürich ☀️, ", "rain in ", "Biel 🌧.")
TEXT = "".join(WORDS)
THOUGHTS = ("Two cities; ", "one word each.")
REASONING = "".join(THOUGHTS)
TOOL = "get_weather"
DESCRIPTION = "The weather in a city."
CITIES = ("Zürich", "Biel")
PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string", "description": "Its name."}},
    "required": ["city"],
}
#: What float32 holds exactly.
VECTORS = ((0.25, -0.5, 0.125), (1.0, 0.0, -0.0625))


def arguments(city: str) -> str:
    """The arguments of a tool call, as a model writes them."""
    return json.dumps({"city": city}, ensure_ascii=False)


def pieces(text: str, size: int = 5) -> list[str]:
    """A text as a stream brings it."""
    return [text[at : at + size] for at in range(0, len(text), size)]


def compact(value: Any) -> bytes:
    """JSON as streams write it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def vectors(texts: Sequence[Any]) -> list[list[float]]:
    """One for each text."""
    return [list(VECTORS[place % len(VECTORS)]) for place in range(len(texts))]


def streamed(content_type: str, parts: Iterable[bytes], headers: Headers = ()) -> Script:
    """An answer whose parts arrive one by one."""
    opening = head(200, [("Content-Type", content_type), ("Transfer-Encoding", "chunked"), *headers])
    return Script((Send(opening), *(Send(chunk(part)) for part in parts), Send(LAST_CHUNK)))


def events(values: Iterable[dict[str, Any]], headers: Headers = ()) -> Script:
    """Server-sent events without names."""
    return streamed("text/event-stream; charset=utf-8", (b"data: %b\n\n" % compact(value) for value in values), headers)


def named_events(values: Iterable[dict[str, Any]], headers: Headers = ()) -> Script:
    """Server-sent events whose name is their type."""
    lines = (b"event: %b\ndata: %b\n\n" % (value["type"].encode(), compact(value)) for value in values)
    return streamed("text/event-stream; charset=utf-8", lines, headers)


def done_events(values: Iterable[dict[str, Any]], headers: Headers = ()) -> Script:
    """Server-sent events as OpenAI's older endpoints end them."""
    lines = [b"data: %b\n\n" % data for data in (*map(compact, values), b"[DONE]")]
    return streamed("text/event-stream; charset=utf-8", lines, headers)


def refused(status: int, error: dict[str, Any], headers: Headers = ()) -> Script:
    """An error as all of these providers wrap it."""
    return json_answer({"error": error}, status, headers)
