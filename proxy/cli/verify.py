"""``llmtap verify``: proof that the store holds together, to the last byte."""

from __future__ import annotations

import asyncio
import json
import shutil

import click

from ..config import Config
from ..console import figures
from ..errors import LlmtapError
from ..store.base import Stats
from .options import with_config
from .progress import Progress
from .reading import how_to_begin, recorded
from .terminal import Terminal, printable


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a problem, then one of figures.")
@with_config()
def verify(config: Config, as_json: bool) -> int:
    """Check the whole store: pages, what points at what, sums, and the hash of every byte of every body.

    Works beside llmtap serve, changes nothing, and goes on behind each problem. Exit code 1 when there is one. What
    was damaged costs what it held: other calls are not affected. A backup brings it back.
    """
    return asyncio.run(verified(config, as_json=as_json))


async def verified(config: Config, *, as_json: bool) -> int:
    """Check, and say what was found; the exit code."""
    terminal, progress = Terminal(), Progress("verify")
    problems = 0
    async with recorded(config) as reader:
        if not await reader.latest_rev():
            raise LlmtapError(how_to_begin(config))
        stats = await reader.stats()
        try:
            async for problem in reader.verify(progress):
                problems += 1
                progress.clear()
                mark = terminal.paint("✗", "bold red")
                print(json.dumps({"problem": problem}) if as_json else f"{mark} {printable(problem)}")
        finally:
            progress.clear()
    free = shutil.disk_usage(config.data_dir).free
    if as_json:
        figure = {"calls": stats.calls, "bytes": sum(stats.bytes.values()), "free_bytes": free}
        print(json.dumps({"problems": problems, **figure}))
    else:
        _tell(terminal, problems, stats, free)
    return 1 if problems else 0


def _tell(terminal: Terminal, problems: int, stats: Stats, free: int) -> None:
    holds = f"{stats.calls:,} calls, {figures.size(sum(stats.bytes.values()))}; {figures.size(free)} free on the disk"
    if problems:
        print(terminal.paint(f"{problems:,} problem{'' if problems == 1 else 's'}", "bold red") + f" in {holds}")
    else:
        print(f"{terminal.paint('✓', 'green')} all is well: {holds}")
    if stats.gaps or stats.calls_lost:
        lost = f"{stats.gaps:,} journal records, {stats.calls_lost:,} calls that could not be recorded"
        print(terminal.paint(f"! known to be missing: {lost}", "yellow"))
