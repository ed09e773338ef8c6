"""Reading, beside a running writer or without one. A store that does not exist yet is empty."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from datetime import UTC, tzinfo
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Concatenate, ParamSpec, TypeVar

from ...errors import CallNotFound, StoreError
from ...query.tree import Filter
from ...records import Call, Exchange, Status, ToolSpan, evolve
from ..base import (
    EVERY_GROUP,
    Behind,
    Bin,
    Found,
    JobRow,
    Layout,
    Looked,
    Order,
    Position,
    ReportRow,
    Stats,
    Watch,
    unwatched,
)
from ..judgements import AuditRow, Judgements, Score, TagInfo, View
from ..policy import Absence, Hold, Policy, Prunable
from ..texts import COLUMNS
from ..traces import Conversation, PromptVersion, Trace
from . import find, jobs, prompts, threads
from .access import Listing
from .bodies import UNREADABLE, SegmentReader, open_segment
from .files import MAIN, connect_reader, refuse_network, store_directory
from .fulltext.matching import Matching
from .fulltext.reading import TextReaders
from .queries import QUERIES
from .rows import uuid_bytes
from .schema import check_readable
from .stillness import Stillness
from .thread import DatabaseThread

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger(__name__)
_OPEN_SEGMENTS = 4


class SqliteReader:
    """``Reader`` on SQLite. Close it: an open one keeps the process alive."""

    def __init__(self, data_dir: Path) -> None:
        self._directory = store_directory(data_dir)
        self._path = self._directory / MAIN
        self._texts = find.Texts()
        self._still = Stillness(self._path)
        self._rev = 0  #: of the last time that it was asked
        self._bodies = Bodies(self._directory)
        self._words = TextReaders(self._directory)
        self._thread: DatabaseThread | None = None
        self._opening = asyncio.Lock()
        self._closed = False

    @classmethod
    async def open(cls, data_dir: Path) -> SqliteReader:
        """Open the store of a data directory. Raises ``StoreError`` when it cannot be read."""
        reader = cls(data_dir)
        await reader._connected()
        return reader

    async def close(self) -> None:
        """Let go of all files."""
        self._closed = True
        thread, self._thread = self._thread, None
        if thread is not None:
            await thread.run(self._bodies.close)
            await thread.run(self._words.close)
            await thread.close()

    async def latest_rev(self, *, at_once: bool = True) -> int:
        """See ``Reader``."""
        if at_once or not self._still.holds(monotonic()):
            self._rev = await self._ask(0, find.latest_rev)
        return self._rev

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
        """See ``Reader``."""
        listing = Listing(where, after_rev, before, before_rev, limit, every, news, order)
        return await self._ask([], self._with_previews, find.find, self._texts, listing, self._words)

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
        """See ``Reader``."""
        from .look import Look

        listing = Listing(where, limit=limit, every=every, order=order)
        look = Look(self._texts, self._words, listing, before if after is None else after, newer=after is not None)
        while await self._ask(False, look.step):
            pass
        looked = await self._ask(Looked(calls=[]), look.looked)
        return evolve(looked, calls=await self._ask(looked.calls, self._bodies.with_previews, looked.calls))

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
        """See ``Reader``."""
        from .fulltext.match import sought
        from .fulltext.search import Question, Search

        question = Question(expression=sought(words, columns), where=where, since_us=since_us, every=every)
        search = Search(self._words, self._texts, question, before, limit)
        while await self._ask(False, search.step):
            pass
        found = await self._ask(Found(calls=[], behind=Behind(calls=0)), search.found)
        return evolve(found, calls=await self._ask(found.calls, self._bodies.with_previews, found.calls))

    async def recorded_by(self, relay: str) -> list[Call]:
        """See ``Reader``."""
        return await self._ask([], find.recorded_by, self._texts, relay)

    async def resolve(self, ref: str | None) -> str:
        """See ``Reader``."""
        found = await self._ask(None, find.resolve, ref)
        if found is None:
            raise CallNotFound("no calls are stored yet")
        return found

    async def call(self, call_id: str) -> Call:
        """See ``Reader``."""
        nothing: list[Call] = []
        found = await self._ask(nothing, self._with_previews, find.call, self._texts, call_id)
        if not found:
            raise CallNotFound("no calls are stored yet")
        return found[0]

    async def exchange(self, call_id: str) -> Exchange | None:
        """See ``Reader``."""
        return await self._ask(None, self._bodies.exchange, call_id)

    async def absence(self, call_id: str) -> Absence:
        """See ``Reader``."""
        return await self._ask(Absence(reason="none"), find.absence, call_id)

    async def tools(self, call_id: str) -> list[ToolSpan]:
        """See ``Reader``."""
        return await self._ask([], find.tools, call_id)

    async def conversations(
        self,
        where: Filter | None = None,
        *,
        since_us: int | None = None,
        before: str | None = None,
        limit: int = 50,
    ) -> list[Conversation]:
        """See ``Reader``."""
        return await self._ask([], threads.conversations, self._known, where, since_us, before, limit)

    async def conversation(self, call_id: str, *, limit: int = 1000, before: str | None = None) -> Trace:
        """See ``Reader``."""
        found = await self._ask(None, threads.conversation, self._known, call_id, limit, before)
        if found is None:
            raise CallNotFound("no calls are stored yet")
        return found

    async def prompts(self, project: str) -> list[PromptVersion]:
        """See ``Reader``."""
        return await self._ask([], prompts.versions, project)

    async def prompt_projects(self) -> list[str]:
        """See ``Reader``."""
        return await self._ask([], prompts.projects)

    async def job(self, job_id: str) -> JobRow | None:
        """See ``Reader``."""
        return await self._ask(None, jobs.one, job_id)

    async def unfinished_jobs(self) -> list[JobRow]:
        """See ``Reader``."""
        return await self._ask([], jobs.unfinished)

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
        """See ``Reader``."""
        from .report import Question, report

        question = Question(by=tuple(by), since_us=since_us, until_us=until_us, where=where, zone=zone, every=every)
        return await self._ask([], report, self._texts, question, layout)

    async def prunable(self, policy: Policy, now_us: int) -> list[Prunable]:
        """See ``Reader``."""
        from .prunable import prunable

        return await self._ask([], prunable, self._directory, policy, now_us)

    async def holds(self) -> list[Hold]:
        """See ``Reader``."""
        from .pins import holds

        return await self._ask([], holds)

    async def pins(self) -> int:
        """See ``Reader``."""
        from .pins import pinned

        return await self._ask(0, pinned)

    async def judgements(self, call_id: str) -> Judgements:
        """See ``Reader``."""
        from .people.reading import judgements

        found = await self._ask(None, judgements, call_id)
        if found is None:
            raise CallNotFound("no calls are stored yet")
        return found

    async def scores(self, call_ids: Sequence[str]) -> dict[str, list[Score]]:
        """See ``Reader``."""
        from .people.reading import scores

        return await self._ask({}, scores, call_ids)

    async def score_names(self) -> list[str]:
        """See ``Reader``."""
        from .people.reading import score_names

        return await self._ask([], score_names)

    async def tags(self) -> list[TagInfo]:
        """See ``Reader``."""
        from .people.reading import tags

        return await self._ask([], tags)

    async def views(self) -> list[View]:
        """See ``Reader``."""
        from .people.reading import views

        return await self._ask([], views)

    async def audit(self, *, before: int | None = None, limit: int = 100) -> list[AuditRow]:
        """See ``Reader``."""
        from .people.reading import audit

        return await self._ask([], audit, before, limit)

    async def histogram(
        self, edges_us: Sequence[int], until_us: int | None = None, where: Filter | None = None, *, every: bool = False
    ) -> list[Bin]:
        """See ``Reader``."""
        from .report import histogram

        return await self._ask([Bin(0, 0, 0)] * len(edges_us), histogram, self._texts, edges_us, until_us, where, every)

    async def stats(self) -> Stats:
        """See ``Reader``."""
        empty = Stats(calls=0, running=0, gaps=0, calls_lost=0, oldest_us=None, newest_us=None, bytes={})
        return await self._ask(empty, find.stats, self._directory, self._words)

    async def positions(self) -> dict[str, Position]:
        """See ``Reader``."""
        return await self._ask({}, find.positions)

    async def stored_seqs(self, journal: str, from_seq: int) -> set[int]:
        """See ``Reader``."""
        return await self._ask(set(), find.stored_seqs, journal, from_seq)

    async def verify(self, watch: Watch = unwatched) -> AsyncIterator[str]:
        """See ``Reader``."""
        from .verify import problems

        found = await self._ask(None, partial(problems, directory=self._directory, watch=watch))
        while found is not None and (problem := await self._ask(None, _next, found)) is not None:
            yield problem

    # --- the connection ---------------------------------------------------------------------------

    async def _ask(
        self, nothing: T, function: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a question on the database's thread; ``nothing`` is the answer of a store that is not there."""
        thread = await self._connected()
        return nothing if thread is None else await thread.run(function, *args, **kwargs)

    @property
    def _known(self) -> threads.Known:
        return threads.Known(self._texts, self._bodies.with_previews, lambda main: Matching(main, self._words))

    def _with_previews(
        self,
        main: sqlite3.Connection,
        function: Callable[Concatenate[sqlite3.Connection, P], list[Call]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> list[Call]:
        return self._bodies.with_previews(main, function(main, *args, **kwargs))

    async def _connected(self) -> DatabaseThread | None:
        if self._closed:
            raise StoreError(f"{self._path} is closed")
        async with self._opening:
            if self._thread is None and self._path.exists():
                refuse_network(self._directory)
                thread = await DatabaseThread.start(self._path, partial(connect_reader, self._path))
                self._thread = await self._if_readable(thread)
            return self._thread

    async def _if_readable(self, thread: DatabaseThread) -> DatabaseThread | None:
        try:
            readable = await thread.run(check_readable, self._path)
        except BaseException:
            await thread.close()
            raise
        if readable:
            return thread
        await thread.close()
        return None


def _next(_: sqlite3.Connection, items: Iterator[str]) -> str | None:
    return next(items, None)


class Bodies:
    """The segments that were read last, open. Bad or missing ones cost the bodies in them, no more."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._open: OrderedDict[tuple[str, int], SegmentReader] = OrderedDict()

    def close(self, _: sqlite3.Connection) -> None:
        """Close all segments."""
        while self._open:
            self._open.popitem()[1].close()

    def exchange(self, main: sqlite3.Connection, call_id: str) -> Exchange | None:
        """What was stored for a call."""
        try:
            uuid = uuid_bytes(call_id)
        except ValueError:
            return None
        place = main.execute(QUERIES["place_of_bodies"], (uuid,)).fetchone()
        if place is None:
            return None
        name, row_id = place
        try:
            return self._segment(name).exchange(row_id, uuid)
        except UNREADABLE as error:
            log.warning("%s: the bodies of call %s cannot be given back: %s", name, call_id, error)
            return None

    def with_previews(self, main: sqlite3.Connection, calls: list[Call]) -> list[Call]:
        """The calls with their first words, as far as their bodies are there."""
        gone: set[str] = set()
        return [call if call.status == Status.RUNNING else self._previewed(main, call, gone) for call in calls]

    def _previewed(self, main: sqlite3.Connection, call: Call, gone: set[str]) -> Call:
        place = main.execute(QUERIES["place_of_bodies"], (uuid_bytes(call.id),)).fetchone()
        if place is None or place[0] in gone:
            return call
        try:
            first, last = self._segment(place[0]).previews(place[1])
        except FileNotFoundError:
            gone.add(place[0])
            return call
        except UNREADABLE as error:
            log.debug("%s: the first words of call %s cannot be read: %s", place[0], call.id, error)
            return call
        return evolve(call, preview_input=call.preview_input or first, preview_output=call.preview_output or last)

    def _segment(self, name: str) -> SegmentReader:
        path = self._directory / name
        key = (name, path.stat().st_ino)  # a file that was deleted and made again is another one
        self._open[key] = found = self._open.pop(key, None) or open_segment(path)
        if len(self._open) > _OPEN_SEGMENTS:
            self._open.popitem(last=False)[1].close()
        return found
