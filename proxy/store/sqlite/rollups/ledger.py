"""The sums as they are stored, changed in the transaction that changes rows.

A span holds a bounded number of combinations; what comes beyond is counted together under
``OTHERS``, and from then on a combination is either always counted apart in this span or never:
what was added somewhere is taken away there. What is damaged counts as nothing here, and never
stops a batch: ``verify`` finds it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from operator import add
from typing import Any

from msgspec import Struct, field

from ..queries import QUERIES
from ..recent import Recent
from .levels import DIMENSIONS, LEVELS, MINUTE_US, MINUTES_KEPT, SPREADS, SUMS, Combo, Level
from .spreads import changed
from .tally import Tallies, Tally

OTHERS = 0  #: the number of all combinations without one
MINUTES = tuple(level.number for level in LEVELS.values() if level.grain_us == MINUTE_US)

#: The values of a row behind its place.
VALUES = ", ".join((*SUMS, *SPREADS))
_READ = f"SELECT {VALUES} FROM rollup WHERE level = ? AND span = ? AND combo = ?"
_WRITE = (
    f"REPLACE INTO rollup (level, span, combo, {VALUES}) VALUES ({', '.join('?' * (3 + len(SUMS) + len(SPREADS)))})"
)
_DROP = "DELETE FROM rollup WHERE level = ? AND span = ? AND combo = ?"
_FIND = f"SELECT id FROM rollup_combo WHERE {' AND '.join(f'{name} IS ?' for name in DIMENSIONS)}"
_ADD = f"INSERT INTO rollup_combo ({', '.join(DIMENSIONS)}) VALUES ({', '.join('?' * len(DIMENSIONS))})"
_COMBOS = 5_000  # numbers kept in memory
_SPANS = 100
_CELLS = 5_000  # rows kept in memory: those of a day
_PRUNED_AT_ONCE = 60  # minutes: a long stop is caught up with over several batches

Key = tuple[int, int, int]  #: level, span, number of the combination


class Cell(Struct):
    """One row: ``SUMS``, and ``SPREADS`` packed."""

    sums: list[int] = field(default_factory=lambda: [0] * len(SUMS))
    spreads: list[bytes | None] = field(default_factory=lambda: [None] * len(SPREADS))

    @classmethod
    def of(cls, row: Sequence[Any]) -> Cell:
        """From the columns ``VALUES``."""
        spreads = [packed if isinstance(packed, bytes) and packed else None for packed in row[len(SUMS) :]]
        return cls(list(map(whole, row[: len(SUMS)])), spreads)

    def change(self, tally: Tally, *, spreads: bool) -> None:
        """Add what came and take away what went."""
        self.sums = list(map(add, self.sums, tally.sums))
        if spreads:
            self.spreads = list(map(changed, self.spreads, tally.more, tally.less))

    @property
    def is_nothing(self) -> bool:
        """Whether there is nothing in it."""
        return not any(self.sums) and not any(self.spreads)

    def row(self) -> tuple[Any, ...]:
        """The columns ``VALUES``."""
        sums = self.sums
        if max(sums) >= 1 << 63 or min(sums) < -(1 << 63):
            return (*(total if -(1 << 63) <= total < 1 << 63 else str(total) for total in sums), *self.spreads)
        return (*sums, *self.spreads)


def whole(value: Any) -> int:
    """A stored sum; 0 where something else stands."""
    if type(value) is int:
        return value
    with suppress(TypeError, ValueError, OverflowError):
        return int(value)
    return 0


class Members(Struct):
    """The combinations that a span counts apart."""

    numbers: set[int]
    full: bool  #: no others any more


class Ledger:
    """Of one writing connection; every method runs inside a transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._main = connection
        self.forget()

    def forget(self) -> None:
        """The transaction was rolled back, and with it some of what is remembered."""
        self._numbers: Recent[Combo, int] = Recent(_COMBOS)
        self._members: Recent[tuple[int, int], Members] = Recent(_SPANS)
        self._cells: Recent[Key, Cell] = Recent(_CELLS)
        self._minutes_since: int | None = None

    def change(self, tallies: Tallies) -> None:
        """Add what rows brought and take away what they no longer say."""
        cells: dict[Key, Cell] = {}
        since = self.minutes_since
        for number, places in tallies.items():
            level = LEVELS[number]
            for (span, combo), tally in places.items():
                if (level.grain_us > MINUTE_US or span >= since) and not tally.is_nothing:
                    self._cell(cells, level, span, combo).change(tally, spreads=level.spreads)
        self.put(cells.items())

    def put(self, cells: Iterable[tuple[Key, Cell]]) -> None:
        """Store rows; those that hold nothing go, unless others stand together beside them."""
        kept, gone = [], []
        for key, cell in cells:
            members = self._members_of(*key[:2])
            if cell.is_nothing and not members.full:
                members.numbers.discard(key[2])
                gone.append(key)
            else:
                self._cells[key] = cell
                kept.append((*key, *cell.row()))
        kept.sort()  # pages in their order
        self._main.executemany(_WRITE, kept)
        self._main.executemany(_DROP, gone)

    # --- where a combination is counted ------------------------------------------------------------

    def _cell(self, cells: dict[Key, Cell], level: Level, span: int, combo: Combo) -> Cell:
        """Where a combination is counted in a span."""
        members = self._members_of(level.number, span)
        number = self._known_number(combo)
        if number not in members.numbers and not members.full and len(members.numbers) < level.combos_most:
            number = self.number(combo)
            members.numbers.add(number)
            return cells.setdefault((level.number, span, number), Cell())
        if number not in members.numbers:
            number = OTHERS
            if not members.full:
                self._main.execute(QUERIES["fill_rollup"], (level.number, span))
                members.full = True
        key = (level.number, span, number)
        return cells.get(key) or cells.setdefault(key, self._cells.get(key) or self._stored(key))

    def _stored(self, key: Key) -> Cell:
        row = self._main.execute(_READ, key).fetchone()
        return Cell() if row is None else Cell.of(row)

    def _members_of(self, level: int, span: int) -> Members:
        members = self._members.get((level, span))
        if members is None:
            full = self._main.execute(QUERIES["is_rollup_full"], (level, span)).fetchone() is not None
            numbers = {number for (number,) in self._main.execute(QUERIES["rollup_combos"], (level, span))}
            members = self._members[level, span] = Members(numbers - {OTHERS}, full)
        return members

    def _known_number(self, combo: Combo) -> int:
        """``OTHERS``, which is no combination's, for one without a number."""
        known = self._numbers.get(combo)
        if known is None:
            row = self._main.execute(_FIND, combo).fetchone()
            if row is None:
                return OTHERS
            known = self._numbers[combo] = row[0]
        return known

    def number(self, combo: Combo) -> int:
        """The number of a combination, a new one if it has none."""
        return self._known_number(combo) or self._new_number(combo)

    def _new_number(self, combo: Combo) -> int:
        number = self._main.execute(_ADD, combo).lastrowid
        assert number is not None
        self._numbers[combo] = number
        return number

    # --- minutes ------------------------------------------------------------------------------------

    @property
    def minutes_since(self) -> int:
        """The first minute whose sums are kept."""
        if self._minutes_since is None:
            (self._minutes_since,) = self._main.execute(QUERIES["rollup_minutes_since"]).fetchone()
        return self._minutes_since

    def prune(self, now_us: int) -> None:
        """Let go of minutes that are too old, some at a time."""
        due = now_us // MINUTE_US - MINUTES_KEPT
        if due >= self.minutes_since + _PRUNED_AT_ONCE:
            first = min(self._firsts(), default=due)
            self.keep_minutes(min(due, max(first, self.minutes_since) + _PRUNED_AT_ONCE))

    def _firsts(self) -> Iterator[int]:
        for level in MINUTES:
            row = self._main.execute(QUERIES["first_rollup"], (level,)).fetchone()
            if row is not None:
                yield row[0]

    def keep_minutes(self, since: int) -> None:
        """Keep those from ``since`` on; of earlier ones, let go."""
        for level in MINUTES:
            self._main.execute(QUERIES["drop_rollups"], (level, since))
            self._main.execute(QUERIES["drop_full"], (level, since))
        self._main.execute(QUERIES["set_rollup_minutes"], (since,))
        self._minutes_since = since
        self._cells = Recent(_CELLS)
