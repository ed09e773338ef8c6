"""A call sent again, as it was or edited; the answer stands beside the first one."""

from __future__ import annotations

import asyncio

from aiohttp import web

from ...clock import monotonic_us
from ...errors import CallNotFound, UsageError
from ...records import Exchange, Status
from ..detail import sending
from ..detail.opened import Opened, opened
from ..permissions import Permission
from ..routes import VISITOR, Route, get, post
from ..site import Site, asked_piece
from .compare import compared
from .judging import form_fields

_WAIT_US = 5_000_000  # for the new call to be stored
_LOOK_S = 0.1


class RerunPage:
    """Handlers, and what they need."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[Route]:
        """What the console answers here."""
        return [
            get("/call/{id}/rerun", self.edit, Permission.RERUN, audited="view"),
            post("/call/{id}/rerun", self.send, Permission.RERUN, audited="rerun"),
        ]

    async def edit(self, request: web.Request) -> web.Response:
        """The form."""
        found, exchange = await self._allowed(request)
        form = await asyncio.to_thread(sending.form, exchange, self._site.config)
        return self._site.page(request, "rerun.html", call=found.call, form=form)

    async def send(self, request: web.Request) -> web.Response:
        """Send it, and show both: as a piece (``compare``), or by leading to the page that compares."""
        found, exchange = await self._allowed(request)
        fields = await form_fields(request)
        config = self._site.config
        body = await asyncio.to_thread(sending.edited, exchange, config, fields)
        key = fields.get("key", "").strip() or sending.own_key(config, exchange.begin.upstream)
        who = request[VISITOR].name
        answered = await sending.send(exchange, found.call, config, body, who=who, key=key)
        if not answered.call_id:
            raise UsageError(
                f"it was sent, and answered with {answered.status}; which call it is the relay does not say: "
                "relay.call_id_header is off"
            )
        await self._stored(request, answered.call_id)
        if asked_piece(request) == "compare":
            return await compared(self._site, request, found.call.id, answered.call_id)
        target = f"/compare?a={found.call.id}&b={answered.call_id}"
        return web.Response(status=303, headers={"Location": target})

    async def _allowed(self, request: web.Request) -> tuple[Opened, Exchange]:
        reader = self._site.reader(request)
        found = await opened(reader, request.match_info["id"], self._site.config, parse=False)
        if not await reader.may(Permission.RERUN, found.call.id):
            raise web.HTTPForbidden(text="calls of this project cannot be sent again by you")
        if found.exchange is None:
            raise UsageError(found.missing)
        return found, found.exchange

    async def _stored(self, request: web.Request, call_id: str) -> None:
        """Return when the call is stored; raise ``UsageError`` when that takes too long."""
        reader = self._site.reader(request)
        until_us = monotonic_us() + _WAIT_US
        while monotonic_us() < until_us:
            try:
                if (await reader.call(call_id)).status != Status.RUNNING:
                    return
            except CallNotFound:
                pass
            await asyncio.sleep(_LOOK_S)
        raise UsageError(f"it was sent as call {call_id}, which is not stored yet: see llmtap status")
