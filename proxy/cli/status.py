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

from ..clock import monotonic_us, rfc3339, wall_us
from ..config import Config
from ..console import figures
from ..console.health import Process, look_at_all
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
    """All there is to say, as JSON: times in RFC 3339, durations and sizes with their unit in the name."""
    directory = config.data_dir
    processes = look_at_all(directory, config.relay.workers)
    stats, trouble = asyncio.run(_stats(directory))
    relays = [process for process in processes if process.name.startswith("relay-")]
    ingest = next(process for process in processes if process.name == "ingest")
    return {
        "ok": all(process.up for process in processes) and trouble is None,
        "data_dir": str(directory),
        "processes": [_process(process) for process in processes],
        "journal": {
            "bytes": _bytes_below(directory / "journal"),
            "lag_bytes": ingest.vitals.get("journal_lag_bytes") if ingest.up else None,
            "worst_write_ms": _worst_write_ms(relays),
            "slow": any(relay.up and relay.vitals.get("journal_slow") for relay in relays),
            "quarantined": ingest.vitals.get("quarantined", 0),
        },
        "store": None if stats is None else _store(stats, config),
        "trouble": trouble,
    }


def _worst_write_ms(relays: list[Process]) -> float | None:
    """Of the relays that run; None when none does."""
    writes = [relay.vitals.get("journal_worst_write_us", 0) for relay in relays if relay.state != "down"]
    return max(writes) / 1000 if writes else None


async def _stats(directory: Path) -> tuple[Stats | None, str | None]:
    try:
        async with store_reader(directory) as reader:
            return await reader.stats(), None
    except StoreError as error:
        return None, str(error)


def _process(process: Process) -> dict[str, Any]:
    vitals = process.vitals if process.state != "down" else {}
    return {
        "name": process.name,
        "state": process.state,
        "pid": vitals.get("pid"),
        "up_s": max(0, wall_us() - vitals["started_at_us"]) // 1_000_000 if vitals else None,
        "port": vitals.get("port") or None,
        **{name: vitals[name] for name in _COUNTERS.get(process.name.partition("-")[0], ()) if name in vitals},
        **({"last_commit_s": _age_s(vitals["last_commit_us"])} if vitals and process.name == "ingest" else {}),
    }


_COUNTERS = {"relay": ("calls_accepted", "calls_running", "calls_lost"), "ingest": ("calls_stored",)}


def _age_s(monotonic: int) -> float | None:
    return round((monotonic_us() - monotonic) / 1_000_000, 1) if monotonic else None


def _store(stats: Stats, config: Config) -> dict[str, Any]:
    return {
        "calls": stats.calls,
        "running": stats.running,
        "gaps": stats.gaps,
        "calls_lost": stats.calls_lost,
        "oldest": rfc3339(stats.oldest_us) if stats.oldest_us is not None else None,
        "newest": rfc3339(stats.newest_us) if stats.newest_us is not None else None,
        "bytes": _with_companions(stats.bytes),
        "stuck_bytes": stats.stuck_bytes,
        "text": {"on": config.store.full_text, **_text(stats)},
    }


def _text(stats: Stats) -> dict[str, Any]:
    """How far full text is behind, and what is wrong with its files."""
    behind = stats.text_behind
    waited_us = wall_us() - behind.since_us if behind is not None and behind.since_us is not None else 0
    return {
        "calls_behind": behind.calls if behind is not None else 0,
        "more_behind": behind is not None and behind.more,
        "behind_s": round(max(0, waited_us) / 1_000_000, 1),
        "problems": list(stats.text_problems),
    }


def _with_companions(sizes: dict[str, int]) -> dict[str, int]:
    """Sizes by database; what SQLite keeps beside one (``-wal``, ``-shm``) counts with it."""
    found: dict[str, int] = {}
    for name, size in sizes.items():
        database = name.removesuffix("-wal").removesuffix("-shm").removesuffix("-journal")
        found[database] = found.get(database, 0) + size
    return found


def _bytes_below(directory: Path) -> int:
    total = 0
    for path in directory.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:  # ingested and removed meanwhile
            continue
    return total


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
