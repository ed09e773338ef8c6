"""A report: what is asked of the store, and how the answers become lines. Its forms are elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import tzinfo
from typing import Protocol

from msgspec import Struct

from ...query.fields import SPANS, TAG
from ...query.spans import bins, moment
from ...query.tree import Filter
from ...records import evolve
from ...store.base import EVERY_GROUP, Layout, ReportRow
from .figures import APPROXIMATE, Line, Report, nothing, without_cost
from .periods import Period, earlier
from .what_if import Prices, assumed, comparable


class Asking(Protocol):
    """What a report needs of a reader."""

    async def report(
        self,
        by: Sequence[str],
        since_us: int | None = None,
        where: Filter | None = None,
        zone: tzinfo = ...,
        *,
        until_us: int | None = None,
        every: bool = False,
        layout: Layout = EVERY_GROUP,
    ) -> list[ReportRow]:
        """As ``Reader.report``."""
        ...


class Asked(Struct, frozen=True, kw_only=True):
    """What somebody wants to know, and how it is to be shown."""

    by: tuple[str, ...]
    period: Period
    zone: tzinfo
    where: Filter | None
    every: bool
    layout: Layout
    compare: bool
    prices: Prices
    now_us: int
    pictures: int

    async def rows(
        self, reader: Asking, layout: Layout, *, by: tuple[str, ...] | None = None, where: Filter | None = None
    ) -> list[ReportRow]:
        """Lines of this period."""
        return await reader.report(
            self.by if by is None else by,
            self.period.since_us,
            where or self.where,
            self.zone,
            until_us=self.period.until_us,
            every=self.every,
            layout=layout,
        )

    async def models(self, reader: Asking) -> list[ReportRow]:
        """By model, to say whose costs are not known."""
        return await self.rows(reader, Layout(percentiles=False), by=("model",))

    async def total(self, reader: Asking, where: Filter | None = None) -> ReportRow | None:
        """All calls in one line."""
        found = await self.rows(reader, Layout(), by=(), where=where)
        return found[0] if found else None


async def report(reader: Asking, asked: Asked) -> Report:
    """Ask the store, and bring together what it says."""
    total = await asked.total(reader)
    measure = "calls" if asked.layout.order in ("calls", "errors") or not (total and total.cost_nano_usd) else "cost"
    name, layout = _with_bins(asked, total)
    rows = await asked.rows(reader, layout)
    lines, whole = [Line(row) for row in rows], Line(total) if total else None
    models = await asked.models(reader) if total and total.calls_without_cost else []
    notes = list(_notes(asked, total, models))
    if asked.compare:
        lines, whole, note = await _compared(reader, asked, rows, total)
        notes.append(note)
    if asked.prices.models and total:
        lines, whole = await _priced(reader, asked, rows, total)
    return Report(
        by=asked.by,
        lines=tuple(lines),
        total=whole,
        models=asked.prices.models,
        measure=measure,
        bins=name,
        notes=tuple(notes),
    )


def _with_bins(asked: Asked, total: ReportRow | None) -> tuple[str | None, Layout]:
    """How long the bins of pictures over time are, and the layout that brings them; lines by time need none."""
    if not asked.pictures or asked.compare or asked.prices.models or total is None or set(asked.by) & set(SPANS):
        return None, asked.layout
    first_us = total.first_us if asked.period.since_us is None else asked.period.since_us
    last_us = min(asked.period.until_us or asked.now_us, asked.now_us) if asked.period.since_us else total.last_us
    if first_us is None or last_us is None or first_us >= last_us or not asked.by:
        return None, asked.layout
    name, edges = bins(first_us, last_us, asked.zone, asked.pictures)
    return name, evolve(asked.layout, edges_us=edges)


async def _compared(
    reader: Asking, asked: Asked, rows: list[ReportRow], total: ReportRow | None
) -> tuple[list[Line], Line | None, str]:
    """Each line with its group in the period before; then the groups that are gone."""
    past = earlier(asked.period, asked.now_us, asked.zone)
    keep = frozenset(row.group for row in rows if not row.merged) if any(row.merged for row in rows) else None
    before = evolve(asked, period=past.period, zone=past.zone)
    found = _by_group(await before.rows(reader, evolve(asked.layout, limit=None, keep=keep)))
    total_before = await before.total(reader)
    known = _by_group(rows)
    lines = [Line(row, found.get(key, nothing(row.group))) for key, row in known.items()]
    lines += [Line(nothing(row.group), row) for key, row in found.items() if key not in known]
    if total is None and total_before is None:
        return [], None, ""
    whole = Line(total or nothing(()), total_before or nothing(()))
    return lines, whole, f"Compared with {said(past.period, asked)}."


async def _priced(
    reader: Asking, asked: Asked, rows: list[ReportRow], total: ReportRow
) -> tuple[list[Line], Line | None]:
    """Each line with what its tokens would cost elsewhere."""
    where = comparable(asked.where)
    keep = frozenset(row.group for row in rows if not row.merged)
    known = _by_group(await asked.rows(reader, Layout(keep=keep), where=where))
    offers = asked.prices.offers
    lines = [Line(row, None, offers(row, known.get(key))) for key, row in _by_group(rows).items()]
    return lines, Line(total, None, offers(total, await asked.total(reader, where)))


def _by_group(rows: Sequence[ReportRow]) -> Mapping[tuple[tuple[str | None, ...], bool], ReportRow]:
    """Lines of a report, to be found by their group."""
    return {(row.group, bool(row.merged)): row for row in rows}


# --- what is said besides ----------------------------------------------------------------------------


def _notes(asked: Asked, total: ReportRow | None, models: Sequence[ReportRow]) -> Iterator[str]:
    yield from without_cost(total, models) if total else ()
    if total and total.approximate:
        yield APPROXIMATE
    if TAG in asked.by:
        yield "A call with several tags counts in the group of each, and once in the total."
    if asked.prices.models and total:
        yield from assumed(asked.prices.models, total.calls_without_cost)


def said(asked_for: Period, asked: Asked) -> str:
    """A period in words."""
    ends = (moment(at_us or 0, asked.zone) for at_us in (asked_for.since_us, asked_for.until_us))
    return " to ".join(at.strftime("%Y-%m-%d %H:%M") for at in ends)
