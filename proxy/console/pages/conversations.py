"""The list of conversations: runs of agents and chats, the last active first."""

from __future__ import annotations

from urllib.parse import urlencode

from aiohttp import web

from ...clock import wall_us
from ...query.tree import Comparison
from ..moments import Moments
from ..narrowed import PERIODS, Narrowed, both, narrowed
from ..permissions import Permission
from ..routes import Route, get
from ..site import Site

ROWS = 100


class Conversations:
    """Handlers, and what they need."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[Route]:
        """What the console answers here."""
        return [get("/conversations", self.conversations, Permission.ROWS, audited="view")]

    async def conversations(self, request: web.Request) -> web.Response:
        """The page."""
        now_us, zone = wall_us(), self._site.zone(request)
        asked = narrowed(request.query, zone, now_us)
        before = request.query.get("before") or None
        found = await self._site.reader(request).conversations(
            both(asked.where, _in_period(asked)), since_us=asked.since_us, before=before, limit=ROWS + 1
        )
        shown = found[:ROWS]
        return self._site.page(
            request,
            "conversations.html",
            asked=asked,
            periods=tuple(PERIODS),
            conversations=shown,
            older=_address(asked, shown[-1].id) if len(found) > ROWS else None,
            newest=_address(asked) if before else None,
            at=Moments(zone, now_us),
        )


def _in_period(asked: Narrowed) -> Comparison | None:
    """What ``since_us`` cannot say: a conversation has a call in the period, where that ends before now."""
    if asked.until_us is None:
        return None
    if asked.since_us is None:
        return Comparison("created", "<", asked.until_us)
    return Comparison("created", "between", (asked.since_us, asked.until_us - 1))


def _address(asked: Narrowed, before: str = "") -> str:
    query = asked.asked | ({"before": before} if before else {})
    return f"/conversations?{urlencode(query)}" if query else "/conversations"
