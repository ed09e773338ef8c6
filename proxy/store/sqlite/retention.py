"""What is due to go: which body files, which rows. Looks and decides; purge.py does it.

A body file goes whole, when all of its calls are past their limits. It holds calls of one
retention class, so that they get there together. Settings change, though, and calls are pinned:
then those that stay are copied to files of their own class, and the file goes. It is left alone
as long as calls of its own class have time left and nobody else's is over: a day later it goes
as it is.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec import Struct

from ...records import DEFAULT_PROJECT
from ..policy import DAY_US, KEPT, Policy
from . import pins, rows
from .compile import Condition
from .queries import QUERIES

COMPANIONS = ("", "-wal", "-shm")  #: what SQLite keeps beside a file
_PROJECT = rows.KINDS["project"]
_NO_PROJECT = -1  # of rows that name none
_LONG_US = 365 * DAY_US


class Segment(Struct, frozen=True):
    """A body file, as its row tells."""

    id: int
    name: str
    retention: str
    first_us: int
    last_us: int

    def files(self, directory: Path) -> list[Path]:
        """Everything that goes with it, whether it is there or not."""
        names = (self.name, self.name.replace("body-", "fts-", 1))
        return [directory / f"{name}{companion}" for name in names for companion in COMPANIONS]

    def size(self, directory: Path) -> int:
        """Bytes of all its files."""
        return sum(path.stat().st_size for path in self.files(directory) if path.exists())


class Part(Struct, frozen=True):
    """Calls of one segment that share a fate."""

    project: str
    retention: str  #: by today's settings
    expired: bool
    kept: bool
    calls: int
    bytes: int  #: of bodies, as they were sent
    first_us: int

    @property
    def goes(self) -> bool:
        """Whether nothing speaks for these any more."""
        return self.expired and not self.kept


class Memory:
    """Segments that need no look before a moment, so that an hourly look costs nothing."""

    def __init__(self) -> None:
        self._quiet_us: dict[tuple[int, int], int] = {}
        self._policy: Policy | None = None

    def forget(self) -> None:
        """Pins or holds have changed."""
        self._quiet_us.clear()

    def under(self, policy: Policy) -> None:
        """What was found by other settings does not hold."""
        if policy != self._policy:
            self._policy = policy
            self.forget()

    def is_quiet(self, segment: Segment, now_us: int) -> bool:
        """Whether nothing can be due yet."""
        return now_us < self._quiet_us.get((segment.id, segment.last_us), 0)

    def note(self, segment: Segment, until_us: int) -> None:
        """Nothing is due before then."""
        self._quiet_us[segment.id, segment.last_us] = until_us


#: Rows whose bodies are gone, or never were.
BODILESS = "(segment IS NULL OR segment IN (SELECT id FROM segment WHERE dropped_us IS NOT NULL))"
#: Rows that may be deleted: their calls are over, and they are not the last, whose number must not be given again.
ENDED = f"status <> {rows.RUNNING_ID} AND id < (SELECT max(id) FROM call)"


# --- conditions -----------------------------------------------------------------------------------


def past_bodies(main: sqlite3.Connection, policy: Policy, now_us: int) -> Condition:
    """The rows of ``call`` whose bodies are past their limit."""
    limits = {name: policy.bodies_before_us(name, now_us) for name in (None, *policy.projects)}
    return _past(main, limits)


def past_rows(main: sqlite3.Connection, policy: Policy, now_us: int) -> Condition:
    """The rows of ``call`` that are past their own limit."""
    return _past(main, {name: policy.rows_before_us(name, now_us) for name in (None, *policy.projects)})


def _past(main: sqlite3.Connection, limits: dict[str | None, int | None]) -> Condition:
    if not any(limits.values()):
        return Condition("0")
    own = {name: _project_id(main, name) for name in limits if name is not None}
    cases = [(_NO_PROJECT, limits.get(DEFAULT_PROJECT, limits[None]) or 0)]
    cases += [(number, limits[name] or 0) for name, number in own.items() if number is not None]
    whens = " WHEN ? THEN ?" * len(cases)
    values = tuple(value for case in cases for value in case)
    sql = f"(started_at_us < CASE coalesce(project, {_NO_PROJECT}){whens} ELSE ? END)"
    return Condition(sql, (*values, limits[None] or 0))


def _project_id(main: sqlite3.Connection, name: str) -> int | None:
    row = main.execute(QUERIES["dim_id"], (_PROJECT, name)).fetchone()
    return None if row is None else int(row[0])


def latest_limit_us(policy: Policy, now_us: int, *, of_rows: bool = False) -> int:
    """No call that was accepted since then is past any limit."""
    days = [each.row_days if of_rows else each.bodies for each in policy.limits]
    return now_us - min(filter(None, days)) * DAY_US if any(days) else 0


# --- segments -------------------------------------------------------------------------------------


def segments(main: sqlite3.Connection) -> list[Segment]:
    """Those whose bodies are there, oldest first."""
    return [Segment(*row) for row in main.execute(QUERIES["live_segments"])]


def parts(main: sqlite3.Connection, segment: Segment, policy: Policy, now_us: int) -> list[Part]:
    """Its calls, by fate."""
    past, kept = past_bodies(main, policy, now_us), pins.kept(main)
    found = main.execute(
        f"SELECT (SELECT val FROM dim WHERE dim.id = project), {past.sql} AS expired, {kept.sql} AS kept, count(*), "
        "sum(coalesce(request_bytes, 0) + coalesce(response_bytes, 0)), min(started_at_us) "
        "FROM call WHERE started_at_us BETWEEN ? AND ? AND segment = ? GROUP BY project, expired, kept",
        (*past.values, *kept.values, segment.first_us, segment.last_us, segment.id),
    )
    return [
        Part(
            project=project or DEFAULT_PROJECT,
            retention=policy.class_of(project),
            expired=bool(expired),
            kept=bool(is_kept),
            calls=calls,
            bytes=size,
            first_us=first_us,
        )
        for project, expired, is_kept, calls, size, first_us in found
    ]


def goes(segment: Segment, found: list[Part]) -> bool:
    """Whether a segment's time has come."""
    over = [part for part in found if part.goes]
    if not found or not over:
        return not found
    own = _own_class(segment, found)
    if any(_class_of(part) != own for part in over):
        return True  # they would stay longer than they may
    return all(_class_of(part) != own for part in found if not part.goes)


