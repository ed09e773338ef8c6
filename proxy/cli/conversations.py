"""``llmtap conversations``: calls that belong together, one line each, the last active first."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from datetime import tzinfo
from typing import Any

import click
from msgspec import Struct

from ..clock import wall_us
from ..config import Config
from ..console import figures
from ..query.since import since_us
from ..query.tree import Filter
from ..store.base import Reader
from ..store.traces import Conversation
from .lines import STATUS_STYLES
from .options import FILTER_HELP, filter_option, with_config
from .reading import NOTHING_MATCHED, how_to_begin, recorded
from .terminal import Terminal, fit, printable
from .zone import zone_option

_UNBOUNDED = 1000
_WORDS_MIN = 20  #: columns give way until so many are left for the first words


@click.command(epilog=FILTER_HELP)
@filter_option
@click.option("--since", metavar="WHEN", help="Only those active since then: 30m, 12h, 7d, 2w, or a date.")
@click.option("-n", "--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="So many at most.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON each.")
@zone_option
@with_config()
def conversations(
    config: Config, where: Filter | None, since: str | None, limit: int, as_json: bool, zone: tzinfo
) -> int:
    """Conversations: calls whose texts continue each other, found with no change to the application.

    A filter chooses conversations that hold a call which matches. See one with show --conversation.
    """
    since_at_us = None if since is None else since_us(since, wall_us(), zone, "--since")
    return asyncio.run(_conversations(config, where, since_at_us, limit, as_json))


async def _conversations(
    config: Config, where: Filter | None, since_at_us: int | None, limit: int, as_json: bool
) -> int:
    async with recorded(config) as reader:
        found = await reader.conversations(where, since_us=since_at_us, limit=limit)
        if not found:
            print(await _why_none(config, reader), file=sys.stderr)
            return 0
    if as_json:
        _write_json(found)
    else:
        sys.stdout.write(table(found, Terminal()))
        if len(found) == limit:
            print(f"These are the last {limit:,}: --limit gives more.")
    return 0


async def _why_none(config: Config, reader: Reader) -> str:
    if not await reader.latest_rev():
        return how_to_begin(config)
    if not await reader.conversations(limit=1):
        return "no conversations yet: none of the recorded calls asked a model to say something"
    return NOTHING_MATCHED


def _write_json(found: Sequence[Conversation]) -> None:
    from ..store.trace_view import conversation_json

    for each in found:
        print(json.dumps(conversation_json(each), separators=(",", ":")))


# --- the table ----------------------------------------------------------------------------------------


class Column(Struct, frozen=True):
    """``lesser``: those with the greatest go first where there is no room."""

    title: str
    cell: Callable[[Conversation], str]
    style: Callable[[Conversation], str] = lambda _: ""
    right: bool = False
    lesser: int = 0


def _who(each: Conversation) -> str:
    return " · ".join(filter(None, (each.user, each.session or each.trace)))


_COLUMNS = (
    Column("last active", lambda each: figures.date_time(each.ended_at_us), lambda _: "dim"),
    Column("id", lambda each: figures.short_id(each.id), lambda _: "bold"),
    Column("calls", lambda each: f"{each.calls:,}", right=True),
    Column("tools", lambda each: f"{each.tools:,}" if each.tools else "", right=True, lesser=2),
    Column("tokens", lambda each: figures.tokens(each.input_tokens, each.output_tokens, None), right=True, lesser=1),
    Column("cost", lambda each: figures.money(each.cost_nano_usd), right=True),
    Column("took", lambda each: figures.duration(each.ended_at_us - each.started_at_us), right=True, lesser=3),
    Column("outcome", lambda each: each.outcome, lambda each: STATUS_STYLES.get(each.outcome, "")),
    Column("who", _who, lesser=4),
)


def table(found: Sequence[Conversation], terminal: Terminal) -> str:
    """Lines that fit the terminal; where there is none, everything."""
    from . import tables

    columns = list(_COLUMNS)
    while (room := _room(found, columns, terminal)) < _WORDS_MIN and (least := max(each.lesser for each in columns)):
        columns = [column for column in columns if column.lesser != least]
    if room >= _WORDS_MIN:
        columns.append(Column("first words", lambda each: fit(printable(each.preview or ""), room)))
    return tables.drawn(_drawn(found, columns), terminal)


def _room(found: Sequence[Conversation], columns: Sequence[Column], terminal: Terminal) -> int:
    """What is left for the first words."""
    from . import tables

    return _UNBOUNDED if terminal.width is None else terminal.width - tables.width(_drawn(found, columns)) - 2


def _drawn(found: Sequence[Conversation], columns: Sequence[Column]) -> Any:
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=SIMPLE, show_edge=False, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    for column in columns:
        drawn.add_column(column.title, justify="right" if column.right else "left", no_wrap=True)
    for each in found:
        drawn.add_row(*(Text(printable(column.cell(each)), column.style(each)) for column in columns))
    return drawn
