"""Answers that hold embeddings: how many, and what is said beside them.

A vector is thousands of numbers that nobody reads here. They are passed over, not turned into
values, which would take many times the memory of their text.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from .json_values import Notes, loads, mapping


class Embedded(Struct, frozen=True):
    """What an answer holds."""

    value: Any  #: the JSON value of the answer, without the vectors; None when it has none
    results: int | None  #: number of vectors; None when there is no place for any


class _Answer(Struct):
    """Vectors under the names that Gemini and Ollama give them, and what stands beside them."""

    embedding: Raw = Raw(b"")
    embeddings: list[Raw] | None = None
    model: Any = None
    error: Any = None
    usageMetadata: Any = None  # noqa: N815 the name on the wire
    prompt_eval_count: Any = None
    total_duration: Any = None
    load_duration: Any = None


_VECTORS = ("embedding", "embeddings")
_BESIDE = tuple(name for name in _Answer.__struct_fields__ if name not in _VECTORS)
_EMPTY = (b"", b"null", b"[]", b"{}")
_decode = msgspec.json.Decoder(_Answer).decode


def embedded(body: bytes, notes: Notes) -> Embedded:
    """Read the answer, as far as it is one."""
    try:
        answer = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _lenient(body, notes)
    beside = {name: said for name in _BESIDE if (said := getattr(answer, name)) is not None}
    if answer.embeddings is not None:
        return Embedded(beside, len(answer.embeddings))
    if bytes(answer.embedding) in _EMPTY:
        return _lenient(body, notes)
    return Embedded(beside, 1)


def _lenient(body: bytes, notes: Notes) -> Embedded:
    """The whole value, whatever it is: an error of any shape, or vectors that hold what is no JSON."""
    value = loads(body, "the answer", notes) if body.strip() else None
    fields = mapping(value)
    many, one = fields.get("embeddings"), fields.get("embedding")
    results = len(many) if isinstance(many, list) else None if one is None else 1 if one else 0
    beside = {name: said for name, said in fields.items() if name not in _VECTORS}
    return Embedded(beside if isinstance(value, dict) else value, results)
