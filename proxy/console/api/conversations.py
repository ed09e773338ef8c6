"""``/api/conversations``: calls that continue each other, in lists and as the tree that one of them is."""

from __future__ import annotations

from aiohttp import web

from ...clock import wall_us
from ...store.trace_view import conversation_json, trace_json
from ..answers import json_answer
from ..permissions import Permission
from ..routes import Doc, Route, get
from ..site import Site
from . import asked
from .shapes import NEXT, holding
from .trace_shape import CONVERSATION, TRACE
from .unchanged import unless_known

_LIST = {name: asked.SCOPE[name] for name in ("filter", "since", "tz")} | asked.PAGE
_STEPS = 1000
_ONE = {
    "steps": {"type": "integer", "minimum": 1, "maximum": _STEPS, "default": _STEPS, "description": "calls at most"}
}


class ConversationsApi:
    """Handlers, and what they need."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[Route]:
        """What the console answers here."""
        page = holding(conversations={"type": "array", "items": CONVERSATION}, next=NEXT)
        many = Doc(
            summary="Conversations that hold a call which matches, the last active first",
            query=_LIST,
            answer=page,
            errors=(400, 503),
        )
        one = Doc(
            summary="A conversation by its id, or by that of any of its calls: its steps, tools and sub-agents",
            query=_ONE,
            answer=TRACE,
            errors=(400, 404, 503),
        )
        return [
            get("/api/conversations", self.conversations, Permission.ROWS, audited="view", doc=many),
            get("/api/conversations/{id}", self.conversation, Permission.ROWS, audited="view", doc=one),
        ]

    async def conversations(self, request: web.Request) -> web.Response:
        """A page of them."""
        asked.check_names(request.query, _LIST)
        page = asked.asked_page(request.query)
        scope = asked.asked_scope(request.query, self._site.zone(request), wall_us())
        found = await self._site.reader(request).conversations(
            scope.where, since_us=scope.period.since_us, before=page.before, limit=page.limit
        )
        following = found[-1].id if len(found) == page.limit else None
        listed = {"conversations": [conversation_json(each) for each in found], "next": asked.cursor(page, following)}
        return unless_known(request, json_answer(listed))

    async def conversation(self, request: web.Request) -> web.Response:
        """One of them."""
        asked.check_names(request.query, _ONE)
        reader = self._site.reader(request)
        call = await reader.resolve(request.match_info["id"])
        trace = await reader.conversation(call, limit=asked.number(request.query, "steps", _STEPS, 1, _STEPS))
        return unless_known(request, json_answer(trace_json(trace)))
