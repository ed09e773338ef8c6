"""One chunk of a streamed chat completion, read from an event's data.

Nearly every chunk has the same simple shape and is read by a typed decoder, which is quicker than
making dictionaries and passes over what nobody asked for. What it refuses is read leniently, field
by field, into the same shape.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from .json_values import Notes, count, items, kind, loads, mapping, name, text

_DONE = b"[DONE]"


class Delta(Struct, gc=False):
    """What a chunk adds to a message."""

    content: str | list[Any] | None = None
    role: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    function_call: dict[str, Any] | None = None
    audio: dict[str, Any] | None = None


class ChoiceDelta(Struct, gc=False):
    """What a chunk adds to one of n answers."""

    index: int = 0
    delta: Delta | None = None
    finish_reason: str | None = None
    logprobs: dict[str, Any] | None = None


class Chunk(Struct, gc=False):
    """One event's worth. Of ``usage``, ``x_groq`` and ``error`` the type is left open."""

    choices: list[ChoiceDelta] | None = None
    id: str | None = None
    model: str | None = None
    service_tier: str | None = None
    system_fingerprint: str | None = None
    usage: Any = None
    x_groq: Any = None
    error: Any = None


END = Chunk()  #: stands for the ``[DONE]`` that ends a stream

_typed = msgspec.json.Decoder(Chunk).decode


def read_chunk(data: bytes, notes: Notes) -> Chunk:
    """The chunk in an event's data; an empty one and a note when there is none."""
    try:
        return _typed(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    if data.strip() == _DONE:
        return END
    value = loads(data, "an event", notes)
    if value is not None and not isinstance(value, dict):
        notes.add(f"an event holds {kind(value)}, not a chunk")
    return _lenient(mapping(value), notes)


def _lenient(fields: dict[str, Any], notes: Notes) -> Chunk:
    return Chunk(
        choices=[_choice(mapping(choice), notes) for choice in items(fields.get("choices"), "choices", notes)],
        id=name(fields.get("id"), "id", notes),
        model=name(fields.get("model"), "model", notes),
        service_tier=name(fields.get("service_tier"), "service_tier", notes),
        system_fingerprint=name(fields.get("system_fingerprint"), "system_fingerprint", notes),
        usage=fields.get("usage"),
        x_groq=fields.get("x_groq"),
        error=fields.get("error"),
    )


def _choice(fields: dict[str, Any], notes: Notes) -> ChoiceDelta:
    return ChoiceDelta(
        index=count(fields.get("index"), "choice index", notes) or 0,
        delta=_delta(mapping(fields.get("delta")), notes),
        finish_reason=name(fields.get("finish_reason"), "finish_reason", notes),
        logprobs=mapping(fields.get("logprobs")),
    )


def _delta(fields: dict[str, Any], notes: Notes) -> Delta:
    content = fields.get("content")
    return Delta(
        content=content if isinstance(content, (str, list)) else None,
        role=name(fields.get("role"), "role", notes),
        reasoning_content=text(fields.get("reasoning_content")),
        reasoning=text(fields.get("reasoning")),
        refusal=text(fields.get("refusal")),
        tool_calls=[mapping(call) for call in items(fields.get("tool_calls"), "tool_calls", notes)],
        function_call=mapping(fields.get("function_call")),
        audio=mapping(fields.get("audio")),
    )
