"""Calls over time above the list: bars that lead to their span.

What sums tell is counted over the whole period. Where rows would have to be read one by one, so many of
the newest are, and the chart says how far back that was; where all calls stand on the page, they are
counted there, and so are those that words have found.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from itertools import pairwise

from msgspec import Struct

from ...query.spans import bins
from ...query.tree import Filter, Match, fields_of, leaves
from ...records import Call, evolve
from ...store.base import Bin, Layout
from ..moments import Moments
from ..narrowed import Narrowed
from ..scoped import ScopedReader
from .listing import Listed
from .state import State

BARS = 90
COUNTED = 50_000  #: calls that are read one by one
#: Fields of which sums by the hour are kept.
SUMMED = {"model", "model_requested", "project", "status", "upstream", "dialect", "excluded"}
_FAILED = ("error", "truncated", "interrupted")
_NO_PERCENTILES = Layout(percentiles=False)
_TICKS = 6
_FINEST = 800  # spans by which the newest calls are told from others


class Bar(Struct, frozen=True):
    """A span of time. Measures are percents of the picture."""

    x: float
    width: float
    height: float  #: of all calls
    errors: float  #: of those that failed
    title: str
    url: str


class Tick(Struct, frozen=True):
    """A moment below the bars."""

    x: float
    text: str


class Chart(Struct, frozen=True, kw_only=True):
    """The picture. Without bars, there is nothing to show."""

    bars: tuple[Bar, ...] = ()
    ticks: tuple[Tick, ...] = ()
    calls: int = 0
    errors: int = 0
    span: str = ""  #: of a bar: ``5 min``
    from_us: int = 0
    to_us: int = 0
    uncounted: float = 0.0  #: percent of the picture, from the left
    counted_from_us: int | None = None  #: when that is not all
    page_only: bool = False  #: of the calls on the page


class Ends(Struct, frozen=True):
    """From when to when there are calls, and how many."""

    first_us: int
    last_us: int
    calls: int


async def ends(reader: ScopedReader, meant: Narrowed, now_us: int) -> Ends | None:
    """Of a period, whatever its calls are; None when there are none. A period up to now lasts up to now."""
    rows = await reader.report((), meant.since_us, until_us=meant.until_us, layout=_NO_PERCENTILES)
    if not rows or rows[0].first_us is None or rows[0].last_us is None:
        return None
    last_us = rows[0].last_us if meant.since_us is None else max(rows[0].last_us, meant.until_us or now_us)
    return Ends(max(rows[0].first_us, meant.since_us or 0), last_us, rows[0].calls)


def summed(where: Filter | None) -> bool:
    """Whether sums answer for a filter."""
    return fields_of(where) <= SUMMED


def by_words(where: Filter | None) -> bool:
    """Whether a filter asks for words, which nothing counts."""
    return any(isinstance(leaf, Match) for leaf in leaves(where))


def on_page(page: Listed, meant: Narrowed) -> bool:
    """Whether the calls of the page are counted, and no others."""
    return by_words(meant.where) or (meant.where is not None and page.whole and page.back_to_us is None)


async def charted(
    reader: ScopedReader, page: Listed, meant: Narrowed, zone: tzinfo, now_us: int, *, patient: bool
) -> Chart | None:
    """The chart of a page; None when it takes longer than an impatient asker waits."""
    if on_page(page, meant):
        return of_page(page, zone, now_us)
    if not (summed(meant.where) or patient):
        return None
    period = await ends(reader, meant, now_us)
    if period is None:
        return Chart()
    span, edges = bins(period.first_us, period.last_us, zone, BARS)
    until_us = meant.until_us
    told: Sequence[int] = edges
    if not summed(meant.where) and period.calls > COUNTED:
        told = newest_edges(edges, await reader.histogram(edges, until_us), COUNTED)
    found = await reader.histogram(told, until_us, meant.where)
    missing = len(edges) - len(told)
    return drawn(page.state, span, edges, [Bin(0, 0, 0)] * missing + found, missing, Moments(zone, now_us))


async def newest(reader: ScopedReader, meant: Narrowed, most: int) -> int | None:
    """Since when there are no more calls than so many, at least of the last span; None: there never were more."""
    period = await ends(reader, meant, 0)
    if period is None or period.calls <= most:
        return None
    _, edges = bins(period.first_us, period.last_us, UTC, _FINEST)  # whole hours and days: sums know them
    return newest_edges(edges, await reader.histogram(edges, meant.until_us), most)[0]


def newest_edges(edges: Sequence[int], counts: Sequence[Bin], most: int) -> Sequence[int]:
    """The last edges, as many as hold ``most`` calls; one at least."""
    held = 0
    for place in range(len(edges) - 1, -1, -1):
        held += counts[place].calls
        if held > most:
            return edges[min(place + 1, len(edges) - 1) :]
    return edges


def of_page(page: Listed, zone: tzinfo, now_us: int) -> Chart:
    """Of the calls of a page alone."""
    if not page.calls:
        return Chart()
    moments = [call.started_at_us for call in page.calls]
    span, edges = bins(min(moments), max(moments), zone, BARS)
    found = counted(page.calls, edges)
    chart = drawn(page.state, span, edges, found, 0, Moments(zone, now_us))
    return evolve(chart, page_only=not page.whole)


def counted(calls: Sequence[Call], edges: Sequence[int]) -> list[Bin]:
    """Calls by the bins they lie in."""
    all_calls, errors = [0] * len(edges), [0] * len(edges)
    for call in calls:
        place = max(bisect_right(edges, call.started_at_us) - 1, 0)
        all_calls[place] += 1
        errors[place] += call.status in _FAILED
    return [Bin(number, 0, failed) for number, failed in zip(all_calls, errors, strict=True)]


def drawn(state: State, span: str, edges: Sequence[int], found: Sequence[Bin], missing: int, moments: Moments) -> Chart:
    """Bars of bins; ``missing``: so many at the beginning were not counted."""
    most = max((each.calls for each in found), default=0)
    if not edges or not most:
        return Chart()
    width_us = edges[-1] - edges[-2] if len(edges) > 1 else 60_000_000
    bounds = [*edges, edges[-1] + width_us]
    first, whole = bounds[0], bounds[-1] - bounds[0]
    bars = tuple(
        _bar(state, moments, start, end, each, most, ((start - first) * 100 / whole, (end - start) * 100 / whole))
        for (start, end), each in zip(pairwise(bounds), found, strict=True)
        if each.calls
    )
    return Chart(
        bars=bars,
        ticks=tuple(_ticks(edges, first, whole, moments)),
        calls=sum(each.calls for each in found),
        errors=sum(each.errors for each in found),
        span=span,
        from_us=first,
        to_us=bounds[-1],
        uncounted=(bounds[missing] - first) * 100 / whole,
        counted_from_us=bounds[missing] if missing else None,
    )


def _bar(
    state: State, moments: Moments, start: int, end: int, found: Bin, most: int, place: tuple[float, float]
) -> Bar:
    failed = f", {found.errors:,} failed" if found.errors else ""
    height = max(found.calls * 100 / most, 4)
    return Bar(
        x=place[0],
        width=place[1] * 0.86,
        height=height,
        errors=max(found.errors * height / found.calls, 2.5) if found.errors else 0,
        title=f"{moments.full(start)}: {found.calls:,} call{'' if found.calls == 1 else 's'}{failed}",
        url=state.url(t="", since=moment_text(start), until=moment_text(end)),
    )


def moment_text(at_us: int) -> str:
    """As addresses have it: in UTC, so that it means the same to whoever opens it."""
    return datetime.fromtimestamp(at_us / 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _ticks(edges: Sequence[int], first: int, whole: int, moments: Moments) -> list[Tick]:
    step = max(len(edges) // _TICKS, 1)
    within_a_day = whole <= 36 * 3_600_000_000
    return [
        Tick((edge - first) * 100 / whole, (f"{moments.of(edge):%H:%M}" if within_a_day else moments.day(edge)))
        for edge in edges[::step]
        if (edge - first) * 100 / whole < 96
    ]
