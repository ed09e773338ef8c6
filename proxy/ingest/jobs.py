"""Work on calls that are stored already, done by whoever writes to the store.

A job goes through the calls that a filter chooses, newest first, a bounded slice at a time, so
that new calls are stored meanwhile. How far it came is stored with each slice: a job that was
interrupted goes on there.
"""

from __future__ import annotations

import copy
import logging
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence

import msgspec

from ..clock import id_text, monotonic_us, wall_us
from ..config import Config, Price
from ..errors import LlmtapError, StoreError
from ..pricing.overrides import overrides
from ..query.tree import Filter
from ..records import Call, Exchange, Job, Status, evolve
from ..store.base import JSON, POISON, JobRow, JobState, Reader, Store, StoredCall
from .anew import Anew, Receipt, other_tools, rederived, repriced
from .housekeeping import CHORES
from .pipeline import Pipeline

log = logging.getLogger(__name__)

#: What can be asked for.
KINDS: dict[str, Anew] = {"reprice": repriced, "rederive": rederived}

SLICE_CALLS = 100
MOST_FAILURES = 10  #: of one job in a row, before others have their turn
_SLICE_BYTES = 16 << 20  #: of bodies
_TELL_US = 200_000  #: how far a chore is, is stored this often


class Again:
    """One pass over stored calls; nothing is written by it."""

    def __init__(self, config: Config, pipeline: Pipeline, kind: str, where: Filter | None, receipt: Receipt) -> None:
        self.receipt = receipt
        self._pipeline = pipeline
        self._own = overrides(config.prices)
        self._anew = KINDS[kind]
        self._where = where

    async def slice(self, reader: Reader) -> list[StoredCall] | None:
        """What is to be written of the next calls, oldest first; None when there are no further calls.

        A slice that fails half way can be asked for again: nothing of it is in the receipt.
        """
        receipt = copy.deepcopy(self.receipt)
        found = await reader.find(self._where, before=receipt.before, limit=SLICE_CALLS, every=True)
        wanted, size = [], 0
        for call in found:
            receipt.before = call.id
            exchange = await reader.exchange(call.id) if call.status != Status.RUNNING else None
            size += _size(exchange)
            if call.status != Status.RUNNING:
                wanted += await self._looked_at(reader, receipt, call, exchange)
            if size > _SLICE_BYTES:
                break
        self.receipt = receipt
        return wanted[::-1] if found else None

    async def _looked_at(
        self, reader: Reader, receipt: Receipt, call: Call, exchange: Exchange | None
    ) -> list[StoredCall]:
        """The call as it is to be written: none when there is nothing new, and no result that may find its tool."""
        try:
            anew = self._anew(self._pipeline, self._own, call, exchange)
        except POISON:
            log.exception("call %s cannot be looked at again; it stays as it is", call.id)
            receipt.looked, receipt.failed = receipt.looked + 1, receipt.failed + 1
            return []
        with_tools = await _with_tools(reader, anew.stored)
        receipt.kept += anew.kept
        changed = receipt.count(call, anew.stored.call, with_bodies=exchange is not None, with_tools=with_tools)
        return [anew.stored] if changed or anew.stored.results else []


async def _with_tools(reader: Reader, stored: StoredCall) -> bool:
    """Whether other tools are stored of a call."""
    return stored.tools is not None and other_tools(await reader.tools(stored.call.id), stored.tools)


def _size(exchange: Exchange | None) -> int:
    return len(exchange.request_body) + len(exchange.response_body) if exchange else 0


