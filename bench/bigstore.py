"""A store of many calls, made once through the whole pipeline and kept; and who reads it while it is written."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec
from msgspec import Struct

from proxy.query.parse import parse_filter
from proxy.query.tree import Filter
from proxy.store.sqlite.reader import SqliteReader

from .ingesting import Ingest, bytes_on_disk, memory_mb
from .traffic import START_US, Call
from .traffic.apart import batches

DAYS = 30
DAY_US = 86_400_000_000
_WATCHED = 10  #: of the last batches: somebody reads while they are written
_FEWEST = 10  #: conversations at a time
_CALLS_EACH = 5000  #: of the store, for each conversation at a time
_LONG = 60  #: calls of the conversation that is read
_SPAWNED = multiprocessing.get_context("spawn")


class Made(Struct, kw_only=True):
    """What is known of a store, written beside it when it is whole."""

    calls: int
    seed: int
    raw_bytes: int
    disk_bytes: int
    last_us: int  #: when the last call was accepted
    long_conversation: list[str]  #: ids of its calls
    took_s: float
    us: dict[str, float]  #: CPU, by what it was spent on
    memory_mb: float  #: at most
    text_lag_s: float
    reading_ms: dict[str, list[float]]  #: what readers waited while it was written flat out


def usual_filter(now_us: int) -> Filter:
    """A model, a state, a week, a piece of metadata."""
    since = "CURRENT_DATE - INTERVAL 7 DAY"
    text = f"model = 'gpt-5' and status = 'ok' and created > {since} and metadata.feature = 'search'"
    return parse_filter(text, now_us=now_us)


def made(directory: Path, calls: int, seed: int, processes: int) -> Made:
    """The store in ``directory``, as large as it is asked for; made when there is none."""
    notes = directory / "made.json"
    if notes.exists():
        known = msgspec.json.decode(notes.read_bytes(), type=Made)
        if (known.calls, known.seed) == (calls, seed):
            return known
        raise SystemExit(f"{directory} holds {known.calls:,} calls of seed {known.seed}: choose another --dir")
    if (directory / "store").exists():
        raise SystemExit(f"{directory} holds a store that is not whole: delete it, or choose another --dir")
    directory.mkdir(parents=True, exist_ok=True)
    done = asyncio.run(_Making(directory, calls, seed, processes).run())
    notes.write_bytes(msgspec.json.format(msgspec.json.encode(done)))
    return done


class _Making:
    def __init__(self, directory: Path, calls: int, seed: int, processes: int) -> None:
        self._directory = directory
        self._calls = calls
        self._seed = seed
        # As quick as conversations of a million calls are, so that of fewer calls no more go on beyond midnight.
        abreast = max(_FEWEST, calls // _CALLS_EACH)
        gap_us = DAYS * DAY_US // calls
        self._made = batches(calls=calls, seed=seed, processes=processes, gap_us=gap_us, conversations=abreast)
        self._now_us = START_US
        self._raw = 0
        self._stored = 0
        self._conversations: dict[int, list[str]] = defaultdict(list)
        self._long: list[str] = []

    async def run(self) -> Made:
        began_s = time.perf_counter()
        ingest = await Ingest.open(self._directory, lambda: self._now_us)
        for batch in islice(self._made, max(0, self._calls // 500 - _WATCHED)):
            await self._take(ingest, batch)
        most_mb = memory_mb("VmHWM")
        last = list(self._made)  # nobody makes calls any more: two cores for who writes and who reads
        with _Reading(self._directory, self._now_us) as reading:
            for batch in last:
                await self._take(ingest, batch)
            reading_ms = await asyncio.to_thread(reading.stop)
        await ingest.close()
        return Made(
            calls=self._calls,
            seed=self._seed,
            raw_bytes=self._raw,
            disk_bytes=bytes_on_disk(self._directory),
            last_us=self._now_us,
            long_conversation=self._long,
            took_s=time.perf_counter() - began_s,
            us=dict(ingest.spent.us),
            memory_mb=most_mb,
            text_lag_s=ingest.lag_s,
            reading_ms=reading_ms,
        )

    async def _take(self, ingest: Ingest, batch: list[Call]) -> None:
        self._now_us = batch[-1][0].begin.started_at_us
        stored = await ingest.take(batch)
        for call, (exchange, truth) in zip(stored, batch, strict=True):
            self._raw += len(exchange.request_body) + len(exchange.response_body)
            if truth.what == "loop":
                self._note(truth.conversation, call.call.id)
        self._stored += len(batch)
        if self._stored % 50_000 == 0:
            print(f"  … {self._stored:,} calls stored", flush=True)

    def _note(self, conversation: int, call_id: str) -> None:
        """Remember the calls of loops that are not over yet, and of the last one that is long."""
        calls = self._conversations[conversation]
        calls.append(call_id)
        if len(calls) == _LONG:
            self._long = self._conversations.pop(conversation)
        elif len(self._long) < len(calls) < _LONG and len(self._long) < _LONG:
            self._long = list(calls)
        while len(self._conversations) > 1000:
            self._conversations.pop(next(iter(self._conversations)))


class _Reading:
    """Another process that asks the same few questions again and again."""

    def __init__(self, data_dir: Path, now_us: int) -> None:
        self._pipe, there = _SPAWNED.Pipe()
        self._process = _SPAWNED.Process(target=_read, args=(there, str(data_dir), now_us), daemon=True)

    def __enter__(self) -> _Reading:
        self._process.start()
        self._pipe.recv()
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.close()
        self._process.join()

    def stop(self) -> dict[str, list[float]]:
        """End it; ms of each question, by name."""
        self._pipe.send(None)
        answer: dict[str, list[float]] = self._pipe.recv()
        return answer


def _read(pipe: Connection, data_dir: str, now_us: int) -> None:
    pipe.send(asyncio.run(_ask_until_told(pipe, Path(data_dir), usual_filter(now_us))))


async def _ask_until_told(pipe: Connection, data_dir: Path, where: Filter) -> dict[str, list[float]]:
    reader = await SqliteReader.open(data_dir)
    newest = (await reader.find(limit=1))[0].id
    questions: dict[str, Callable[[], Awaitable[object]]] = {
        "newest 50": lambda: reader.find(limit=50),
        "filtered": lambda: reader.find(where, limit=50),
        "one call whole": lambda: reader.exchange(newest),
    }
    found: dict[str, list[float]] = {name: [] for name in questions}
    pipe.send("ready")
    while not pipe.poll():
        for name, ask in questions.items():
            began_s = time.perf_counter()
            await ask()
            found[name].append((time.perf_counter() - began_s) * 1000)
        await asyncio.sleep(0.005)  # people pause
    await reader.close()
    return found
