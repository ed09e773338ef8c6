"""``/api`` and ``/api/openapi.json``: what the API is, for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from ..answers import json_answer
from ..routes import KNOWN, Route, get
from ..site import Site
from .openapi import described, document, needed
from .unchanged import unless_known


class ReferenceApi:
    """Made with the routes that it describes."""

    def __init__(self, site: Site, routes: Sequence[Route]) -> None:
        self._site = site
        self._described = described(routes)
        self._document = document(routes)

    def routes(self) -> list[Route]:
        """What the console answers here."""
        return [get("/api", self.page, KNOWN), get("/api/openapi.json", self.openapi, KNOWN)]

    async def openapi(self, request: web.Request) -> web.Response:
        """The document."""
        return unless_known(request, json_answer(self._document))

    async def page(self, request: web.Request) -> web.Response:
        """The same, in short."""
        lines = [
            {
                "method": route.method,
                "path": route.path,
                "needs": needed(route).removeprefix("needs the permission "),
                "doc": doc,
            }
            for route, doc in self._described
        ]
        return self._site.page(request, "api.html", lines=lines, base=str(request.url.origin()))
