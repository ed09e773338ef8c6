"""How what somebody says gets into the journal, and under whose name. It waits for no store."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from ...clock import id_text, wall_us
from ...errors import CallNotFound
from ...records import EventKind
from ..answers import json_answer
from ..permissions import BY_TOKEN, Permission, Visitor
from ..routes import VISITOR, Doc
from ..site import Site
from .shapes import JSON

UUID = r"^[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}$"
CallId = Annotated[str, Meta(pattern=UUID, description="id of a call, in full")]
Ref = Annotated[str, Meta(min_length=1, max_length=200, description="id of a call, or a unique part of one")]
TagName = Annotated[str, Meta(min_length=1, max_length=200)]
Tags = Annotated[tuple[TagName, ...], Meta(max_length=100)]

_FRESH_US = 60_000_000

ACCEPTED = {
    "type": "object",
    "required": ["ids"],
    "properties": {"ids": {"type": "array", "items": {"type": "string", "format": "uuid"}}},
    "description": "the ids of what was said, in its order; it is stored within a moment",
}


def doc_of(summary: str, body: Any = None, *errors: int, query: JSON | None = None) -> Doc:
    """The document's part on a route that something is said to; ``errors``: besides those that all have."""
    usual = (400, 503) if body is None else (400, 413, 415, 422, 503)
    schema = None if body is None else msgspec.json.schema(body)
    return Doc(summary=summary, body=schema, query=query or {}, answer=ACCEPTED, status=202, errors=(*usual, *errors))


class Body(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """JSON that comes in: keys that nobody knows are mistakes."""


def say(site: Site, request: web.Request, kind: EventKind, said: Struct, author: str = "") -> str:
    """Write down what was said, under ``author`` or the visitor's name; its id. Raises ``StoreError``."""
    return id_text(site.recorder.append(kind, author or request[VISITOR].name, said).id)


def accepted(*ids: str) -> web.Response:
    """202: written down, and stored soon."""
    return json_answer({"ids": list(ids)}, 202)


def spoken_for(visitor: Visitor, author: str | None) -> str:
    """Under whose name a visitor speaks. People only for themselves; programs for their users, and say for whom.

    A program's name stands before its user's: it must not overwrite what a person of that name said here.
    """
    if not author or not visitor.program:
        return visitor.name
    return f"{visitor.name}/{author}" if visitor.name.startswith(BY_TOKEN) else author


async def judged(site: Site, request: web.Request, ref: str) -> str:
    """The full id of a call that the visitor may judge. Raises ``CallNotFound``, and 403 for one that is only seen."""
    reader = site.reader(request)
    call_id = await reader.resolve(ref)
    if not await reader.may(Permission.JUDGE, call_id):
        raise web.HTTPForbidden(text=f"calls of this project cannot be judged by {request[VISITOR].name}")
    return call_id


def check_known(ref: str, known: dict[str, Any], what: str) -> None:
    """Raise ``CallNotFound`` for what was neither stored nor said a moment ago, and may be on its way."""
    if ref not in known and not _fresh(ref):
        raise CallNotFound(f"there is no {what} {ref!r}")


def _fresh(ref: str) -> bool:
    """Whether a UUIDv7 was made within the last minute."""
    digits = ref.replace("-", "")[:12]
    try:
        return abs(wall_us() - int(digits, 16) * 1000) < _FRESH_US
    except ValueError:
        return False
