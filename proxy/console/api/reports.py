"""``/api/report`` and ``/api/histogram``: sums of calls, by groups and over time."""

from __future__ import annotations

from aiohttp import web

from ...clock import rfc3339, wall_us
from ...errors import UsageError
from ...query.spans import bins
from ...store.base import Bin
from ...store.report_view import FIGURES, Unit
from ..answers import json_answer
from ..permissions import Permission
from ..reports.asked import Asked, report
from ..reports.lines import line_json, total_json
from ..reports.what_if import Prices
from ..routes import Doc, Route, get
from ..site import Site
from . import asked
from .shapes import JSON, MOMENT, holding, listing
from .unchanged import unless_known

_REPORT = asked.SCOPE | {
    "by": asked.BY,
    "order": asked.ORDER,
    "limit": {
        "type": "integer",
        "minimum": 1,
        "maximum": asked.LINES_MAX,
        "default": asked.LIMIT_MAX,
        "description": "lines; all further groups stand together in a last one",
    },
    "compare": {"const": "previous", "description": "with the period of the same length before since"},
    "what_if": {"type": "string", "description": "models, with commas: what the same tokens would cost there today"},
}
_MODELS_MAX = 10
_BINS_MAX = 500
_BINS = 60
_HISTOGRAM = asked.SCOPE | {
    "bins": {"type": "integer", "minimum": 1, "maximum": _BINS_MAX, "default": _BINS, "description": "at most"}
}

_FIGURE: JSON = {"type": ["number", "null"]}
_LINE: JSON = {
    "type": "object",
    "description": "the names of the group, then its figures; unknown is null",
    "required": list(FIGURES),
    "properties": {
        name: {"type": "integer"} if figure.unit is Unit.COUNT else _FIGURE for name, figure in FIGURES.items()
    }
    | {
        "approximate": {"const": True, "description": "percentiles are within 3 %"},
        "others": {"type": "integer", "description": "so many groups stand together here"},
        "state": {"enum": ["new", "gone", "both"], "description": "with compare=previous"},
        "previous": {"type": "object", "additionalProperties": _FIGURE},
        "change": {"type": "object", "additionalProperties": holding(absolute=_FIGURE, percent=_FIGURE)},
        "what_if": {"type": "object", "additionalProperties": holding(cost_usd=_FIGURE, difference_usd=_FIGURE)},
    },
    "additionalProperties": {"type": ["string", "null"]},
}
_BIN = holding(start=MOMENT, calls={"type": "integer"}, errors={"type": "integer"}, cost_usd={"type": "number"})


class ReportsApi:
    """Handlers, and what they need."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[Route]:
        """What the console answers here."""
        shape = holding(
            by=listing({"type": "string"}),
            lines=listing(_LINE),
            total=_LINE | {"type": ["object", "null"]},
            notes=listing({"type": "string"}),
        )
        summary = "Calls, errors, tokens, cost and latency by group"
        sums = Doc(summary=summary, query=_REPORT, answer=shape, errors=(400, 503))
        histogram = Doc(
            summary="Calls over time, in bins of equal size",
            query=_HISTOGRAM,
            answer=holding(bin={"type": ["string", "null"], "description": "how long one is"}, bins=listing(_BIN)),
            errors=(400, 503),
        )
        return [
            get("/api/report", self.report, Permission.ROWS, doc=sums),
            get("/api/histogram", self.histogram, Permission.ROWS, doc=histogram),
        ]

    async def report(self, request: web.Request) -> web.Response:
        """A line for each group, and one for all of them."""
        asked.check_names(request.query, _REPORT)
        found = await report(self._site.reader(request), self._asked(request))
        shown = {
            "by": found.by,
            "lines": [line_json(found, line) for line in found.lines],
            "total": total_json(found),
            "notes": found.notes,
        }
        return unless_known(request, json_answer(shown))

    def _asked(self, request: web.Request) -> Asked:
        query, now_us = request.query, wall_us()
        scope = asked.asked_scope(query, self._site.zone(request), now_us)
        models = tuple(dict.fromkeys(name for name in query.get("what_if", "").split(",") if name))[:_MODELS_MAX]
        compare = asked.chosen(query, "compare", ("previous",), "")
        if compare and models:
            raise UsageError("compare and what_if answer two questions: ask one at a time")
        if compare and scope.period.since_us is None:
            raise UsageError("compare=previous needs since: it says where the period begins that is compared")
        prices = Prices(self._site.config, models, now_us)
        prices.check("what_if")
        return Asked(
            by=asked.asked_groups(query),
            period=scope.period,
            zone=scope.zone,
            where=scope.where,
            every=scope.every,
            layout=asked.asked_layout(query),
            compare=bool(compare),
            prices=prices,
            now_us=now_us,
            pictures=0,
        )

    async def histogram(self, request: web.Request) -> web.Response:
        """From ``since``, or the first call, to ``until``, or now."""
        query = request.query
        asked.check_names(query, _HISTOGRAM)
        now_us, most = wall_us(), asked.number(query, "bins", _BINS, 1, _BINS_MAX)
        scope = asked.asked_scope(query, self._site.zone(request), now_us)
        reader = self._site.reader(request)
        first_us = scope.period.since_us
        if first_us is None:
            first_us = (await reader.stats()).oldest_us
        last_us = now_us if scope.period.until_us is None else scope.period.until_us
        if first_us is None or first_us > last_us:
            return unless_known(request, json_answer({"bin": None, "bins": []}))
        name, edges = bins(first_us, last_us, scope.zone, most)
        counted = await reader.histogram(edges, scope.period.until_us, scope.within, every=scope.every)
        shown = [_bin(start_us, each) for start_us, each in zip(edges, counted, strict=True)]
        return unless_known(request, json_answer({"bin": name, "bins": shown}))


def _bin(start_us: int, counted: Bin) -> JSON:
    return {
        "start": rfc3339(start_us),
        "calls": counted.calls,
        "errors": counted.errors,
        "cost_usd": counted.cost_nano_usd / 1_000_000_000,
    }
