"""``llmtap search``: the calls in which something was said, with the place where it was."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from datetime import tzinfo
from typing import Any

import click

from ..clock import wall_us
from ..config import Config
from ..console import figures
from ..errors import UsageError
from ..query.since import since_us
from ..query.tree import Filter
from ..query.words import Words, parse_words
from ..records import Call
from ..store.base import Behind, Found, Reader
from ..store.snippets import Snippet, snippet
from ..store.texts import COLUMNS
from ..store.view import summary_json
from .options import filter_option, with_config
from .reading import how_to_begin, recorded
from .terminal import Terminal, fit, pad, printable
from .zone import zone_option

_MARK = "bold yellow"
_MODEL_WIDTH = 24
_HELP = """\b
refund policy          both words, anywhere in what a call brought or answered
'"refund policy"'      one after the other
refund -policy         the first without the second
'refund*'              words that begin so
refund OR chargeback   one of the two

Case and accents do not count, and signs only part words. A call is found by what is new in it: its
last message, its answer, tool calls and their results; a system prompt by the first call of a day
that has it."""


def _columns(_ctx: click.Context, _option: click.Parameter, text: str | None) -> tuple[str, ...]:
    if text is None:
        return COLUMNS
    named = tuple(dict.fromkeys(name.strip().lower() for name in text.split(",") if name.strip()))
    wrong = [name for name in named if name not in COLUMNS]
    if wrong or not named:
        raise UsageError(f"--in {text!r}: write one or more of {', '.join(COLUMNS)}")
    return named


@click.command(
    epilog=_HELP,
    context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]},  # -word is no option
)
@click.argument("words", nargs=-1, required=True)
@zone_option
@click.option("--in", "columns", metavar="PARTS", callback=_columns, help=f"Only in these: {','.join(COLUMNS)}.")
@filter_option
@click.option("--since", metavar="WHEN", help="Only calls since then: 30m 12h 7d 2w, or a date.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="How many to show.")
@click.option("--before", metavar="PLACE", help="Go on where an earlier search ended, as it said.")
@click.option("--all", "every", is_flag=True, help="Excluded calls too.")
@click.option("--json", "as_json", is_flag=True, help="JSON Lines: the call's row, and a snippet.")
@with_config()
@click.pass_context
def search(ctx: click.Context, /, config: Config, words: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Find calls by words in prompts, answers, and tool calls; the newest first."""
    if words == ("-h",):
        print(ctx.get_help())
        return
    for word in words:
        if word.startswith("--"):
            raise click.NoSuchOption(word)
    asyncio.run(_search(config, " ".join(words), as_json, **options))


async def _search(
    config: Config,
    text: str,
    as_json: bool,
    *,
    zone: tzinfo,
    columns: tuple[str, ...],
    where: Filter | None,
    since: str | None,
    limit: int,
    before: str | None,
    every: bool,
) -> None:
    words = parse_words(text)
    from_us = None if since is None else since_us(since, wall_us(), zone, "--since")
    terminal = Terminal()
    async with recorded(config) as reader:
        found = await reader.search(
            text, where, columns=columns, since_us=from_us, before=before, limit=limit, every=every
        )
        for call in found.calls:
            place = await _snippet(reader, config, call, words, columns)
            lines = [_json(call, place)] if as_json else _lines(call, place, terminal)
            print(*lines, sep="\n")
        if not (found.calls or await reader.latest_rev()):
            print(how_to_begin(config), file=sys.stderr)
            return
    for line in _remarks(found, config, limit):
        print(printable(line), file=sys.stderr)


async def _snippet(
    reader: Reader, config: Config, call: Call, words: Words, columns: tuple[str, ...]
) -> Snippet | None:
    from ..dialects.table import parse

    exchange = await reader.exchange(call.id)
    if exchange is None:
        return None
    return snippet(parse(exchange, config.ingest.body_bytes, config.retrieval), words, columns)


def _json(call: Call, place: Snippet | None) -> str:
    shown = (
        None if place is None else {"in": place.column, "text": place.text, "hits": [list(hit) for hit in place.hits]}
    )
    return json.dumps({**summary_json(call), "snippet": shown}, separators=(",", ":"), ensure_ascii=False)


# --- for people ------------------------------------------------------------------------------


def _lines(call: Call, place: Snippet | None, terminal: Terminal) -> Iterator[str]:
    model = printable(call.model or call.model_requested or figures.UNKNOWN)
    who = printable(next(filter(None, (call.user, call.agent, call.session, call.program, call.key)), ""))
    head = f"{terminal.paint(figures.short_id(call.id), 'bold')} {figures.date_time(call.started_at_us)} "
    yield f"{head}{pad(fit(model, _MODEL_WIDTH), _MODEL_WIDTH)} {terminal.paint(who, 'dim')}".rstrip()
    if place is not None:
        yield f"    {terminal.paint(f'{place.column}:', 'dim')} {_marked(place, terminal)}"
    elif call.preview_input:
        yield f"    {terminal.paint(printable(call.preview_input), 'dim')}"


def _marked(place: Snippet, terminal: Terminal) -> str:
    """On one line as wide as the terminal, with the hits marked."""
    room = None if terminal.width is None else terminal.width - len(place.column) - 6
    text, shown = place.text if room is None else fit(place.text, room), ""
    at = 0
    for start, end in place.hits:
        shown += printable(text[at:start]) + terminal.paint(printable(text[start:end]), _MARK)
        at = end
    return shown + printable(text[at:])


def _remarks(found: Found, config: Config, limit: int) -> Iterator[str]:
    """What the answer does not hold, and how to go on."""
    behind = _behind(found.behind, config)
    if not found.calls and found.next is None:
        yield f"nothing found{f'; {behind}' if behind else ''}"
    elif behind:
        yield behind
    for problem in found.problems:
        yield f"{problem}; llmtap rebuild --text makes it anew"
    if found.next is not None and len(found.calls) < limit:
        back = f" back to {figures.date_time(found.back_to_us)}" if found.back_to_us is not None else " for long enough"
        yield f"searched{back}; to go on: --before {found.next}"
    elif found.next is not None:
        yield f"there may be more: --before {found.next}"


def _behind(behind: Behind, config: Config) -> str:
    if not behind.calls:
        return ""
    if not config.store.full_text:
        return f"full text is off (store.full_text): {behind_calls(behind)} cannot be found"
    return f"full text is {behind_time(behind)} behind: {behind_calls(behind)} cannot be found yet"


def behind_calls(behind: Behind) -> str:
    """How many calls cannot be found."""
    return f"{behind.calls:,}{' or more' if behind.more else ''} call{'' if behind.calls == 1 else 's'}"


def behind_time(behind: Behind) -> str:
    """For how long the first of them has waited."""
    return figures.duration(max(0, wall_us() - (behind.since_us or wall_us())))
