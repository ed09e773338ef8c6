"""What the ingest process does to a call, in this process and with a stop-watch: pipeline, then store."""

from __future__ import annotations

import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from proxy import config
from proxy.clock import wall_us
from proxy.config import Config
from proxy.ingest.pipeline import Pipeline, Quarantine
from proxy.ingest.texts import Findable
from proxy.records import Call as Row
from proxy.records import Exchange
from proxy.store.base import Batch, StoredCall
from proxy.store.sqlite.fulltext.index import Limits
from proxy.store.sqlite.store import SqliteStore

from .traffic import Call


class Spent:
    """CPU time of this process by what it was spent on; ``apart``: a thread whose time is no part of any of it."""

    def __init__(self, apart: threading.Thread | None = None) -> None:
        self.us: dict[str, float] = defaultdict(float)
        self._apart = None if apart is None or apart.ident is None else time.pthread_getcpuclockid(apart.ident)

    @contextmanager
    def on(self, what: str) -> Iterator[None]:
        """Count what is done inside."""
        began_us = self._now_us()
        try:
            yield
        finally:
            self.us[what] += self._now_us() - began_us

    def apart_us(self) -> float:
        """What the thread apart has spent so far; it must be alive."""
        return 0.0 if self._apart is None else time.clock_gettime_ns(self._apart) / 1000

    def _now_us(self) -> float:
        return time.process_time_ns() / 1000 - self.apart_us()


class Ingest:
    """Pipeline and store of a data directory of its own. ``spent`` tells of ``pipeline``, ``store`` and ``text``."""

    def __init__(self, data_dir: Path, store: SqliteStore, text: threading.Thread) -> None:
        self._pipeline = _pipeline(data_dir, salt=store.salt)
        self._findable = Findable(Config().store)
        self._seq = 0
        self.store = store
        self.spent = Spent(apart=text)
        self.lag_s = 0.0  #: of full text, after the last call

    @classmethod
    async def open(cls, data_dir: Path, now_us: Callable[[], int] = wall_us) -> Ingest:
        """Make the store when there is none; ``now_us`` says on which day calls are stored."""
        store = await SqliteStore.open(data_dir, full_text=Limits(), now_us=now_us)
        *_, text = threading.enumerate()  # the thread that was started last is that of full text
        return cls(data_dir, store, text)

    async def take(self, batch: list[Call]) -> list[StoredCall]:
        """Understand calls and store them in one commit."""
        with self.spent.on("pipeline"):
            stored = [self._understood(exchange) for exchange, _ in batch]
        with self.spent.on("store"):
            await self.store.write(Batch(calls=stored))
        return stored

    async def close(self) -> None:
        """Wait for full text, then stop, as ``serve`` does; what the store still has to do counts as its own."""
        began_s = time.perf_counter()
        await self.store.text_settled()
        self.lag_s = time.perf_counter() - began_s
        self.spent.us["text"] = self.spent.apart_us()
        closing = Spent()  # the thread of full text ends, and with it its clock
        with closing.on("store"):
            await self.store.close()
        self.spent.us["store"] += closing.us["store"]

    def _understood(self, exchange: Exchange) -> StoredCall:
        self._seq += 1
        item = self._pipeline.run(exchange)
        return self._findable(item.stored("relay-0", self._seq), item.parsed)


def _pipeline(data_dir: Path, **more: Any) -> Pipeline:
    settings = config.load(environment={}, flags={("data", "dir"): str(data_dir)})
    return Pipeline(settings, Quarantine(data_dir / "quarantine", 1), **more)


def understood(exchanges: list[Exchange], data_dir: Path) -> list[Row]:
    """Rows, as the pipeline makes them."""
    pipeline = _pipeline(data_dir)
    return [pipeline.run(exchange).call for exchange in exchanges]


def bytes_on_disk(data_dir: Path, pattern: str = "*") -> int:
    """Of a store that is closed, or of those of its files whose names match."""
    return sum(path.stat().st_size for path in (data_dir / "store").rglob(pattern) if path.is_file())


def stay_on_one_core() -> None:
    """Let nothing of this process run beside itself."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def memory_mb(field: str) -> float:
    """``VmRSS`` (now) or ``VmHWM`` (the most so far) of this process, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{field}:"))
