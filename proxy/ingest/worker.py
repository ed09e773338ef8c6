"""The ingest process: reads journals, runs the pipeline, and is the store's only writer.

One loop: read what ended, understand it, commit it, free what the commit covers. A store that
cannot be written is waited for; journals hold what comes meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Self, TypeVar

from .. import child
from ..child import Assignment, Vitals
from ..clock import monotonic_us, wall_us
from ..config import Config
from ..errors import Busy, StoreError
from ..records import Begin, evolve
from ..store.base import POISON, Batch, Store, StoredCall
from ..store.policy import Policy
from ..store.sqlite.fulltext.index import Limits
from ..store.sqlite.store import SqliteStore
from .assembly import OpenCall
from .housekeeping import Housekeeping
from .jobs import Jobs
from .journals import Due, Journals
from .memory import shares
from .pipeline import Pipeline, Quarantine
from .programs import Program, Programs
from .texts import Findable

T = TypeVar("T")

log = logging.getLogger(__name__)

_NICE = 10  #: a catch-up burst shall not compete with relays
_IDLE_S = 0.05
_QUIET_S = 0.1  #: between looks when nothing has come for a while
_QUIET_AFTER = 40
_GRACE_S = 5.0  #: beyond the relays' own deadline
_RETRY_S = (0.1, 0.5, 2.0, 5.0)
_HOUSEKEEPING_US = 60_000_000
_POSITIONS_US = 2_000_000
_FRESH_US = 2_000_000  #: after it, a port may be another program's
_JOBS_US = 1_000_000  #: under load, jobs get a slice this often
_JOBS_PAUSE_US = 5_000_000  #: after one of them failed
_BATCH_BYTES = 64 << 20  #: of frames, in one commit


class WriterLock:
    """Held by whoever may write to the store of a data directory."""

    def __init__(self, data_dir: Path) -> None:
        self._fd = os.open(data_dir / "writer.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._fd)
            raise Busy(f"another llmtap writes to {data_dir} already") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Let another one write."""
        os.close(self._fd)


