"""``python -m bench.storage``: what a call costs to keep, in bytes and in CPU time, beside a naive row of its JSON.

The traffic is that of ``bench.traffic``, made in another process. All that is measured runs on one
core; ours and the naive design take turns batch by batch, and medians of rounds are printed.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import statistics
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from proxy.records import Exchange
from proxy.store.base import Reader, StoredCall
from proxy.store.sqlite.reader import SqliteReader

from . import linking
from .ingesting import Ingest, Spent, bytes_on_disk, memory_mb, stay_on_one_core
from .naive import Naive
from .traffic import CONVERSATIONS, MIX, SEED, Call, Truth
from .traffic.apart import batches, turns

_LOOPS, _TURNS = 60, 60
_STRETCHES = ((2, 6), (28, 33), (56, 60))  #: of turns, from 1
_READ_BACK = 5_000  #: calls, at most


class Round:
    """One pass of traffic through both designs, and what came of it."""

    def __init__(self, directory: Path) -> None:
        self._data_dir = directory / "data"
        self._naive_path = directory / "naive.db"
        self._naive_spent = Spent()
        self.calls = 0
        self.raw = 0  #: bytes of bodies
        self.ids: list[str] = []
        self.truths: list[Truth] = []
        self.digests: list[bytes] = []
        self.us: dict[str, float] = {}  #: a call, of pipeline, store and naive
        self.bytes: dict[str, float] = {}  #: a call, of raw, store, fts and naive
        self.memory_mb = (0.0, 0.0)
        self.lag_s = 0.0

    async def run(self, made: Iterable[list[Call]]) -> Round:
        """Take all of it."""
        naive, ingest = Naive(self._naive_path), await Ingest.open(self._data_dir)
        for batch in made:
            stored = await ingest.take(batch)
            with self._naive_spent.on("naive"):
                naive.write(stored)
            self._note(stored, batch)
        self.memory_mb = memory_mb("VmRSS"), memory_mb("VmHWM")
        await ingest.close()
        self.lag_s = ingest.lag_s
        with self._naive_spent.on("naive"):
            naive.close()
        self._sum_up(ingest.spent.us | self._naive_spent.us, naive)
        return self

    def _note(self, stored: list[StoredCall], batch: list[Call]) -> None:
        self.calls += len(batch)
        self.raw += sum(len(exchange.request_body) + len(exchange.response_body) for exchange, _ in batch)
        self.ids += [call.call.id for call in stored]
        self.truths += [truth for _, truth in batch]
        self.digests += [_digest(exchange) for exchange, _ in batch]

    def _sum_up(self, us: dict[str, float], naive: Naive) -> None:
        fts = bytes_on_disk(self._data_dir, "fts-*")
        sizes = {
            "raw": self.raw,
            "store": bytes_on_disk(self._data_dir) - fts,
            "fts": fts,
            "naive": naive.bytes_on_disk(),
        }
        self.bytes = {name: size / self.calls for name, size in sizes.items()}
        self.us = {name: spent / self.calls for name, spent in us.items()}

    async def differing(self) -> tuple[int, int]:
        """How many calls were read back, and how many of them are not what went in."""
        step = max(1, self.calls // _READ_BACK)
        places = range(0, self.calls, step)
        reader = await SqliteReader.open(self._data_dir)
        try:
            return len(places), sum([await self._differs(reader, place) for place in places])
        finally:
            await reader.close()

    async def _differs(self, reader: Reader, place: int) -> bool:
        exchange = await reader.exchange(self.ids[place])
        return exchange is None or _digest(exchange) != self.digests[place]

    async def linked(self) -> linking.Linked:
        """What the store made of the conversations."""
        reader = await SqliteReader.open(self._data_dir)
        try:
            return await linking.linked(reader, self.ids, self.truths)
        finally:
            await reader.close()


def _digest(exchange: Exchange) -> bytes:
    return hashlib.blake2b(msgspec.msgpack.encode(exchange), digest_size=16).digest()


def one_round(**options: Any) -> tuple[dict[str, float], dict[str, float]]:
    """(bytes, µs) a call of traffic with these options."""
    with tempfile.TemporaryDirectory() as directory:
        done = asyncio.run(Round(Path(directory)).run(batches(**options)))
        return done.bytes, done.us


def medians(figures: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(figure[name] for figure in figures) for name in figures[0]}


def whole(options: argparse.Namespace) -> tuple[dict[str, float], dict[str, float]]:
    """Rounds of the mixed traffic; of the last one, what is true of it as well."""
    sizes, times = [], []
    for number in range(options.rounds):
        with tempfile.TemporaryDirectory() as directory:
            made = batches(calls=options.calls, seed=options.seed, anthropic=options.anthropic, stream=options.stream)
            done = asyncio.run(Round(Path(directory)).run(made))
            sizes.append(done.bytes)
            times.append(done.us)
            if number == options.rounds - 1:
                _what_is_true(done)
    return medians(sizes), medians(times)


def _what_is_true(done: Round) -> None:
    print(f"  calls: {linking.kinds(done.truths)}")
    read, differing = asyncio.run(done.differing())
    print(f"  read back: {read - differing:,} of {read:,} are what went in, byte by byte (goal: all)")
    linking.report(asyncio.run(done.linked()))
    print(f"  full text: {done.lag_s:.1f} s behind after the last call, on the same core (goal on two: <=5)")
    now_mb, most_mb = done.memory_mb
    print(f"  memory with both designs and a batch: {now_mb:.0f} MB at the end, {most_mb:.0f} MB at most")


def table(rows: dict[str, tuple[dict[str, float], dict[str, float]]]) -> None:
    """Print bytes, then times."""
    goals = {"all": 15, "loop": 25}
    print(f"\n  {'bytes a call':<14}{'raw':>9}{'store':>9}{'raw/store':>11}{'goal':>7}", end="")
    print(f"{'full text':>11}{'raw/both':>10}{'goal':>6}{'naive':>9}")
    for name, (size, _) in rows.items():
        goal = f">={goals[name]}" if name in goals else ""
        text = f"{size['fts']:11,.0f}{size['raw'] / (size['store'] + size['fts']):10.1f}"
        print(
            f"  {name:<14}{size['raw']:9,.0f}{size['store']:9,.0f}{size['raw'] / size['store']:11.1f}{goal:>7}", end=""
        )
        print(f"{text}{'>=11' if name == 'all' else '':>6}{size['naive']:9,.0f}")
    print(f"\n  {'CPU µs a call':<14}{'pipeline':>9}{'store':>9}{'both':>9}{'goal':>7}{'naive':>9}", end="")
    print(f"{'naive/store':>13}{'goal':>7}{'full text':>11}")
    for name, (_, us) in rows.items():
        both = us["pipeline"] + us["store"]
        goals_here = ("<=200", ">=1.2") if name == "all" else ("", "")
        print(f"  {name:<14}{us['pipeline']:9.0f}{us['store']:9.0f}{both:9.0f}{goals_here[0]:>7}", end="")
        print(f"{us['naive']:9.0f}{us['naive'] / us['store']:13.2f}{goals_here[1]:>7}{us['text']:11.0f}")


async def _loop_turns(directory: Path, seed: int) -> list[dict[str, float]]:
    """µs a call, turn by turn."""
    ingest = await Ingest.open(directory / "data")
    found = []
    for batch in turns(loops=_LOOPS, turns=_TURNS, seed=seed):
        before = dict(ingest.spent.us)
        await ingest.take(batch)
        found.append({name: (us - before.get(name, 0.0)) / len(batch) for name, us in ingest.spent.us.items()})
    await ingest.close()
    return found


def loop_turns(rounds: int, seed: int) -> None:
    """Print what the late turns of loops cost beside the early ones."""
    made = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as directory:
            made.append(asyncio.run(_loop_turns(Path(directory), seed)))
    print(f"\n  {_LOOPS} loops side by side, CPU µs a call")
    print(f"  {'turns':<14}{'pipeline':>9}{'store':>9}{'both':>9}{'x first':>9}{'goal':>7}")
    first = None
    for low, high in _STRETCHES:
        us = medians([medians(turn[low - 1 : high]) for turn in made])
        both = us["pipeline"] + us["store"]
        first = first or both
        goal = "<=2" if high == _TURNS else ""
        print(f"  {f'{low}-{high}':<14}{us['pipeline']:9.0f}{us['store']:9.0f}{both:9.0f}{both / first:9.2f}{goal:>7}")


async def _warm_up(directory: Path) -> None:
    ingest = await Ingest.open(directory / "data")
    for batch in batches(calls=500):
        await ingest.take(batch)
    await ingest.close()


def report(options: argparse.Namespace) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(_warm_up(Path(directory)))  # imports, tables of prices and the like are no call's cost
    print(f"\nstorage: {options.calls:,} calls (seed {options.seed}), {options.rounds} rounds, one core")
    rows = {"all": whole(options)}
    for what in MIX:
        # As many at a time as in the mix, and all from their beginning: what came before would count as theirs.
        abreast = round(CONVERSATIONS * MIX[what])
        rows[what] = one_round(
            calls=options.calls // 4, seed=options.seed, mix={what: 1.0}, conversations=abreast, under_way=False
        )
    table(rows)
    loop_turns(options.rounds, options.seed)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.storage", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--anthropic", type=float, default=0.0, help="share of applications that speak its format")
    parser.add_argument("--stream", type=float, default=0.0, help="share of applications that stream")
    stay_on_one_core()
    report(parser.parse_args())


if __name__ == "__main__":
    main()
