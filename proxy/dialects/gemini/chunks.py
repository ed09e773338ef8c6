"""One chunk of a streamed Gemini answer: an event's data, or an element of an array.

Nearly every chunk has the same simple shape and is read by a typed decoder, which is quicker than
making dictionaries and passes over what nobody asked for. What it refuses is read leniently, field
by field, into the same shape.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from ..json_values import Notes, count, items, kind, loads, mapping, name
from ..runs import PROBE, PROBE_OBJECT, Form, form_around
from .parts import either

_DONE = b"[DONE]"  # no part of the format, but some gateways send it


class Content(Struct, gc=False):
    """What a chunk adds to one candidate's answer."""

    parts: list[dict[str, Any]] | None = None


class Candidate(Struct, gc=False, rename="camel"):
    """One of n answers. What is said beside the content is left as it came."""

    index: int = 0
    content: Content | None = None
    finish_reason: str | None = None
    safety_ratings: Any = None
    grounding_metadata: Any = None
    citation_metadata: Any = None
    url_context_metadata: Any = None
    logprobs_result: Any = None


class Chunk(Struct, gc=False, rename="camel"):
    """One chunk's worth. Of ``usage_metadata``, ``prompt_feedback`` and ``error`` the type is left open."""

    candidates: list[Candidate] | None = None
    usage_metadata: Any = None
    prompt_feedback: Any = None
    model_version: str | None = None
    response_id: str | None = None
    error: Any = None


#: What stands beside a candidate's content, by attribute and by its name on the wire.
BESIDE = (
    ("safety_ratings", "safetyRatings"),
    ("grounding_metadata", "groundingMetadata"),
    ("citation_metadata", "citationMetadata"),
    ("url_context_metadata", "urlContextMetadata"),
    ("logprobs_result", "logprobsResult"),
)


class _Counted(Struct, gc=False, rename="camel"):
    """Where a chunk counts tokens."""

    usage_metadata: Raw = Raw()


_typed = msgspec.json.Decoder(Chunk).decode
_counted = msgspec.json.Decoder(_Counted).decode
_REFUSALS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def read_chunk(data: bytes, notes: Notes) -> Chunk:
    """The chunk in an event's data; an empty one and a note when there is none."""
    try:
        return _typed(data)
    except _REFUSALS:
        return Chunk() if not data or data.strip() == _DONE else _lenient(data, notes)


class Spoken(Struct, gc=False):
    """A chunk that brings one text."""

    index: int  #: of its candidate
    part: dict[str, Any]


def spoken(chunk: Chunk) -> Spoken | None:
    """A chunk as one that brings one text; None when it brings none, or several parts."""
    candidates = chunk.candidates or []
    content = candidates[0].content if len(candidates) == 1 else None
    parts = (content and content.parts) or []
    text = parts[0].get("text") if len(parts) == 1 else None
    return Spoken(candidates[0].index, parts[0]) if text and isinstance(text, str) else None


def form_of(data: bytes, chunk: Chunk, said: Spoken) -> Form | None:
    """The form of a chunk that brings a text, may count tokens, and does nothing else that matters."""
    if said.part["text"] == PROBE or chunk.usage_metadata == PROBE_OBJECT:
        return None
    try:
        usage = bytes(_counted(data).usage_metadata)
        form = form_around(data, "text", usage)
        tried = _typed(form.trial()) if form else None
    except _REFUSALS:
        return None
    looked_for = Chunk(
        candidates=[Candidate(index=said.index, content=Content(parts=[said.part | {"text": PROBE}]))],
        usage_metadata=PROBE_OBJECT if usage else None,
        model_version=chunk.model_version,
        response_id=chunk.response_id,
    )
    return form if tried == looked_for else None


def _lenient(data: bytes, notes: Notes) -> Chunk:
    value = loads(data, "a chunk", notes)
    if value is not None and not isinstance(value, dict):
        notes.add(f"a chunk is {kind(value)}, not an object")
    fields = mapping(value)
    return Chunk(
        candidates=[_candidate(mapping(item), notes) for item in items(fields.get("candidates"), "candidates", notes)],
        usage_metadata=either(fields, "usageMetadata"),
        prompt_feedback=either(fields, "promptFeedback"),
        model_version=name(either(fields, "modelVersion"), "modelVersion", notes),
        response_id=name(either(fields, "responseId"), "responseId", notes),
        error=fields.get("error"),
    )


def _candidate(fields: dict[str, Any], notes: Notes) -> Candidate:
    content = mapping(fields.get("content"))
    return Candidate(
        index=count(fields.get("index"), "candidate index", notes) or 0,
        content=Content(parts=[mapping(part) for part in items(content.get("parts"), "parts", notes)]),
        finish_reason=name(either(fields, "finishReason"), "finishReason", notes),
        **{attribute: either(fields, key) for attribute, key in BESIDE},
    )
