"""How llmtap is, as JSON: its processes, how far ingest is behind, what the store holds and what is missing.

It reads gauges, and asks no process, so that a hung one is told apart from one that is slow to answer.
"""

from __future__ import annotations

from pathlib import Path

from ..clock import monotonic_us, rfc3339, wall_us
from ..config import Config
from ..store.base import JSON, Stats
from .health import Process, look_at_all


def standing(config: Config, stats: Stats | None, trouble: str | None) -> JSON:
    """All there is to say: times in RFC 3339, durations and sizes with their unit in the name.

    ``stats`` are the store's, or None and ``trouble`` says why.
    """
    directory = config.data_dir
    processes = look_at_all(directory, config.relay.workers)
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


def _process(process: Process) -> JSON:
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


def _store(stats: Stats, config: Config) -> JSON:
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


def _text(stats: Stats) -> JSON:
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