class Jobs:
    """The jobs of one store, oldest first."""

    def __init__(self, config: Config, store: Store, pipeline: Pipeline) -> None:
        self._config = config
        self._store = store
        self._pipeline = pipeline
        self._waiting: deque[JobRow] = deque()
        self._running: Again | None = None
        self._steps: AsyncIterator[JSON] | None = None  #: of a chore
        self._told_us = 0
        self._failures = 0  #: of the oldest one, since it last went on
        self._unwritten: tuple[list[StoredCall], JobRow] | None = None  #: a slice, while the store takes nothing

    async def resume(self) -> None:
        """Find those that were left undone."""
        self._waiting.extend(await self._store.unfinished_jobs())

    async def take(self, asked: Iterable[Job]) -> None:
        """Store what was asked for; a job that comes again is known already."""
        for job in asked:
            await self.put(JobRow(id=id_text(job.id), kind=job.kind, asked_at_us=job.asked_at_us, request=job.request))

    async def put(self, job: JobRow) -> None:
        """The same for one."""
        if await self._store.job(job.id) is None:
            await self._store.put_job(job)
            self._waiting.append(job)

    async def step(self) -> JobRow | None:
        """Do one slice of the oldest job; the job as it then is, None when there is none.

        Raises ``StoreError`` when the store cannot be used: the next step does the same slice. A job that
        fails so again and again, while the store takes the news that it failed, is at fault itself.
        """
        if not self._waiting:
            return None
        job = self._waiting[0]
        try:
            job = await self._go_on(job)
            self._failures = 0
        except StoreError as error:
            self._failures += 1
            if self._failures < MOST_FAILURES:
                raise
            job = await self._failed(job, f"{error} (tried {self._failures} times)")
        except LlmtapError as error:
            job = await self._failed(job, str(error))
        except Exception as error:
            log.exception("job %s failed", job.id)
            job = await self._failed(job, f"{type(error).__name__}: see llmtap's log")
        self._waiting[0] = job
        if job.state in (JobState.DONE, JobState.FAILED):
            self._waiting.popleft()
            self._running, self._failures = None, 0
        return job

    async def _go_on(self, job: JobRow) -> JobRow:
        return await (self._chore(job) if job.kind in CHORES else self._slice(job))

    async def _chore(self, job: JobRow) -> JobRow:
        self._steps = self._steps or CHORES[job.kind](self._store, job.request)
        try:
            receipt = await anext(self._steps, None)
        except BaseException:
            self._steps = None  # it begins again, from what the store then says
            raise
        if receipt is None:
            self._steps = None
        state = JobState.DONE if receipt is None else JobState.RUNNING
        job = evolve(job, state=state, updated_at_us=wall_us(), receipt=receipt or job.receipt)
        if state != self._waiting[0].state or monotonic_us() - self._told_us > _TELL_US:
            self._told_us = monotonic_us()
            await self._store.put_job(job)
        return job

    async def _slice(self, job: JobRow) -> JobRow:
        again = self._running = self._running or self._begun(job)
        if self._unwritten is None:
            wanted = await again.slice(self._store)
            state = JobState.DONE if wanted is None else JobState.RUNNING
            self._unwritten = wanted or [], self._with(job, state, again.receipt)
        calls, job = self._unwritten
        try:
            await self._store.rewrite(calls, job)
        except POISON:
            log.exception("a slice of job %s cannot be stored as it is; its calls are stored one by one", job.id)
            await self._write_singly(calls, again.receipt)
            job = self._with(job, JobState(job.state), again.receipt)
            await self._store.rewrite([], job)
        self._unwritten = None
        return job

    async def _write_singly(self, calls: Sequence[StoredCall], receipt: Receipt) -> None:
        """Those that the store does not take stay as they were."""
        for stored in calls:
            try:
                await self._store.rewrite([stored])
            except POISON:
                log.error("call %s cannot be stored anew", stored.call.id)
                old = await self._store.call(stored.call.id)
                receipt.refuse(old, stored.call, with_tools=await _with_tools(self._store, stored))

    async def _failed(self, job: JobRow, error: str) -> JobRow:
        """What was done until then stays in the receipt."""
        job = evolve(job, state=JobState.FAILED, updated_at_us=wall_us(), receipt={**job.receipt, "error": error})
        await self._store.put_job(job)
        self._unwritten = None
        return job

    def _begun(self, job: JobRow) -> Again:
        if job.kind not in KINDS:
            raise LlmtapError(f"there is no job {job.kind!r}; this version knows {', '.join((*KINDS, *CHORES))}")
        where = msgspec.convert(job.request.get("where"), Filter | None)
        config = self._config
        if "prices" in job.request:  # those of who asked: they may have been edited since we were started
            config = evolve(config, prices=msgspec.convert(job.request["prices"], tuple[Price, ...]))
        return Again(config, self._pipeline.under(config), job.kind, where, msgspec.convert(job.receipt, Receipt))

    @staticmethod
    def _with(job: JobRow, state: JobState, receipt: Receipt) -> JobRow:
        return evolve(job, state=state, updated_at_us=wall_us(), receipt=msgspec.to_builtins(receipt))
