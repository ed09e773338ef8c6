"""The sums of one writer: what its transactions change, and what is told anew."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

from ...base import Recounted
from ..queries import QUERIES
from .changes import Changes
from .ledger import OTHERS, Cell, Ledger
from .levels import MINUTE_US, MINUTES_KEPT
from .recount import DayCount, Difference, next_day, sentences
from .tally import tallies

_SENTENCES = 20  # of one day


class Rollups:
    """Of one writing connection; ``settle`` ends every transaction that changes rows."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._main = connection
        self._changes = Changes(connection)
        self._ledger = Ledger(connection)
        self._counting: DayCount | None = None

    def added(self, written: Iterable[tuple[Any, ...]]) -> None:
        """New rows: the values of ``rows.WRITTEN``."""
        self._changes.added(written)

    def settle(self, now_us: int) -> None:
        """Bring the sums to what the rows say; the last thing in a transaction."""
        added, removed = self._changes.taken()
        if added or removed:
            self._ledger.change(tallies(added, removed))
            if self._counting is not None:
                self._counting.also(added, removed)
        self._ledger.prune(now_us)

    def forget(self) -> None:
        """The transaction was rolled back."""
        self._changes.forget()
        self._ledger.forget()
        self._counting = None

    # --- telling them anew --------------------------------------------------------------------------

    @property
    def are_built(self) -> bool:
        """Whether they hold the rows of older versions."""
        return bool(self._main.execute(QUERIES["are_rollups_built"]).fetchone()[0])

    def recount(self, after: int | None, now_us: int) -> Recounted:
        """See ``Store.recount``; inside a transaction."""
        day = next_day(self._main, after)
        if day is None:
            self._main.execute(QUERIES["set_rollups_built"])
            return Recounted(after=after, done=True)
        counting = self._counting
        if counting is None or counting.day != day:
            self._keep_minutes(now_us)
            counting = self._counting = DayCount(self._main, day)
        rows = counting.rows
        done = counting.count()
        if done:
            self._counting = None
        if not done or not counting.refreshed():
            return Recounted(after=after, rows=counting.rows - rows)
        found = list(counting.differences())
        self._mend(counting, found)
        said = tuple(sentences(self._main, found[:_SENTENCES]))
        return Recounted(
            after=counting.day, finished=True, rows=counting.rows - rows, differences=len(found), sentences=said
        )

    def _keep_minutes(self, now_us: int) -> None:
        """A clock that once ran ahead has let go of minutes that are not over yet."""
        due = now_us // MINUTE_US - MINUTES_KEPT
        if self._ledger.minutes_since > due + 60:
            self._ledger.keep_minutes(due)

    def _mend(self, counted: DayCount, differences: Iterable[Difference]) -> None:
        for level, span in sorted(counted.full):
            self._main.execute(QUERIES["fill_rollup"], (level, span))
        self._ledger.forget()
        self._ledger.put((self._key(counted, found), found.told or Cell()) for found in differences)
        self._ledger.forget()

    def _key(self, counted: DayCount, found: Difference) -> tuple[int, int, int]:
        level, span, combo = found.spot
        number = counted.numbers.get(found.spot)
        if number is None:
            number = OTHERS if combo is None else self._ledger.number(combo)
        return level, span, number
