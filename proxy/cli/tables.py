"""Tables for terminals, drawn by rich. Loaded only when one is drawn."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

from msgspec import Struct
from rich.box import SIMPLE
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from ..console import figures
from ..store.base import ReportRow
from .terminal import Terminal, printable

_WITHOUT_LIMIT = 10_000  #: columns, where there is no terminal: nothing is cut


class Column(Struct, frozen=True):
    """A figure of a report. Those with the highest ``lesser`` go first when there is no room."""

    title: str
    cell: Callable[[ReportRow], str]
    lesser: int = 0


def _errors(row: ReportRow) -> str:
    return f"{row.errors} ({100 * row.errors / row.calls:.0f}%)" if row.errors else "0"


_COLUMNS = (
    Column("calls", lambda row: f"{row.calls:,}"),
    Column("errors", _errors, 1),
    Column("input", lambda row: f"{row.input_tokens:,}", 2),
    Column("cached", lambda row: f"{row.cached_tokens:,}", 5),
    Column("output", lambda row: f"{row.output_tokens:,}", 2),
    Column("reasoning", lambda row: f"{row.reasoning_tokens:,}", 6),
    Column("p50", lambda row: figures.duration(row.latency_p50_us), 3),
    Column("p95", lambda row: figures.duration(row.latency_p95_us), 4),
    Column("p99", lambda row: figures.duration(row.latency_p99_us), 7),
    Column("first token", lambda row: figures.duration(row.ttft_p50_us), 6),
)


def report_table(groups: Sequence[str], rows: Sequence[ReportRow], total: ReportRow | None) -> str:
    """The report, with a line of totals when there are several rows, ending in a line feed."""
    terminal = Terminal()
    columns = [*_COLUMNS, Column("cost", _cost(rows))]
    while True:
        table = _table(groups, columns, rows, total)
        least = max(columns, key=lambda column: column.lesser)
        if terminal.width is None or not least.lesser or _width(table) <= terminal.width:
            break
        columns.remove(least)
    return drawn(table, terminal) + _footnote(total or rows[0])


def drawn(table: Table, terminal: Terminal) -> str:
    """A table as text, in colour where the terminal takes it."""
    console = _console(terminal)
    console.print(table)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    return "".join(f"{line.rstrip()}\n" for line in lines if line.strip())


def cell(text: str | None, style: str = "") -> Text:
    """Logged text in a cell: no markup, nothing that a terminal obeys."""
    return Text(printable(text), style) if text is not None else Text(figures.UNKNOWN, "dim")


def _table(
    groups: Sequence[str], columns: Sequence[Column], rows: Sequence[ReportRow], total: ReportRow | None
) -> Table:
    several = total is not None and len(rows) > 1
    table = Table(box=SIMPLE, show_footer=several, pad_edge=False, header_style="bold", footer_style="bold")
    for place, group in enumerate(groups):
        table.add_column(group, "total" if several and place == 0 else "", overflow="ellipsis", no_wrap=True)
    for column in columns:
        footer = column.cell(total) if several and total else ""
        table.add_column(column.title, footer, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*(cell(name) for name in row.group), *(cell(column.cell(row)) for column in columns))
    return table


def _cost(rows: Sequence[ReportRow]) -> Callable[[ReportRow], str]:
    """All costs of a table have the same number of decimals, enough for the largest."""
    largest = max((row.cost_nano_usd for row in rows), default=0)
    places = next(places for limit, places in ((100, 2), (1, 4), (0, 6)) if largest >= limit * 1_000_000_000)

    def cell(row: ReportRow) -> str:
        return f"${row.cost_nano_usd / 1_000_000_000:,.{places}f}" if row.calls_with_cost else figures.UNKNOWN

    return cell


def _footnote(total: ReportRow) -> str:
    unknown = total.calls_without_cost
    if not unknown:
        return ""
    calls = "1 call has" if unknown == 1 else f"{unknown:,} calls have"
    return f"{calls} no known cost; the sums leave {'it' if unknown == 1 else 'them'} out.\n"


def _console(terminal: Terminal) -> Console:
    return Console(
        file=io.StringIO(),
        width=terminal.width or _WITHOUT_LIMIT,
        force_terminal=terminal.colour,
        color_system="standard" if terminal.colour else None,
        highlight=False,
        legacy_windows=False,
    )


def _width(table: Table) -> int:
    console = Console(file=io.StringIO(), width=_WITHOUT_LIMIT, legacy_windows=False)
    return Measurement.get(console, console.options, table).maximum
