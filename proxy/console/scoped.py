"""The store as one visitor may see it. Handlers get no other reader, so none can forget to ask.

Lists and sums hold only the projects that the visitor may see; a call of another project is as if it
were not there, so that nobody learns which ids exist. Who may not see what was said gets rows without
first words, and no bodies.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import UTC, tzinfo

from ..errors import CallNotFound, QueryError
from ..query.fields import TAG
from ..query.match import matches, needs_store
from ..query.tree import And, Comparison, Filter, Match, fields_of, leaves
from ..records import Call, Exchange, ToolSpan, evolve
from ..store.base import (
    EVERY_GROUP,
    Bin,
    Found,
    Layout,
    Looked,
    Order,
    Reader,
    ReportRow,
    Stats,
)
from ..store.judgements import AuditRow, Judgements, Score, TagInfo, View
from ..store.policy import Absence
from ..store.recorded import Awaited, unstored
from ..store.texts import COLUMNS
from ..store.traces import Conversation, PromptVersion, Step, Trace
from .permissions import Permission, Visitor

_GONE = "there is no such call"
_SAID = frozenset({"error_message"})  #: columns that may repeat what was said
_LAST = 500  #: calls whose scores are looked at for names


class ScopedReader:
    """A ``Reader`` of what ``visitor`` may see."""

    def __init__(self, reader: Reader, visitor: Visitor) -> None:
        self._reader = reader
        self._visitor = visitor
        self._projects = visitor.projects(Permission.ROWS)
        self.looked_at: dict[str, str] = {}  #: calls that were asked for one by one: id → project
        self.searched = False  #: whether words were looked for in what was said

    # --- what is allowed ---------------------------------------------------------------------------

    def _sees(self, project: str, permission: Permission = Permission.ROWS) -> bool:
        return self._visitor.may(permission, project)

    def _within(self, where: Filter | None) -> Filter | None:
        """The filter, of the visitor's projects only. Raises ``QueryError`` for one that asks what was said."""
        asks_words = any(isinstance(leaf, Match) for leaf in leaves(where)) or bool(_SAID & fields_of(where))
        self.searched |= asks_words
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
        """As ``Reader.look``."""
        looked = await self._reader.look(
            self._within(where), before=before, after=after, limit=limit, every=every, order=order
        )
        return evolve(looked, calls=[self._shown(call) for call in looked.calls])

    async def among(self, calls: Sequence[Call], where: Filter | None = None, *, every: bool = False) -> list[Call]:
        """Of calls that were just read, those that match, as the visitor may see them; in the order given.

        The store is asked only where rows do not tell. Raises ``QueryError`` as ``find`` does.
        """
        within = self._within(where)
        meant = [call for call in calls if every or call.excluded is None or "excluded" in fields_of(where)]
        if within is not None and needs_store(within):
            ids = Comparison("id", "in", tuple(call.id for call in meant))
            found = await self._reader.find(And((within, ids)), limit=len(meant), every=every) if meant else []
            known = {call.id for call in found}
            meant = [call for call in meant if call.id in known]
        elif within is not None:
            meant = [call for call in meant if matches(within, call)]
        return [self._shown(call) for call in meant]

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
        self.searched = True
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
        self.looked_at[call.id] = call.project
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

    async def conversation(self, call_id: str, *, limit: int = 1000, before: str | None = None) -> Trace:
        """As ``Reader.conversation``."""
        await self.call(call_id)
        return self._trace(await self._reader.conversation(call_id, limit=limit, before=before))

    def _trace(self, trace: Trace) -> Trace:
        return evolve(
            trace,
            conversation=self._told(trace.conversation),
            steps=tuple(self._step(step) for step in trace.steps if self._sees(step.call.project)),
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
        """As ``Reader.score_names``; who sees some projects only gets those of their last calls."""
        if self._projects is None:
            return await self._reader.score_names()
        last = await self.find(limit=_LAST)
        found = await self._reader.scores([call.id for call in last])
        names = Counter(score.name for scores in found.values() for score in scores)
        return [name for name, _ in names.most_common()]

    async def tags(self) -> list[TagInfo]:
        """As ``Reader.tags``. What a tag is called, and means, is for all to know once somebody has described it.

        Who sees some projects only gets the others that their calls carry, and counts of their calls.
        """
        tags = await self._reader.tags()
        if self._projects is None:
            return tags
        rows = await self.report((TAG,))
        calls = {row.group[0]: row.calls for row in rows}
        known = [tag for tag in tags if tag.name in calls or tag.color or tag.description]
        mine = [evolve(tag, calls=calls.get(tag.name, 0)) for tag in known]
        return sorted(mine, key=lambda tag: -tag.calls)

    async def views(self) -> list[View]:
        """As ``Reader.views``; who sees some projects only gets their own, for a filter can name what it finds."""
        views = await self._reader.views()
        return [view for view in views if self._projects is None or view.author == self._visitor.name]

    async def audit(self, *, before: int | None = None, limit: int = 100) -> list[AuditRow]:
        """As ``Reader.audit``; none for those who are no auditors."""
        return await self._reader.audit(before=before, limit=limit) if self._visitor.may(Permission.AUDIT) else []

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

    async def unstored(self, awaited: list[Awaited]) -> int:
        """How many of these records are not stored yet; of no project's calls in particular."""
        return await unstored(self._reader, awaited)

    async def stats(self) -> Stats:
        """As ``Reader.stats``; who sees some projects only gets counts and times of their calls.

        How far the store is behind, and what journals lost, belongs to no project.
        """
        stats = await self._reader.stats()
        if self._projects is None:
            return stats
        rows = await self.report(("status",), every=True)
        firsts = [row.first_us for row in rows if row.first_us is not None]
        newest = await self.find(limit=1, every=True)
        return evolve(
            stats,
            calls=sum(row.calls for row in rows),
            running=sum(row.calls for row in rows if row.group[0] == "running"),
            oldest_us=min(firsts, default=None),
            newest_us=newest[0].started_at_us if newest else None,
            bytes={},
        )
