"""Deleting what is due, a slice at a time: between two slices, whoever waits may write.

Order, for each body file: bodies that must stay are copied, durably, and proven by reading them
back; then their rows point there; then the file is marked as dropped, in the transaction that
finds nothing left to copy; then it is unlinked. Rows are deleted when their bodies are gone; previews
of those that stay are cleared; the disk gets its pages back; and only a store that is too large even
then loses its oldest bodies. A death at any point leaves what the next purge completes.
"""

from __future__ import annotations

import sqlite3
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from ...records import evolve
from ..policy import DAY_US, Policy, Purged
from . import names, pins, retention, rows
from .compile import Condition
from .doubt import doubtful
from .files import sync_directory, transaction
from .queries import QUERIES
from .retention import BODILESS, ENDED, Memory, Segment
from .survivors import Move, Unmovable, leftovers

#: Tables with lines of one call, which go with its row; in ``posting`` they are found otherwise.
OF_A_CALL = ("tool_call", "pin", "score", "opinion", "remark", "note", "event", "added")
_SLICE_S = 0.025  # what a transaction shall take: far less than anybody notices
_SLACK_PAGES = 256  # left free in the file: new rows take them at once
_INCREMENTAL = 2  # PRAGMA auto_vacuum


class Pace:
    """How much one slice takes on, so that its transaction is short on a slow disk too."""

    def __init__(self, start: int, most: int) -> None:
        self.size = min(start, most)
        self._most = most

    @contextmanager
    def measured(self) -> Iterator[None]:
        """One slice of this size is done within."""
        began_s = time.monotonic()
        yield
        took_s = time.monotonic() - began_s
        if took_s > _SLICE_S:
            self.size = max(1, self.size // 2)
        elif took_s < _SLICE_S / 3:
            self.size = min(self._most, self.size * 2)


@contextmanager
def repeatable(main: sqlite3.Connection) -> Iterator[None]:
    """A transaction that does not wait for the disk: what a power failure takes of it, the next purge does again."""
    main.execute("PRAGMA synchronous = NORMAL")
    try:
        with transaction(main):
            yield
    finally:
        main.execute("PRAGMA synchronous = FULL")


class Purge:
    """One pass; all methods are for the database's thread.

    ``leave``: write to these body files no more. ``sure``: the clock is right, however much goes.
    """

    def __init__(
        self,
        main: sqlite3.Connection,
        directory: Path,
        policy: Policy,
        now_us: int,
        leave: Callable[[Iterable[str]], None],
        memory: Memory,
        *,
        sure: bool = False,
    ) -> None:
        self._done = Purged()
        self._main = main
        self._directory = directory
        self._policy = policy
        self._now_us = now_us
        self._leave = leave
        self._memory = memory
        self._sure = sure
        self._steps = self._all_steps()

    def step(self) -> Purged | None:
        """Do the next slice; what was done so far, None when nothing was left to do."""
        done = next(self._steps, None)
        return None if done is None else evolve(done, problems=[*done.problems])

    def close(self) -> None:
        """Stop where it is, and close what it had open."""
        self._steps.close()

    def _all_steps(self) -> Generator[Purged, None, None]:
        yield from self._complete()
        doubt = None if self._sure else doubtful(self._main, self._policy, self._now_us)
        if doubt:
            self._done.refused = True
            self._done.problems.append(doubt)
        else:
            yield from self._drop_due()
            yield from self._delete_rows()
        yield from self._clear_previews()
        yield from self._give_back()
        if (yield from self._cap()):
            yield from self._clear_previews()
            yield from self._give_back()
        yield self._done

    def _drop_due(self) -> Iterator[Purged]:
        past = retention.past_bodies(self._main, self._policy, self._now_us)
        for segment in retention.due(self._main, self._policy, self._now_us, self._memory):
            yield from self._drop(segment, past)

    def _cap(self) -> Generator[Purged, None, set[int]]:
        """Last of all: what else gives room back is no reason to delete bodies. The segments that it looked at."""
        tried: set[int] = set()
        while surplus := self._surplus(tried):
            tried.add(surplus.id)
            yield from self._drop(surplus, Condition("1"))
        return tried

    def _surplus(self, tried: set[int]) -> Segment | None:
        if retention.over_size(self._main, self._directory, self._policy, tried):
            self._truncate_wal()
        return retention.over_size(self._main, self._directory, self._policy, tried)

    # --- body files -------------------------------------------------------------------------------

    def _complete(self) -> Iterator[Purged]:
        """Files that a purge before this one had marked, and copies that it did not finish."""
        left = [Segment(0, name, "", 0, 0) for name in leftovers(self._main, self._directory)]
        for segment in (*left, *self._uncleared()):
            yield from self._remove(segment)

    def _uncleared(self) -> list[Segment]:
        return [Segment(*row) for row in self._main.execute(QUERIES["dropped_segments"])]

    def _drop(self, segment: Segment, past: Condition) -> Iterator[Purged]:
        """``past``: which of its calls may go, unless they are kept."""
        self._leave([segment.name])
        while True:
            try:
                with Move(self._main, self._directory, segment, self._policy) as move:
                    for count in move.steps(past):
                        self._done.moved += count
                        yield self._done
            except Unmovable as error:
                self._done.problems.append(f"{segment.name} is not deleted: {error}")
                return
            if self._mark(segment, past):
                yield from self._remove(segment)
                return

    def _mark(self, segment: Segment, past: Condition) -> bool:
        """Say that its bodies are gone, unless a call that stays, a pin or a hold has come meanwhile."""
        place = (segment.first_us, segment.last_us, segment.id)
        where = "started_at_us BETWEEN ? AND ? AND segment = ?"
        with transaction(self._main):
            stays = pins.staying(self._main, past)
            if self._main.execute(
                f"SELECT 1 FROM call WHERE {where} AND {stays.sql} LIMIT 1", (*place, *stays.values)
            ).fetchone():
                return False
            self._main.execute(QUERIES["drop_segment"], (self._now_us, segment.id))
        (bodies,) = self._main.execute(f"SELECT count(*) FROM call WHERE {where}", place).fetchone()
        self._done.segments += 1
        self._done.bodies += bodies
        return True

    def _remove(self, segment: Segment) -> Iterator[Purged]:
        self._done.bytes += segment.size(self._directory)
        try:
            for path in segment.files(self._directory):
                path.unlink(missing_ok=True)
            sync_directory(self._directory)
        except OSError as error:
            self._done.problems.append(f"{segment.name} cannot be deleted: {error.strerror}")
        yield self._done

    def _clear_previews(self) -> Iterator[Purged]:
        """They are content: they go with the bodies. ``rev`` stays: nothing that a follower shows is news."""
        for segment in self._uncleared():
            yield from self._clear_previews_of(segment)
            if not any(path.exists() for path in segment.files(self._directory)):
                self._main.execute(QUERIES["cleared_segment"], (segment.id,))

    def _clear_previews_of(self, segment: Segment) -> Iterator[Purged]:
        pace, place = Pace(500, 20_000), (segment.first_us, 0)
        while found := self._main.execute(
            QUERIES["previews_of_segment"], (*place, segment.last_us, segment.id, pace.size)
        ).fetchall():
            with pace.measured(), repeatable(self._main):
                self._main.executemany(QUERIES["clear_previews"], [(number,) for _, number in found])
            place = found[-1]
            yield self._done

    # --- rows -------------------------------------------------------------------------------------

    def _delete_rows(self) -> Iterator[Purged]:
        pace = Pace(500, self._policy.batch_rows)
        place: tuple[int, int] | None = (0, 0)
        while place is not None:
            with pace.measured(), repeatable(self._main):
                found = self._rows_after(place, pace.size)
                self._delete(found)
            self._done.rows += len(found)
            place = found[-1][:2] if found else None
            yield self._done
        with repeatable(self._main):
            self._main.execute(QUERIES["loose_taggings"])

    def _rows_after(self, place: tuple[int, int], limit: int) -> list[tuple[Any, ...]]:
        past, kept = retention.past_rows(self._main, self._policy, self._now_us), pins.kept(self._main)
        latest_us = retention.latest_limit_us(self._policy, self._now_us, of_rows=True)
        return self._main.execute(
            "SELECT started_at_us, id, metadata, tags, response_id, request_id FROM call "
            f"WHERE (started_at_us, id) > (?, ?) AND started_at_us < ? AND {past.sql} AND NOT {kept.sql} "
            f"AND {BODILESS} AND {ENDED} "
            "ORDER BY started_at_us, id LIMIT ?",
            (*place, latest_us, *past.values, *kept.values, limit),
        ).fetchall()

    def _delete(self, found: list[tuple[Any, ...]]) -> None:
        numbers = orjson.dumps([row[1] for row in found]).decode()
        self._main.executemany(QUERIES["drop_posting"], self._postings(found))
        names.drop(self._main, ((row[1], row[4:]) for row in found))
        for table in OF_A_CALL:
            self._main.execute(f"DELETE FROM {table} WHERE call IN (SELECT value FROM json_each(?))", (numbers,))
        self._main.execute("DELETE FROM call WHERE id IN (SELECT value FROM json_each(?))", (numbers,))
        days = Counter(row[0] // DAY_US for row in found)
        self._main.executemany(QUERIES["thin"], [(day, calls, self._now_us) for day, calls in days.items()])

    def _postings(self, found: Iterable[tuple[Any, ...]]) -> Iterator[tuple[int, int]]:
        calls: defaultdict[tuple[int, str], list[int]] = defaultdict(list)
        for _, number, metadata, tags, *_ in found:
            if metadata or tags:
                for posting in rows.stored_postings(metadata, tags):
                    calls[posting].append(number)
        for posting, numbers in calls.items():
            dim = self._main.execute(QUERIES["dim_id"], posting).fetchone()
            yield from ((dim[0], number) for number in numbers if dim)

    # --- the disk ---------------------------------------------------------------------------------

    def _give_back(self) -> Iterator[Purged]:
        (mode,) = self._main.execute("PRAGMA auto_vacuum").fetchone()
        (page_bytes,) = self._main.execute("PRAGMA page_size").fetchone()
        pace, before, free = Pace(100, 4000), sys.maxsize, self._free_pages()
        while mode == _INCREMENTAL and _SLACK_PAGES < free < before:
            with pace.measured():
                # execute() would do one page of them
                self._main.executescript(f"PRAGMA incremental_vacuum({min(pace.size, free - _SLACK_PAGES)})")
            before, free = free, self._free_pages()
            self._done.returned_bytes += (before - free) * page_bytes
            yield self._done

    def _truncate_wal(self) -> None:
        """Unless somebody reads just now: nobody waits for that."""
        (busy_ms,) = self._main.execute("PRAGMA busy_timeout").fetchone()
        self._main.execute("PRAGMA busy_timeout = 0").fetchone()
        try:
            self._main.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.OperationalError:
            return
        finally:
            self._main.execute(f"PRAGMA busy_timeout = {busy_ms}").fetchone()

    def _free_pages(self) -> int:
        return int(self._main.execute("PRAGMA freelist_count").fetchone()[0])
