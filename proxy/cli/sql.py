"""``llmtap sql "SELECT …"``: the store in SQL, over documented views, for reading only."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import click

from ..config import Config
from ..errors import QueryError, StoreError
from ..query.tree import Scalar
from .options import is_usual, pointer, with_config
from .reading import NOTHING_MATCHED, how_to_begin
from .terminal import Terminal, printable

if TYPE_CHECKING:
    from ..store.sqlite.sql import Answer

_HEAP_BYTES = 512 << 20  #: of SQLite's, for one statement
Rows = Sequence[Sequence[Scalar]]

_RISKY = ("=", "+", "-", "@", "\t", "\r")  #: a spreadsheet takes a text that begins so for a formula
_MARKUP = str.maketrans({char: f"\\{char}" for char in "\\`*_{}[]<>|~#"})


@click.command()
@click.argument("statement", required=False)
@click.option("--schema", is_flag=True, help="Show the views and their columns.")
@click.option("--json", "form", flag_value="json", help="A list with an object for each row.")
@click.option("--csv", "form", flag_value="csv", help="A header, and a line for each row.")
@click.option("--md", "form", flag_value="md", help="A table in Markdown.")
@click.option(
    "-n",
    "--limit",
    type=click.IntRange(1, 1_000_000),
    default=1000,
    show_default=True,
    help="Rows at most; says when cut.",
)
@click.option(
    "--timeout", type=click.FloatRange(0.1, 3600), default=10.0, show_default=True, help="Seconds that it may take."
)
@with_config()
def sql(config: Config, statement: str | None, schema: bool, form: str | None, limit: int, timeout: float) -> None:
    """Run one SELECT on the views of the store; without a statement, show them.

    It is SQLite's SQL. Views are calls, tools, scores, metadata, tags and conversations; times are
    texts in UTC, durations milliseconds, money US dollars. Nothing can be written.
    """
    if schema or statement is None or not statement.strip():
        sys.stdout.write(_schema())
        return
    answer = _asked(config, statement, limit, timeout)
    sys.stdout.write(_FORMS[form or "table"](answer.columns, answer.rows))
    if not answer.rows:
        print(NOTHING_MATCHED, file=sys.stderr)
    if answer.cut:
        print(f"cut after {len(answer.rows):,} rows: --limit takes more", file=sys.stderr)


def _asked(config: Config, statement: str, limit: int, timeout: float) -> Answer:
    from ..store.sqlite.sql import ask, exists

    if not config.data_dir.exists() and not is_usual(config.data_dir):
        raise StoreError(f"the data directory {config.data_dir} does not exist")
    if not exists(config.data_dir):
        raise StoreError(how_to_begin(config))
    try:
        return ask(
            config.data_dir, statement, most_rows=limit, seconds=timeout, heap_bytes=_HEAP_BYTES, overrun=_give_up
        )
    except QueryError as error:
        raise QueryError(f"{error}{pointer(statement, error.column)}", error.column) from None


def _give_up() -> None:
    """End the process while SQLite is at work: it only reads, so nothing is left half done."""
    from ..store.sqlite.sql import TOO_LONG

    print(f"llmtap: {TOO_LONG}", file=sys.stderr, flush=True)
    os._exit(2)


# --- forms -------------------------------------------------------------------------------------------


def _shown(value: Scalar) -> str:
    return "" if value is None else printable(str(value))


def _table(columns: Sequence[str], rows: Rows) -> str:
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    from .tables import drawn

    table = Table(box=SIMPLE, pad_edge=False)
    numeric = [all(not isinstance(row[place], str) for row in rows) for place in range(len(columns))]
    for name, is_number in zip(columns, numeric, strict=True):
        table.add_column(Text(printable(name)), justify="right" if is_number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(_shown(value)) for value in row))
    return drawn(table, Terminal()) if columns else ""


def _json(columns: Sequence[str], rows: Rows) -> str:
    """Of columns with the same name, the last counts."""
    records = [dict(zip(columns, map(_finite, row), strict=True)) for row in rows]
    return json.dumps(records, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"


def _finite(value: Scalar) -> Scalar:
    """JSON has no infinite numbers."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _csv(columns: Sequence[str], rows: Rows) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([_cell(name) for name in columns])
    writer.writerows([_cell(value) for value in row] for row in rows)
    return out.getvalue()


def _cell(value: Scalar) -> str:
    text = _shown(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(_RISKY) else text


def _markdown(columns: Sequence[str], rows: Rows) -> str:
    lines: Iterable[Sequence[str]] = (
        [_shown(name).translate(_MARKUP) for name in columns],
        ["---"] * len(columns),
        *([_shown(value).translate(_MARKUP) for value in row] for row in rows),
    )
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


_FORMS: dict[str, Callable[[Sequence[str], Rows], str]] = {
    "table": _table,
    "json": _json,
    "csv": _csv,
    "md": _markdown,
}


def _schema() -> str:
    from ..store.sqlite.views import VIEWS

    terminal = Terminal()
    lines = []
    for view in VIEWS.values():
        lines.append(f"{terminal.paint(view.name, 'bold')}: {view.help}")
        widths = [
            max(len(text) for text in texts) for texts in zip(*((c.name, c.type) for c in view.columns), strict=True)
        ]
        lines += [f"  {c.name:<{widths[0]}}  {c.type:<{widths[1]}}  {c.help}" for c in view.columns]
        lines.append("")
    return "\n".join(lines)
