"""``llmtap status``: which processes run, how far ingest is behind, what is missing, what is kept.

It reads gauges and the store and asks no process, so that a hung one is told apart from one
that is slow to answer.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from ..config import Config
from ..console import figures
from ..console.standing import standing
from ..errors import StoreError
from ..store.base import Stats
from .options import hint, with_config
from .reading import store_reader
from .terminal import Terminal, printable

_STATE_STYLES = {"up": "green", "waiting": "yellow", "hung": "bold red", "down": "bold red"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@with_config()
def status(config: Config, as_json: bool) -> int:
    """Processes, journal lag, gaps, rows and sizes. Exit code 1 when something is down."""
    found = look(config)
    print(json.dumps(found) if as_json else "\n".join(_lines(found, Terminal())))
    return 0 if found["ok"] else 1


def look(config: Config) -> dict[str, Any]:
    """All there is to say, as JSON."""
    return standing(config, *asyncio.run(_stats(config.data_dir)))


async def _stats(directory: Path) -> tuple[Stats | None, str | None]:
    try:
        async with store_reader(directory) as reader:
            return await reader.stats(), None
    except StoreError as error:
        return None, str(error)


# --- for people ------------------------------------------------------------------------------


def _lines(found: dict[str, Any], terminal: Terminal) -> Iterator[str]:
    for process in found["processes"]:
        state = terminal.paint(f"{process['state']:<8}", _STATE_STYLES[process["state"]])
        yield f"{process['name']:<11} {state} {_process_facts(process)}".rstrip()
    if all(process["state"] == "down" for process in found["processes"]):
        start = hint("serve", Path(found["data_dir"]))
        yield terminal.paint(f"llmtap does not run; start it with: {printable(start)}", "yellow")
    yield ""
    for name, text in (
        ("journal", _journal_facts(found["journal"])),
        ("store", found["trouble"] or _store_facts(found["store"])),
        ("full text", _text_facts(found["store"])),
        ("missing", _missing_facts(found["store"])),
        ("data", found["data_dir"]),
    ):
        yield f"{terminal.paint(f'{name:<11}', 'dim')} {printable(text)}"
    for name, size in (found["store"] or {"bytes": {}})["bytes"].items():
        yield f"{'':<11} {figures.size(size):>8}  {printable(name)}"


def _process_facts(process: dict[str, Any]) -> str:
    facts = []
    if process["pid"]:
        up = f"up {figures.duration(process['up_s'] * 1_000_000)}" if process["up_s"] else "just started"
        facts.append(f"pid {process['pid']}, {up}")
    if process["port"]:
        facts.append(f"port {process['port']}")
    if "calls_accepted" in process:
        lost = f", {process['calls_lost']:,} not recorded" if process["calls_lost"] else ""
        facts.append(f"{_calls(process['calls_accepted'])}, {process['calls_running']:,} running{lost}")
    if "calls_stored" in process:
        age = process["last_commit_s"]
        told = age is not None and process["calls_stored"]
        last = f", last write {figures.duration(round(age * 1_000_000))} ago" if told else ""
        facts.append(f"{_calls(process['calls_stored'])} stored since its start{last}")
    return " · ".join(facts)


def _calls(number: int) -> str:
    return f"{number:,} call{'' if number == 1 else 's'}"


def _journal_facts(journal: dict[str, Any]) -> str:
    behind = "" if journal["lag_bytes"] is None else f"{figures.size(journal['lag_bytes'])} behind · "
    slow = " (slow: writes are on a thread)" if journal["slow"] else ""
    quarantined = f" · {journal['quarantined']:,} records in quarantine" if journal["quarantined"] else ""
    worst = journal["worst_write_ms"]
    write = "" if worst is None else f" · worst write {figures.duration(round(worst * 1000))}"
    return f"{behind}{figures.size(journal['bytes'])} on disk{write}{slow}{quarantined}"


def _store_facts(store: dict[str, Any]) -> str:
    if not store["calls"]:
        return "nothing is recorded yet"
    span = f" · {store['oldest'][:10]} to {store['newest'][:10]}" if store["oldest"] else ""
    running = f", {store['running']:,} running" if store["running"] else ""
    stuck = f" · {figures.size(store['stuck_bytes'])} free: llmtap prune --compact" if store["stuck_bytes"] else ""
    return f"{_calls(store['calls'])}{running} · {figures.size(sum(store['bytes'].values()))}{span}{stuck}"


def _text_facts(store: dict[str, Any] | None) -> str:
    if store is None:
        return "unknown"
    text = store["text"]
    more = " or more" if text["more_behind"] else ""
    behind = f"{_calls(text['calls_behind'])}{more}, {figures.duration(round(text['behind_s'] * 1_000_000))} behind"
    off = [] if text["on"] else ["off (store.full_text)"]
    return " · ".join([*off, behind if text["calls_behind"] else "up to date", *text["problems"]])


def _missing_facts(store: dict[str, Any] | None) -> str:
    if store is None:
        return "unknown"
    if not (store["gaps"] or store["calls_lost"]):
        return "nothing"
    return f"{store['gaps']:,} journal records, {store['calls_lost']:,} calls that could not be recorded"