class Worker:
    """One loop over journals, pipeline and store."""

    def __init__(
        self,
        config: Config,
        data_dir: Path,
        store: Store,
        journals: Journals,
        vitals: Vitals,
        relay_name: str | None = None,
    ) -> None:
        self._config = config
        self._relay_name = relay_name  #: of the ``run`` that we work for; None for ``serve``
        self._store = store
        self._journals = journals
        self._vitals = vitals
        self._quarantine = Quarantine(data_dir / "quarantine", config.ingest.quarantine_days)
        self._pipeline = Pipeline(config, self._quarantine, salt=store.salt)
        self._findable = Findable(config.store)
        self._programs = Programs() if config.identity.programs else None
        self._jobs = Jobs(config, store, self._pipeline)
        self._housekeeping = Housekeeping(store, Policy.of(config))
        self._jobs_us = 0
        self._stopping = False
        self._housekept_us = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop`` is set, the relays of this ``serve`` are gone, and nothing is left to read."""
        await self._patiently(self._jobs.resume)
        idle_rounds = 0
        patience_s = self._config.limits.drain_timeout_s + _GRACE_S
        give_up: float | None = None
        while True:
            self._stopping = stop.is_set()
            worked = await self.step()
            idle_rounds = 0 if worked else idle_rounds + 1
            if self._relay_name and stop.is_set() and not self._journals.left_by(self._relay_name):
                return  # what others write meanwhile is for the next one who ingests
            if worked:
                continue
            if stop.is_set():
                give_up = give_up or time.monotonic() + patience_s
                if self._journals.idle and (not self._journals.growing or time.monotonic() > give_up):
                    return
            await _pause(stop, _QUIET_S if idle_rounds > _QUIET_AFTER else _IDLE_S)

    async def step(self) -> bool:
        """Read, understand, commit and free once; whether there was anything to do."""
        moved = self._journals.look()
        await self._look_up(self._journals.begun())
        asked = self._journals.jobs()
        await self._patiently(lambda: self._jobs.take(asked))
        ended = self._take_batch()
        calls = [*ended, *(self._running(*open_call) for open_call in self._journals.running())]
        said = self._journals.events()
        cut = self._journals.cut()
        if calls or said or cut.gaps or cut.over or (cut.positions and self._position_due()):
            news = Batch(calls=calls, events=said, positions=cut.positions, gaps=cut.gaps, finished_journals=cut.over)
            await self._commit(news)
            self._journals.committed(cut)
            self._vitals.add("calls_stored", len(ended))
        self._look_after()
        caught_up = await self._patiently(self._store.catch_up)
        worked = moved or caught_up or bool(ended or said or cut.gaps or cut.over)
        return await self._work(busy=worked) or worked

    async def _look_up(self, begun: list[Begin]) -> None:
        """Ask which programs have just called: later, their connections may be gone or somebody else's."""
        now_us = monotonic_us()
        fresh = [begin.client for begin in begun if 0 <= now_us - begin.accepted_us < _FRESH_US]
        if self._programs is not None and fresh:
            for client in fresh:
                self._programs.note(client)
            await self._programs.settle()

    def _program(self, begin: Begin) -> Program | None:
        return self._programs.found(begin.client) if self._programs is not None and begin.client else None

    async def _work(self, *, busy: bool) -> bool:
        """A slice of a job, else of retention, when nothing else is to do, or every second; whether there was one."""
        now_us = monotonic_us()
        if self._stopping or now_us < self._jobs_us or (busy and now_us - self._jobs_us < _JOBS_US):
            return False
        self._jobs_us = now_us
        done = await self._survived("a job", self._jobs.step)
        if done is None:
            self._jobs_us = now_us + _JOBS_PAUSE_US
        return done or bool(await self._survived("retention", self._housekeeping.step))

    async def _survived(self, name: str, step: Callable[[], Awaitable[object]]) -> bool | None:
        """Whether something was done; None when it failed: that must not keep calls from being stored."""
        try:
            return bool(await step())
        except StoreError as error:
            log.error("%s cannot go on (%s); trying again", name, error)
        except Exception:
            log.exception("%s cannot go on; trying again", name)
        return None

    def _take_batch(self) -> list[StoredCall]:
        """Understand what has ended, bounded in calls, in bytes, and in time, so that the heartbeat goes on."""
        batch: list[StoredCall] = []
        settings, started_us, size = self._config.ingest, monotonic_us(), 0
        while len(batch) < settings.batch_calls and size < _BATCH_BYTES:
            due = self._journals.take()
            if due is None:
                break
            size += due.ended.size
            batch.append(self._understood(due))
            if monotonic_us() - started_us > settings.batch_ms * 1000:
                break
        return batch

    def _position_due(self) -> bool:
        """Parts alone move positions too, but a commit for them alone is worth it only now and then."""
        return monotonic_us() - self._vitals["last_commit_us"] > _POSITIONS_US

    def _understood(self, due: Due) -> StoredCall:
        exchange = due.ended.exchange()
        due.journal.assembler.release(due.ended)
        found = self._pipeline.run(exchange, self._program(exchange.begin))
        return self._findable(found.stored(due.journal.name, due.ended.seq), found.parsed)

    def _running(self, journal: str, call: OpenCall) -> StoredCall:
        call.shown = True
        found = self._pipeline.running(call.exchange(), self._program(call.begin))
        return evolve(found.stored(journal, None), exchange=None, tools=None)

    def close(self) -> None:
        """End what runs beside."""
        if self._programs is not None:
            self._programs.close()

    async def _commit(self, batch: Batch) -> None:
        try:
            await self._write(batch)
        except POISON:
            log.exception("a batch cannot be stored as it is; its calls and events are stored one by one")
            await self._commit_singly(batch)
        self._vitals["last_commit_us"] = monotonic_us()

    async def _write(self, batch: Batch) -> None:
        await self._patiently(lambda: self._store.write(batch))

    async def _patiently(self, act: Callable[[], Awaitable[T]]) -> T:
        """Do what can be done again, however long the store must be waited for."""
        attempt = 0
        while True:
            try:
                return await act()
            except StoreError as error:
                pause_s = _RETRY_S[min(attempt, len(_RETRY_S) - 1)]
                log.error(
                    "the store cannot be written (%s); journals hold what comes, trying again in %g s", error, pause_s
                )
                attempt += 1
                await asyncio.sleep(pause_s)

    async def _commit_singly(self, batch: Batch) -> None:
        """Something in the batch is poison: calls keep their findings, but for that one; an event is left out."""
        for stored in batch.calls:
            for version in self._ever_simpler(stored):
                with contextlib.suppress(*POISON):
                    await self._write(Batch(calls=[version]))
                    break
        for event in batch.events:
            with contextlib.suppress(*POISON):
                await self._write(Batch(events=[event]))
        await self._write(evolve(batch, calls=(), events=()))

    def _ever_simpler(self, stored: StoredCall) -> Iterator[StoredCall]:
        yield stored
        if stored.exchange is not None:
            bare = self._pipeline.bare(stored.exchange)
            yield evolve(stored, call=bare)
            yield evolve(stored, call=bare, exchange=None)

    def _look_after(self) -> None:
        self._vitals["journal_lag_bytes"] = self._journals.lag_bytes
        now_us = monotonic_us()
        if now_us - self._housekept_us > _HOUSEKEEPING_US:
            self._housekept_us = now_us
            self._vitals["quarantined"] = self._quarantine.expire()
        for followed in self._journals.followed.values():
            for frame in followed.assembler.undecodable:
                self._quarantine.keep(f"{followed.name}-{frame.seq:x}.frame", frame.payload)
            followed.assembler.undecodable.clear()


async def _pause(stop: asyncio.Event, pause_s: float) -> None:
    """Sleep, but wake for the news that it is time to stop."""
    if stop.is_set():
        await asyncio.sleep(pause_s)
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(pause_s):
            await stop.wait()


def _writer_lock(assignment: Assignment) -> WriterLock:
    return WriterLock(Path(assignment.data_dir))


async def main(assignment: Assignment, vitals: Vitals, stop: asyncio.Event) -> None:
    """Ingest until told to stop, then until the journals are empty."""
    with contextlib.suppress(OSError):
        os.nice(_NICE)
    await ingest(assignment.config, Path(assignment.data_dir), vitals, stop, assignment.relay_name)


async def ingest(
    config: Config, data_dir: Path, vitals: Vitals, stop: asyncio.Event, relay_name: str | None = None
) -> None:
    """Open the store and work; the caller holds the writer lock."""
    memory = shares(config.ingest.memory_mb)
    store = await SqliteStore.open(
        data_dir, policy=Policy.of(config), full_text=Limits.of(config), memory_bytes=memory.store
    )
    try:
        positions = await store.positions()
        stored = {name: await store.stored_seqs(name, position.low_seq) for name, position in positions.items()}
        journals = Journals(data_dir / "journal", positions, stored, memory.waiting)
        alive = [path.name for path in (data_dir / "journal").iterdir() if not path.name.startswith(".")]
        await store.interrupt_running(alive, wall_us())
        vitals["ready"] = 1
        worker = Worker(config, data_dir, store, journals, vitals, relay_name)
        try:
            await worker.run(stop)
        finally:
            worker.close()
            journals.close()
    finally:
        await store.close()


if __name__ == "__main__":
    child.run(main, claim=_writer_lock)
