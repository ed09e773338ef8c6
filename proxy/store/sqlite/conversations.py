"""Finds the conversation of each call, in the transaction that writes its row, and before a new row is written.

A request leads to the call whose answer it continues by digests (``ingest.linking``, ``memory``), and to
that call's conversation. Several calls that a digest leads to are told apart by what the client names;
where that is not enough there is no link, because a wrong one is worse than none. A call whose
answer is stored after the request that continues it is waited for; its conversation and the one that began
without it become one, the smaller takes the larger one's number. What a request continues was always
accepted before it, so there are no circles, whatever clients say.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence

from ...records import FollowsBy, Status, Ties, evolve
from ..base import StoredCall
from . import rows
from .arrivals import Arrivals, Tie
from .memory import Memory, is_conversation, scope
from .prompts import Prompts
from .queries import QUERIES
from .recent import Recent
from .related import OK, Linked, is_same_asker, is_same_request, likeliest, may_precede

_CANDIDATES = 16  # looked at for one link, the newest
_WAY = rows.KINDS["follows_by"]
_LATELY = 20_000  # calls, about 300 bytes each, and as many older ones

Wanted = Sequence[tuple[int, FollowsBy]]


class Conversations:
    """Links calls; ``text`` gives the number of a shared text, ``touch`` a new rev to a row that others changed."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        memory: Memory,
        prompts: Prompts,
        arrivals: Arrivals,
        text: Callable[[int, str], int],
        touch: Callable[[int, int], None],
    ) -> None:
        self._main = connection
        self._arrivals = arrivals
        self._lately: Recent[int, Linked] = Recent(_LATELY)
        self._text = text
        self._memory = memory
        self._prompts = prompts
        self._touch = touch

    def forget_rows(self) -> None:
        """Rows change, or are gone: they are read again."""
        self._arrivals.flush()
        self._lately = Recent(_LATELY)

    def forget_row(self, row_id: int) -> None:
        """A row has changed."""
        self._lately.drop(row_id)

    def join(self, row_id: int, stored: StoredCall, now_us: int, repeats: int | None) -> None:
        """A call whose row is there finds its conversation, and those that have waited for it.

        ``repeats``: what it is a retry of.
        """
        self._arrivals.flush()
        self._lately.drop(row_id)
        own = self._row(row_id)
        if stored.ties is None or own is None:
            return
        tie = self._tied(own, stored, stored.ties, repeats)
        self._arrivals.flush()  # the conversation that it has begun
        self._main.execute(QUERIES["tie"], (*tie, row_id))
        self._lately.drop(row_id)
        self.offer(row_id, stored, own, now_us)

    def tie(self, own: Linked, stored: StoredCall) -> Tie | None:
        """What a new call is to be tied by; None for one that has no conversation."""
        if stored.ties is None:
            return None
        tie = self._tied(own, stored, stored.ties, None)
        self._lately[own.id] = evolve(
            own,
            conversation=tie.conversation,
            follows=tie.follows,
            continues=tie.continues,
            system_version=tie.system_version,
        )
        return tie

    def offer(self, row_id: int, stored: StoredCall, own: Linked, now_us: int) -> None:
        """Later requests may continue a call that has ended, and some have waited for it."""
        ties = stored.ties
        if ties is None or stored.call.status == Status.RUNNING:
            return
        where = scope(own.project, own.key)
        self._offer(row_id, list(self._offered(ties, stored, where)), now_us)
        for digest in ties.tasks:
            self._memory.tasks.add(self._memory.digests.task(where, digest), row_id)

    def _tied(self, own: Linked, stored: StoredCall, ties: Ties, repeats: int | None) -> Tie:
        if stored.system_prompt is not None and own.project is not None:
            version = self._prompts.number(own.project, stored.system_prompt, own.started_at_us)
            own = own if version == own.system_version else evolve(own, system_version=version)
        where = scope(own.project, own.key)
        return self._placed(own, list(self._wanted(ties, where)), self._answered(ties, where), repeats, ties)

    # --- what a call continues ----------------------------------------------------------------------

    def _wanted(self, ties: Ties, where: bytes) -> Iterator[tuple[int, FollowsBy]]:
        """What its request continues, the most trusted first."""
        digests = self._memory.digests
        if ties.previous_response is not None:
            yield digests.response(ties.previous_response), FollowsBy.RESPONSE_ID
        if ties.conversation_id is not None:
            yield digests.conversation(where, ties.conversation_id), FollowsBy.CONVERSATION_ID
        for tool_id in ties.tool_ids:
            yield digests.tool(where, tool_id), FollowsBy.TOOL_CALL
        for digest in ties.echoes:
            yield digests.answer(where, digest), FollowsBy.ANSWER

    def _placed(self, own: Linked, wanted: Wanted, answered: int | None, repeats: int | None, ties: Ties) -> Tie:
        follows, how, ambiguous, conversation = own.follows, None, False, None
        if follows is None:
            found, how, ambiguous = self._found(own, wanted)
            again, again_how = self._repeated(own, found, repeats)
            how = again_how or how
            follows = found.id if found else None
            conversation = self._entered(own, found or again, ties)
        waits = wanted[0][0] if wanted and follows is None and not ambiguous else None
        named = next((digest for digest, way in wanted if way is FollowsBy.CONVERSATION_ID), None)
        way = None if how is None else self._text(_WAY, how)
        kept = named if named is not None else waits
        if waits is not None:
            for digest, _ in wanted:
                self._memory.waiting.add(digest, own.id)
        return Tie(conversation, follows, way, answered, kept, own.system_version)

    def _found(self, own: Linked, wanted: Wanted) -> tuple[Linked | None, FollowsBy | None, bool]:
        """The call that it continues, how that was found, and whether there were too many to tell."""
        ambiguous = False
        for digest, how in wanted:
            candidates = self._candidates(digest, how)
            found = self._chosen(own, candidates, how)
            if found is not None:
                return found, how, False
            ambiguous = ambiguous or any(may_precede(own, row) for row in candidates)
        return None, None, ambiguous

    def _chosen(self, own: Linked, candidates: Sequence[Linked], how: FollowsBy) -> Linked | None:
        if how is FollowsBy.CONVERSATION_ID:  # the provider itself goes on where it ended last
            before = [row for row in candidates if may_precede(own, row)]
            return max(before, key=lambda row: (row.started_at_us, row.id), default=None)
        return likeliest(own, candidates, self._is_continued)

    def _candidates(self, digest: int, how: FollowsBy) -> list[Linked]:
        known = self._memory.responses if how is FollowsBy.RESPONSE_ID else self._memory.answers
        found = (self._row(row_id) for row_id in known.get(digest)[-_CANDIDATES:])
        return [row for row in found if row is not None]

    def _is_continued(self, row: Linked) -> bool:
        self._arrivals.flush()
        return self._main.execute(QUERIES["is_continued"], (row.conversation, row.id)).fetchone() is not None

    # --- what a call repeats ------------------------------------------------------------------------

    def _repeated(
        self, own: Linked, found: Linked | None, repeats: int | None
    ) -> tuple[Linked | None, FollowsBy | None]:
        """The call whose request this one repeats, when both belong together, and whether that had failed."""
        if repeats is not None:
            return self._row(repeats), FollowsBy.RETRY
        if own.request_digest is None:
            return None, None
        asked = [self._row(row_id) for row_id in self._memory.requests.get(own.request_digest)[-_CANDIDATES:]]
        same = [row for row in asked if row is not None and is_same_request(own, row)]
        if found is not None:
            same = [row for row in same if row.follows == found.id]
        else:
            same = [row for row in same if is_same_asker(own, row)]
        if not same or len({row.conversation for row in same}) > 1:
            return None, None
        last = max(same, key=lambda row: (row.started_at_us, row.id))
        return last, FollowsBy.REGENERATION if last.status == OK else FollowsBy.RETRY

    # --- its conversation ---------------------------------------------------------------------------

    def _entered(self, own: Linked, relative: Linked | None, ties: Ties) -> int | None:
        """The relative's conversation, or one of its own; None for a call that has one."""
        if relative is not None and relative.conversation is not None:
            if own.conversation is None:
                return relative.conversation
            self._merge(own.conversation, relative.conversation)
            return None
        if own.conversation is None:
            trace = own.trace if own.session is None else None
            self._arrivals.begin(own.id, own.session, trace)
        if ties.begins and (starter := self._starter(own, ties)) is not None:
            self._arrivals.started(own.conversation or own.id, starter)
        return own.id if own.conversation is None else None

    def _merge(self, later: int, earlier: int) -> None:
        """Two conversations become one, which begins where the earlier began; fewer rows change."""
        if later == earlier:
            return
        self.forget_rows()
        sizes = dict(self._main.execute(QUERIES["sizes"], (later, earlier)).fetchall())
        kept, moved = (later, earlier) if sizes.get(later, 0) > sizes.get(earlier, 0) else (earlier, later)
        if kept == later:
            self._main.execute(QUERIES["begin_earlier"], (earlier, later))
        self._main.execute(QUERIES["move_first"], (kept, moved))
        self._main.execute(QUERIES["move_others"], (kept, moved))
        self._main.execute(QUERIES["end_conversation"], (moved,))

    def _starter(self, own: Linked, ties: Ties) -> int | None:
        """The call whose answer handed this conversation's first words to a tool that still ran when it began."""
        if own.system_version is None:
            return None
        where = scope(own.project, own.key)
        for digest in ties.begins:
            asked = map(self._row, self._memory.tasks.get(self._memory.digests.task(where, digest))[-_CANDIDATES:])
            fit = [row for row in asked if row is not None and may_precede(own, row) and self._hands_over(row, own)]
            if fit and len({row.conversation for row in fit}) == 1:
                return fit[-1].id
        return None

    def _hands_over(self, row: Linked, own: Linked) -> bool:
        if own.system_version == row.system_version:
            return False
        self._arrivals.flush()
        return self._main.execute(QUERIES["tool_runs"], (row.id, own.started_at_us)).fetchone() is not None

    # --- what others wait for -------------------------------------------------------------------------

    def _answered(self, ties: Ties, where: bytes) -> int | None:
        return self._memory.digests.answer(where, ties.answers[0]) if ties.answers else None

    def _offered(self, ties: Ties, stored: StoredCall, where: bytes) -> Iterator[tuple[int, FollowsBy]]:
        """What later requests may continue it by; its response's id is remembered elsewhere."""
        digests = self._memory.digests
        if ties.conversation_id is not None:
            yield digests.conversation(where, ties.conversation_id), FollowsBy.CONVERSATION_ID
        for tool in stored.tools or ():
            if tool.id is not None and not tool.server:
                yield digests.tool(where, tool.id), FollowsBy.TOOL_CALL
        for digest in ties.answers:
            yield digests.answer(where, digest), FollowsBy.ANSWER
        if stored.call.response_id is not None:
            yield digests.response(stored.call.response_id), FollowsBy.RESPONSE_ID

    def _offer(self, row_id: int, offered: Wanted, now_us: int) -> None:
        for digest, how in offered:
            known = self._memory.responses if how is FollowsBy.RESPONSE_ID else self._memory.answers
            if row_id not in known.get(digest):
                known.add(digest, row_id)
        for digest, how in offered:
            for waiting in self._memory.waiting.get(digest):
                self._adopt(waiting, row_id, (digest, how), now_us)

    def _adopt(self, row_id: int, late: int, found_by: tuple[int, FollowsBy], now_us: int) -> None:
        """A call that was stored before what it continues looks again."""
        digest, how = found_by
        own, parent = self._row(row_id), self._row(late)
        if own is None or parent is None or own.follows is not None or own.conversation is None:
            return
        if not may_precede(own, parent):
            return
        found = self._chosen(own, self._candidates(digest, how), how)
        if found is not None and found.conversation is not None:
            self.forget_rows()
            kept = own.continues if own.continues is not None and is_conversation(own.continues) else None
            self._main.execute(QUERIES["adopt"], (found.id, self._text(_WAY, how), kept, own.id))
            self._merge(own.conversation, found.conversation)
            self._touch(own.id, now_us)

    def _row(self, row_id: int) -> Linked | None:
        if (known := self._lately.get(row_id)) is not None:
            return known
        row = self._main.execute(QUERIES["linked_call"], (row_id,)).fetchone()
        if row is not None:
            self._lately[row_id] = Linked(*row)
        return self._lately.get(row_id)
