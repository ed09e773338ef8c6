"""Tables for terminals, drawn by rich. Loaded only when one is drawn."""

from __future__ import annotations

import io

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from .terminal import Terminal

_WITHOUT_LIMIT = 10_000  #: columns, where there is no terminal: nothing is cut


def drawn(table: Table, terminal: Terminal) -> str:
    """A table as text, in colour where the terminal takes it. One that does not fit is as wide as it must be."""
    console = _console(terminal, max(terminal.width or _WITHOUT_LIMIT, width(table)))
    console.print(table)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    return "".join(f"{line.rstrip()}\n" for line in lines if line.strip())


def _console(terminal: Terminal, columns: int) -> Console:
    return Console(
        file=io.StringIO(),
        width=columns,
        force_terminal=terminal.colour,
        color_system="standard" if terminal.colour else None,
        highlight=False,
        legacy_windows=False,
    )


def width(table: Table) -> int:
    """Columns that it needs when nothing in it is cut."""
    console = Console(file=io.StringIO(), width=_WITHOUT_LIMIT, legacy_windows=False)
    return Measurement.get(console, console.options, table).maximum
