"""The store as its users see it: operations on calls. No SQL, no notion of an engine.

One writer (ingest, or a command that holds the writer lock), many readers. Every write is a
``Batch`` and is atomic: after ``write`` returns, all of it is durable; after a crash, all of it
or nothing is there. Bodies are written before the rows that point at them.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, tzinfo
from typing import Any, Protocol

from msgspec import Struct

from ..query.tree import Filter
from ..records import Call, Exchange, ToolResult, ToolSpan

JSON = dict[str, Any]

MOST_TOOLS = 1000  #: of one answer; further ones are not stored

#: What a store raises for values that it cannot hold: trying again is of no use.
POISON = (TypeError, ValueError, OverflowError)


class Position(Struct, frozen=True, kw_only=True):
    """How far one journal has been stored."""

    journal: str
    low_seq: int  #: no frame below this one is needed any more
    read_seq: int  #: gaps are counted up to here
    calls_lost: int = 0  #: calls that the worker could not record, by its own count


class Gap(Struct, frozen=True, kw_only=True):
    """Records that are missing from a journal."""

    journal: str
    first_seq: int
    records: int
    reason: str  #: ``damaged`` (bytes on disk were bad) or ``lost`` (they were never written)
    noticed_at_us: int


class StoredCall(Struct, frozen=True, kw_only=True):
    """A call to write. ``exchange`` is None for a call that is still running."""

    call: Call
    exchange: Exchange | None = None
    journal: str | None = None
    seq: int | None = None  #: of the frame that ended it: with ``journal``, the key that makes writing idempotent
    tools: Sequence[ToolSpan] | None = None  #: that its answer asks for; None: as they are stored
    results: Sequence[ToolResult] = ()  #: that its request brings, for answers of earlier calls
    retrieved: bool = False  #: its answer is that of an earlier call with the same response_id


class Batch(Struct, frozen=True, kw_only=True):
    """What one commit brings."""

    calls: Sequence[StoredCall] = ()
    positions: Sequence[Position] = ()
    gaps: Sequence[Gap] = ()
    finished_journals: Sequence[str] = ()  #: read to their end, owner gone: their positions may go


class ReportRow(Struct, frozen=True, kw_only=True):
    """One line of a report. Sums over unknown values are sums over the known ones."""

    group: tuple[str | None, ...]
    calls: int
    errors: int  #: status error, truncated or interrupted
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    cost_nano_usd: int
    calls_with_cost: int
    calls_without_cost: int  #: ended and had tokens, but their cost is unknown
    latency_p50_us: int | None
    latency_p95_us: int | None
    latency_p99_us: int | None
    ttft_p50_us: int | None
    ttft_p95_us: int | None
    ttft_p99_us: int | None
    cache_write_tokens: int
    tokens_per_s_p50: float | None
    tokens_per_s_p5: float | None  #: all but one call of twenty were at least as fast
    first_us: int | None  #: when its first call was accepted
    last_us: int | None
    series: tuple[tuple[int, int], ...] = ()  #: calls and nano-dollars of each bin that was asked for
    merged: int = 0  #: so many groups that stand together here; then ``group`` holds only None


class Layout(Struct, frozen=True, kw_only=True):
    """Which groups of a report get a line of their own, in which order, and what a line shows over time.

    Groups without a line stand together in a last one.
    """

    order: str | None = None  #: one of ``query.fields.ORDERS``; None: spans of time in their order, then by cost
    limit: int | None = None  #: so many lines: those that are first by ``order``, or by cost
    keep: frozenset[tuple[str | None, ...]] | None = None  #: in place of ``limit``: the groups that have lines
    edges_us: tuple[int, ...] = ()  #: where the bins of ``series`` begin; the last one has no end


EVERY_GROUP = Layout()


class Stats(Struct, frozen=True, kw_only=True):
    """Sizes, for ``status``."""

    calls: int
    running: int
    gaps: int  #: records missing from journals
    calls_lost: int
    oldest_us: int | None
    newest_us: int | None
    bytes: dict[str, int]  #: file name → size


class JobState(enum.StrEnum):
    """How far a job is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class JobRow(Struct, frozen=True, kw_only=True):
    """Work that a command asked for, and what has come of it."""

    id: str  #: UUIDv7
    kind: str
    asked_at_us: int
    updated_at_us: int = 0
    state: str = JobState.WAITING
    request: JSON  #: its parameters
    receipt: JSON = {}  #: what was done, so far


