"""Moderations: texts and images in, a verdict on each out.

The verdict is the answer, and is shown as one: ``flagged: violence, hate`` or ``not flagged``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..records import Choice, Message, Parsed, evolve
from .base import Bodies
from .identity import identity
from .json_values import Notes, items, mapping, name, writable
from .openai_chat.parts import content_parts
from .openai_usage import usage
from .plain import answered, asked, said, texts

_MOST = 1000
_LONGEST = 60


class OpenAIModerations:
    """The dialect of paths that end in ``/moderations``."""

    name = "openai_moderations"

    def parse(self, bodies: Bodies) -> Parsed:
        """Read both halves; unknown is None."""
        notes = Notes(bodies.notes)
        request = asked(bodies, notes)
        parsed = Parsed(
            stream=False if request else None,
            model_requested=name(request.get("model"), "model", notes),
            input=_inputs(request.get("input"), notes),
            identity=identity(request, notes),
        )
        if bodies.response or bodies.http_status is not None:
            parsed = _read_answer(parsed, bodies, notes)
        return evolve(parsed, notes=notes.all())


def _inputs(value: Any, notes: Notes) -> tuple[Message, ...]:
    """A text, texts, or the parts of one message."""
    if isinstance(value, list) and any(isinstance(part, dict) for part in value):
        return (Message(role="user", parts=content_parts(value, notes)),)
    return texts(value, "input", notes)


def _read_answer(parsed: Parsed, bodies: Bodies, notes: Notes) -> Parsed:
    answer = answered(bodies, notes)
    fields, failed = answer.fields, answer.failed
    results = fields.get("results")
    verdicts = items(results, "results", notes)
    choices = tuple(
        Choice(index=index, message=said(_verdict(mapping(verdict)), "assistant"))
        for index, verdict in enumerate(verdicts[:_MOST])
    )
    return evolve(
        parsed,
        model=name(fields.get("model"), "model of the answer", notes),
        output=_verdict(mapping(verdicts[0])) if verdicts else None,
        choices=choices,
        usage=usage(fields.get("usage"), notes),
        usage_raw=writable(fields.get("usage"), "usage", notes),
        response_id=name(fields.get("id"), "id", notes),
        results=(len(results) if isinstance(results, list) else 0) if "results" in fields else None,
        error_type=failed.type if failed else None,
        error_message=failed.message if failed else None,
        terminal=answer.terminal,
    )


def _verdict(result: dict[str, Any]) -> str:
    """Mistral has no ``flagged``: there the categories say it."""
    flagged = list(_flagged(result))
    if flagged or result.get("flagged") is True:
        return f"flagged: {', '.join(flagged)}" if flagged else "flagged"
    return "not flagged" if result else ""


def _flagged(result: dict[str, Any]) -> Iterator[str]:
    for category, found in mapping(result.get("categories")).items():
        if found is True:
            yield category[:_LONGEST]
