"""Reports for people: a table that fits the terminal, and one in Markdown.

A table drops its lesser columns and shortens names until it fits, but never cuts a figure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from textwrap import wrap

from rich.box import SIMPLE
from rich.table import Table
from rich.text import Text

from ...console.reports.figures import NONE, OTHERS, Line, Report
from .. import tables
from ..terminal import Terminal, fit, printable
from .columns import Column, columns_of

_NAMES_SHARE = 0.4  #: of the terminal, before columns go
_NAME_LEAST = 4
_MARKUP = re.compile(r"([\\`*_{}\[\]<>|~#])")


def report_table(report: Report) -> str:
    """The report, with a line of totals when there are several lines, and notes, ending in a line feed."""
    terminal = Terminal()
    columns = columns_of(report)
    if terminal.width is None:
        columns = [column for column in columns if not column.picture]
        return tables.drawn(_table(report, columns, None), terminal) + _notes(report.notes, None)
    name_columns = max(_NAME_LEAST, int(terminal.width * _NAMES_SHARE) // max(1, len(report.by)))
    while tables.width(table := _table(report, columns, name_columns)) > terminal.width:
        least = max(column.lesser for column in columns)
        if least:
            columns = [column for column in columns if column.lesser != least]
        elif name_columns > _NAME_LEAST:
            name_columns -= 1
        else:
            break
    pictured = [column.note for column in columns if column.note]
    return tables.drawn(table, terminal) + _notes([*report.notes, *pictured], terminal.width)


def _table(report: Report, columns: Sequence[Column], name_columns: int | None) -> Table:
    total = report.total if len(report.lines) > 1 else None
    table = Table(
        box=SIMPLE,
        show_edge=False,
        padding=(0, 1, 0, 0),
        show_footer=total is not None,
        pad_edge=False,
        header_style="bold",
        footer_style="bold",
    )
    for place, group in enumerate(report.by):
        table.add_column(_name(group, name_columns), "total" if place == 0 else "", no_wrap=True)
    for column in columns:
        footer = "" if total is None or column.picture else Text(column.cell(total), column.style(total))
        justify = "right" if column.right else "left"
        table.add_column(Text(column.title), footer, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    for line in report.lines:
        table.add_row(
            *(_name(name, name_columns) for name in _names(line)),
            *(Text(column.cell(line), column.style(line)) for column in columns),
        )
    return table


def _names(line: Line) -> list[str]:
    """A cell for each name of a group; the line of all others has but one."""
    if line.row.merged:
        return [OTHERS, *[""] * (len(line.row.group) - 1)]
    return [NONE if name is None else name for name in line.row.group]


def _name(name: str, columns: int | None) -> Text:
    shown = printable(name)
    return Text(shown if columns is None else fit(shown, columns), "dim" if name in (NONE, OTHERS) else "")


def _notes(notes: Sequence[str], columns: int | None) -> str:
    lines = notes if columns is None else [line for note in notes for line in wrap(note, columns)]
    return "".join(f"{printable(line)}\n" for line in lines)


# --- Markdown ----------------------------------------------------------------------------------------


def as_markdown(report: Report) -> str:
    """A table with all columns but pictures, then the notes as paragraphs."""
    columns = [column for column in columns_of(report) if not column.picture]
    rows = [
        [*(_escaped(name) for name in report.by), *(_escaped(column.title) for column in columns)],
        [*("---" for _ in report.by), *("---:" for _ in columns)],
        *(_markdown_row(_names(line), line, columns) for line in report.lines),
    ]
    if report.total is not None and len(report.lines) > 1 and report.by:
        rows.append(_markdown_row(["total", *[""] * (len(report.by) - 1)], report.total, columns))
    table = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    return table + "".join(f"\n{_escaped(note)}\n" for note in report.notes)


def _markdown_row(group: Sequence[str], line: Line, columns: Sequence[Column]) -> list[str]:
    return [*(_escaped(name) for name in group), *(_escaped(column.cell(line)) for column in columns)]


def _escaped(text: str) -> str:
    return _MARKUP.sub(r"\\\1", printable(text))
