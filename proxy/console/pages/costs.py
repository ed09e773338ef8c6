"""What calls cost: by any field, beside the period before, and what the same tokens would cost elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo
from urllib.parse import urlencode

from aiohttp import web
from msgspec import Struct

from ...clock import wall_us
from ...query.tree import And
from ...query.written import written
from ...store.base import Layout
from ...store.report_view import cost, cost_per_call
from .. import charts
from ..groupings import USUAL, grouping, of_group
from ..narrowed import PERIODS, Narrowed, narrowed
from ..permissions import Permission
from ..reports.asked import Asked, report
from ..reports.figures import NONE, OTHERS, Line
from ..reports.periods import Period
from ..reports.what_if import Prices
from ..routes import Route, get
from ..site import Site

USUAL_PERIOD, USUAL_GROUP = "30d", "model"
LINES, BINS = 50, 24


class Question(Struct, frozen=True, kw_only=True):
    """What the address says."""

    narrowed: Narrowed
    by: str
    compare: bool
    model: str  #: what if this one had answered

    def address(self, **changes: str) -> str:
        """The same page, with this changed."""
        kept = self.narrowed.asked | {"by": self.by, "vs": "1" if self.compare else "", "model": self.model} | changes
        return f"/costs?{urlencode({name: value for name, value in kept.items() if value}, errors='replace')}"

    def logs(self, value: str | None) -> str:
        """The calls of one line."""
        group = of_group(self.by, value)
        where = group if self.narrowed.where is None else And((self.narrowed.where, group))
        kept = {name: text for name, text in self.narrowed.asked.items() if name != "q"}
        return f"/?{urlencode({'q': written(where), **kept}, errors='replace')}"


class Row(Struct, frozen=True, kw_only=True):
    """A line as it is shown."""

    name: str
    link: str | None  #: of its calls
    line: Line
    cost: int | None
    each: int | None  #: nano-dollars a call
    share: float  #: of the whole cost, or of all calls where no cost is known
    trend: str  #: an SVG path
    change: float | None  #: percent, to the period before


class Costs:
    """Handlers, and what they need."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[Route]:
        """What the console answers here."""
        return [get("/costs", self.costs, Permission.ROWS)]

    async def costs(self, request: web.Request) -> web.Response:
        """The page."""
        now_us, zone = wall_us(), self._site.zone(request)
        question = read(request.query, zone, now_us)
        prices = Prices(self._site.config, (question.model,) if question.model else (), now_us)
        prices.check()
        found = await report(self._site.reader(request), _asked(question, prices, zone, now_us))
        whole = found.total
        return self._site.page(
            request,
            "costs.html",
            asked=question.narrowed,
            question=question,
            usual=USUAL,
            periods=tuple(PERIODS),
            total=None if whole is None or not whole.row.calls else whole,
            rows=[] if whole is None else [_row(question, line, whole) for line in found.lines],
            bins=found.bins,
            notes=found.notes,
            cost=cost,
        )


def read(query: Mapping[str, str], zone: tzinfo, now_us: int) -> Question:
    """What an address asks. Raises ``UsageError``."""
    asked = narrowed(query, zone, now_us, usual=USUAL_PERIOD)
    model = query.get("model", "").strip()
    return Question(
        narrowed=asked,
        by=grouping(query.get("by", "")) or USUAL_GROUP,
        compare=query.get("vs", "") == "1" and asked.since_us is not None and not model,
        model=model,
    )


def _asked(question: Question, prices: Prices, zone: tzinfo, now_us: int) -> Asked:
    asked = question.narrowed
    return Asked(
        by=(question.by,),
        period=Period(asked.since_us, asked.until_us),
        zone=zone,
        where=asked.where,
        every=False,
        layout=Layout(order="cost", limit=LINES, percentiles=False),
        compare=question.compare,
        prices=prices,
        now_us=now_us,
        pictures=BINS,
    )


def _row(question: Question, line: Line, whole: Line) -> Row:
    row = line.row
    known = whole.row.cost_nano_usd
    name = OTHERS if row.merged else NONE if row.group[0] is None else row.group[0]
    before = None if line.before is None else line.before.cost_nano_usd
    return Row(
        name=name,
        link=None if row.merged else question.logs(row.group[0]),
        line=line,
        cost=cost(row),
        each=cost_per_call(row),
        share=row.cost_nano_usd / known if known else row.calls / max(1, whole.row.calls),
        trend=charts.trend([nano_usd if known else calls for calls, nano_usd, _ in row.series]),
        change=100 * (row.cost_nano_usd - before) / before if before else None,
    )
