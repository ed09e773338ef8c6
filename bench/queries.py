"""``python -m bench.queries``: how long questions to a store of many calls take.

The store is made once, by the whole pipeline, and asked again the next time. With
``--calls 1000000`` it is the store that the goals speak of; making it takes a while.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from msgspec import Struct

from proxy.clock import CallIds, id_text
from proxy.query.parse import parse_filter
from proxy.query.tree import Filter
from proxy.store.base import JobRow
from proxy.store.policy import Keeping, Policy
from proxy.store.sqlite.reader import SqliteReader
from proxy.store.sqlite.store import SqliteStore
from proxy.tasks import spawn

from .bigstore import DAYS, Made, made, usual_filter
from .duck import COST, PERCENTILES, Duck
from .traffic import SEED

_COMMON, _PHRASE = "the", '"return value"'
_RARE = ("quaternion", "mandelbrot", "palindrome", "thunk", "bisection", "hyperbolic", "entropy", "semaphore")
_PAGE = 50


class Timed(Struct, frozen=True):
    """ms of a question that was asked again and again, and how much it found."""

    median: float
    p99: float
    found: int


async def timed(ask: Callable[[], Awaitable[list[object]]], times: int = 100) -> Timed:
    """Warm: the first time does not count."""
    found = len(await ask())
    took_ms = []
    for _ in range(times):
        began_s = time.perf_counter()
        await ask()
        took_ms.append((time.perf_counter() - began_s) * 1000)
    return Timed(statistics.median(took_ms), percentile(took_ms, 0.99), found)


def percentile(values: list[float], share: float) -> float:
    """The smallest that so many are not above."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def line(
    name: str, median: float, p99: float, goal: str = "", found: object = "", duck_ms: float | None = None
) -> None:
    duck = "" if duck_ms is None else f"{duck_ms:.1f}"
    print(f"  {name:<44}{median:9.2f}{p99:9.2f}{goal:>9}{duck:>9}   {found}", flush=True)


async def questions(data_dir: Path, store: Made, duck: Duck | None) -> None:
    """Ask them all, and print."""
    reader = await SqliteReader.open(data_dir)
    try:
        await _lists(reader, usual_filter(store.last_us))
        await _reports(reader, duck)
        await _whole_conversation(reader, store.long_conversation)
        for name, words in (("rare word", await _rare(reader)), ("common word", _COMMON), ("phrase", _PHRASE)):
            await _search(reader, name, words)
    finally:
        await reader.close()


async def _lists(reader: SqliteReader, where: Filter) -> None:
    async def newest() -> list[object]:
        return list(await reader.find(limit=_PAGE))

    async def filtered() -> list[object]:
        return list(await reader.find(where, limit=_PAGE))

    for name, ask, goal in (("newest 50", newest, "<5"), ("model, status, week, metadata: 50", filtered, "<50")):
        took = await timed(ask)
        line(name, took.median, took.p99, goal, f"{took.found} found")


async def _reports(reader: SqliteReader, duck: Duck | None) -> None:
    async def cost() -> list[object]:
        return list(await reader.report(("day", "model")))

    async def percentiles() -> list[object]:
        return list(await reader.report(("model",)))

    took = await timed(cost, 20)
    line("cost by day and model", took.median, took.p99, "<10", f"{took.found} rows", _of(duck, COST))
    took = await timed(percentiles, 20)
    line("percentiles by model", took.median, took.p99, "<30", f"{took.found} rows", _of(duck, PERCENTILES))
    if duck is not None:
        print(f"    largest error of a percentile: {await _error(reader, duck):.2%} (goal <=3%)")


def _of(duck: Duck | None, sql: str) -> float | None:
    return None if duck is None else duck.median_ms(sql)


async def _error(reader: SqliteReader, duck: Duck) -> float:
    """Of calls that went well: of others it may be ours alone to say which model they were for."""
    exact = {model: values for model, _, values in duck.ask(PERCENTILES)}
    worst = 0.0
    for row in await reader.report(("model",), where=parse_filter("status = 'ok'")):
        said = (row.latency_p50_us, row.latency_p95_us, row.latency_p99_us)
        known = exact[row.group[0] or ""] if row.group[0] in exact else exact[None]
        worst = max([worst, *(abs(ours / true - 1) for ours, true in zip(said, known, strict=True) if ours and true)])
    return worst


