"""``llmtap report``: sums and percentiles per group, as a table for people, JSON or CSV for programs.

Tables need rich, which is loaded only to draw one; on a narrow terminal a table drops its lesser
columns, never a digit. JSON and CSV carry every figure, exactly. In CSV, names are escaped as
elsewhere, and none of them is a formula.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from typing import Any

import click

from ..clock import wall_us
from ..config import Config
from ..query.tree import Filter
from ..store.base import ReportRow
from .options import FILTER_HELP, filter_option, with_config
from .reading import NOTHING_MATCHED, how_to_begin, recorded
from .since import since_us
from .terminal import printable
from .zone import LocalZone

_RISKY = ("=", "+", "-", "@", "\t", "\r")  #: a spreadsheet takes a cell that begins so for a formula


@click.command(epilog=FILTER_HELP)
@click.option("--by", default="day,model", show_default=True, metavar="FIELDS", help="Groups, joined by commas.")
@click.option("--since", metavar="WHEN", help="Only calls since then: 30m, 12h, 7d, 2w, or a date.")
@filter_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "csv"]),
    default="table",
    show_default=True,
    help="For whom.",
)
@with_config()
def report(config: Config, by: str, since: str | None, where: Filter | None, form: str) -> None:
    """Calls, errors, tokens, cost and latency per group.

    Groups are hour, day, week, month, model, upstream, project, user, key, session, status,
    endpoint and other fields of a call. A call that no model served counts for the one that its
    name otherwise led to in this report, or else for the name that it asked for. Tokens without
    a known price add nothing to the cost; how many calls have such is said.
    """
    from ..query.fields import check_groups

    groups = tuple(dict.fromkeys(name.strip().lower() for name in by.split(",") if name.strip()))
    check_groups(groups)
    rows, total = asyncio.run(_read(config, groups, since_us(since, wall_us()) if since else None, where))
    if not rows:
        print(NOTHING_MATCHED if since or where else how_to_begin(config), file=sys.stderr)
    if form == "table" and not rows:
        return
    sys.stdout.write(_FORMS[form](groups, rows, total))


async def _read(
    config: Config, groups: tuple[str, ...], since: int | None, where: Filter | None
) -> tuple[list[ReportRow], ReportRow | None]:
    async with recorded(config) as reader:
        rows = await reader.report(groups, since, where, LocalZone())
        total = await reader.report((), since, where)
        return rows, total[0] if total else None


def _table(groups: Sequence[str], rows: Sequence[ReportRow], total: ReportRow | None) -> str:
    from .tables import report_table

    return report_table(groups, rows, total)


def _json(groups: Sequence[str], rows: Sequence[ReportRow], _total: ReportRow | None) -> str:
    import orjson

    return orjson.dumps([_record(groups, row, _number) for row in rows]).decode() + "\n"


def _csv(groups: Sequence[str], rows: Sequence[ReportRow], _total: ReportRow | None) -> str:
    import csv
    import io

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*groups, *_figures()])
    for row in rows:
        writer.writerow(_record(groups, row, _text).values())
    return out.getvalue()


_FORMS: dict[str, Callable[[Sequence[str], Sequence[ReportRow], ReportRow | None], str]] = {
    "table": _table,
    "json": _json,
    "csv": _csv,
}


# --- every figure of a row, with the unit in its name ------------------------------------------


def _figures() -> dict[str, str]:
    """Names for programs → fields of ``ReportRow``: µs become ms, nano-dollars dollars."""
    fields = [name for name in ReportRow.__struct_fields__ if name != "group"]
    return {name.replace("_us", "_ms") if name.endswith("_us") else name.replace("_nano", ""): name for name in fields}


def _record(groups: Sequence[str], row: ReportRow, value: Callable[[str, Any], Any]) -> dict[str, Any]:
    names = zip(groups, row.group, strict=True)
    return {group: value(group, name) for group, name in names} | {
        name: value(field, getattr(row, field)) for name, field in _figures().items()
    }


def _number(field: str, value: Any) -> Any:
    if value is None or isinstance(value, str):
        return value
    return value / 1000 if field.endswith("_us") else value / 1_000_000_000 if field.endswith("_nano_usd") else value


def _text(field: str, value: Any) -> str:
    from ..console.figures import exact_dollars

    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{printable(value)}" if value.startswith(_RISKY) else printable(value)
    return exact_dollars(value) if field.endswith("_nano_usd") else str(_number(field, value))
