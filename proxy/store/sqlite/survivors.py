"""Bodies that must stay when their file goes: copied, read back, and only then pointed at.

Copies go to files of their own, ``body-<class>-<day>-<number>.db`` with numbers that no other file of
the day gets, each new. A death between a copy and the row that points at it leaves bytes that nobody points at.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from msgspec import Struct

from ..policy import KEPT, Policy
from . import pins, rows
from .bodies import UNREADABLE, SegmentReader, open_segment
from .compile import Condition
from .files import transaction
from .queries import QUERIES
from .retention import Segment
from .segment import Entry, SegmentWriter

_SLICE_CALLS = 100
_SLICE_BYTES = 8 << 20  # of bodies
_FIRST = 1001
_MOST = 1000  # files of one class and day
_SHOWN = 5  # ids of calls that cannot be read


class Unmovable(Exception):
    """Bodies that must stay cannot be copied; the text says why."""


class _Survivor(Struct, frozen=True):
    """A call whose bodies are to be copied."""

    started_at_us: int
    number: int  #: call.id
    uuid: bytes
    retention: str  #: class that it belongs to


class Move:
    """All calls of one segment that stay, on their way to other files. Use as a context."""

    def __init__(self, main: sqlite3.Connection, directory: Path, segment: Segment, policy: Policy) -> None:
        self._main = main
        self._directory = directory
        (self._secret,) = main.execute(QUERIES["secret"]).fetchone()
        self._segment = segment
        self._policy = policy
        self._source: SegmentReader | None = None
        self._targets: dict[tuple[str, str], SegmentWriter] = {}
        self._lost: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for opened in (self._source, *self._targets.values()):
            if opened is not None:
                opened.close()

    def steps(self, past: Condition) -> Iterator[int]:
        """Slice by slice; how many calls each time. ``past``: which may go, unless they are kept.

        Raises ``Unmovable`` at the end when some could not be read, at once when no file can be written.
        """
        place = (self._segment.first_us, 0)
        while found := self._next(past, place):
            copied = self._copied(found)
            place = (copied[-1].started_at_us, copied[-1].number)
            yield len(copied)
        if self._lost:
            shown = ", ".join(self._lost[:_SHOWN])
            raise Unmovable(f"{len(self._lost)} calls in it must stay and cannot be read: {shown}")

    def _next(self, past: Condition, place: tuple[int, int]) -> list[_Survivor]:
        kept, stays = pins.kept(self._main), pins.staying(self._main, past)
        found = self._main.execute(
            f"SELECT started_at_us, id, uuid, {kept.sql}, (SELECT val FROM dim WHERE dim.id = project) FROM call "
            "WHERE (started_at_us, id) > (?, ?) AND started_at_us <= ? AND segment = ? "
            f"AND {stays.sql} ORDER BY started_at_us, id LIMIT ?",
            (*kept.values, *place, self._segment.last_us, self._segment.id, *stays.values, _SLICE_CALLS),
        )
        return [
            _Survivor(started_at_us, number, uuid, KEPT if is_kept else self._policy.class_of(project))
            for started_at_us, number, uuid, is_kept, project in found
        ]

    def _copied(self, found: Sequence[_Survivor]) -> list[_Survivor]:
        """Copy as many of these as make a slice: those that were looked at."""
        looked: list[_Survivor] = []
        by_target: dict[tuple[str, str], list[Entry]] = {}
        times_us: dict[int, int] = {}
        size = 0
        for survivor in found:
            looked.append(survivor)
            entry = self._read(survivor)
            if entry is not None:
                size += len(entry.exchange.request_body) + len(entry.exchange.response_body)
                by_target.setdefault(_target(survivor), []).append(entry)
                times_us[entry.row_id] = survivor.started_at_us
            if size > _SLICE_BYTES:
                break
        for target, entries in by_target.items():
            self._copy(target, entries, times_us)
        return looked

    def _read(self, survivor: _Survivor) -> Entry | None:
        try:
            if self._source is None:
                self._source = open_segment(self._directory / self._segment.name)
            exchange = self._source.exchange(survivor.number, survivor.uuid)
            if exchange is not None:
                previews = self._source.previews(survivor.number)
                return Entry(survivor.number, survivor.uuid, exchange, previews=previews)
        except UNREADABLE:
            pass
        self._lost.append(rows.uuid_text(survivor.uuid))
        return None

    def _copy(self, key: tuple[str, str], entries: list[Entry], times_us: Mapping[int, int]) -> None:
        target = self._targets.get(key)
        if target is None:
            target = self._targets[key] = self._opened(*key)
        target.write(entries)
        with closing(open_segment(target.path)) as written:
            for entry in entries:
                if written.exchange(entry.row_id, entry.uuid) != entry.exchange:
                    raise Unmovable(f"{target.path.name} does not give back what was written to it")
        with transaction(self._main):
            number = self._number(target.path.name, key[0], [times_us[entry.row_id] for entry in entries])
            self._main.executemany(QUERIES["repoint"], [(number, entry.row_id) for entry in entries])

    def _opened(self, retention: str, day: str) -> SegmentWriter:
        """A file of its own: nothing has been read of it yet, full text neither."""
        for number in range(_FIRST, _FIRST + _MOST):
            name = f"body-{retention}-{day}-{number}.db"
            known = self._main.execute(QUERIES["dim_id"], (rows.KINDS["segment"], name)).fetchone()
            if known is None and not (self._directory / name).exists():
                return SegmentWriter(self._directory / name, self._secret)
        raise Unmovable(f"there are {_MOST} files of {retention} and {day} already")

    def _number(self, name: str, retention: str, times_us: list[int]) -> int:
        """The segment's, with its row in place."""
        self._main.execute(QUERIES["add_segment_name"], (name,))
        (number,) = self._main.execute(QUERIES["dim_id"], (rows.KINDS["segment"], name)).fetchone()
        self._main.execute(QUERIES["widen_segment"], (number, retention, min(times_us), max(times_us)))
        return int(number)


def leftovers(main: sqlite3.Connection, directory: Path) -> list[str]:
    """Files of copies that no row came to point at."""
    known = {name for _, name in main.execute(QUERIES["segments"])}
    found = directory.glob(f"body-*-{'[0-9]' * len(str(_FIRST))}.db")
    return [path.name for path in found if path.name not in known]


def _target(survivor: _Survivor) -> tuple[str, str]:
    """Class and date of the file that a copy goes to. What is kept lies together by month."""
    form = "%Y%m01" if survivor.retention == KEPT else "%Y%m%d"
    return survivor.retention, datetime.fromtimestamp(survivor.started_at_us / 1_000_000, UTC).strftime(form)
