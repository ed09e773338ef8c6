"""The sums of a day told anew from its rows, to be compared with those that are stored.

A day is counted in pieces, so that a writer may write between them: what changes meanwhile in
the part that is counted already is told to ``also``. Memory is that of a day's combinations,
which are bounded.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator

from msgspec import Struct

from ....clock import rfc3339
from ..files import transaction
from ..queries import QUERIES
from .ledger import MINUTES, OTHERS, VALUES, Cell, whole
from .levels import COUNTED, DAY_US, DIMENSIONS, HOUR_US, LEVELS, MINUTE_US, SPREADS, SUMS, Combo
from .spreads import counts_of
from .tally import Counted, tallies

ROWS_AT_ONCE = 5_000
_SAID = 20  # of one day
_ROWS = f"SELECT {', '.join(COUNTED)} FROM call WHERE started_at_us >= ? AND started_at_us < ?"
_STORED = (
    f"SELECT span, combo, id, {', '.join(DIMENSIONS)}, {VALUES} FROM rollup LEFT JOIN rollup_combo ON id = combo "
    "WHERE level = ? AND span >= ? AND span < ?"
)
_BEHIND = 3 + len(DIMENSIONS)
_UNITS = {DAY_US: "day", HOUR_US: "hour", MINUTE_US: "minute"}

Spot = tuple[int, int, Combo | None]  #: level, span, combination; None: all beyond the bound


class Difference(Struct, frozen=True):
    """Sums that are not what the rows say."""

    spot: Spot
    stored: Cell | None
    told: Cell | None


class DayCount:
    """One day (its number since 1970) while it is counted."""

    def __init__(self, connection: sqlite3.Connection, day: int) -> None:
        self.day = day
        self.rows = 0
        self._main = connection
        self._upto_us = day * DAY_US
        self._end_us = self._upto_us + DAY_US
        (self._minutes_since,) = connection.execute(QUERIES["rollup_minutes_since"]).fetchone()
        self.stored, self.numbers = _stored(connection, day)
        self.full = {spot[:2] for spot in self.stored if spot[2] is None} | _full(connection, day)
        self._combos = Counter(spot[:2] for spot in self.stored if spot[2] is not None)
        self._cells: dict[Spot, Cell] = {}

    def count(self) -> bool:
        """Count some more rows; whether that was all."""
        row = self._main.execute(QUERIES["later_moment"], (self._upto_us, self._end_us, ROWS_AT_ONCE)).fetchone()
        until_us = self._end_us if row is None else max(row[0], self._upto_us + 1)
        found = self._main.execute(_ROWS, (self._upto_us, until_us)).fetchall()
        self._upto_us = until_us
        self.rows += len(found)
        self._add(found, ())
        return until_us == self._end_us

    def also(self, added: Iterable[Counted], removed: Iterable[Counted]) -> None:
        """What a transaction changed meanwhile: of rows that are counted already."""
        self._add(filter(self._is_counted, added), filter(self._is_counted, removed))

    def _is_counted(self, row: Counted) -> bool:
        return bool(self.day * DAY_US <= row[0] < self._upto_us)

    def _add(self, added: Iterable[Counted], removed: Iterable[Counted]) -> None:
        for number, places in tallies(added, removed).items():
            level = LEVELS[number]
            for (span, combo), tally in places.items():
                if number not in MINUTES or span >= self._minutes_since:
                    spot = self._spot(number, span, combo)
                    self._cells.setdefault(spot, Cell()).change(tally, spreads=level.spreads)

    def _spot(self, level: int, span: int, combo: Combo) -> Spot:
        """Where a combination is counted: where it was so far, apart as long as there is room."""
        spot = (level, span, combo)
        if spot in self.stored or spot in self._cells:
            return spot
        if (level, span) in self.full:
            return level, span, None
        if self._combos[level, span] >= LEVELS[level].combos_most:
            self.full.add((level, span))
            return level, span, None
        self._combos[level, span] += 1
        return spot

    def refreshed(self) -> bool:
        """Read again what is stored by now; False when all must be counted anew.

        That is so when a span has become full meanwhile: what is counted apart in it has changed.
        """
        before = self.stored.keys()
        self.stored, self.numbers = _stored(self._main, self.day)
        return not any(spot[:2] in self.full for spot in self.stored.keys() - before)

    def differences(self) -> Iterator[Difference]:
        """Of a day that is counted."""
        (since,) = self._main.execute(QUERIES["rollup_minutes_since"]).fetchone()
        for spot in sorted(self.stored.keys() | self._cells.keys(), key=repr):
            stored, told = self.stored.get(spot), self._cells.get(spot)
            if spot[0] in MINUTES and spot[1] < since:
                continue
            if stored != told and _content(stored) != _content(told):
                yield Difference(spot, stored, told)


def _content(cell: Cell | None) -> object:
    """However its spreads are packed."""
    return (cell.sums, list(map(counts_of, cell.spreads))) if cell and not cell.is_nothing else None


def _stored(connection: sqlite3.Connection, day: int) -> tuple[dict[Spot, Cell], dict[Spot, int]]:
    """Rows of a day, and the numbers of their combinations; one that is lost, or there twice, goes by its number."""
    cells: dict[Spot, Cell] = {}
    numbers: dict[Spot, int] = {}
    for level in LEVELS.values():
        spans = DAY_US // level.grain_us
        for row in connection.execute(_STORED, (level.number, day * spans, (day + 1) * spans)):
            span, number, known = row[:3]
            combo: Combo | None = None if number == OTHERS else row[3:_BEHIND] if known else (number,)
            spot = (level.number, span, combo)
            if spot in cells:
                spot = (level.number, span, (number,))
            cells[spot], numbers[spot] = Cell.of(row[_BEHIND:]), number
    return cells, numbers


def _full(connection: sqlite3.Connection, day: int) -> set[tuple[int, int]]:
    found: set[tuple[int, int]] = set()
    for level in LEVELS.values():
        spans = DAY_US // level.grain_us
        question = QUERIES["full_rollups"]
        found.update(
            (level.number, span)
            for (span,) in connection.execute(question, (level.number, day * spans, (day + 1) * spans))
        )
    return found


# --- all days ----------------------------------------------------------------------------------------


def unequal(connection: sqlite3.Connection) -> Iterator[str]:
    """A sentence for each sum that is not what the rows say."""
    if not connection.execute(QUERIES["are_rollups_built"]).fetchone()[0]:
        yield "rows of an older version are not counted in the roll-ups yet"
        return
    day = None
    while (day := next_day(connection, day)) is not None:
        with transaction(connection, "DEFERRED"):  # one moment for rows and sums
            counting = DayCount(connection, day)
            while not counting.count():
                pass
            found = list(counting.differences())
            said = list(sentences(connection, found[:_SAID]))
        yield from said
        if len(found) > _SAID:
            yield f"and {len(found) - _SAID} more sums of that day are not what the rows say"
    yield from _thinned(connection)


def _thinned(connection: sqlite3.Connection) -> Iterator[str]:
    """Of days that rows were deleted of, how many calls there were is still known."""
    for day, calls, rows, deleted in connection.execute(QUERIES["thinned_calls"]).fetchall():
        if whole(calls) != rows + deleted:
            said = f"calls {whole(calls):,}, by the rows {rows:,} and {deleted:,} that were deleted"
            yield f"roll-up of the day {rfc3339(day * DAY_US)}: {said}"


# --- which days there are ----------------------------------------------------------------------------


def next_day(connection: sqlite3.Connection, after: int | None) -> int | None:
    """The first day after ``after`` that has rows or sums, and whose rows are all there."""
    at = _FIRST_DAY if after is None else after + 1
    while (found := _first_day(connection, at)) is not None:
        if connection.execute(QUERIES["is_thinned"], (found,)).fetchone() is None:
            return found
        at = found + 1
    return None


_FIRST_DAY = -(1 << 62) // DAY_US  # before all that a row can hold


def _first_day(connection: sqlite3.Connection, at: int) -> int | None:
    found = []
    row = connection.execute(QUERIES["first_moment"], (at * DAY_US,)).fetchone()
    if row is not None:
        found.append(row[0] // DAY_US)
    for level in LEVELS.values():
        spans = DAY_US // level.grain_us
        row = connection.execute(QUERIES["rollup_from"], (level.number, at * spans)).fetchone()
        if row is not None:
            found.append(row[0] // spans)
    return min(found, default=None)


# --- for people --------------------------------------------------------------------------------------


def sentences(connection: sqlite3.Connection, differences: Iterable[Difference]) -> Iterator[str]:
    """What each difference is."""
    for difference in differences:
        yield f"{_named(connection, difference.spot)}: {'; '.join(_differing(difference))}"


def _named(connection: sqlite3.Connection, spot: Spot) -> str:
    level, span, combo = LEVELS[spot[0]], spot[1], spot[2]
    at = rfc3339(span * level.grain_us) if 0 <= span * level.grain_us < _YEAR_9999_US else f"number {span}"
    which = "others" if combo is None else _values(connection, combo)
    return f"roll-up of the {_UNITS[level.grain_us]} {at} by {', '.join(level.dimensions)} ({which})"


def _values(connection: sqlite3.Connection, combo: Combo) -> str:
    if len(combo) != len(DIMENSIONS):
        return f"combination {combo[0]}, which is lost"
    texts = []
    for name, number in zip(DIMENSIONS, combo, strict=True):
        if number is not None:
            row = connection.execute(QUERIES["dim_text"], (number,)).fetchone()
            texts.append(f"{name}={row[0] if row else number}")
    return " ".join(texts) or "all"


def _differing(difference: Difference) -> Iterator[str]:
    stored, told = difference.stored or Cell(), difference.told or Cell()
    for name, before, after in zip(SUMS, stored.sums, told.sums, strict=True):
        if before != after:
            yield f"{name} {before:,}, by the rows {after:,}"
    for name, old, new in zip(SPREADS, stored.spreads, told.spreads, strict=True):
        if counts_of(old) != counts_of(new):
            yield f"{name} lie otherwise"


_YEAR_9999_US = 253_370_764_800_000_000
