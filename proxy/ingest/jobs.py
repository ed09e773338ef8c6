"""Work on calls that are stored already, done by whoever writes to the store.

A job goes through the calls that a filter chooses, newest first, a bounded slice at a time, so
that new calls are stored meanwhile. How far it came is stored after each slice: a job that was
interrupted goes on there.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable

import msgspec

from ..clock import id_text, wall_us
from ..config import Config
from ..errors import LlmtapError
from ..pricing.overrides import overrides
from ..query.tree import Filter
from ..records import Exchange, Job, Status, evolve
from ..store.base import JobRow, JobState, Reader, Store, StoredCall
from .anew import Anew, Receipt, rederived, repriced
from .pipeline import Pipeline

log = logging.getLogger(__name__)

#: What can be asked for.
KINDS: dict[str, Anew] = {"reprice": repriced, "rederive": rederived}

SLICE_CALLS = 100
_SLICE_BYTES = 16 << 20  #: of bodies


class Again:
    """One pass over stored calls; nothing is written by it."""

    def __init__(self, config: Config, pipeline: Pipeline, kind: str, where: Filter | None, receipt: Receipt) -> None:
        self.receipt = receipt
        self._pipeline = pipeline
        self._own = overrides(config.prices)
        self._anew = KINDS[kind]
        self._where = where

    async def slice(self, reader: Reader) -> list[StoredCall] | None:
        """The rows among the next calls that have changed; None when there are no further calls."""
        found = await reader.find(self._where, before=self.receipt.before, limit=SLICE_CALLS, every=True)
        changed, size = [], 0
        for call in found:
            exchange = await reader.exchange(call.id) if call.status != Status.RUNNING else None
            size += _size(exchange)
            anew = self._anew(self._pipeline, self._own, call, exchange)
            if call.status == Status.RUNNING:
                self.receipt.before = call.id
            elif self.receipt.count(call, anew.call, with_bodies=exchange is not None):
                changed.append(anew)
            if size > _SLICE_BYTES:
                break
        return changed if found else None


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
        """Do one slice of the oldest job; the job as it then is, None when there is none."""
        if not self._waiting:
            return None
        job = self._waiting[0]
        try:
            job = await self._go_on(job)
        except LlmtapError as error:
            job = self._with(job, JobState.FAILED, Receipt(error=str(error)))
        except Exception as error:
            log.exception("job %s failed", job.id)
            job = self._with(job, JobState.FAILED, Receipt(error=f"{type(error).__name__}: see llmtap's log"))
        await self._store.put_job(job)
        self._waiting[0] = job
        if job.state in (JobState.DONE, JobState.FAILED):
            self._waiting.popleft()
            self._running = None
        return job

    async def _go_on(self, job: JobRow) -> JobRow:
        again = self._running = self._running or self._begun(job)
        changed = await again.slice(self._store)
        if changed:
            await self._store.rewrite(changed)
        return self._with(job, JobState.DONE if changed is None else JobState.RUNNING, again.receipt)

    def _begun(self, job: JobRow) -> Again:
        if job.kind not in KINDS:
            raise LlmtapError(f"there is no job {job.kind!r}; this version knows {', '.join(KINDS)}")
        where = msgspec.convert(job.request.get("where"), Filter | None)
        return Again(self._config, self._pipeline, job.kind, where, msgspec.convert(job.receipt, Receipt))

    @staticmethod
    def _with(job: JobRow, state: JobState, receipt: Receipt) -> JobRow:
        return evolve(job, state=state, updated_at_us=wall_us(), receipt=msgspec.to_builtins(receipt))
