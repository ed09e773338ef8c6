"""``llmtap reprice`` and ``llmtap rederive``: stored calls looked at again, and a receipt of what changed.

A dry run looks, and writes nothing; who does the work else is work.py's to find out.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import click
import msgspec

from ..clock import CallIds, id_text, wall_us
from ..config import Config
from ..console.figures import exact_dollars
from ..errors import LlmtapError
from ..query.tree import Filter
from ..store.base import JobRow, JobState, Reader
from .options import FILTER_HELP, filter_option, with_config
from .reading import how_to_begin, recorded
from .terminal import Terminal
from .work import worked

_FIELDS_SHOWN = 12


def _command(kind: str, text: str) -> click.Command:
    @click.command(name=kind, help=text, epilog=FILTER_HELP)
    @filter_option
    @click.option("--dry-run", is_flag=True, help="Only say what would change.")
    @click.option("--json", "as_json", is_flag=True, help="The receipt as one line of JSON.")
    @with_config()
    def again(config: Config, where: Filter | None, dry_run: bool, as_json: bool) -> int:
        return asyncio.run(_again(config, kind, where, dry_run, as_json))

    return again


reprice = _command(
    "reprice",
    """Price stored calls again: by today's price table and [[prices]], at the price in force when they were made.

    The upstream's own figures stand. Tokens are not counted again: see rederive. The cost of a call whose
    bytes are gone stands too; if it had none, it can get one from [[prices]].
    """,
)
rederive = _command(
    "rederive",
    """Read the stored bytes of calls again, with today's parsers, estimates and prices.

    Rows of calls whose bodies are gone stay as they are.
    """,
)


async def _again(config: Config, kind: str, where: Filter | None, dry_run: bool, as_json: bool) -> int:
    async with recorded(config) as reader:
        if not await reader.latest_rev():
            raise LlmtapError(how_to_begin(config))
        shown = _Progress(kind, (await reader.stats()).calls if where is None else None)
        request = {"where": msgspec.to_builtins(where), "prices": msgspec.to_builtins(config.prices)}
        job = JobRow(id=id_text(CallIds().next(wall_us())), kind=kind, asked_at_us=wall_us(), request=request)
        try:
            async for step in _done(config, reader, job, dry_run):
                job = step
                shown.update(job.receipt)
        except asyncio.CancelledError:
            shown.clear()
            if not dry_run:
                print(f"{kind}: what was begun goes on where llmtap serve runs, or when it runs next", file=sys.stderr)
            raise
        shown.clear()
    if job.state == JobState.FAILED:
        raise LlmtapError(f"{kind} stopped: {job.receipt.get('error')}")
    if as_json:
        print(msgspec.json.encode({"job": job.id, "dry_run": dry_run, **job.receipt}).decode())
    else:
        print(_receipt(kind, job.receipt, dry_run))
    return 0


def _done(config: Config, reader: Reader, job: JobRow, dry_run: bool) -> AsyncIterator[JobRow]:
    """The job after each step."""
    return _tried(config, reader, job) if dry_run else worked(config, reader, job)


async def _tried(config: Config, reader: Reader, job: JobRow) -> AsyncIterator[JobRow]:
    """Look, and write nothing."""
    from ..ingest.anew import Receipt
    from ..ingest.jobs import Again
    from ..ingest.pipeline import Pipeline, Quarantine

    quarantine = Quarantine(config.data_dir / "quarantine", config.ingest.quarantine_days)
    where = msgspec.convert(job.request["where"], Filter | None)
    again = Again(config, Pipeline(config, quarantine), job.kind, where, Receipt())
    while await again.slice(reader) is not None:
        yield msgspec.structs.replace(job, receipt=msgspec.to_builtins(again.receipt))
    yield msgspec.structs.replace(job, state=JobState.DONE, receipt=msgspec.to_builtins(again.receipt))


# --- what people see ------------------------------------------------------------------------------


class _Progress:
    """One line that is written over, on a terminal; nothing elsewhere."""

    def __init__(self, kind: str, calls: int | None) -> None:
        self._kind = kind
        self._calls = calls
        self._terminal = Terminal(sys.stderr)

    def update(self, receipt: dict[str, Any]) -> None:
        """How far it is."""
        if self._terminal.steerable:
            of = f" of {self._calls:,}" if self._calls is not None else ""
            looked, changed = receipt.get("looked", 0), receipt.get("changed", 0)
            self._terminal.write(f"\r\x1b[K{self._kind}: {looked:,}{of} calls looked at, {changed:,} changed")

    def clear(self) -> None:
        """Take the line away."""
        if self._terminal.steerable:
            self._terminal.write("\r\x1b[K")


def _receipt(kind: str, receipt: dict[str, Any], dry_run: bool) -> str:
    terminal = Terminal()
    would = "would change" if dry_run else "changed"
    before, after = (exact_dollars(receipt[f"cost_{when}_nano_usd"]) for when in ("before", "after"))
    lines = [
        terminal.paint(f"{kind}: {receipt['looked']:,} calls looked at, {receipt['changed']:,} {would}", "bold"),
        f"cost       ${before} → ${after}",
        f"priced     {receipt['priced_before']:,} → {receipt['priced_after']:,} calls",
    ]
    if receipt["without_bodies"]:
        lines.append(f"bodies     gone for {receipt['without_bodies']:,} calls: their rows were all there was")
    if receipt["kept"]:
        lines.append(f"kept       the cost of {receipt['kept']:,} calls, which cannot be told again")
    if receipt["failed"]:
        lines.append(f"failed     for {receipt['failed']:,} calls, which stay as they were: see llmtap's log")
    fields = sorted(receipt["fields"].items(), key=lambda item: -item[1])
    lines += [f"  {name:<20} in {count:,} calls" for name, count in fields[:_FIELDS_SHOWN]]
    if len(fields) > _FIELDS_SHOWN:
        lines.append(f"  and {len(fields) - _FIELDS_SHOWN} other columns: see --json")
    return "\n".join(lines)
