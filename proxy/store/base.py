"""The store as its users see it: operations on calls. No SQL, no notion of an engine.

One writer (ingest, or a command that holds the writer lock), many readers. Every write is a
``Batch`` and is atomic: after ``write`` returns, all of it is durable; after a crash, all of it
or nothing is there. Bodies are written before the rows that point at them.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from datetime import UTC, tzinfo
from typing import Any, Protocol

from msgspec import Struct

from ..bodies.cut import Cut
from ..query.tree import Filter
from ..records import Call, Event, Exchange, Score, Ties, ToolResult, ToolSpan
from .judgements import AuditRow, Judgements, TagInfo, View
from .judgements import Score as MeanScore
from .policy import Absence, Hold, Policy, Prunable, Purged
from .texts import COLUMNS, Texts
from .traces import Conversation, PromptVersion, Trace

JSON = dict[str, Any]

MOST_TOOLS = 1000  #: of one answer; further ones are not stored

#: Called with what is looked at, and how much of how much is done.
Watch = Callable[[str, int, int], None]


def unwatched(_what: str, _done: int, _total: int) -> None:
    """Nobody looks on."""


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
    request: Cut | None = None  #: its request's body in pieces, when it was cut already, with the store's ``salt``
    ties: Ties | None = None  #: what it continues, and what may continue it; None: it has no conversation
    system_prompt: str | None = None  #: as it was sent, to be given a version
    texts: Texts | None = None  #: that it can be found by; None: they are read from its bodies when there is time


class Batch(Struct, frozen=True, kw_only=True):
    """What one commit brings."""

    calls: Sequence[StoredCall] = ()
    positions: Sequence[Position] = ()
    gaps: Sequence[Gap] = ()
    finished_journals: Sequence[str] = ()  #: read to their end, owner gone: their positions may go
    scores: Sequence[Score] = ()  #: of calls of this batch or stored ones; the last of an author and name stands
    events: Sequence[Event] = ()  #: in the order in which they happened


class Order(enum.Enum):
    """How calls are listed."""

    NEWEST = "newest"  #: by when they were accepted, the last first
    UPDATED = "updated"  #: by when anything of them was last written, the last first


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
    series: tuple[tuple[int, int, int], ...] = ()  #: calls, nano-dollars and errors of each bin that was asked for
    merged: int = 0  #: so many groups that stand together here; then ``group`` holds only None
    approximate: bool = False  #: percentiles are within 3 %; first and last are ends of an hour or a day


class Bin(Struct, frozen=True):
    """What came in one span of time."""

    calls: int
    cost_nano_usd: int
    errors: int


class Layout(Struct, frozen=True, kw_only=True):
    """Which groups of a report get a line of their own, in which order, and what a line shows over time.

    Groups without a line stand together in a last one.
    """

    order: str | None = None  #: one of ``query.fields.ORDERS``; None: spans of time in their order, then by cost
    limit: int | None = None  #: so many lines: those that are first by ``order``, or by cost
    keep: frozenset[tuple[str | None, ...]] | None = None  #: in place of ``limit``: the groups that have lines
    edges_us: tuple[int, ...] = ()  #: where the bins of ``series`` begin; the last one has no end
    percentiles: bool = True  #: without them an answer is quicker


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
    text_behind: Behind | None = None  #: calls that cannot be found by words yet
    stuck_bytes: int = 0  #: free in the main file, which gives them back only when it is written anew
    text_problems: tuple[str, ...] = ()  #: files of full text that are missing or damaged


class Recounted(Struct, frozen=True, kw_only=True):
    """One step of counting again what roll-ups hold. See ``Store.recount``."""

    after: int | None = None  #: the last day that was counted wholly (its number since 1970); the next step's argument
    finished: bool = False  #: that day was finished by this step
    rows: int = 0  #: counted in this step
    differences: int = 0  #: sums that were not what the rows say, and now are
    sentences: tuple[str, ...] = ()  #: the first of them
    done: bool = False  #: there are no further days


class Behind(Struct, frozen=True, kw_only=True):
    """How far full text is behind the rows."""

    calls: int
    more: bool = False  #: there are more than these
    since_us: int | None = None  #: when the first of them was written


class Looked(Struct, frozen=True, kw_only=True):
    """A page of a list that is looked for in bounded steps."""

    calls: list[Call]
    next: str | None = None  #: what to give as ``before`` to go on; None: all has been looked at
    back_to_us: int | None = None  #: the moment of the last call looked at, when the look stopped early


class Found(Looked, frozen=True, kw_only=True):
    """What a search by words found, and how far that can be relied on."""

    behind: Behind
    problems: tuple[str, ...] = ()  #: files that could not be searched


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

    async def latest_rev(self, *, at_once: bool = True) -> int:
        """The newest ``rev``: news are above the one seen. Not ``at_once``: cheap, and rarely a second late."""
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
        order: Order = Order.NEWEST,
        before_rev: int | None = None,
    ) -> list[Call]:
        """Calls that match, in their order; with ``after_rev``, those changed since, oldest change first.

        ``before``: only calls older than this id, ``before_rev``: only calls last written before this
        rev (keyset paging, by newest and by last updated). Raises ``QueryError`` for a filter that this
        store cannot answer. ``news``: of the changed ones, those
        that came or ended since, not those whose rows were derived anew or linked to others. Excluded
        calls are left out, unless ``every`` is set or the filter speaks of ``excluded`` itself.
        """
        ...

    async def look(
        self,
        where: Filter | None = None,
        *,
        before: str | None = None,
        after: str | None = None,
        limit: int = 50,
        every: bool = False,
        order: Order = Order.NEWEST,
    ) -> Looked:
        """As ``find``, for people who wait: where no index knows which calls match, it stops after a while.

        ``before``: ``next`` of an earlier answer, or where a call stands: its id by newest, its rev by last updated.
        ``after``: the calls that stand just above such a place; ``next`` goes on there. Raises ``QueryError``.
        """
        ...

    async def search(
        self,
        words: str,
        where: Filter | None = None,
        *,
        columns: Collection[str] = COLUMNS,
        since_us: int | None = None,
        before: str | None = None,
        limit: int = 50,
        every: bool = False,
    ) -> Found:
        """Calls whose new texts hold the words (``query.words``), the last stored day first, its newest call first.

        ``columns``: of ``texts.COLUMNS``, which together hold the words. ``before``: ``next`` of an earlier
        answer. A search that finds little among much stops after a while and says so. Raises ``QueryError``.
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

    async def absence(self, call_id: str) -> Absence:
        """Why ``exchange`` gives nothing for a call that has ended."""
        ...

    async def tools(self, call_id: str) -> list[ToolSpan]:
        """The tools that a call's answer asked for, in their order, with what became of them."""
        ...

    async def conversations(
        self,
        where: Filter | None = None,
        *,
        since_us: int | None = None,
        before: str | None = None,
        limit: int = 50,
    ) -> list[Conversation]:
        """Those that hold a call which matches, the one with the newest call first.

        ``since_us``: only those whose newest call was accepted since. ``before``: only those that
        come behind the one with this id.
        """
        ...

    async def conversation(self, call_id: str, *, limit: int = 1000, before: str | None = None) -> Trace:
        """The trace of a call, whichever of its calls that is. Raises ``CallNotFound``, also for one without any.

        ``before``: of the calls after the first, only those that were accepted before the one with this id.
        """
        ...

    async def prompts(self, project: str) -> list[PromptVersion]:
        """The system prompts of a project, by number."""
        ...

    async def prompt_projects(self) -> list[str]:
        """The projects that have any."""
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

    async def prunable(self, policy: Policy, now_us: int) -> list[Prunable]:
        """What ``purge`` would delete now, and what pins and holds keep; oldest days first."""
        ...

    async def holds(self) -> list[Hold]:
        """Those that stand. Raises ``StoreError`` for one that this version cannot read."""
        ...

    async def pins(self) -> int:
        """How many calls are pinned."""
        ...

    async def judgements(self, call_id: str) -> Judgements:
        """What people said of a call. Raises ``CallNotFound``."""
        ...

    async def scores(self, call_ids: Sequence[str]) -> dict[str, list[MeanScore]]:
        """Of each of these calls that has any, its scores by name."""
        ...

    async def score_names(self) -> list[str]:
        """The names that scores have, the most used first."""
        ...

    async def tags(self) -> list[TagInfo]:
        """All tags, the most used first."""
        ...

    async def views(self) -> list[View]:
        """Saved views, by name."""
        ...

    async def audit(self, *, before: int | None = None, limit: int = 100) -> list[AuditRow]:
        """Who looked at what, the newest first; ``before``: only rows with a smaller id."""
        ...

    async def histogram(
        self, edges_us: Sequence[int], until_us: int | None = None, where: Filter | None = None, *, every: bool = False
    ) -> list[Bin]:
        """Calls over time, for charts: a bin from each edge (ascending, as of ``query.spans.bins``) to the next.

        The last one ends before ``until_us``, or never. Excluded calls are left out as in ``find``.
        """
        ...

    async def stats(self) -> Stats:
        """Counts and sizes."""
        ...

    async def positions(self) -> dict[str, Position]:
        """How far each journal has been stored that is not finished: where to go on reading."""
        ...

    async def stored_seqs(self, journal: str, from_seq: int) -> set[int]:
        """End sequences of this journal that are stored already, at or above ``from_seq``."""
        ...

    def verify(self, watch: Watch = unwatched) -> AsyncIterator[str]:
        """Problems, one sentence each, as they are found; none when all is well."""
        ...