async def _whole_conversation(reader: SqliteReader, ids: list[str]) -> None:
    async def whole() -> list[object]:
        trace = await reader.conversation(ids[-1])
        return [await reader.exchange(step.call.id) for step in trace.steps]

    took = await timed(whole, 20)
    line(f"a conversation of {len(ids)} calls with bodies", took.median, took.p99, "<20", f"{took.found} calls")


async def _rare(reader: SqliteReader) -> str:
    """A word that some calls hold, but no page full of them; which one, depends on the sources of the machine."""
    for word in _RARE:
        if 0 < len((await reader.search(word, limit=_PAGE)).calls) < _PAGE:
            return word
    return _RARE[0]


async def _search(reader: SqliteReader, name: str, words: str) -> None:
    async def search() -> list[object]:
        return list((await reader.search(words, limit=_PAGE)).calls)

    took = await timed(search, 20)
    line(f"full text, {name} ({words}): 50", took.median, took.p99, "<20", f"{took.found} found")


def while_written(store: Made) -> None:
    """Print what readers waited when calls came in flat out."""
    for name, took_ms in store.reading_ms.items():
        times = f"{len(took_ms)} times, {max(took_ms):.1f} at most"
        line(f"{name}, while writing", statistics.median(took_ms), percentile(took_ms, 0.99), "p99 <20", times)


async def retention(data_dir: Path, last_us: int) -> None:
    """Print how long the oldest tenth takes to go, and how long others wait to write meanwhile. Changes the store."""
    days = DAYS - DAYS // 10
    policy = Policy(usual=Keeping(days, days))
    store = await SqliteStore.open(data_dir, policy=policy, now_us=lambda: last_us)
    waits_ms: list[float] = []
    writing = spawn(_write_on(store, waits_ms), "writing beside")
    began_s, receipt = time.perf_counter(), None
    async for step in store.purge(policy, last_us):
        receipt = step
    took_s = time.perf_counter() - began_s
    writing.cancel()
    await asyncio.wait([writing])
    await store.close()
    gone = f"{receipt.rows:,} rows, {receipt.bytes / 1e6:.0f} MB" if receipt else "nothing"
    print(f"\n  retention of the oldest tenth: {took_s:.2f} s (goal <5), {gone}")
    print(
        f"    a write beside it waited {max(waits_ms):.0f} ms at most, {statistics.median(waits_ms):.1f} in the median"
    )


async def _write_on(store: SqliteStore, waits_ms: list[float]) -> None:
    job = JobRow(id=id_text(CallIds().next(1)), kind="bench", asked_at_us=1, request={})
    while True:
        began_s = time.perf_counter()
        await store.put_job(job)
        waits_ms.append((time.perf_counter() - began_s) * 1000)
        await asyncio.sleep(0.001)


def report(data_dir: Path, store: Made) -> None:
    """Measure and print."""
    cpu = ", ".join(f"{name} {us / store.calls:.0f}" for name, us in store.us.items())
    print(f"\nqueries: {store.calls:,} calls of {DAYS} days, {store.raw_bytes / 1e9:.1f} GB raw")
    print(f"  on disk {store.disk_bytes / 1e9:.2f} GB: 1/{store.raw_bytes / store.disk_bytes:.1f}, full text included")
    print(f"  made in {store.took_s:.0f} s; CPU µs a call: {cpu}")
    print(f"  memory of ingest at most {store.memory_mb:.0f} MB (goal <=256), with a batch of the bench's own")
    print(f"  full text {store.text_lag_s:.1f} s behind after the last call (goal <=5)")
    duck = Duck.of(data_dir)
    print(f"\n  {'ms':<44}{'median':>9}{'p99':>9}{'goal':>9}{'DuckDB':>9}")
    asyncio.run(questions(data_dir, store, duck))
    while_written(store)
    if duck is None:
        print("  DuckDB is not installed: pip install duckdb")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.queries", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--calls", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--processes", type=int, default=1, help="that make calls; one writes")
    parser.add_argument("--dir", type=Path, help="where the store is kept for the next time")
    parser.add_argument("--retention", action="store_true", help="copy the store, and let its oldest tenth go")
    options = parser.parse_args()
    directory = options.dir or Path(tempfile.gettempdir(), f"llmtap-bench-{options.calls}-{options.seed}")
    store = made(directory, options.calls, options.seed, options.processes)
    report(directory, store)
    if options.retention:
        copy = directory.with_name(f"{directory.name}-copy")
        shutil.copytree(directory, copy)
        try:
            asyncio.run(retention(copy, store.last_us))
        finally:
            shutil.rmtree(copy)


if __name__ == "__main__":
    main()
