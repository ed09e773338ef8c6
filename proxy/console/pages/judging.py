"""The forms of a call's page, for browsers without scripts: what was said is written down, and the page comes back.

With scripts the same goes to the API, and the page stays. Here the answer waits a moment until what was said
is stored, so that the page shows it.
"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit

import msgspec
from aiohttp import web

from ...errors import UsageError
from ...records import EventKind
from ...store.heard import COMMENT_CHARS
from ...store.judgements import NoteSaid, TagsSaid
from ..api.feedback import Feedback, understood
from ..api.notes import call_of_note
from ..api.saying import judged, say
from ..detail.judging import feedback_of, tags_of
from ..permissions import Permission
from ..routes import VISITOR, Route, post
from ..site import Site

_LOOKS = 20  # for what was said to be stored
_LOOK_S = 0.05
_FORM_BYTES = 1 << 20


class JudgingForms:
    """Handlers, and what they need."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[Route]:
        """What the console answers here."""
        return [
            post("/call/{id}/feedback", self.feedback, Permission.JUDGE),
            post("/call/{id}/notes", self.note, Permission.JUDGE),
            post("/call/{id}/tags", self.tags, Permission.JUDGE),
        ]

    async def feedback(self, request: web.Request) -> web.Response:
        """A review, a comment, an improved answer."""
        call_id = await judged(self._site, request, request.match_info["id"])
        fields = await form_fields(request)
        came = self._read(feedback_of(call_id, fields))
        said = understood(came, request[VISITOR].projects(Permission.JUDGE))
        return await self._said(request, call_id, fields, EventKind.FEEDBACK, said)

    def _read(self, said: dict[str, Any]) -> Feedback:
        try:
            return msgspec.convert(said, Feedback)
        except msgspec.ValidationError as error:
            raise UsageError(f"this cannot be taken: {error}") from None

    async def note(self, request: web.Request) -> web.Response:
        """A note: a new one, another text for one (``note``), or none (``text`` is empty)."""
        call_id = await judged(self._site, request, request.match_info["id"])
        fields = await form_fields(request)
        text, note = "" if fields.get("delete") else fields.get("text", "").strip(), fields.get("note")
        if len(text) > COMMENT_CHARS or not (text or note):
            raise UsageError(f"text: write from 1 to {COMMENT_CHARS:,} characters")
        written_on = await call_of_note(self._site, request, call_id, note) if note else call_id
        said = NoteSaid(call=written_on, text=text, note=note or None)
        return await self._said(request, call_id, fields, EventKind.NOTE, said)

    async def tags(self, request: web.Request) -> web.Response:
        """Tags to put on, or to take off."""
        call_id = await judged(self._site, request, request.match_info["id"])
        fields = await form_fields(request)
        said = TagsSaid(call=call_id, add=tags_of(fields.get("add", "")), remove=tags_of(fields.get("remove", "")))
        if not (said.add or said.remove):
            raise UsageError("add: name a tag")
        return await self._said(request, call_id, fields, EventKind.TAGS, said)

    async def _said(
        self, request: web.Request, call_id: str, fields: dict[str, str], kind: EventKind, said: msgspec.Struct
    ) -> web.Response:
        reader = self._site.reader(request)
        before = len((await reader.judgements(call_id)).history)
        say(self._site, request, kind, said)
        for _ in range(_LOOKS):
            if len((await reader.judgements(call_id)).history) > before:
                break
            await asyncio.sleep(_LOOK_S)
        return web.Response(status=303, headers={"Location": way_back(fields, call_id)})


async def form_fields(request: web.Request) -> dict[str, str]:
    """The texts of a form that was sent. Raises 413 for a long one, and ``UsageError`` for files."""
    if (request.content_length or 0) > _FORM_BYTES:
        raise web.HTTPRequestEntityTooLarge(max_size=_FORM_BYTES, actual_size=request.content_length or 0)
    came: Any = await request.post()
    if not all(isinstance(value, str) for value in came.values()):
        raise UsageError("this form takes texts, not files")
    return dict(came)


def way_back(fields: dict[str, str], call_id: str) -> str:
    """Where the form came from, when that is a page of ours; else the call's page."""
    asked = fields.get("back", "")
    parts = urlsplit(asked)
    ours = asked.startswith("/") and not asked.startswith(("//", "/\\")) and not parts.netloc and asked.isprintable()
    return asked if ours else f"/call/{call_id}"
