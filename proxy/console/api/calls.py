"""``/api/calls``: lists of calls, one call with all that was said, its raw bytes, and what people think of it."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import msgspec
from aiohttp import web

from ...clock import rfc3339, wall_us
from ...errors import CallNotFound
from ...records import Call, Exchange
from ...store.base import Looked, Order
from ...store.judgements import Judgements
from ...store.view import BODY_KEYS, KEYS, selected, summary_json
from ..answers import json_answer
from ..documents import document
from ..permissions import Permission
from ..routes import Doc, Route, get
from ..scoped import ScopedReader
from ..site import Site
from . import asked
from .call_shape import CALL, LISTED_CALL
from .shapes import NEXT, holding, listing, shown
from .unchanged import unless_known

_LIST = asked.SCOPE | asked.PAGE | {"sort": asked.SORT, "fields": asked.FIELDS}
_PAGE = holding(
    calls=listing(LISTED_CALL),
    next=NEXT,
    searched_back_to={
        "type": ["string", "null"],
        "format": "date-time",
        "description": "no index knows which calls match, and time ran out here: go on with next",
    },
)
BODIES_BYTES = 64 << 20  #: of all calls of a page that shows bodies, as they crossed the relay
_BYTES = {"type": "string", "contentMediaType": "application/octet-stream"}


class CallsApi:
    """Handlers, and what they need."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[Route]:
        """What the console answers here."""
        many = Doc(summary="Calls, page by page", query=_LIST, answer=_PAGE, errors=(400, 503))
        one = Doc(summary="A call with all that was said", answer=CALL, errors=(400, 404, 503))
        request, response = (
            Doc(
                summary=f"The {side}'s body, byte for byte as it came",
                answer=_BYTES,
                media_type="application/octet-stream",
                errors=(400, 404, 503),
            )
            for side in ("request", "answer")
        )
        said = Doc(summary="What people say of a call", answer=shown(Judgements), errors=(400, 404, 503))
        view: dict[str, Any] = {"audited": "view"}
        return [
            get("/api/calls", self.calls, Permission.ROWS, doc=many, **view),
            get("/api/calls/{id}", self.call, Permission.ROWS, doc=one, **view),
            get("/api/calls/{id}/request", self.request, Permission.CONTENT, doc=request, **view),
            get("/api/calls/{id}/response", self.response, Permission.CONTENT, doc=response, **view),
            get("/api/calls/{id}/judgements", self.judgements, Permission.CONTENT, doc=said, **view),
        ]

    async def calls(self, request: web.Request) -> web.Response:
        """A page of calls; bodies only where ``fields=`` names them."""
        query = request.query
        asked.check_names(query, _LIST)
        bodies = asked.asked_bodies(query)
        page = asked.asked_page(query, asked.LIMIT_WITH_BODIES_MAX if bodies else asked.LIMIT_MAX)
        scope = asked.asked_scope(query, self._site.zone(request), wall_us())
        reader = self._site.reader(request)
        looked = await reader.look(
            scope.within, before=page.before, limit=page.limit, every=scope.every, order=page.order
        )
        if bodies:
            looked = within_bytes(looked, page.order)
        found = {
            "calls": [await self._listed(reader, call, bodies) for call in looked.calls],
            "next": asked.cursor(page, looked.next),
            "searched_back_to": None if looked.back_to_us is None else rfc3339(looked.back_to_us),
        }
        return unless_known(request, json_answer(found))

    async def _listed(self, reader: ScopedReader, call: Call, bodies: frozenset[str]) -> dict[str, Any]:
        if not bodies:
            return summary_json(call)
        whole = await document(reader, call, self._site.config)
        return selected(whole, bodies | (set(KEYS) - set(BODY_KEYS)))

    async def call(self, request: web.Request) -> web.Response:
        """One call, bodies included; a unique part of its id will do."""
        reader, call = await self._found(request)
        return unless_known(request, json_answer(await document(reader, call, self._site.config)))

    async def request(self, request: web.Request) -> web.Response:
        """What the client sent."""
        call, exchange = await self._exchange(request)
        return _bytes(request, f"{call.id}-request", exchange.request_body)

    async def response(self, request: web.Request) -> web.Response:
        """What came back, as far as it came."""
        call, exchange = await self._exchange(request)
        return _bytes(request, f"{call.id}-response", exchange.response_body)

    async def judgements(self, request: web.Request) -> web.Response:
        """Scores, reviews, corrections, comments, notes and their history."""
        reader, call = await self._found(request)
        return unless_known(request, json_answer(msgspec.to_builtins(await reader.judgements(call.id))))

    async def _found(self, request: web.Request) -> tuple[ScopedReader, Call]:
        reader = self._site.reader(request)
        return reader, await reader.call(await reader.resolve(request.match_info["id"]))

    async def _exchange(self, request: web.Request) -> tuple[Call, Exchange]:
        reader, call = await self._found(request)
        exchange = await reader.exchange(call.id)
        if exchange is None or exchange.begin.no_log:
            raise CallNotFound(f"call {call.id} has no bodies, or none that may be read")
        return call, exchange


def within_bytes(looked: Looked, order: Order, most: int = BODIES_BYTES) -> Looked:
    """As many of the first calls as have bodies of so many bytes, one at least; the rest comes with the next page."""
    sizes = accumulate((call.request_bytes or 0) + (call.response_bytes or 0) for call in looked.calls)
    kept = max(1, sum(size <= most for size in sizes))
    if kept >= len(looked.calls):
        return looked
    last = looked.calls[kept - 1]
    return Looked(calls=looked.calls[:kept], next=last.id if order is Order.NEWEST else str(last.rev))


def _bytes(request: web.Request, name: str, body: bytes) -> web.Response:
    """Bytes that somebody else wrote: for saving, never for a browser to make something of."""
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return unless_known(request, web.Response(body=body, content_type="application/octet-stream", headers=headers))
