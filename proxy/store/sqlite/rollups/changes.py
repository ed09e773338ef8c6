"""Old values of rows that a transaction changes, whichever statement changes them.

A trigger of the writer's own connection keeps the first old values of each row, so that no
statement can forget to say what it does to sums. New rows are told by who writes them: reading
them back would cost more. Rows that are deleted are not seen: retention keeps their sums (``thinned``).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from operator import itemgetter
from typing import Any

from ..rows import WRITTEN
from .levels import COUNTED
from .tally import Counted

_COLUMNS = ", ".join(COUNTED)
_MADE = f"""
CREATE TEMP TABLE IF NOT EXISTS call_before (id INTEGER PRIMARY KEY, {_COLUMNS});
CREATE TEMP TRIGGER IF NOT EXISTS call_changes AFTER UPDATE OF {_COLUMNS} ON main.call
BEGIN
    INSERT INTO call_before SELECT old.id, {", ".join(f"old.{name}" for name in COUNTED)}
    WHERE NOT EXISTS (SELECT 1 FROM call_before WHERE id = old.id);
END;
"""
_BEFORE = f"SELECT {_COLUMNS} FROM temp.call_before"
_NOW = f"SELECT {_COLUMNS} FROM call WHERE id IN (SELECT id FROM temp.call_before)"
_counted = itemgetter(*(WRITTEN.index(name) for name in COUNTED))


class Changes:
    """Of one connection, for the transaction that it is in."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._main = connection
        self._new: list[Counted] = []
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.executescript(_MADE)

    def added(self, written: Iterable[tuple[Any, ...]]) -> None:
        """New rows: the values of ``rows.WRITTEN``."""
        self._new.extend(map(_counted, written))

    def taken(self) -> tuple[list[Counted], list[Counted]]:
        """What rows say that they did not say before, and what they said that is no longer so."""
        removed = self._main.execute(_BEFORE).fetchall()
        added, self._new = self._new, []
        if removed:
            added = [*added, *self._main.execute(_NOW)]
            self._main.execute("DELETE FROM temp.call_before")
        return added, removed

    def forget(self) -> None:
        """The transaction was rolled back."""
        self._new = []
