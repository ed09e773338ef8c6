"""Token counts as the Messages API reports them, in the words of ``records.Usage``.

Its ``input_tokens`` are those that no cache had part in: what was read from a cache and what was
written to one come on top. An absent, null or ill-typed count is unknown; 0 is 0.
"""

from __future__ import annotations

from typing import Any

from ...records import Usage, evolve
from ..json_values import Notes, count, items, kind, mapping, name, number

_INPUT = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
_CACHE_WRITES = ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")
_REQUESTS = "_requests"
_MOST_REQUESTS = 16
_MOST_KEYS = 64
_LARGEST_COST = 1_000_000


def usage(reported: Any, notes: Notes) -> Usage | None:
    """The counts of a usage object; None when it holds none."""
    if reported is not None and not isinstance(reported, dict):
        notes.add(f"usage is {kind(reported)}, not an object")
    fields = mapping(reported)
    counts = _counts(fields, notes)
    if counts == Usage():
        return None
    return _with_iterations(counts, items(fields.get("iterations"), "iterations", notes), notes)


def cost_nano_usd(reported: Any) -> int | None:
    """What a gateway says that it charges, in dollars in its usage object."""
    cost = number(mapping(reported).get("cost"))
    return None if cost is None or not 0 <= cost < _LARGEST_COST else round(cost * 1e9)


def merge(into: dict[str, Any], later: dict[str, Any]) -> None:
    """Add to the usage of a stream what one more event reports; keys beyond the first 64 are left out.

    Its counts are cumulative: the last of each holds. Some servers fill an event's input counts with
    zeros once they have said them; those say nothing.
    """
    silent = _INPUT if not any(later.get(key) for key in _INPUT) else ()
    for key, value in later.items():
        if key in into:
            if value is not None and key not in silent:
                into[key] = value
        elif value is not None and len(into) < _MOST_KEYS:
            into[key] = value


def _counts(fields: dict[str, Any], notes: Notes) -> Usage:
    plain, read, written = (count(fields.get(key), f"usage.{key}", notes) for key in _INPUT)
    written_5m, written_1h = (
        count(mapping(fields.get("cache_creation")).get(key), f"usage.cache_creation.{key}", notes)
        for key in _CACHE_WRITES
    )
    if written is None:
        written = _sum(written_5m, written_1h)
    details = mapping(fields.get("output_tokens_details"))
    return Usage(
        input_tokens=None if plain is None else _sum(plain, read, written),
        output_tokens=count(fields.get("output_tokens"), "usage.output_tokens", notes),
        cached_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=written_1h,
        reasoning_tokens=count(details.get("thinking_tokens"), "usage.output_tokens_details.thinking_tokens", notes),
        requests=_requests(mapping(fields.get("server_tool_use")), notes),
    )


def _requests(fields: dict[str, Any], notes: Notes) -> dict[str, int]:
    """``{"web_search": 2}`` of ``{"web_search_requests": 2}``."""
    counted = {
        key.removesuffix(_REQUESTS): count(value, f"usage.server_tool_use.{key}", notes)
        for key, value in fields.items()
        if key.endswith(_REQUESTS) and name(key, "a server tool", notes)
    }
    return {key: times for key, times in list(counted.items())[:_MOST_REQUESTS] if times is not None}


def _with_iterations(counts: Usage, iterations: list[Any], notes: Notes) -> Usage:
    """Compacting the context is paid for, but the totals leave it out. What an advisor took has prices of its own."""
    for iteration in map(mapping, iterations):
        if iteration.get("type") == "compaction":
            more = _counts(iteration, notes)
            counts = evolve(
                counts,
                input_tokens=_sum(counts.input_tokens, more.input_tokens),
                output_tokens=_sum(counts.output_tokens, more.output_tokens),
                cached_tokens=_sum(counts.cached_tokens, more.cached_tokens),
                cache_write_tokens=_sum(counts.cache_write_tokens, more.cache_write_tokens),
                cache_write_1h_tokens=_sum(counts.cache_write_1h_tokens, more.cache_write_1h_tokens),
            )
        elif iteration.get("type") == "advisor_message":
            advisor = name(iteration.get("model"), "model of an advisor", notes) or "another model"
            notes.add(f"tokens of an advisor ({advisor}) are not counted")
    return counts


def _sum(*counts: int | None) -> int | None:
    """Of those that are known."""
    known = [each for each in counts if each is not None]
    return sum(known) if known else None