class Store(Reader, Protocol):
    """What the single writer may do besides."""

    def salt(self, project: str) -> bytes:
        """What goes into the digests of a project's pieces."""
        ...

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

    async def recount(self, after: int | None = None) -> Recounted:
        """Count again what roll-ups hold, from the rows, and mend it: a bounded step, days in their order.

        ``after`` is None to begin with, and then what the step before said. Days that rows were deleted
        of are left as they are.
        """
        ...

    async def catch_up(self) -> bool:
        """Do a bounded step of what events have left to do, as a tag that is renamed on many calls; whether it did any.

        Costs nothing when there is nothing to do.
        """
        ...

    async def interrupt_running(self, journals_alive: Sequence[str], at_us: int) -> int:
        """Mark as interrupted the running calls whose journal no longer exists; how many there were."""
        ...

    def purge(self, policy: Policy, now_us: int, *, sure: bool = False) -> AsyncIterator[Purged]:
        """Delete what is past its limits, in steps that hold up other writes for moments only.

        After each step, what was done so far. Bodies of calls that must stay are copied, durably and
        proven, before their file goes. Whoever stops half way can begin again. What keeps something
        from going (a damaged file with pinned calls in it) is among the ``problems``. Where the newest
        call lies so far back that the clock may be wrong, and most would go, age deletes nothing (``refused``)
        unless the caller is ``sure``.
        """
        ...

    async def pin(self, calls: Sequence[str] | Filter, at_us: int, *, remove: bool = False) -> int:
        """Pin calls (full ids, or all that match now), or take their pins away; how many it changed."""
        ...

    async def hold(self, hold: Hold) -> None:
        """Let a hold stand; one of the same name is replaced. Raises ``QueryError`` when it cannot be asked."""
        ...

    async def release(self, name: str) -> bool:
        """End a hold; whether there was one."""
        ...
