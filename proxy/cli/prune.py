"""``llmtap prune``: what retention deletes by itself every hour, now; or only a look at what would go."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from ..clock import CallIds, id_text, wall_us
from ..config import Config
from ..console import figures
from ..errors import Busy, LlmtapError
from ..store.base import JobRow, JobState, Reader
from ..store.policy import Keeping, Policy, Prunable
from .options import with_config
from .reading import how_to_begin, recorded
from .terminal import Terminal, printable
from .work import worked

_LINES = 60  #: of a preview; the oldest are shown


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what would go, by day and project.")
@click.option("--compact", is_flag=True, help="Besides, write the main file anew without its free space.")
@click.option("--yes", is_flag=True, help="Delete also where the clock may be wrong: the newest call lies far back.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON.")
@with_config()
def prune(config: Config, dry_run: bool, compact: bool, yes: bool, as_json: bool) -> int:
    """Delete bodies and rows that are past the limits of [retention] and [[projects]].

    llmtap serve does the same every hour. Pinned calls and those on hold stay; sums in reports stay.
    """
    if dry_run and compact:
        raise click.UsageError("--compact goes not with --dry-run")
    return asyncio.run(_prune(config, dry_run, compact, yes, as_json))


async def _prune(config: Config, dry_run: bool, compact: bool, yes: bool, as_json: bool) -> int:
    policy = Policy.of(config)
    async with recorded(config) as reader:
        if not await reader.latest_rev():
            raise LlmtapError(how_to_begin(config))
        if dry_run:
            _preview(policy, await reader.prunable(policy, wall_us()), as_json)
            return 0
        job = await _pruned(config, reader, policy, sure=yes)
    receipt = {**job.receipt, **(_compacted(config.data_dir) if compact else {})}
    if as_json:
        print(msgspec.json.encode({"job": job.id, **receipt}).decode())
    else:
        print("\n".join(_receipt(policy, receipt)))
    return 1 if receipt["problems"] else 0


async def _pruned(config: Config, reader: Reader, policy: Policy, *, sure: bool) -> JobRow:
    request = {"policy": msgspec.to_builtins(policy), "sure": sure}
    job = JobRow(id=id_text(CallIds().next(wall_us())), kind="prune", asked_at_us=wall_us(), request=request)
    terminal = Terminal(sys.stderr)
    async for step in worked(config, reader, job):
        job = step
        if terminal.steerable:
            done = job.receipt
            terminal.write(f"\r\x1b[Kprune: {done.get('bodies', 0):,} bodies, {done.get('rows', 0):,} rows")
    if terminal.steerable:
        terminal.write("\r\x1b[K")
    if job.state == JobState.FAILED:
        raise LlmtapError(f"prune stopped: {job.receipt.get('error')}")
    return job


def _compacted(data_dir: Path) -> dict[str, Any]:
    """Write the main file anew; how much smaller it is."""
    from ..ingest.worker import WriterLock
    from ..store.sqlite.backup import compacted

    try:
        with WriterLock(data_dir):
            return {"compacted_bytes": compacted(data_dir)}
    except Busy:
        raise LlmtapError(
            "--compact needs the main file for itself: stop llmtap serve first; the rest is done"
        ) from None


# --- what people see ------------------------------------------------------------------------------


def _preview(policy: Policy, found: Sequence[Prunable], as_json: bool) -> None:
    if as_json:
        print(msgspec.json.encode({"limits": _limits(policy), "days": found}).decode())
        return
    from rich.table import Table

    from .tables import drawn

    terminal = Terminal()
    print(_limits(policy))
    if not found:
        print("nothing would go")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("day", "project"):
        table.add_column(name)
    for name in ("bodies", "size", "rows", "kept"):
        table.add_column(name, justify="right")
    for each in found[:_LINES]:
        counts = (f"{each.bodies:,}", figures.size(each.bytes), f"{each.rows:,}", f"{each.kept:,}")
        table.add_row(each.day, printable(each.project), *counts)
    print(drawn(table, terminal), end="")
    if len(found) > _LINES:
        print(f"… and {len(found) - _LINES:,} more days and projects: see --json")
    totals = {name: sum(getattr(each, name) for each in found) for name in ("bodies", "bytes", "rows", "kept")}
    kept = f"; {_calls(totals['kept'])} past the limit stay: pinned, or on hold" if totals["kept"] else ""
    would = (
        f"bodies of {_calls(totals['bodies'])} ({figures.size(totals['bytes'])}) and {totals['rows']:,} rows would go"
    )
    print(terminal.paint(would + kept, "bold"))


def _receipt(policy: Policy, receipt: dict[str, Any]) -> list[str]:
    terminal = Terminal()
    gone = f"bodies of {_calls(receipt['bodies'])} and {receipt['rows']:,} rows deleted"
    lines = [terminal.paint(f"prune: {gone}", "bold"), f"limits     {_limits(policy)}"]
    if receipt["segments"]:
        lines.append(f"files      {receipt['segments']:,} deleted, {figures.size(receipt['bytes'])}")
    if receipt["returned_bytes"]:
        lines.append(f"main file  {figures.size(receipt['returned_bytes'])} smaller")
    if "compacted_bytes" in receipt:
        lines.append(f"compacted  {figures.size(receipt['compacted_bytes'])} given back")
    if receipt["moved"]:
        lines.append(
            f"kept       bodies of {_calls(receipt['moved'])} copied first, and proven: pinned, on hold, or younger"
        )
    lines += [terminal.paint(f"problem    {printable(problem)}", "yellow") for problem in receipt["problems"]]
    return lines


def _limits(policy: Policy) -> str:
    if not policy.enabled:
        return "retention is switched off (retention.enabled)"
    own = [f"{printable(name)}: {_days(keeping)}" for name, keeping in policy.projects.items()]
    cap = [f"at most {figures.size(policy.max_bytes)}"] if policy.max_bytes else []
    return "; ".join([_days(policy.usual), *own, *cap])


def _days(keeping: Keeping) -> str:
    if not (keeping.bodies or keeping.row_days):
        return "everything is kept"
    return f"bodies {_span(keeping.bodies)}, rows {_span(keeping.row_days)}"


def _span(days: int) -> str:
    return f"{days:,} day{'' if days == 1 else 's'}" if days else "for good"


def _calls(number: int) -> str:
    return f"{number:,} call{'' if number == 1 else 's'}"
