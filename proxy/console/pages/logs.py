"""The logs: the newest calls, live, narrowed by filters; what to do before the first one.

The page holds its rows, so that it can be read before any script runs. Chart and facets come with it where
sums answer for them, else as pieces that are asked for afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web
from msgspec import Struct, to_builtins

from ...clock import wall_us
from ...errors import CallNotFound, QueryError, UsageError
from ...query.parse import MAX_LENGTH
from ...records import Call, EventKind
from ...store.judgements import ViewSaid
from ..answers import json_answer
from ..health import look, relay_url
from ..logs.chart import Chart, charted
from ..logs.columns import COLUMNS, OFFERED, Column, Seen, chosen, column, rows_of, without_empty
from ..logs.completion import asked, options
from ..logs.facets import faceted
from ..logs.known import known_to
from ..logs.listing import Listed, listed
from ..logs.state import ERRORS, State, read, within
from ..logs.stream import streamed
from ..logs.terms import Terms, term
from ..logs.warnings import warnings
from ..moments import Moments
from ..narrowed import PERIODS, Narrowed
from ..permissions import Permission
from ..routes import Route, get, post
from ..site import Site, asked_piece

COOKIE = "llmtap_cols"
_YEAR_S = 31_536_000
_WORD = re.compile(r"[\w.]+|\S?")
_NAME_MAX = 80  #: characters of a view's name


class Shown(Struct, frozen=True):
    """A page of the list, what was asked, and the visitor's clock."""

    page: Listed
    meant: Narrowed
    moments: Moments
    now_us: int


