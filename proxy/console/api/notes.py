"""``/api/notes``: internal notes on a conversation, added, changed and taken away."""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from msgspec import Meta

from ...records import EventKind
from ...store.heard import COMMENT_CHARS
from ...store.judgements import NoteSaid
from ..permissions import Permission
from ..received import received
from ..routes import Route, delete, post, put
from ..site import Site
from .asked import asked_call
from .saying import Body, Ref, accepted, check_known, doc_of, judged, say


class NoteBody(Body, frozen=True):
    """A note on the conversation of a call."""

    call: Ref
    text: Annotated[str, Meta(min_length=1, max_length=COMMENT_CHARS)]


class NotesApi:
    """Handlers, and what they need."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[Route]:
        """What the console answers here."""
        call = {"call": {"type": "string", "description": "id of a call of the conversation", "required": True}}
        docs = [
            doc_of("Write a note", NoteBody, 404),
            doc_of("Write a note anew", NoteBody, 404),
            doc_of("Take a note away", None, 404, query=call),
        ]
        return [
            post("/api/notes", self.add, Permission.JUDGE, doc=docs[0]),
            put("/api/notes/{id}", self.change, Permission.JUDGE, doc=docs[1]),
            delete("/api/notes/{id}", self.remove, Permission.JUDGE, doc=docs[2]),
        ]

    async def add(self, request: web.Request) -> web.Response:
        """A note of one's own."""
        came: NoteBody = await received(request, NoteBody)
        call = await judged(self._site, request, came.call)
        return accepted(say(self._site, request, EventKind.NOTE, NoteSaid(call=call, text=came.text)))

    async def change(self, request: web.Request) -> web.Response:
        """Another text, by whoever may judge; what it was before stays in the history."""
        came: NoteBody = await received(request, NoteBody)
        return await self._rewritten(request, came.call, came.text)

    async def remove(self, request: web.Request) -> web.Response:
        """No text any more."""
        return await self._rewritten(request, asked_call(request.query), "")

    async def _rewritten(self, request: web.Request, ref: str, text: str) -> web.Response:
        call, note = await judged(self._site, request, ref), request.match_info["id"]
        written_on = await call_of_note(self._site, request, call, note)
        return accepted(say(self._site, request, EventKind.NOTE, NoteSaid(call=written_on, text=text, note=note)))


async def call_of_note(site: Site, request: web.Request, call: str, note: str) -> str:
    """Which call of the conversation of ``call`` a note was written on. Raises ``CallNotFound`` for one of another."""
    known = {each.id: each.call for each in (await site.reader(request).judgements(call)).notes}
    check_known(note, known, "note")
    return known.get(note, call)
