"""Reading conversations: lists of them, and one as the tree that it is."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ...errors import CallNotFound
from ...query.tree import Filter
from ...records import Call, Status, ToolSpan, evolve
from ..traces import Conversation, Step, Trace
from . import rows
from .compile import Condition, Matches, counted, joined
from .files import transaction
from .find import Texts, uuid_of
from .links import tool_span
from .queries import QUERIES

_AT_ONCE = 500  # bound values of one statement
_DEEPEST = 5  # sub-agents of sub-agents
_MOST_BEGUN = 200  # conversations of sub-agents in one trace
_MOST_BESIDE = 50
_EARLY = 1000  # rows that may stand before those that were accepted earlier

_SHARED = ("project", "user", "session", "trace", "outcome")
_SELECT = """
SELECT conversation.id, begun.uuid, newest.uuid, begun.project, begun.user, begun.session, begun.trace,
    begun.started_at_us, newest.started_at_us + coalesce(newest.latency_us, 0), calls, conversation.tools,
    conversation.errors, conversation.input_tokens, conversation.output_tokens, conversation.cost_nano_usd,
    newest.status, begun.preview_input, starter.uuid
FROM conversation
JOIN call AS begun ON begun.id = coalesce(conversation.first, conversation.id)
JOIN call AS newest ON newest.id = conversation.last
LEFT JOIN call AS starter ON starter.id = conversation.started_by
"""


class Known(NamedTuple):
    """What rows do not tell by themselves."""

    texts: Texts
    words: Callable[[sqlite3.Connection, list[Call]], list[Call]]  #: the calls with their first words
    matches: Callable[[sqlite3.Connection], Matches]  #: what a match by words means


def conversations(
    connection: sqlite3.Connection,
    known: Known,
    where: Filter | None,
    since_us: int | None,
    before: str | None,
    limit: int,
) -> list[Conversation]:
    """See ``Reader.conversations``."""
    conditions = [Condition("calls > 0")]
    if where is not None:
        matching = joined(" AND ", counted(where, known.matches(connection)))
        conditions.append(
            Condition(f"conversation.id IN (SELECT conversation FROM call WHERE {matching.sql})", matching.values)
        )
    if since_us is not None:
        early = "SELECT id FROM call WHERE started_at_us >= ? ORDER BY started_at_us LIMIT ?"
        conditions.append(Condition(f"last >= (SELECT min(id) FROM ({early}))", (since_us, _EARLY)))
        conditions.append(Condition("newest.started_at_us >= ?", (since_us,)))
    if before is not None:
        own = "SELECT last FROM conversation WHERE id = (SELECT conversation FROM call WHERE uuid = ?)"
        conditions.append(Condition(f"last < ({own})", (uuid_of(before),)))
    condition = joined(" AND ", conditions)
    with transaction(connection, "DEFERRED"):
        return _told(connection, known, f"WHERE {condition.sql} ORDER BY last DESC LIMIT ?", (*condition.values, limit))


def conversation(
    connection: sqlite3.Connection, known: Known, call_id: str, limit: int, before: str | None = None
) -> Trace:
    """See ``Reader.conversation``."""
    with transaction(connection, "DEFERRED"):
        row = connection.execute(QUERIES["conversation_of"], (uuid_of(call_id),)).fetchone()
        if row is None:
            raise CallNotFound(f"no call has the id {call_id}")
        if row[0] is None:
            raise CallNotFound(f"call {call_id} belongs to no conversation: it asked no model to say something")
        return _Reading(connection, known, limit).trace(row[0], _End.before(connection, before))


class _End(NamedTuple):
    """Where the outermost conversation of a trace is left off."""

    started_at_us: int
    uuid: bytes

    @classmethod
    def before(cls, connection: sqlite3.Connection, call_id: str | None) -> _End:
        """Before a call, or nowhere."""
        if call_id is None:
            return _NO_END
        row = connection.execute("SELECT started_at_us, uuid FROM call WHERE uuid = ?", (uuid_of(call_id),)).fetchone()
        if row is None:
            raise CallNotFound(f"no call has the id {call_id}")
        return cls(*row)


_NO_END = _End((1 << 63) - 1, b"\xff" * 16)
_BEFORE = "conversation = ?1 AND conversation <> id AND (started_at_us, uuid) < (?2, ?3)"


class _Reading:
    """One trace while it is read; bounded in calls and in conversations, all its parts together."""

    def __init__(self, connection: sqlite3.Connection, known: Known, limit: int) -> None:
        self._connection = connection
        self._known = known
        self._room = limit
        self._begun = {-1}

    def trace(self, number: int, end: _End = _NO_END, depth: int = 0) -> Trace:
        """A conversation, and those that sub-agents had; of the outermost one (``depth`` 0) what stands beside it."""
        (summed,) = _told(self._connection, self._known, "WHERE conversation.id = ?", (number,)) or (None,)
        if summed is None:
            raise CallNotFound("all calls of this conversation are excluded, or its first one is gone")
        self._begun.add(number)
        found = self._calls(number, end)
        self._room -= len(found)
        tools = _tools(self._connection, [row_id for row_id, _ in found])
        begun = self._begun_by([row_id for row_id, _ in found], depth)
        steps = tuple(
            Step(call=call, depth=level, tools=tuple(tools[row_id]), begun=tuple(begun[row_id]))
            for level, (row_id, call) in _in_order(found)
        )
        beside = self._beside(number) if depth == 0 else ()
        counted = summed.calls if end is _NO_END else self._earlier(number, end)
        missing = max(0, counted - sum(call.excluded is None for _, call in found))
        return Trace(conversation=summed, steps=steps, missing=missing, beside=tuple(beside))

    def _calls(self, number: int, end: _End) -> list[tuple[int, Call]]:
        """The newest there is room for, and the first."""
        sql = (
            f"{rows.SELECT.replace('SELECT ', 'SELECT id, ', 1)} WHERE id = ?1 AND conversation = ?1 UNION ALL "
            f"SELECT * FROM ({rows.SELECT.replace('SELECT ', 'SELECT id, ', 1)}"
            f" WHERE {_BEFORE} ORDER BY started_at_us DESC, uuid DESC LIMIT ?4)"
        )
        found = self._connection.execute(sql, (number, *end, max(self._room, 1) - 1)).fetchall()
        plain = [row[1:] for row in found]
        texts = self._known.texts.of(self._connection, (shared for row in plain for shared in rows.shared_ids(row)))
        calls = self._known.words(self._connection, [rows.decode(row, texts) for row in plain])
        return [(row[0], call) for row, call in zip(found, calls, strict=True)]

    def _earlier(self, number: int, end: _End) -> int:
        """How many calls stand before an end, the first counted in any case."""
        sql = f"""
        SELECT (SELECT count(*) FROM call WHERE id = ?1 AND conversation = ?1 AND excluded IS NULL)
            + (SELECT count(*) FROM call WHERE {_BEFORE} AND excluded IS NULL)
        """
        (count,) = self._connection.execute(sql, (number, *end)).fetchone()
        return int(count)

    def _begun_by(self, row_ids: Sequence[int], depth: int) -> Mapping[int, list[Trace]]:
        begun: defaultdict[int, list[Trace]] = defaultdict(list)
        if depth >= _DEEPEST:
            return begun
        for starter, number in _of_many(
            self._connection, "SELECT started_by, id FROM conversation WHERE calls > 0 AND started_by IN", row_ids
        ):
            if self._room > 0 and len(self._begun) < _MOST_BEGUN and number not in self._begun:
                begun[starter].append(self.trace(number, depth=depth + 1))
        return begun

    def _beside(self, number: int) -> list[Conversation]:
        """What the client put under the same name, of the same project and key."""
        condition = """
        WHERE conversation.id <> ?1 AND calls > 0
            AND EXISTS (
                SELECT 1 FROM conversation AS own JOIN call AS first ON first.id = coalesce(own.first, own.id)
                WHERE own.id = ?1 AND first.project IS begun.project AND first.key IS begun.key
            )
            AND conversation.id IN (
                SELECT id FROM conversation WHERE session = (SELECT session FROM conversation WHERE id = ?1)
                UNION SELECT id FROM conversation WHERE trace = (SELECT trace FROM conversation WHERE id = ?1)
            )
        ORDER BY last DESC LIMIT ?2
        """
        return _told(self._connection, self._known, condition, (number, _MOST_BESIDE))


def _told(connection: sqlite3.Connection, known: Known, rest: str, values: tuple[Any, ...]) -> list[Conversation]:
    names = Conversation.__struct_fields__
    found = [dict(zip(names, row[1:], strict=True)) for row in connection.execute(_SELECT + rest, values)]
    texts = known.texts.of(connection, (row[name] for row in found for name in _SHARED if row[name] is not None))
    told = [_summed(row, texts) for row in found]
    first = [
        Call(id=each.id, started_at_us=each.started_at_us, status=Status.OK, preview_input=each.preview)
        for each in told
    ]
    spoken = known.words(connection, first)
    return [evolve(each, preview=call.preview_input) for each, call in zip(told, spoken, strict=True)]


def _summed(row: dict[str, Any], texts: Mapping[int, str]) -> Conversation:
    shared = {name: texts.get(row[name]) for name in _SHARED}
    named = {"project": shared["project"] or "", "outcome": shared["outcome"] or ""}
    ids = {name: None if row[name] is None else rows.uuid_text(row[name]) for name in ("id", "last", "started_by")}
    return Conversation(**row | shared | named | ids)


def _tools(connection: sqlite3.Connection, row_ids: Sequence[int]) -> Mapping[int, list[ToolSpan]]:
    found: defaultdict[int, list[ToolSpan]] = defaultdict(list)
    for row in _of_many(connection, QUERIES["tools_of_calls"], row_ids):
        found[row[0]].append(tool_span(row[1:]))
    return found


def _of_many(connection: sqlite3.Connection, sql: str, row_ids: Sequence[int]) -> Iterator[tuple[Any, ...]]:
    """What a statement that ends in ``IN`` gives for all of these."""
    for start in range(0, len(row_ids), _AT_ONCE):
        some = row_ids[start : start + _AT_ONCE]
        yield from connection.execute(f"{sql} ({', '.join('?' * len(some))})", some)


def _in_order(found: Iterable[tuple[int, Call]]) -> Iterator[tuple[int, tuple[int, Call]]]:
    """Each call before those that continue it, with how deep its branch is.

    Of several that continue the same, the first goes on where the others branch off. Without recursion:
    a conversation may be 10,000 calls long.
    """
    calls = sorted(found, key=lambda pair: (pair[1].started_at_us, pair[1].id))
    known = {call.id for _, call in calls}
    children: defaultdict[str | None, list[tuple[int, Call]]] = defaultdict(list)
    for pair in calls:
        above = pair[1].follows or pair[1].retry_of
        children[above if above in known else None].append(pair)
    waiting = _branches(children[None], 0)
    while waiting:
        level, pair = waiting.pop()
        yield level, pair
        waiting += _branches(children.pop(pair[1].id, []), level)


def _branches(calls: Sequence[tuple[int, Call]], level: int) -> list[tuple[int, tuple[int, Call]]]:
    """The next ones on a stack: what branches off is told before what goes on."""
    if not calls:
        return []
    last = calls[-1]
    return [(level, last), *((level + 1, pair) for pair in reversed(calls[:-1]))]