class Logs:
    """Handlers, and what they need."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[Route]:
        """What the console answers here."""
        return [
            get("/", self.start, Permission.ROWS, audited="view"),
            get("/live", self.live, Permission.ROWS, audited="view"),
            get("/complete", self.complete, Permission.ROWS),
            post("/views", self.save, Permission.JUDGE),
        ]

    async def start(self, request: web.Request) -> web.Response:
        """The page, or its piece ``chart`` or ``facets``."""
        if "col" in request.query:
            return _remembered(request)
        state, now_us = read(request.query), wall_us()
        reader = self._site.reader(request)
        rev = await reader.latest_rev()  # before the list: what comes meanwhile is told by the tail
        try:
            meant = state.meant(self._site.zone(request), now_us)
            page = await listed(reader, state, meant)
        except UsageError as error:
            return await self._mistaken(request, state, error)
        shown = Shown(page, meant, Moments(self._site.zone(request), now_us), now_us)
        if asked_piece(request) == "facets":
            found = await faceted(reader, page, meant)
            return self._site.page(request, "pieces/facets.html", facets=found, moments=shown.moments)
        if asked_piece(request) == "chart":
            chart = await self._chart(request, shown, patient=True)
            return self._site.page(request, "pieces/chart.html", chart=chart, moments=shown.moments)
        return await self._whole(request, shown, rev)

    async def _chart(self, request: web.Request, shown: Shown, *, patient: bool) -> Chart | None:
        zone, reader = self._site.zone(request), self._site.reader(request)
        return await charted(reader, shown.page, shown.meant, zone, shown.now_us, patient=patient)

    async def _whole(self, request: web.Request, shown: Shown, rev: int) -> web.Response:
        page, reader = shown.page, self._site.reader(request)
        scores = await reader.scores([call.id for call in page.calls])
        seen = Seen(shown.moments, scores, Terms(page.state.q))
        usual = not (page.state.cols or request.cookies.get(COOKIE))
        columns: Sequence[Column] = _columns(request, page.state)
        rows = rows_of(page.calls, columns, seen)
        if usual:
            columns, rows = without_empty(columns, rows)
        live = page.state.url(cols=",".join(each.key for each in columns), sel="", tab="")
        processes = look(self._site.config.data_dir, ["relay-0", "ingest"])
        values: dict[str, Any] = {
            "error": None,
            "page": page,
            "meaning": shown.meant.sentence,
            "columns": columns,
            "rows": rows,
            "chart": await self._chart(request, shown, patient=False),
            "facets": await faceted(reader, page, shown.meant) if page.state.facets else None,
            "moments": shown.moments,
            "live": f"/live{live[1:]}",
            "rev": rev,
            "warnings": warnings(processes, page.behind, page.problems),
        }
        return self._site.page(request, "logs.html", **values, **await self._around(request, page.state))

    async def _mistaken(self, request: web.Request, state: State, error: UsageError) -> web.Response:
        """The page of a filter that cannot be understood: what is wrong with it, and where."""
        column = error.column if isinstance(error, QueryError) else None
        word = _WORD.match(state.q, column - 1) if column else None
        said: dict[str, Any] = {"error": str(error), "column": column, "wrong": word[0] if word else ""}
        return self._site.page(request, "logs.html", status=400, **said, **await self._around(request, state))

    async def _around(self, request: web.Request, state: State) -> dict[str, Any]:
        """What stands around the list, whatever is in it."""
        terms = Terms(state.q)
        errors_only = terms.has(ERRORS)
        chosen_now = [each.key for each in _columns(request, state)]
        offered = dict.fromkeys([*chosen_now, *COLUMNS, *OFFERED])
        return {
            "state": state,
            "periods": [*PERIODS, ""],
            "errors_only": errors_only,
            "errors_url": state.url(q=terms.without(ERRORS) if errors_only else terms.only(ERRORS)),
            "errors_term": term(ERRORS),
            "views": [view for view in await self._site.reader(request).views() if view.page == "/"],
            "chosen_now": chosen_now,
            "offered": [column(name) for name in offered],
            "base_url": relay_url(self._site.config),
        }

    async def live(self, request: web.Request) -> web.StreamResponse:
        """Rows of calls that come, as server-sent events: ``rows``, or ``reload`` for who cannot keep up."""
        state, zone = read(request.query), self._site.zone(request)
        meant = within(state.meant(zone, wall_us()))
        columns, reader = chosen(state.cols), self._site.reader(request)
        await reader.among((), meant)  # what may not be asked is refused before the stream begins
        following = self._site.live.follow(self._site.visitor(request), meant, after_rev=_rev(request))

        async def rows(calls: Sequence[Call]) -> str:
            seen = Seen(Moments(zone, wall_us()), await reader.scores([call.id for call in calls]), Terms(state.q))
            made = rows_of(calls, columns, seen)
            return self._site.rendered("pieces/call_rows.html", rows=made, columns=columns, state=state)

        return await streamed(request, following, rows)

    async def complete(self, request: web.Request) -> web.Response:
        """What can be written at a place of a filter."""
        text = request.query.get("q", "")[:MAX_LENGTH]
        at = request.query.get("at", "")
        wanted = asked(text, min(int(at), len(text)) if at.isascii() and at.isdigit() and len(at) < 9 else len(text))
        known = await known_to(self._site.reader(request), wanted)
        return json_answer({"start": wanted.start, "end": wanted.end, "options": to_builtins(options(wanted, known))})

    async def save(self, request: web.Request) -> web.Response:
        """Save what the address says under a name, or let a view go; back to the logs."""
        form = await request.post()
        name, query = (str(form.get(key, "")).strip() for key in ("name", "query"))
        if not 0 < len(name) <= _NAME_MAX:
            raise UsageError(f"name: a view's name has 1 to {_NAME_MAX} characters")
        state = read(dict(parse_qsl(query)))
        known = {view.id: view for view in await self._site.reader(request).views()}
        given = str(form.get("view", ""))
        if given and given not in known:
            raise CallNotFound("there is no such view")
        said = ViewSaid(
            name=name, page="/", query=state.url()[2:], view=given or None, deleted=bool(given and form.get("deleted"))
        )
        self._site.recorder.append(EventKind.VIEW, self._site.visitor(request).name, said)
        raise web.HTTPSeeOther(state.url())


def _rev(request: web.Request) -> int | None:
    """Where the page ends and the tail begins; a browser that comes back says how far it came."""
    text = request.headers.get("Last-Event-ID") or request.query.get("rev", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _columns(request: web.Request, state: State) -> tuple[Column, ...]:
    """As the address says, else as the visitor has chosen before, if that can still be read."""
    if state.cols:
        return chosen(state.cols)
    try:
        return chosen(request.cookies.get(COOKIE, ""))
    except UsageError:
        return chosen("")


def _remembered(request: web.Request) -> web.Response:
    """The columns of the form, in the address and in a cookie."""
    names = [name for field in ("col", "more") for each in request.query.getall(field, []) for name in each.split(",")]
    keys = ",".join(dict.fromkeys(column(name).key for name in names if name.strip()))
    state = read({name: value for name, value in request.query.items() if name not in ("col", "more")})
    response = web.Response(status=303, headers={"Location": state.url(cols="")})
    response.set_cookie(COOKIE, keys, max_age=_YEAR_S, path="/", samesite="Strict", httponly=True)
    return response