def _own_class(segment: Segment, found: Iterable[Part]) -> str:
    """The class of most of its calls: what it was begun as may be no class of today's."""
    if segment.retention == KEPT:
        return KEPT
    calls: Counter[str] = Counter()
    for part in found:
        calls[part.retention] += 0 if part.kept else part.calls
    return max(calls, key=lambda name: (calls[name], name))


def _class_of(part: Part) -> str:
    return KEPT if part.kept else part.retention


def quiet_until_us(found: list[Part], policy: Policy, now_us: int) -> int:
    """Nothing of a segment that stays can be due before then, unless pins, holds or settings change."""
    if any(part.goes for part in found):
        return now_us
    moments = [now_us + (DAY_US if any(part.kept for part in found) else _LONG_US)]  # a hold may cease to match
    for part in found:
        days = policy.keeping(part.project).bodies
        moments += [part.first_us + days * DAY_US] if days and not part.expired else []
    return min(moments)


def due(main: sqlite3.Connection, policy: Policy, now_us: int, memory: Memory | None = None) -> Iterator[Segment]:
    """The segments whose time has come, oldest first."""
    memory = memory or Memory()
    memory.under(policy)
    limit_us = latest_limit_us(policy, now_us)
    for segment in segments(main):
        if segment.first_us >= limit_us or memory.is_quiet(segment, now_us):
            continue
        found = parts(main, segment, policy, now_us)
        if goes(segment, found):
            yield segment
        else:
            memory.note(segment, quiet_until_us(found, policy, now_us))


def over_size(main: sqlite3.Connection, directory: Path, policy: Policy, tried: set[int]) -> Segment | None:
    """The segment that goes next because the store is larger than it may be."""
    if not policy.max_bytes or size(directory) <= policy.max_bytes:
        return None
    return next((each for each in may_be_capped(segments(main)) if each.id not in tried), None)


def may_be_capped(live: list[Segment]) -> list[Segment]:
    """All but what is kept, and the newest."""
    return [segment for segment in live[:-1] if segment.retention != KEPT]


def size(directory: Path) -> int:
    """Bytes of all files of the store."""
    return sum(path.stat().st_size for path in directory.glob("*.db*") if path.exists())
