"""What a content filter found, as Azure reports it beside prompt and choices, in errors, or by a finish reason alone.

A finding is ``prompt: hate`` or ``output: violence``; a bare ``output`` where the answer was filtered
and nobody says why.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from .json_values import listed, mapping

_LONGEST = 60
_MOST = 20
_RESULTS = ("content_filter_results", "content_filter_result")


def content_filter(completion: dict[str, Any], finish_reasons: Iterable[str | None]) -> str | None:
    """The findings of an answer, whole or an error; None when no filter found anything."""
    found = list(dict.fromkeys(_findings(completion)))
    if not any(finding.startswith("output") for finding in found) and "content_filter" in finish_reasons:
        found.append("output")
    return ", ".join(found[:_MOST]) or None


def _findings(completion: dict[str, Any]) -> Iterator[str]:
    for key in ("prompt_filter_results", "prompt_annotations"):
        for prompt in listed(completion.get(key)):
            yield from _filtered("prompt", prompt)
    if error := mapping(completion.get("error")):
        yield from _filtered("prompt", error.get("innererror"))
        for reason in listed(mapping(error.get("metadata")).get("reasons")):  # OpenRouter
            if isinstance(reason, str) and reason:
                yield f"prompt: {reason[:_LONGEST]}"
    for choice in listed(completion.get("choices")):
        yield from _filtered("output", choice)


def _filtered(side: str, holder: Any) -> Iterator[str]:
    """The categories that say of themselves that they were filtered."""
    fields = mapping(holder)
    for key in _RESULTS:
        for category, result in mapping(fields.get(key)).items():
            if mapping(result).get("filtered") is True:
                yield f"{side}: {category[:_LONGEST]}"
