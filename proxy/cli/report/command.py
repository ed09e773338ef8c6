"""``llmtap report``: sums and percentiles per group, as a table for people, Markdown, JSON or CSV.

Tables need rich, which is loaded only to draw one. What the forms say, and what is compared, lies
in modules of their own: here it is asked for and brought together.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from datetime import tzinfo

import click

from ...clock import wall_us
from ...config import Config
from ...console.reports.asked import Asked, said
from ...console.reports.asked import report as answer
from ...console.reports.figures import Report
from ...console.reports.periods import Period, period
from ...console.reports.what_if import Prices
from ...query.fields import ORDERS, parse_groups
from ...query.tree import Filter
from ...records import evolve
from ...store.base import Layout, Reader
from ..options import FILTER_HELP, filter_option, with_config
from ..reading import NOTHING_MATCHED, how_to_begin, recorded
from ..terminal import Terminal
from ..zone import zone_option
from . import forms as report_forms
from .sparklines import can_draw

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
    asked = Asked(
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


async def _answered(config: Config, asked: Asked) -> tuple[Report, str]:
    """The report, and what to say when it is empty."""
    async with recorded(config) as reader:
        found = await answer(reader, asked)
        return found, "" if found.lines else await _why_empty(config, reader, asked)


async def _why_empty(config: Config, reader: Reader, asked: Asked) -> str:
    stats = await reader.stats()
    if not stats.calls or stats.oldest_us is None:
        return how_to_begin(config)
    if not asked.every and (excluded := await evolve(asked, every=True).total(reader)):
        return f"{NOTHING_MATCHED} but excluded calls, {excluded.calls:,} of them: --all brings them in"
    recorded_in = Period(stats.oldest_us, stats.newest_us)
    return f"{NOTHING_MATCHED}; calls recorded: {stats.calls:,}, {said(recorded_in, asked)}"
