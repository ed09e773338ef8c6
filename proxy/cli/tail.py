"""``llmtap tail``: the last calls and those that come, one line each.

Filters load sqlglot, bodies load the dialects; a plain tail loads neither and starts at once.
"""

from __future__ import annotations

import asyncio
import sys
from typing import NamedTuple

import click

from ..config import Config
from ..query.tree import Filter
from ..store.base import Reader
from .follow import Follower
from .live import JsonOutput, LiveOutput, PlainOutput
from .options import FILTER_HELP, filter_option, with_config
from .reading import NOTHING_MATCHED, how_to_begin, recorded
from .terminal import Terminal

POLL_S = 0.15  #: between two looks at the store: one read of a number each


@click.command(epilog=FILTER_HELP)
@click.option(
    "-n", "--lines", type=click.IntRange(0, 1_000_000), default=20, show_default=True, help="How many to begin with."
)
@click.option("--follow/--no-follow", default=True, help="Go on until stopped, or show the last calls and end.")
@filter_option
@click.option("--all", "every", is_flag=True, help="Excluded calls too.")
@click.option("--json", "as_json", is_flag=True, help="JSON Lines: every field, prompts and answers included.")
@with_config()
def tail(config: Config, lines: int, follow: bool, where: Filter | None, every: bool, as_json: bool) -> None:
    """Follow the calls, one line each.

    A line shows: id, time, status, model, duration, time to first token, tokens in→out (~ when
    estimated), cost, and the first words of prompt and answer.

    In a terminal, running calls stand below the others. In a pipe, and with --json, a call is
    printed once it has ended. --no-follow prints all calls as they stand, running ones too.
    """
    asyncio.run(_tail(config, lines, follow, Chosen(where, every), as_json))


class Chosen(NamedTuple):
    """Which calls are shown."""

    where: Filter | None
    every: bool


async def _tail(config: Config, lines: int, follow: bool, chosen: Chosen, as_json: bool) -> None:
    terminal = Terminal()
    async with recorded(config) as reader:
        empty = not await reader.latest_rev()
        if empty and (terminal.interactive or not follow):
            print(how_to_begin(config), file=sys.stderr)
        follower = Follower(reader, chosen.where, every=chosen.every)
        output = _output(reader, config, terminal, as_json, follow)
        calls = await follower.last(lines)
        await output.show(calls)
        if not (calls or empty or follow) and chosen.where is not None:
            print(NOTHING_MATCHED, file=sys.stderr)
        while follow:
            await asyncio.sleep(POLL_S)
            await _show_changes(follower, output, chosen.where)


def _output(
    reader: Reader, config: Config, terminal: Terminal, as_json: bool, follow: bool
) -> JsonOutput | LiveOutput | PlainOutput:
    if as_json:
        return JsonOutput(reader, config, only_ended=follow)
    return LiveOutput(terminal) if terminal.steerable and follow else PlainOutput(terminal, only_ended=follow)


async def _show_changes(
    follower: Follower, output: JsonOutput | LiveOutput | PlainOutput, where: Filter | None
) -> None:
    calls = await follower.changes()
    if where is not None and isinstance(output, LiveOutput):
        output.forget(await follower.ended(output.running))
    await output.show(calls)
