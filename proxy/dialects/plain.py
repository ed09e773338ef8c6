"""What dialects of one JSON object in and one JSON object out have in common."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from ..records import ContentPart, Message
from .base import Bodies
from .failures import Failure, failure, page
from .json_values import Notes, items, kind, loads, mapping


class Answered(Struct, frozen=True, kw_only=True):
    """An answer that came whole."""

    value: Any  #: as it came
    fields: dict[str, Any]  #: of an object
    failed: Failure | None
    terminal: bool  #: it is JSON from its first byte to its last


def asked(bodies: Bodies, notes: Notes) -> dict[str, Any]:
    """The object that a request is; an empty one, and a note, for anything else."""
    value = loads(bodies.request, "the request", notes) if bodies.request else None
    if value is not None and not isinstance(value, dict):
        notes.add(f"the request is {kind(value)}, not an object")
    return mapping(value)


def answered(bodies: Bodies, notes: Notes) -> Answered:
    """The object that an answer is, and the failure that it tells of."""
    value = loads(bodies.response, "the answer", notes) if bodies.response and not bodies.response.isspace() else None
    return answered_with(value, bodies)


def answered_with(value: Any, bodies: Bodies) -> Answered:
    """The same of a value that was read already."""
    failed = failure(value, bodies.response, bodies.http_status)
    return Answered(
        value=value,
        fields=mapping(value),
        failed=failed or page(bodies.response),
        terminal=isinstance(value, (dict, list)),
    )


def texts(value: Any, what: str, notes: Notes) -> tuple[Message, ...]:
    """What was sent to be worked on, as messages of the user: a text, texts, the ids of tokens, or lists of them."""
    if isinstance(value, str):
        return (said(value),)
    if isinstance(value, list) and value and all(isinstance(token, int) for token in value):
        return (_tokens(value),)
    return tuple(_input(each, what, notes) for each in items(value, what, notes))


def _input(value: Any, what: str, notes: Notes) -> Message:
    if isinstance(value, str):
        return said(value)
    return _tokens(value if isinstance(value, list) else items(value, what, notes))


def said(text: str, role: str = "user") -> Message:
    """A message of one text."""
    return Message(role=role, parts=(ContentPart(type="text", text=text),) if text else ())


def _tokens(ids: list[Any]) -> Message:
    return Message(role="user", parts=(ContentPart(type="other", name=f"{len(ids)} token ids"),))