class Reader(Protocol):
    """What readers may ask. Every method sees one consistent moment."""

    async def close(self) -> None:
        """Let go of files and threads; an open store keeps the process alive."""
        ...

    async def latest_rev(self) -> int:
        """The newest ``rev``; followers ask for what is above the one they have seen."""
        ...

    async def find(
        self,
        where: Filter | None = None,
        *,
        after_rev: int | None = None,
        before: str | None = None,
        limit: int = 50,
        every: bool = False,
        news: bool = False,
    ) -> list[Call]:
        """Calls that match: newest first; with ``after_rev``, those changed since, oldest change first.

        ``before``: only calls older than this id (keyset paging). ``news``: of the changed ones, those
        that came or ended since, not those whose rows were derived anew or linked to others. Excluded
        calls are left out, unless ``every`` is set or the filter speaks of ``excluded`` itself.
        """
        ...

    async def recorded_by(self, relay: str) -> list[Call]:
        """All calls that passed one relay (its name, as ``run-4711-0``) in every life of it, oldest first."""
        ...

    async def resolve(self, ref: str | None) -> str:
        """The full id for an id, a unique prefix or suffix, ``-1`` (the last), ``-2``…; None is the last.

        Raises ``CallNotFound``, which lists the candidates when several fit.
        """
        ...

    async def call(self, call_id: str) -> Call:
        """One row. Raises ``CallNotFound``."""
        ...

    async def exchange(self, call_id: str) -> Exchange | None:
        """The raw bytes of a call; None while it runs, or when its bodies are gone or damaged."""
        ...

    async def tools(self, call_id: str) -> list[ToolSpan]:
        """The tools that a call's answer asked for, in their order, with what became of them."""
        ...

    async def job(self, job_id: str) -> JobRow | None:
        """A job; None as long as nobody has taken it."""
        ...

    async def unfinished_jobs(self) -> list[JobRow]:
        """Jobs that wait or were interrupted, oldest first."""
        ...

    async def report(
        self,
        by: Sequence[str],
        since_us: int | None = None,
        where: Filter | None = None,
        zone: tzinfo = UTC,
        *,
        until_us: int | None = None,
        every: bool = False,
        layout: Layout = EVERY_GROUP,
    ) -> list[ReportRow]:
        """Sums per group of the calls that were accepted from ``since_us`` on and before ``until_us``.

        ``by``: names that ``query.fields.check_groups`` takes, none for one sum of all; ``zone`` says
        where hours and days begin. A call with several tags counts in the group of each. Excluded
        calls are left out as in ``find``. Raises ``QueryError`` for other names.
        """
        ...

    async def stats(self) -> Stats:
        """Counts and sizes."""
        ...

    async def positions(self) -> dict[str, Position]:
        """How far each journal has been stored that is not finished: where to go on reading."""
        ...

    def verify(self) -> AsyncIterator[str]:
        """Problems, one sentence each, as they are found; none when all is well."""
        ...


class Store(Reader, Protocol):
    """What the single writer may do besides."""

    async def write(self, batch: Batch) -> None:
        """Store a batch, durably and atomically; in one batch, a call's first end counts.

        Skipped are ends that are stored already (same journal and seq), and calls that have
        ended already, unless what comes now is the first version with its ``exchange``.
        """
        ...

    async def rewrite(self, calls: Sequence[StoredCall], job: JobRow | None = None) -> None:
        """Replace rows of calls that have ended by what was derived anew, and store how far ``job`` is.

        One transaction. Bodies stay. Tools keep the results that were found for them, and results that
        have found no tool yet look again. Rows that are as they were keep their ``rev``. Calls that are
        not stored, or still run, are passed over. Raises one of ``POISON`` for what cannot be stored.
        """
        ...

    async def put_job(self, job: JobRow) -> None:
        """Store a job, or how far it is."""
        ...

    async def stored_seqs(self, journal: str, from_seq: int) -> set[int]:
        """End sequences of this journal that are stored already, at or above ``from_seq``."""
        ...

    async def interrupt_running(self, journals_alive: Sequence[str], at_us: int) -> int:
        """Mark as interrupted the running calls whose journal no longer exists; how many there were."""
        ...
