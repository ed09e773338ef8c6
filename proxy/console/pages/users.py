"""Users: all of them, and the way of one through all conversations."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from urllib.parse import urlencode

from aiohttp import web

from ...clock import wall_us
from ...errors import UsageError
from ...query.fields import ORDERS
from ...query.spans import bins
from ...query.tree import Comparison, Filter
from ...records import Call
from ...store.base import EVERY_GROUP, Bin, Layout, ReportRow
from ...store.judgements import Score
from ...store.traces import Conversation
from ..moments import Moments
from ..narrowed import PERIODS, Narrowed, both, narrowed, page_of
from ..permissions import Permission
from ..routes import Route, get
from ..scoped import ScopedReader
from ..site import Site
from ..traces.journey import activity, days, opinions

USERS = 200  #: lines of the list; the others stand together
CONVERSATIONS = 50  #: of one page of a journey
JUDGED = 300  #: newest calls of a user that are asked for feedback
MODELS = 8
BARS = 60


class Users:
    """Handlers, and what they need."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[Route]:
        """What the console answers here."""
        return [
            get("/users", self.users, Permission.ROWS, audited="view"),
            get("/users/", self.user, Permission.ROWS, audited="view"),
            get("/users/{user}", self.user, Permission.ROWS, audited="view"),
        ]

    async def users(self, request: web.Request) -> web.Response:
        """The list: who asked, how much, and at what cost."""
        now_us, zone = wall_us(), self._site.zone(request)
        asked = narrowed(request.query, zone, now_us)
        order = request.query.get("sort", "cost")
        if order not in ORDERS:
            raise UsageError(f"sort is one of {', '.join(ORDERS)}, not {order!r}")
        rows = await self._site.reader(request).report(
            ("user",),
            asked.since_us,
            asked.where,
            zone,
            until_us=asked.until_us,
            layout=Layout(order=order, limit=USERS),
        )
        sorts = {name: f"/users?{urlencode(asked.asked | {'sort': name})}" for name in ORDERS}
        return self._site.page(
            request,
            "users.html",
            asked=asked,
            periods=tuple(PERIODS),
            rows=rows,
            order=order,
            sorts=sorts,
            at=Moments(zone, now_us),
        )

    async def user(self, request: web.Request) -> web.Response:
        """One of them."""
        name = request.match_info.get("user", request.query.get("name"))
        if name is None:
            raise web.HTTPFound("/users")
        now_us, zone = wall_us(), self._site.zone(request)
        asked = narrowed(request.query, zone, now_us)
        about = _About(self._site.reader(request), both(Comparison("user", "=", name), asked.where), asked, zone)
        at, page, before = Moments(zone, now_us), page_of("/users", name), request.query.get("before") or None
        conversations = await about.conversations(before)
        calls, scores = await about.judged()
        total = await about.total()
        edges = bins(total.first_us, now_us, zone, BARS)[1] if total and total.first_us is not None else ()
        return self._site.page(
            request,
            "user.html",
            name=name,
            asked=asked,
            periods=tuple(PERIODS),
            total=total,
            models=await about.models(),
            bars=activity(await about.activity(edges), edges, at),
            bars_since_us=edges[0] if edges else None,
            last_us=max((call.started_at_us for call in calls), default=None),
            opinions=opinions(scores.values()),
            days=days(conversations[:CONVERSATIONS], calls, scores, at),
            judged=len(calls),
            capped=len(calls) == JUDGED,
            older=_address(page, asked, conversations[CONVERSATIONS - 1].id)
            if len(conversations) > CONVERSATIONS
            else None,
            newest=_address(page, asked) if before else None,
            action=page.partition("?")[0],
            kept={"name": name} if "?" in page else {},
            clear=page,
            at=at,
        )


class _About:
    """What the store knows of one user, in a period."""

    def __init__(self, reader: ScopedReader, where: Filter | None, asked: Narrowed, zone: tzinfo) -> None:
        self._reader = reader
        self._where = where
        self._period = (asked.since_us, asked.until_us)
        self._zone = zone

    async def conversations(self, before: str | None) -> list[Conversation]:
        """One more than a page holds, when there are more."""
        return await self._reader.conversations(
            self._within(), since_us=self._period[0], before=before, limit=CONVERSATIONS + 1
        )

    async def judged(self) -> tuple[list[Call], dict[str, list[Score]]]:
        """The newest calls, and what was said of them."""
        calls = await self._reader.find(self._within(), limit=JUDGED)
        return calls, await self._reader.scores([call.id for call in calls])

    async def total(self) -> ReportRow | None:
        """All calls; None when there are none."""
        rows = await self._report(())
        return rows[0] if rows and rows[0].calls else None

    async def models(self) -> list[ReportRow]:
        """By model, the dearest first."""
        return await self._report(("model",), Layout(limit=MODELS))

    async def activity(self, edges: Sequence[int]) -> list[Bin]:
        """Calls over time."""
        return await self._reader.histogram(edges, self._period[1], self._where) if edges else []

    async def _report(self, by: Sequence[str], layout: Layout = EVERY_GROUP) -> list[ReportRow]:
        since_us, until_us = self._period
        return await self._reader.report(by, since_us, self._where, self._zone, until_us=until_us, layout=layout)

    def _within(self) -> Filter | None:
        """The filter with the period in it."""
        bounds = zip((">=", "<"), self._period, strict=True)
        return both(self._where, *(Comparison("created", op, at_us) for op, at_us in bounds if at_us is not None))


def _address(page: str, asked: Narrowed, before: str = "") -> str:
    query = urlencode(asked.asked | ({"before": before} if before else {}), errors="replace")
    return page if not query else f"{page}{'&' if '?' in page else '?'}{query}"
