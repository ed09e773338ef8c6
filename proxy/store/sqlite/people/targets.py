"""Which call is meant by who says something of it, and what waits for a call that is not stored yet.

An application may know the provider's id of an answer before the answer's end is in the journal. What it
says waits, bounded in number, bytes and time, and is said anew when a call with that id is written.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence

import orjson

from ....errors import CallNotFound
from ...judgements import Target
from .. import names
from ..find import uuid_of
from ..queries import QUERIES
from ..rows import uuid_text

MOST = 10_000  #: events that wait
MOST_BYTES = 32 << 20
LONGEST_US = 7 * 86_400_000_000
_CANDIDATES = 5_000  # some servers give every answer the same id
_WAYS = ("call", "response_id", "request_id")
_ALLOWED = (
    "(? IS NULL OR coalesce((SELECT val FROM dim WHERE dim.id = call.project), 'default')"
    " IN (SELECT value FROM json_each(?)))"
)


def sought(connection: sqlite3.Connection, target: Target, projects: Sequence[str] | None) -> int | None:
    """The number of the call that is meant, of one of these projects (None: of any)."""
    allowed = None if projects is None else orjson.dumps(projects).decode()
    if target.call is not None:
        return _by_id(connection, target.call, allowed)
    for column, name in (("response_id", target.response_id), ("request_id", target.request_id)):
        if name:
            return _by_name(connection, column, name, allowed)
    return None


def _by_id(connection: sqlite3.Connection, call_id: str, allowed: str | None) -> int | None:
    try:
        values = (uuid_of(call_id), allowed, allowed)
    except CallNotFound:
        return None
    return _number(connection.execute(f"SELECT call.id FROM call WHERE call.uuid = ? AND {_ALLOWED}", values))


def _by_name(connection: sqlite3.Connection, column: str, name: str, allowed: str | None) -> int | None:
    """The last that bears it; one that fetched the answer of another call is that other one, where it is stored."""
    sql, values = names.bearing([name])
    found = connection.execute(
        f"SELECT call.id FROM (SELECT DISTINCT id FROM ({sql}) LIMIT {_CANDIDATES}) AS named"
        f" CROSS JOIN call ON call.id = named.id WHERE call.{column} = ?"
        f" AND {_ALLOWED} ORDER BY call.retrieved IS 1, call.id DESC LIMIT 1",
        (*values, name, allowed, allowed),
    )
    return _number(found)


def _number(found: sqlite3.Cursor) -> int | None:
    row = found.fetchone()
    return None if row is None else int(row[0])


class Pending:
    """Of one writing connection: what waits, by the names that it waits for. All in a transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._main = connection
        self._names: set[str] | None = None  #: that something waits for; None: to be read

    def forget(self) -> None:
        """What is remembered may have been rolled back."""
        self._names = None

    def add(self, event: int, target: Target, size: int, now_us: int) -> bool:
        """An event waits for its call; False when its target names none."""
        way, name = _named(target)
        if name is None:
            return False
        self._main.execute(QUERIES["add_pending"], (event, way, name, size, now_us))
        self._known().add(name)
        return True

    def called(self, calls: Iterable[Sequence[str | None]]) -> Iterator[int]:
        """Of calls that were just written, by all their ids: events that may have waited for them, in their order."""
        known = self._known()
        if known:
            found = {name for ids in calls for name in ids if name in known}
            events = {event for name in found for (event,) in self._main.execute(QUERIES["pending_of"], (name,))}
            yield from sorted(events)

    def end(self, event: int) -> None:
        """It waits no more; a name that is still remembered costs a look."""
        self._main.execute(QUERIES["drop_pending"], (event,))

    def bound(self, now_us: int) -> int:
        """What has waited too long, or is too much, the oldest first, is gone; how many that were."""
        if not self._known():
            return 0
        gone = [event for (event,) in self._main.execute(QUERIES["pending_before"], (now_us - LONGEST_US,))]
        gone += [event for (event,) in self._main.execute(QUERIES["pending_beyond"], (MOST, MOST_BYTES))]
        for event in dict.fromkeys(gone):
            self.end(event)
            self._main.execute(QUERIES["drop_event"], (event,))
        if gone:
            self._names = None
        return len(gone)

    def _known(self) -> set[str]:
        if self._names is None:
            self._names = {name for (name,) in self._main.execute(QUERIES["pending_names"])}
        return self._names


def _named(target: Target) -> tuple[int, str | None]:
    for way, field in enumerate(_WAYS):
        name: str | None = getattr(target, field)
        if name:
            return way, _canonical(name) if way == 0 else name
    return 0, None


def _canonical(call_id: str) -> str | None:
    """A call's id as rows have it; None for what can be none."""
    try:
        return uuid_text(uuid_of(call_id))
    except CallNotFound:
        return None
