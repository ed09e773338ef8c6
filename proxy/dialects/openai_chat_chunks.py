"""One chunk of a streamed chat completion, read from an event's data.

Nearly every chunk has the same simple shape and is read by a typed decoder, which is quicker than
making dictionaries and passes over what nobody asked for. What it refuses is read leniently, field
by field, into the same shape. What a chunk says of the whole answer (its id, its model) is read
apart, because one or two chunks tell it for all.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from .json_values import Notes, count, items, kind, loads, mapping, name

_DONE = b"[DONE]"


class ChoiceDelta(Struct, gc=False):
    """What a chunk adds to one of n answers."""

    index: int = 0
    delta: dict[str, Any] | None = None
    finish_reason: str | None = None
    logprobs: dict[str, Any] | None = None


class Chunk(Struct, gc=False):
    """One event's worth. Of ``usage``, ``x_groq`` and ``error`` the type is left open."""

    choices: list[ChoiceDelta] | None = None
    usage: Any = None
    x_groq: Any = None
    error: Any = None


END = Chunk()  #: stands for the ``[DONE]`` that ends a stream
HEAD = ("id", "model", "service_tier", "system_fingerprint")

_typed = msgspec.json.Decoder(Chunk).decode
_REFUSALS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def read_chunk(data: bytes, notes: Notes) -> Chunk:
    """The chunk in an event's data; an empty one and a note when there is none."""
    try:
        return _typed(data)
    except _REFUSALS:
        return END if data.strip() == _DONE else _lenient(data, notes)


def read_head(data: bytes) -> dict[str, Any]:
    """What the chunk in an event's data says of the whole answer, as far as it says it."""
    fields = mapping(loads(data, "an event", Notes()))
    return {key: fields[key] for key in HEAD if fields.get(key)}


def _lenient(data: bytes, notes: Notes) -> Chunk:
    value = loads(data, "an event", notes)
    if value is not None and not isinstance(value, dict):
        notes.add(f"an event holds {kind(value)}, not a chunk")
    fields = mapping(value)
    return Chunk(
        choices=[_choice(mapping(choice), notes) for choice in items(fields.get("choices"), "choices", notes)],
        usage=fields.get("usage"),
        x_groq=fields.get("x_groq"),
        error=fields.get("error"),
    )


def _choice(fields: dict[str, Any], notes: Notes) -> ChoiceDelta:
    return ChoiceDelta(
        index=count(fields.get("index"), "choice index", notes) or 0,
        delta=mapping(fields.get("delta")),
        finish_reason=name(fields.get("finish_reason"), "finish_reason", notes),
        logprobs=mapping(fields.get("logprobs")),
    )
