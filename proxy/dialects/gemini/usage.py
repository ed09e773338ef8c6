"""Token counts as Gemini reports them, in the words of ``records.Usage``.

What tools put before the model is counted apart from the prompt, and thoughts apart from the answer;
both are added. Zeros may be left out of the JSON, but an absent count is still unknown here, unless
the total tells it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...records import Usage
from ..json_values import Notes, count, kind, listed, mapping
from .parts import either

_INPUT = ("promptTokenCount", "toolUsePromptTokenCount")
_OUTPUT = ("candidatesTokenCount", "thoughtsTokenCount")
_INPUT_DETAILS = ("promptTokensDetails", "toolUsePromptTokensDetails")
_OUTPUT_DETAILS = ("candidatesTokensDetails",)


def usage(reported: Any, requests: dict[str, int], notes: Notes) -> Usage | None:
    """The counts of a ``usageMetadata``, and the ``requests`` paid by use; None when there is none of either."""
    if reported is not None and not isinstance(reported, dict):
        notes.add(f"usageMetadata is {kind(reported)}, not an object")
    fields = mapping(reported)
    asked, answered = _sum(fields, _INPUT, notes), _sum(fields, _OUTPUT, notes)
    counts = Usage(
        input_tokens=asked,
        output_tokens=_rest(fields, asked, notes) if answered is None else answered,
        cached_tokens=_count(fields, "cachedContentTokenCount", notes),
        reasoning_tokens=_count(fields, "thoughtsTokenCount", notes),
        input_audio_tokens=_modality(fields, _INPUT_DETAILS, "AUDIO", notes),
        output_audio_tokens=_modality(fields, _OUTPUT_DETAILS, "AUDIO", notes),
        input_image_tokens=_modality(fields, _INPUT_DETAILS, "IMAGE", notes),
        output_image_tokens=_modality(fields, _OUTPUT_DETAILS, "IMAGE", notes),
        requests=requests,
    )
    return None if counts == Usage() else counts


def _count(fields: dict[str, Any], key: str, notes: Notes) -> int | None:
    return count(either(fields, key), key, notes)


def _sum(fields: dict[str, Any], keys: Iterable[str], notes: Notes) -> int | None:
    """Of the counts that are given; nothing when one of them cannot be read."""
    given = [_count(fields, key, notes) for key in keys if either(fields, key) is not None]
    return None if None in given else _total(given)


def _total(counts: Iterable[int | None]) -> int | None:
    known = [each for each in counts if each is not None]
    return sum(known) if known else None


def _rest(fields: dict[str, Any], asked: int | None, notes: Notes) -> int | None:
    """What the total says of an answer that has no count of its own: nothing was generated, and 0 is left out."""
    total = _count(fields, "totalTokenCount", notes)
    return None if total is None or asked is None or total < asked else total - asked


def _modality(fields: dict[str, Any], keys: Iterable[str], modality: str, notes: Notes) -> int | None:
    details = [detail for key in keys for detail in listed(either(fields, key))]
    return _total(
        _count(mapping(detail), "tokenCount", notes)
        for detail in details
        if mapping(detail).get("modality") == modality
    )
