"""The columns of a report for people: which there are, what a cell says, which go first for want of room."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct

from ...console import figures
from ...console.reports.figures import Line, Report, change
from ...query.fields import SPANS
from ...store.report_view import FIGURES, Figure, Unit, cost
from ..terminal import printable
from .sparklines import bar, spark

_BAR = 16  #: columns
_ALWAYS = 0


class Column(Struct, frozen=True):
    """``lesser``: columns with the highest number go first when there is no room; 0 stays."""

    title: str
    cell: Callable[[Line], str]
    lesser: int = _ALWAYS
    style: Callable[[Line], str] = lambda _: ""
    right: bool = True
    picture: bool = False  #: of no use outside a terminal, and for a total
    note: str = ""  #: what it needs to be understood


class Shown(Struct, frozen=True):
    """A figure that people see. ``worse``: which direction is bad, +1 or -1; 0 where that depends."""

    title: str
    figure: Figure
    lesser: int
    worse: int = 0
    rare: bool = False  #: left out when all groups have none


_SHOWN = (
    Shown("calls", FIGURES["calls"], _ALWAYS),
    Shown("errors", FIGURES["errors"], 1, worse=1),
    Shown("input", FIGURES["input_tokens"], 2),
    Shown("cached", FIGURES["cached_tokens"], 7),
    Shown("cache write", FIGURES["cache_write_tokens"], 14, rare=True),
    Shown("output", FIGURES["output_tokens"], 3),
    Shown("reasoning", FIGURES["reasoning_tokens"], 11, rare=True),
    Shown("p50", FIGURES["latency_p50_ms"], 5, worse=1),
    Shown("p95", FIGURES["latency_p95_ms"], 6, worse=1),
    Shown("p99", FIGURES["latency_p99_ms"], 12, worse=1),
    Shown("first token", FIGURES["ttft_p50_ms"], 8, worse=1),
    Shown("ft p95", FIGURES["ttft_p95_ms"], 13, worse=1),
    Shown("ft p99", FIGURES["ttft_p99_ms"], 15, worse=1),
    Shown("tokens/s", FIGURES["tokens_per_s_p50"], 9, worse=-1),
    Shown("per call", FIGURES["cost_per_call_usd"], 10, worse=1),
    Shown("cost", Figure("cost_usd", Unit.MONEY, cost), _ALWAYS),
)
_PICTURE = 4
_APPROXIMATE = (Unit.DURATION, Unit.SPEED)
_WITH_OFFERS = ("calls", "input", "cached", "output", "cost")


def columns_of(report: Report) -> list[Column]:
    """All columns behind the names of the groups."""
    rows = [line.row for line in report.lines]
    shown = [some for some in _SHOWN if not some.rare or any(some.figure.value(row) for row in rows)]
    if report.models:
        shown = [some for some in shown if some.title in _WITH_OFFERS]
    places = _places(report)
    return [
        *(column for some in shown for column in _columns(some, places, compared=report.compared)),
        *(column for place, model in enumerate(report.models) for column in _offered(place, model, places)),
        *_picture(report),
    ]


def _places(report: Report) -> int:
    """All costs of a table have the same number of decimals, enough for the largest."""
    largest = max((abs(line.row.cost_nano_usd) for line in report.lines), default=0)
    return next(places for limit, places in ((100, 2), (1, 4), (0, 6)) if largest >= limit * 1_000_000_000)


# --- figures -----------------------------------------------------------------------------------------


def _columns(shown: Shown, places: int, *, compared: bool) -> Iterator[Column]:
    yield Column(shown.title, lambda line: _cell(shown, line, places), shown.lesser)
    if compared:
        yield Column(
            "change", lambda line: _changed(shown, line, places), shown.lesser, lambda line: _style(shown, line)
        )


def _cell(shown: Shown, line: Line, places: int) -> str:
    value = shown.figure.value(line.row)
    if shown.title == "errors" and value:
        return f"{value:,} ({100 * line.row.errors / line.row.calls:.0f}%)"
    about = "~" if line.row.approximate and value is not None and shown.figure.unit in _APPROXIMATE else ""
    return about + _said(shown.figure, value, places)


def _said(figure: Figure, value: int | float | None, places: int) -> str:
    if value is None:
        return figures.UNKNOWN
    if figure.unit is Unit.MONEY:
        return _money(round(value), places) if figure.name == "cost_usd" else figures.money(round(value))
    if figure.unit is Unit.DURATION:
        return figures.duration(round(value))
    return f"{value:,.1f}" if figure.unit is Unit.SPEED else f"{value:,}"


def _money(nano_usd: int, places: int) -> str:
    return f"{'-' if nano_usd < 0 else ''}${abs(nano_usd) / 1_000_000_000:,.{places}f}"


def _changed(shown: Shown, line: Line, places: int) -> str:
    if line.before is None:
        return ""
    found = change(shown.figure, line)
    if shown.title == "calls" and line.state != "both":
        return f"{found.absolute:+,} {line.state}"
    if found.absolute is None:
        return ""
    if not found.absolute:
        return "="
    sign = "+" if found.absolute > 0 else "-"
    share = "" if found.percent is None else f" {_percent(found.percent)}"
    return f"{sign}{_said(shown.figure, abs(found.absolute), places)}{share}"


def _percent(percent: float) -> str:
    return f"{percent:+.1f}%" if abs(percent) < 10 else f"{percent:+,.0f}%"


def _style(shown: Shown, line: Line) -> str:
    if line.before is None:
        return "dim"
    absolute = change(shown.figure, line).absolute or 0
    direction = (absolute > 0) - (absolute < 0)
    return {1: "red", -1: "green"}.get(direction * shown.worse, "dim")


# --- other models ------------------------------------------------------------------------------------


def _offered(place: int, model: str, places: int) -> Iterator[Column]:
    def cost(line: Line) -> str:
        nano_usd = line.offers[place].nano_usd
        return figures.UNKNOWN if nano_usd is None else _money(nano_usd, places)

    def difference(line: Line) -> str:
        amount = line.offers[place].difference_nano_usd
        return "" if amount is None else f"{'+' if amount > 0 else ''}{_money(amount, places)}"

    def share(line: Line) -> str:
        amount, known = line.offers[place].difference_nano_usd, line.offers[place].known_nano_usd
        return "" if amount is None or not known else _percent(100 * amount / known)

    def style(line: Line) -> str:
        amount = line.offers[place].difference_nano_usd or 0
        return "green" if amount < 0 else "red" if amount > 0 else "dim"

    yield Column(printable(model), cost)
    yield Column("difference", difference, 1, style)
    yield Column("%", share, style=style)


# --- pictures ----------------------------------------------------------------------------------------


def _picture(report: Report) -> Iterator[Column]:
    if report.bins is not None:
        yield _trend(report)
    elif len(report.lines) > 1 and by_time(report.by) and not report.compared and not report.models:
        yield _bars(report)


def _trend(report: Report) -> Column:
    place = 1 if report.measure == "cost" else 0

    def trend(line: Line) -> str:
        return spark([values[place] for values in line.row.series])

    title = f"{report.measure}/{report.bins}"
    note = f"Pictures show {report.measure} per {report.bins}, each in proportion to its own peak."
    return Column(title, trend, _PICTURE, lambda _: "cyan", right=False, picture=True, note=note)


def _bars(report: Report) -> Column:
    value = FIGURES["cost_usd" if report.measure == "cost" else "calls"].value
    most = max(value(line.row) or 0 for line in report.lines)

    def drawn(line: Line) -> str:
        return bar(value(line.row) or 0, most, _BAR)

    return Column("", drawn, _PICTURE, lambda _: "cyan", right=False, picture=True)


def by_time(groups: Sequence[str]) -> bool:
    """Whether a line is about a span of time, so that lines below each other show how things went."""
    return any(group in SPANS for group in groups)
