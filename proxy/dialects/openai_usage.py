"""Token counts as OpenAI and its imitators report them, in the words of ``records.Usage``.

A table says where each count may stand; the first place that holds one wins. An absent, null or
ill-typed count is unknown; 0 is 0.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from ..records import Usage, evolve
from .json_values import Notes, count, kind, mapping, number

_LONGEST_US = 86_400 * 1_000_000


class _Place(Struct, frozen=True):
    """Where a count may stand."""

    parent: str  #: a member of the usage; empty for the usage itself
    key: str
    label: str  #: for a note


def _places(*dotted: str) -> tuple[_Place, ...]:
    return tuple(_Place(place.rpartition(".")[0], place.rpartition(".")[2], f"usage.{place}") for place in dotted)


_PLACES = {
    "input_tokens": _places("prompt_tokens", "input_tokens"),
    "output_tokens": _places("completion_tokens", "output_tokens"),
    "cached_tokens": _places(
        "prompt_tokens_details.cached_tokens",
        "input_tokens_details.cached_tokens",
        "prompt_cache_hit_tokens",  # DeepSeek
        "cached_tokens",  # Moonshot
        "cache_read_input_tokens",  # Anthropic's models behind gateways
    ),
    "cache_write_tokens": _places(
        "prompt_tokens_details.cache_write_tokens",
        "input_tokens_details.cache_write_tokens",
        "prompt_tokens_details.cache_creation_tokens",  # LiteLLM
        "cache_creation_input_tokens",
    ),
    "reasoning_tokens": _places(
        "completion_tokens_details.reasoning_tokens",
        "output_tokens_details.reasoning_tokens",
        "reasoning_tokens",  # Perplexity
    ),
    "input_audio_tokens": _places("prompt_tokens_details.audio_tokens", "input_tokens_details.audio_tokens"),
    "output_audio_tokens": _places("completion_tokens_details.audio_tokens", "output_tokens_details.audio_tokens"),
    "input_image_tokens": _places("prompt_tokens_details.image_tokens", "input_tokens_details.image_tokens"),
    "output_image_tokens": _places("completion_tokens_details.image_tokens", "output_tokens_details.image_tokens"),
}
#: What is paid per use: our name for it → where it stands.
_REQUESTS = {
    "web_search": _places("server_tool_use.web_search_requests", "server_side_tool_usage_details.web_search_calls"),
    "web_fetch": _places("server_tool_use.web_fetch_requests"),
    "x_search": _places("server_side_tool_usage_details.x_search_calls"),
    "code_interpreter": _places("server_side_tool_usage_details.code_interpreter_calls"),
    "search_queries": _places("num_search_queries"),  # Perplexity
    "sources": _places("num_sources_used"),  # xAI
}
_PARENTS = {place.parent for places in (*_PLACES.values(), *_REQUESTS.values()) for place in places} - {""}


def usage(reported: Any, notes: Notes, *, hidden_reasoning: bool = False) -> Usage | None:
    """The counts of a usage object; None when it holds none.

    ``hidden_reasoning``: what ``total_tokens`` has beyond the others is reasoning that no field names.
    """
    if reported is not None and not isinstance(reported, dict):
        notes.add(f"usage is {kind(reported)}, not an object")
    fields = mapping(reported)
    held = {parent: inner for parent in _PARENTS if isinstance(inner := fields.get(parent), dict)}
    held[""] = fields
    counts = {field: _first(held, places, notes) for field, places in _PLACES.items()}
    requests = {field: times for field, places in _REQUESTS.items() if (times := _first(held, places, notes))}
    if not requests and all(value is None for value in counts.values()):
        return None
    total = count(fields.get("total_tokens"), "total_tokens", notes)
    return _with_reasoning(Usage(**counts, requests=requests), total, hidden_reasoning)


def processing_us(completion: dict[str, Any]) -> int | None:
    """How long the upstream says it took: Groq in seconds, llama.cpp in milliseconds for two steps."""
    groq = mapping(mapping(completion.get("x_groq")).get("usage")) or mapping(completion.get("usage"))
    llama = mapping(completion.get("timings"))
    if "total_time" in groq:
        return _sum_us((groq.get("queue_time", 0), groq["total_time"]), 1_000_000)
    if "predicted_ms" in llama:
        return _sum_us((llama.get("prompt_ms", 0), llama["predicted_ms"]), 1000)
    return None


def _sum_us(steps: tuple[Any, ...], unit_us: int) -> int | None:
    """None unless each step is a time of less than a day."""
    known = [step for step in map(number, steps) if step is not None and 0 <= step * unit_us < _LONGEST_US]
    return round(sum(known) * unit_us) if len(known) == len(steps) else None


def _first(held: dict[str, dict[str, Any]], places: tuple[_Place, ...], notes: Notes) -> int | None:
    for place in places:
        if place.parent in held and (value := held[place.parent].get(place.key)) is not None:
            found = count(value, place.label, notes)
            if found is not None:
                return found
    return None


def _with_reasoning(counts: Usage, total: int | None, hidden: bool) -> Usage:
    """Some leave reasoning out of completion_tokens: total_tokens gives that away, or a reasoning that is larger."""
    asked, answered, reasoned = counts.input_tokens, counts.output_tokens, counts.reasoning_tokens
    if asked is None or answered is None:
        return counts
    if hidden and not reasoned and total is not None and total > asked + answered:
        return evolve(counts, output_tokens=total - asked, reasoning_tokens=total - asked - answered)
    if reasoned and (total == asked + answered + reasoned or reasoned > answered):
        return evolve(counts, output_tokens=answered + reasoned)
    return counts
