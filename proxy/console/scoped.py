"""The store as one visitor may see it. Handlers get no other reader, so none can forget to ask.

Lists and sums hold only the projects that the visitor may see; a call of another project is as if it
were not there, so that nobody learns which ids exist. Who may not see what was said gets rows without
first words, and no bodies.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, tzinfo

from ..errors import CallNotFound, QueryError
from ..query.tree import And, Comparison, Filter, Match, leaves
from ..records import Call, Exchange, ToolSpan, evolve
from ..store.base import (
    EVERY_GROUP,
    Bin,
    Conversation,
    Found,
    Layout,
    Order,
    PromptVersion,
    Reader,
    ReportRow,
    Stats,
    Step,
    Trace,
)
from ..store.judgements import Judgements, Score, TagInfo, View
from ..store.policy import Absence
from ..store.texts import COLUMNS
from .permissions import Permission, Visitor

_GONE = "there is no such call"


class ScopedReader:
    """A ``Reader`` of what ``visitor`` may see."""

    def __init__(self, reader: Reader, visitor: Visitor) -> None:
        self._reader = reader
        self._visitor = visitor
        self._projects = visitor.projects(Permission.ROWS)

    # --- what is allowed ---------------------------------------------------------------------------

    def _sees(self, project: str, permission: Permission = Permission.ROWS) -> bool:
        return self._visitor.may(permission, project)

    def _within(self, where: Filter | None) -> Filter | None:
        """The filter, of the visitor's projects only. Raises ``QueryError`` for one that asks what was said."""
        asks_words = any(isinstance(leaf, Match) for leaf in leaves(where))
        seen = self._visitor.projects(Permission.CONTENT) if asks_words else self._projects
        if asks_words and seen is not None and not seen:
            raise QueryError("words of prompts and answers can be searched by those who may read them")
        if seen is None:
            return where
        allowed = Comparison("project", "in", tuple(sorted(seen)) or ("",))
        return allowed if where is None else And((allowed, where))

    def _shown(self, call: Call) -> Call:
        """A row, without first words for those who may not read them."""
        if self._sees(call.project, Permission.CONTENT):
            return call
        return evolve(call, preview_input=None, preview_output=None, error_message=None)

    def _told(self, conversation: Conversation) -> Conversation:
        if self._sees(conversation.project, Permission.CONTENT):
            return conversation
        return evolve(conversation, preview=None)

    # --- calls ---------------------------------------------------------------------------------------

    async def latest_rev(self) -> int:
        """As ``Reader.latest_rev``: the number alone says nothing."""
        return await self._reader.latest_rev()

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
        """As ``Reader.find``."""
        found = await self._reader.find(
            self._within(where),
            after_rev=after_rev,
            before=before,
            limit=limit,
            every=every,
            news=news,
            order=order,
            before_rev=before_rev,
        )
        return [self._shown(call) for call in found]

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
        """As ``Reader.search``, in projects whose calls the visitor may read."""
        readable = self._visitor.projects(Permission.CONTENT)
        if readable is not None:
            if not readable:
                raise QueryError("words of prompts and answers can be searched by those who may read them")
            allowed = Comparison("project", "in", tuple(sorted(readable)))
            where = allowed if where is None else And((allowed, where))
        return await self._reader.search(
            words, where, columns=columns, since_us=since_us, before=before, limit=limit, every=every
        )

    async def resolve(self, ref: str | None) -> str:
        """As ``Reader.resolve``; who sees some projects only is not told which ids of others are alike."""
        try:
            found = await self._reader.resolve(ref)
        except CallNotFound:
            if self._projects is None:
                raise
            raise CallNotFound(_GONE) from None
        await self.call(found)
        return found

    async def call(self, call_id: str) -> Call:
        """As ``Reader.call``."""
        call = await self._reader.call(call_id)
        if not self._sees(call.project):
            raise CallNotFound(_GONE)
        return self._shown(call)

    async def may(self, permission: Permission, call_id: str) -> bool:
        """Whether the visitor may do this to a call. Raises ``CallNotFound`` for one that is not to be seen."""
        return self._sees((await self.call(call_id)).project, permission)

    async def exchange(self, call_id: str) -> Exchange | None:
        """As ``Reader.exchange``; None also for those who may not read it."""
        return await self._reader.exchange(call_id) if await self.may(Permission.CONTENT, call_id) else None

    async def absence(self, call_id: str) -> Absence:
        """As ``Reader.absence``."""
        await self.call(call_id)
        return await self._reader.absence(call_id)

    async def tools(self, call_id: str) -> list[ToolSpan]:
        """As ``Reader.tools``."""
        await self.call(call_id)
        return await self._reader.tools(call_id)

    # --- conversations, prompts ----------------------------------------------------------------------

    async def conversations(
        self,
        where: Filter | None = None,
        *,
        since_us: int | None = None,
        before: str | None = None,
        limit: int = 50,
    ) -> list[Conversation]:
        """As ``Reader.conversations``."""
        found = await self._reader.conversations(self._within(where), since_us=since_us, before=before, limit=limit)
        return [self._told(conversation) for conversation in found]

    async def conversation(self, call_id: str, *, limit: int = 1000) -> Trace:
        """As ``Reader.conversation``."""
        await self.call(call_id)
        return self._trace(await self._reader.conversation(call_id, limit=limit))

    def _trace(self, trace: Trace) -> Trace:
        return evolve(
            trace,
            conversation=self._told(trace.conversation),
            steps=tuple(self._step(step) for step in trace.steps),
            beside=tuple(self._told(other) for other in trace.beside if self._sees(other.project)),
        )

    def _step(self, step: Step) -> Step:
        begun = tuple(self._trace(trace) for trace in step.begun if self._sees(trace.conversation.project))
        return evolve(step, call=self._shown(step.call), begun=begun)

    async def prompts(self, project: str) -> list[PromptVersion]:
        """As ``Reader.prompts``; none of projects whose calls the visitor may not read."""
        return await self._reader.prompts(project) if self._sees(project, Permission.CONTENT) else []

    async def prompt_projects(self) -> list[str]:
        """As ``Reader.prompt_projects``."""
        projects = await self._reader.prompt_projects()
        return [project for project in projects if self._sees(project, Permission.CONTENT)]

    # --- what people say -----------------------------------------------------------------------------

    async def judgements(self, call_id: str) -> Judgements:
        """As ``Reader.judgements``; none for those who may not read the call."""
        return await self._reader.judgements(call_id) if await self.may(Permission.CONTENT, call_id) else Judgements()

    async def scores(self, call_ids: Sequence[str]) -> dict[str, list[Score]]:
        """As ``Reader.scores``, of calls that this reader has given out."""
        return await self._reader.scores(call_ids)

    async def score_names(self) -> list[str]:
        """As ``Reader.score_names``."""
        return await self._reader.score_names()

    async def tags(self) -> list[TagInfo]:
        """As ``Reader.tags``."""
        return await self._reader.tags()

    async def views(self) -> list[View]:
        """As ``Reader.views``."""
        return await self._reader.views()

    # --- sums ----------------------------------------------------------------------------------------

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
        """As ``Reader.report``."""
        return await self._reader.report(
            by, since_us, self._within(where), zone, until_us=until_us, every=every, layout=layout
        )

    async def histogram(
        self, edges_us: Sequence[int], until_us: int | None = None, where: Filter | None = None, *, every: bool = False
    ) -> list[Bin]:
        """As ``Reader.histogram``."""
        return await self._reader.histogram(edges_us, until_us, self._within(where), every=every)

    async def stats(self) -> Stats:
        """As ``Reader.stats``: of the whole store, and of nobody's calls in particular."""
        return await self._reader.stats()
