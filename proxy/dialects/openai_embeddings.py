"""Embeddings, as OpenAI defined them and as vLLM, Voyage, Jina, Mistral and others serve them.

The vectors are counted and passed over, not turned into values: thousands of numbers that nobody
reads here.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from ..records import Parsed, evolve
from .base import Bodies
from .identity import identity
from .json_values import Notes, loads, mapping, name, writable
from .openai_charges import cost_nano_usd
from .openai_usage import usage
from .plain import Answered, answered_with, asked, texts


class _Vector(Struct):
    """One result; where the vector stands is of no interest."""


class _Answer(Struct):
    """An answer without its vectors. An error has no ``data``."""

    data: list[_Vector]
    model: Any = None
    usage: Any = None
    id: Any = None
    error: Any = None


_decode = msgspec.json.Decoder(_Answer).decode


class OpenAIEmbeddings:
    """The dialect of paths that end in ``/embeddings``."""

    name = "openai_embeddings"

    def parse(self, bodies: Bodies) -> Parsed:
        """Read both halves; unknown is None."""
        notes = Notes(bodies.notes)
        request = asked(bodies, notes)
        parsed = Parsed(
            stream=False if request else None,
            model_requested=name(request.get("model"), "model", notes),
            input=texts(request.get("input"), "input", notes),
            identity=identity(request, notes),
        )
        if bodies.response or bodies.http_status is not None:
            parsed = _read_answer(parsed, *_without_vectors(bodies, notes), notes)
        return evolve(parsed, notes=notes.all())


def _without_vectors(bodies: Bodies, notes: Notes) -> tuple[Answered, int | None]:
    """What an answer says, and how many vectors it holds."""
    try:
        answer = _decode(bodies.response)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        value = loads(bodies.response, "the answer", notes) if bodies.response.strip() else None
        vectors = mapping(value).get("data")
        return answered_with(value, bodies), len(vectors) if isinstance(vectors, list) else None
    fields = {field: getattr(answer, field) for field in ("model", "usage", "id", "error")}
    return answered_with(fields, bodies), len(answer.data)


def _read_answer(parsed: Parsed, answer: Answered, results: int | None, notes: Notes) -> Parsed:
    fields, failed = answer.fields, answer.failed
    reported = fields.get("usage")
    return evolve(
        parsed,
        model=name(fields.get("model"), "model of the answer", notes),
        usage=usage(reported, notes) or _total(reported, notes),
        usage_raw=writable(reported, "usage", notes),
        response_id=name(fields.get("id"), "id", notes),
        cost_nano_usd=cost_nano_usd(reported, notes),
        results=results,
        error_type=failed.type if failed else None,
        error_message=failed.message if failed else None,
        terminal=answer.terminal,
    )


def _total(reported: Any, notes: Notes) -> Any:
    """Voyage gives the total alone, and all of it is input."""
    return usage({"prompt_tokens": mapping(reported).get("total_tokens")}, notes)
