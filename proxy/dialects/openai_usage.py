"""Token counts as OpenAI and its imitators report them, in the words of ``records.Usage``.

A table says where each count may stand; the first place that holds one wins. An absent, null or
ill-typed count is unknown; 0 is 0.
"""

from __future__ import annotations

from typing import Any

from ..records import Usage, evolve
from .json_values import Notes, count, kind, mapping

_PLACES: dict[str, tuple[tuple[str, ...], ...]] = {
    "input_tokens": (("prompt_tokens",), ("input_tokens",)),
    "output_tokens": (("completion_tokens",), ("output_tokens",)),
    "cached_tokens": (
        ("prompt_tokens_details", "cached_tokens"),
        ("input_tokens_details", "cached_tokens"),
        ("prompt_cache_hit_tokens",),  # DeepSeek
        ("cached_tokens",),  # Moonshot
    ),
    "cache_write_tokens": (
        ("prompt_tokens_details", "cache_write_tokens"),
        ("input_tokens_details", "cache_write_tokens"),
    ),
    "reasoning_tokens": (
        ("completion_tokens_details", "reasoning_tokens"),
        ("output_tokens_details", "reasoning_tokens"),
    ),
    "input_audio_tokens": (("prompt_tokens_details", "audio_tokens"),),
    "output_audio_tokens": (("completion_tokens_details", "audio_tokens"),),
}


def usage(reported: Any, notes: Notes) -> Usage | None:
    """The counts of a usage object; None when it holds none."""
    if reported is not None and not isinstance(reported, dict):
        notes.add(f"usage is {kind(reported)}, not an object")
    counts = {field: _first(mapping(reported), places, notes) for field, places in _PLACES.items()}
    if all(value is None for value in counts.values()):
        return None
    return _with_reasoning(Usage(**counts), count(mapping(reported).get("total_tokens"), "total_tokens", notes))


def _first(reported: dict[str, Any], places: tuple[tuple[str, ...], ...], notes: Notes) -> int | None:
    for *parents, key in places:
        fields = reported
        for parent in parents:
            fields = mapping(fields.get(parent))
        found = count(fields.get(key), f"usage.{'.'.join((*parents, key))}", notes)
        if found is not None:
            return found
    return None


def _with_reasoning(counts: Usage, total: int | None) -> Usage:
    """xAI leaves reasoning out of completion_tokens; its total_tokens gives that away."""
    asked, answered, reasoned = counts.input_tokens, counts.output_tokens, counts.reasoning_tokens
    if asked is None or answered is None or not reasoned or total != asked + answered + reasoned:
        return counts
    return evolve(counts, output_tokens=answered + reasoned)
