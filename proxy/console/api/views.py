"""``/api/views``: filters, columns and periods that were saved under a name, for everybody."""

from __future__ import annotations

from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from ...records import EventKind
from ...store.judgements import View, ViewSaid
from ..answers import json_answer
from ..permissions import Permission
from ..received import received
from ..routes import Doc, Route, delete, get, post, put
from ..site import Site
from .saying import Body, accepted, check_known, doc_of, say
from .shapes import listed

_NOWHERE = "/"


class ViewBody(Body, frozen=True):
    """A page of the console in a state that is worth a name."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    page: Annotated[
        str,
        Meta(pattern=r"^/(?![/\\])[^?#\s]*$", max_length=200, description="path of a page, such as / or /review"),
    ]
    query: Annotated[
        str, Meta(pattern=r"^[^?#\s]*$", max_length=8000, description="of its address, without the question mark")
    ] = ""


class ViewsApi:
    """Handlers, and what they need."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[Route]:
        """What the console answers here."""
        every = Doc(summary="Saved views, by name", answer=listed("views", View), errors=(503,))
        save = doc_of("Save a view", ViewBody)
        change = doc_of("Change a view", ViewBody, 404)
        remove = doc_of("Forget a view", None, 404)
        return [
            get("/api/views", self.views, Permission.ROWS, doc=every),
            post("/api/views", self.save, Permission.JUDGE, doc=save),
            put("/api/views/{id}", self.change, Permission.JUDGE, doc=change),
            delete("/api/views/{id}", self.remove, Permission.JUDGE, doc=remove),
        ]

    async def views(self, request: web.Request) -> web.Response:
        """Everybody's."""
        found = await self._site.reader(request).views()
        return json_answer({"views": [msgspec.to_builtins(view) for view in found]})

    async def save(self, request: web.Request) -> web.Response:
        """Under a new id."""
        came: ViewBody = await received(request, ViewBody)
        return self._said(request, ViewSaid(name=came.name, page=came.page, query=came.query))

    async def change(self, request: web.Request) -> web.Response:
        """Its name, and what it shows."""
        came: ViewBody = await received(request, ViewBody)
        view = await self._known(request)
        return self._said(request, ViewSaid(name=came.name, page=came.page, query=came.query, view=view))

    async def remove(self, request: web.Request) -> web.Response:
        """For everybody."""
        view = await self._known(request)
        return self._said(request, ViewSaid(name="", page=_NOWHERE, query="", view=view, deleted=True))

    def _said(self, request: web.Request, said: ViewSaid) -> web.Response:
        return accepted(say(self._site, request, EventKind.VIEW, said))

    async def _known(self, request: web.Request) -> str:
        view = request.match_info["id"]
        check_known(view, {each.id: each for each in await self._site.reader(request).views()}, "view")
        return view
