"""How things are: calls, failures, times, tokens and cost over time, from sums that the writer keeps."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from functools import partial
from typing import Any
from urllib.parse import urlencode

from aiohttp import web
from msgspec import Struct

from ...clock import wall_us
from ...query.spans import moment
from ...query.tree import Filter
from ...query.written import written
from ...store.base import Layout, ReportRow
from .. import charts
from ..charts import Chart, Series
from ..groupings import USUAL, grouping, of_group
from ..narrowed import PERIODS, Narrowed, both, narrowed
from ..permissions import Permission
from ..reports.figures import NONE
from ..reports.periods import Period, earlier
from ..routes import Route, get
from ..scoped import ScopedReader
from ..site import Site

USUAL_PERIOD = "24h"


class Asked(Struct, frozen=True, kw_only=True):
    """What the address says."""

    narrowed: Narrowed
    by: str
    compare: bool
    zone: tzinfo
    now_us: int

    def address(self, place: str, **changes: str) -> str:
        """The same page, or another, with this changed."""
        kept = self.narrowed.asked | {"by": self.by, "vs": "1" if self.compare else ""} | changes
        return f"{place}?{urlencode({name: value for name, value in kept.items() if value}, errors='replace')}"


class Monitor:
    """Handlers, and what they need."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[Route]:
        """What the console answers here."""
        return [get("/monitor", self.monitor, Permission.ROWS)]

    async def monitor(self, request: web.Request) -> web.Response:
        """The page."""
        asked = read(request.query, self._site.zone(request), wall_us())
        reader = self._site.reader(request)
        total, pictures, links = await look(reader, asked)
        return self._site.page(
            request,
            "monitor.html",
            asked=asked.narrowed,
            by=asked.by,
            compare=asked.compare,
            usual=USUAL,
            periods=tuple(PERIODS),
            address=asked.address,
            total=total,
            pictures=pictures,
            links=links,
            as_json=charts.as_json,
            logs_of_group=partial(logs_of_group, asked),
            groups=[series.label for series in pictures[0][0].series] if asked.by and pictures else [],
            width=charts.WIDTH,
            height=charts.HEIGHT,
        )


def read(query: Any, zone: tzinfo, now_us: int) -> Asked:
    """What an address asks. Raises ``UsageError``."""
    return Asked(
        narrowed=narrowed(query, zone, now_us, usual=USUAL_PERIOD),
        by=grouping(query.get("by", "")),
        compare=query.get("vs", "") == "1",
        zone=zone,
        now_us=now_us,
    )


Picture = tuple[Chart, charts.Drawn]


async def look(reader: ScopedReader, asked: Asked) -> tuple[ReportRow | None, list[Picture], list[str]]:
    """All calls of the period in one row, the charts, and for each span of time where its calls are listed."""
    period, where = asked.narrowed, asked.narrowed.where
    found = await reader.report((), period.since_us, where, asked.zone, until_us=period.until_us)
    if not found or found[0].first_us is None:
        return None, [], []
    total = found[0]
    first_us, last_us = _ends(asked, total)
    span = charts.span_of(first_us, last_us)
    edges_us = charts.edges_of(first_us, last_us, asked.zone, span)
    series = await _series(reader, asked, span, edges_us)
    pictures = [
        Chart(kind, edges_us, tuple(made), bars=kind.bars and not asked.by)
        for kind, made in zip(charts.KINDS, series, strict=True)
    ]
    known = [(chart, charts.drawn(chart, asked.zone)) for chart in pictures if not chart.empty]
    return total, known, _links(asked, edges_us, last_us)


def _ends(asked: Asked, total: ReportRow) -> tuple[int, int]:
    """The period, but no longer than there are calls: a day of calls must not be one bar of a month."""
    period, first_us = asked.narrowed, total.first_us or 0
    last_us = asked.now_us if period.until_us is None else min(period.until_us - 1, asked.now_us)
    return min(max(period.since_us or 0, first_us), last_us), last_us


async def _series(reader: ScopedReader, asked: Asked, span: str, edges_us: Sequence[int]) -> list[list[Series]]:
    """Of each chart."""
    period, where = asked.narrowed, asked.narrowed.where
    if asked.by:
        groups = await _groups(reader, asked, span, edges_us)
        return [charts.of_groups(kind, groups) for kind in charts.KINDS]
    rows = await reader.report((span,), edges_us[0], where, asked.zone, until_us=period.until_us)
    spans = charts.over_time(rows, edges_us, asked.zone, span).get((), ())
    before: Sequence[ReportRow | None] = ()
    if asked.compare:
        before = await _before(reader, asked, span, edges_us)
    return [charts.of_all(kind, spans, before) for kind in charts.KINDS]


async def _groups(
    reader: ScopedReader, asked: Asked, span: str, edges_us: Sequence[int]
) -> list[tuple[str, Sequence[ReportRow | None]]]:
    """Those with the most calls; the others would not be told apart in a chart."""
    period, where, until_us = asked.narrowed, asked.narrowed.where, asked.narrowed.until_us
    layout = Layout(order="calls", limit=charts.GROUPS_MOST, percentiles=False)
    most = await reader.report((asked.by,), edges_us[0], where, asked.zone, until_us=until_us, layout=layout)
    wanted = [row.group[0] for row in most if not row.merged]
    rows = await reader.report((span, asked.by), edges_us[0], where, asked.zone, until_us=period.until_us)
    found = charts.over_time(rows, edges_us, asked.zone, span)
    return [(NONE if name is None else name, found[(name,)]) for name in wanted if (name,) in found]


async def _before(reader: ScopedReader, asked: Asked, span: str, edges_us: Sequence[int]) -> Sequence[ReportRow | None]:
    """The period of the same length before, each of its spans under the one that it is compared with."""
    past = earlier(Period(edges_us[0], asked.narrowed.until_us or asked.now_us), asked.now_us, asked.zone)
    rows = await reader.report(
        (span,), past.period.since_us, asked.narrowed.where, past.zone, until_us=past.period.until_us
    )
    return charts.over_time(rows, edges_us, asked.zone, span).get((), ())


def _links(asked: Asked, edges_us: Sequence[int], last_us: int) -> list[str]:
    ends = (*edges_us[1:], last_us + 1)
    return [_logs(asked, first, end) for first, end in zip(edges_us, ends, strict=True)]


def _logs(asked: Asked, first_us: int, end_us: int, group: Filter | None = None) -> str:
    where = both(asked.narrowed.where, group)
    query = {
        "q": written(where) if group is not None and where is not None else asked.narrowed.q,
        "since": moment(first_us, asked.zone).isoformat(),
        "until": moment(end_us, asked.zone).isoformat(),
    }
    return f"/?{urlencode({name: value for name, value in query.items() if value}, errors='replace')}"


def logs_of_group(asked: Asked, label: str) -> str:
    """The logs of one group, in the same period."""
    where = both(asked.narrowed.where, of_group(asked.by, None if label == NONE else label))
    assert where is not None
    kept = {name: text for name, text in asked.narrowed.asked.items() if name != "q"}
    return f"/?{urlencode({'q': written(where), **kept}, errors='replace')}"
