"""What a response cost, in tokens, uses of built-in tools and money, and what filters found in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...records import Usage, evolve
from ..json_values import Notes, count, listed, mapping, number, text
from ..openai_usage import usage

#: By type of item: the name that the use of a tool is paid under.
_PAID = {
    "web_search_call": "web_search",
    "file_search_call": "file_search",
    "code_interpreter_call": "code_interpreter",
    "image_generation_call": "image_generation",
}
_SEARCHES = (None, "search")
_SIDES = {"prompt": "input", "completion": "output"}
#: By field of the usage: what one unit of it is, in nano-dollars.
_CHARGES = {"cost": 1e9, "cost_in_usd_ticks": 0.1}
_LARGEST = 1 << 53
_LONGEST_FILTER = 100
_MOST_FILTERS = 32


def usage_of(response: dict[str, Any], output: list[Any], notes: Notes) -> Usage | None:
    """Tokens as reported, and with them what is paid per use; None when there is neither."""
    counts = usage(response.get("usage"), notes)
    used = _used(output)
    searches = mapping(mapping(response.get("tool_usage")).get("web_search")).get("num_requests")
    paid = count(searches, "tool_usage.web_search.num_requests", notes)
    if paid is not None:
        used |= {"web_search": paid}
    used = {tool: times for tool, times in used.items() if times}
    return evolve(counts or Usage(), requests=used) if used else counts


def charged_nano_usd(response: dict[str, Any]) -> int | None:
    """What the provider itself says it charges: OpenRouter in dollars, xAI in ticks of 0.1 nano-dollar."""
    reported = mapping(response.get("usage"))
    for key, nano_usd in _CHARGES.items():
        charge = number(reported.get(key))
        if charge is not None and 0 <= charge * nano_usd < _LARGEST:
            return round(charge * nano_usd)
    return None


def _used(output: list[Any]) -> dict[str, int]:
    """How often each tool was used. A container is paid once, and to open a page is no search."""
    uses: dict[str, set[str | int]] = {}
    for place, item in enumerate(map(mapping, output)):
        tool = _PAID.get(text(item.get("type")) or "")
        if tool and item.get("status") != "failed" and mapping(item.get("action")).get("type") in _SEARCHES:
            uses.setdefault(tool, set()).add(text(item.get("container_id")) or place)
    return {tool: len(places) for tool, places in uses.items()}


def filtered(response: dict[str, Any]) -> str | None:
    """What filters found, by side: ``input: jailbreak, output: violence``; None for nothing."""
    found = dict.fromkeys([*_stopped(response), *_flagged(mapping(response.get("moderation")))])
    stopped = mapping(response.get("incomplete_details")).get("reason") == "content_filter"
    if stopped and not any(each.startswith("output") for each in found):
        found["output"] = None
    return ", ".join(list(found)[:_MOST_FILTERS]) or None


def _stopped(response: dict[str, Any]) -> Iterator[str]:
    """Of Azure's filters: those that stopped something. They stand in the response, or in its error."""
    filters = response.get("content_filters") or mapping(response.get("error")).get("content_filters")
    for each in map(mapping, listed(filters)):
        side = _SIDES.get(text(each.get("source_type")) or "", "output")
        for label, result in mapping(each.get("content_filter_results")).items():
            if mapping(result).get("filtered") is True:
                yield f"{side}: {label[:_LONGEST_FILTER]}"


def _flagged(moderation: dict[str, Any]) -> Iterator[str]:
    """Of a moderation that was asked for: the categories it flagged."""
    for side in ("input", "output"):
        for label, flagged in mapping(mapping(moderation.get(side)).get("categories")).items():
            if flagged is True:
                yield f"{side}: {label[:_LONGEST_FILTER]}"
