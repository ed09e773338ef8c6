"""One call: its figures and what was said."""

from __future__ import annotations

import asyncio

from aiohttp import web

from ...records import Exchange, Parsed
from ..documents import understood
from ..permissions import Permission
from ..routes import Route, get
from ..site import Site

_MESSAGES_MAX = 200  #: of a conversation's end


class CallPage:
    """Handlers, and what they need."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[Route]:
        """What the console answers here."""
        return [get("/call/{id}", self.call, Permission.ROWS, audited="view")]

    async def call(self, request: web.Request) -> web.Response:
        """The page."""
        reader = self._site.reader(request)
        call = await reader.call(await reader.resolve(request.match_info["id"]))
        exchange = await reader.exchange(call.id)
        parsed = await self._parsed(exchange)
        return self._site.page(request, "call.html", call=call, exchange=exchange, parsed=parsed, most=_MESSAGES_MAX)

    async def _parsed(self, exchange: Exchange | None) -> Parsed:
        if exchange is None:
            return Parsed()
        return await asyncio.to_thread(understood, exchange, self._site.config)
