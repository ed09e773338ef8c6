"""Work on the store that a command asks for, done by whoever may write.

There is one writer. Where ``serve`` runs, its ingest does the work and is asked by a record in a
journal of our own; where none runs, the command takes the writer's lock and does it itself.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from ..config import Config
from ..errors import Busy, LlmtapError
from ..store.base import JobRow, JobState, Reader

_POLL_S = 0.1
_UNTAKEN_S = 10.0  #: an ingest that lives takes a job within a tenth of a second
_VITALS = ("journal_worst_write_us", "journal_slow", "calls_lost")


async def worked(config: Config, reader: Reader, job: JobRow) -> AsyncIterator[JobRow]:
    """By ourselves when nobody else writes, else by whoever does."""
    from ..ingest.worker import WriterLock

    try:
        lock = WriterLock(config.data_dir)
    except Busy:
        async for step in _asked(config, reader, job):
            yield step
        return
    with lock:
        async with _jobs(config) as jobs:
            await jobs.put(job)
            while (step := await jobs.step()) is not None:
                if step.id == job.id:
                    yield step


@asynccontextmanager
async def _jobs(config: Config) -> AsyncIterator[Any]:
    from ..ingest.jobs import Jobs
    from ..ingest.pipeline import Pipeline, Quarantine
    from ..store.policy import Policy
    from ..store.sqlite.store import SqliteStore

    store = await SqliteStore.open(config.data_dir, policy=Policy.of(config))
    try:
        quarantine = Quarantine(config.data_dir / "quarantine", config.ingest.quarantine_days)
        yield Jobs(config, store, Pipeline(config, quarantine))
    finally:
        await store.close()


async def _asked(config: Config, reader: Reader, job: JobRow) -> AsyncIterator[JobRow]:
    """Put the job into a journal, and watch it."""
    from ..journal.writer import JournalWriter
    from ..records import Job

    name = f"command-{time.time_ns() // 1_000_000:012x}-{os.getpid()}"
    journal = JournalWriter(config.data_dir / "journal", name, config.journal, dict.fromkeys(_VITALS, 0))
    record = Job(
        id=bytes.fromhex(job.id.replace("-", "")), kind=job.kind, asked_at_us=job.asked_at_us, request=job.request
    )
    written = journal.append_if_possible([record])
    await journal.close()
    if not written:
        raise LlmtapError(f"the journal in {config.data_dir} cannot be written: {journal.failure}")
    deadline = time.monotonic() + _UNTAKEN_S
    while True:
        found = await reader.job(job.id)
        if found is not None:
            yield found
            if found.state in (JobState.DONE, JobState.FAILED):
                return
        elif time.monotonic() > deadline:
            raise LlmtapError(
                "the llmtap that writes to this store has not taken the job yet; it will when it is running again"
            )
        await asyncio.sleep(_POLL_S)
