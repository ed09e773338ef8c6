"""``llmtap report``: sums and percentiles per group, as a table for people, Markdown, JSON or CSV.

Tables need rich, which is loaded only to draw one. What the forms say, and what is compared, lies
in modules of their own: here it is asked for and brought together.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import tzinfo

import click
from msgspec import Struct

from ...clock import wall_us
from ...config import Config
from ...query.fields import ORDERS, SPANS, TAG, parse_groups
from ...query.spans import bins, moment
from ...query.tree import Filter
from ...records import evolve
from ...store.base import Layout, Reader, ReportRow
from ..options import FILTER_HELP, filter_option, with_config
from ..reading import NOTHING_MATCHED, how_to_begin, recorded
from ..terminal import Terminal
from ..zone import zone_option
from . import forms as report_forms
from .figures import APPROXIMATE, Line, Report, nothing, without_cost
from .periods import Period, earlier, period
from .sparklines import can_draw
from .what_if import Prices, assumed, comparable

_WIDE = 120  #: columns of a terminal with room for long pictures
_BINS_WIDE, _BINS = 31, 16


@click.command(epilog=f"{report_forms.JSON_HELP}\n\n{FILTER_HELP}")
@click.option("--by", default="day,model", show_default=True, metavar="FIELDS", help="Groups, joined by commas.")
@click.option("--since", metavar="WHEN", help="Only calls since then: 30m, 12h, 7d, 2w, or a date.")
@click.option("--until", metavar="WHEN", help="Only calls before then; a date is its first moment.")
@zone_option
@filter_option
@click.option("--all", "every", is_flag=True, help="Count excluded calls too.")
@click.option(
    "--compare", type=click.Choice(["previous"]), help="Compare with the period of the same length before --since."
)
@click.option(
    "--what-if", "models", metavar="MODEL", multiple=True, help="The same tokens at this model's price. Repeatable."
)
@click.option(
    "--sort", "order", type=click.Choice(list(ORDERS)), help="The largest first; without it, spans of time in order."
)
@click.option(
    "-n",
    "--limit",
    type=click.IntRange(1),
    metavar="N",
    help="The N first by --sort, or by cost; others stand together.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "csv", "md"]),
    default="table",
    show_default=True,
    help="For whom.",
)
@with_config()
def report(
    config: Config,
    by: str,
    since: str | None,
    until: str | None,
    zone: tzinfo,
    where: Filter | None,
    every: bool,
    compare: str | None,
    models: tuple[str, ...],
    order: str | None,
    limit: int | None,
    form: str,
) -> None:
    """Calls, errors, tokens, cost and latency per group.

    Groups are hour, day, week, month, model, upstream, project, user, key, session, tag,
    metadata.NAME, program, branch, status, endpoint and other fields of a call. A call with
    several tags counts in the group of each. A call that no model served counts for the one that
    its name otherwise led to in this report, or else for the name that it asked for. Tokens
    without a known price add nothing to the cost; how many calls have such is said. Cost per call
    is of calls with a known cost. --what-if takes today's prices, all prompts as short ones.
    """
    now_us = wall_us()
    if compare and models:
        raise click.UsageError("--compare and --what-if answer two questions: ask one at a time")
    asked = _Asked(
        by=parse_groups(by),
        period=period(since, until, now_us, zone),
        zone=zone,
        where=where,
        every=every,
        layout=Layout(order=order, limit=limit),
        compare=compare is not None,
        prices=Prices(config, tuple(dict.fromkeys(models)), now_us),
        now_us=now_us,
        pictures=_pictures() if form == "table" else 0,
    )
    asked.prices.check()
    found, empty = asyncio.run(_answered(config, asked))
    if not found.lines:
        print(empty, file=sys.stderr)
    if found.lines or form in ("json", "csv"):
        sys.stdout.write(_FORMS[form](found))


def _pictures() -> int:
    """How many bins a picture over time may have; 0 where none can be shown."""
    columns = Terminal().width
    if columns is None or not can_draw(sys.stdout.encoding):
        return 0
    return _BINS_WIDE if columns >= _WIDE else _BINS


def _table(found: Report) -> str:
    from .table import report_table

    return report_table(found)


def _markdown(found: Report) -> str:
    from .table import as_markdown

    return as_markdown(found)


_FORMS: dict[str, Callable[[Report], str]] = {
    "table": _table,
    "json": report_forms.as_json,
    "csv": report_forms.as_csv,
    "md": _markdown,
}


# --- what is asked of the store --------------------------------------------------------------------------


class _Asked(Struct, frozen=True, kw_only=True):
    """One command line."""

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
        self, reader: Reader, layout: Layout, *, by: tuple[str, ...] | None = None, where: Filter | None = None
    ) -> list[ReportRow]:
        return await reader.report(
            self.by if by is None else by,
            self.period.since_us,
            where or self.where,
            self.zone,
            until_us=self.period.until_us,
            every=self.every,
            layout=layout,
        )

    async def models(self, reader: Reader) -> list[ReportRow]:
        """By model, to say whose costs are not known."""
        return await self.rows(reader, Layout(percentiles=False), by=("model",))

    async def total(self, reader: Reader, where: Filter | None = None) -> ReportRow | None:
        found = await self.rows(reader, Layout(), by=(), where=where)
        return found[0] if found else None


async def _answered(config: Config, asked: _Asked) -> tuple[Report, str]:
    """The report, and what to say when it is empty."""
    async with recorded(config) as reader:
        found = await _report(reader, asked)
        return found, "" if found.lines else await _why_empty(config, reader, asked)


async def _report(reader: Reader, asked: _Asked) -> Report:
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


def _with_bins(asked: _Asked, total: ReportRow | None) -> tuple[str | None, Layout]:
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
    reader: Reader, asked: _Asked, rows: list[ReportRow], total: ReportRow | None
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
    return lines, whole, f"Compared with {_said(past.period, asked)}."


async def _priced(
    reader: Reader, asked: _Asked, rows: list[ReportRow], total: ReportRow
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


def _notes(asked: _Asked, total: ReportRow | None, models: Sequence[ReportRow]) -> Iterator[str]:
    yield from without_cost(total, models) if total else ()
    if total and total.approximate:
        yield APPROXIMATE
    if TAG in asked.by:
        yield "A call with several tags counts in the group of each, and once in the total."
    if asked.prices.models and total:
        yield from assumed(asked.prices.models, total.calls_without_cost)


def _said(asked_for: Period, asked: _Asked) -> str:
    ends = (moment(at_us or 0, asked.zone) for at_us in (asked_for.since_us, asked_for.until_us))
    return " to ".join(at.strftime("%Y-%m-%d %H:%M") for at in ends)


async def _why_empty(config: Config, reader: Reader, asked: _Asked) -> str:
    stats = await reader.stats()
    if not stats.calls or stats.oldest_us is None:
        return how_to_begin(config)
    if not asked.every and (excluded := await evolve(asked, every=True).total(reader)):
        return f"{NOTHING_MATCHED} but excluded calls, {excluded.calls:,} of them: --all brings them in"
    recorded_in = Period(stats.oldest_us, stats.newest_us)
    return f"{NOTHING_MATCHED}; calls recorded: {stats.calls:,}, {_said(recorded_in, asked)}"
