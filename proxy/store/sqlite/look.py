"""A list in bounded steps, for filters that no index answers: it stops after a while, says where, and can go on.

What indexes leave few of is listed at once, see ``access``. All else is gone through in the order of the
list, a stretch of rows at a time; stretches grow, so that a list which finds its rows early reads few.
Steps are for the database's thread, so that others have their turn between them.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from msgspec import Struct

from ...clock import monotonic_us
from ...errors import QueryError
from ...records import Call
from ..base import Looked, Order
from . import find, rows
from .access import Access, Listing, access
from .compile import Condition, joined
from .files import transaction
from .fulltext.matching import Matching
from .fulltext.reading import TextReaders

PATIENCE_US = 300_000  #: after it, a look stops where it is
_STRETCHES = (1_000, 4_000, 16_000)  #: rows; then always the last
_NEXT = re.compile(r"[0-9a-f-]{36}|\d{1,18}", re.ASCII)


class _Way(Struct, frozen=True):
    """Along which column a list goes."""

    column: str
    index: str
    read: Callable[[str], Any]  #: from ``Looked.next`` to a value of the column
    written: Callable[[Any], str]
    of: Callable[[Call], str]  #: where a call stands


_WAYS = {
    Order.NEWEST: _Way("uuid", "sqlite_autoindex_call_1", rows.uuid_bytes, rows.uuid_text, lambda call: call.id),
    Order.UPDATED: _Way("rev", "call_rev", int, str, lambda call: str(call.rev)),
}


class Look:
    """One list, step by step."""

    def __init__(
        self,
        texts: find.Texts,
        words: TextReaders,
        listing: Listing,
        start: str | None,
        *,
        newer: bool = False,
        patience_us: int = PATIENCE_US,
    ) -> None:
        self._texts = texts
        self._words = words
        self._listing = listing
        self._way = _WAYS[listing.order]
        self._newer = newer  #: from ``start`` to the top of the list
        self._place = None if start is None else self._read(start)
        self._access: Access | None = None
        self._calls: list[Call] = []
        self._stretches = iter(_STRETCHES)
        self._done = False
        self._until_us = monotonic_us() + patience_us

    def step(self, main: sqlite3.Connection) -> bool:
        """Look a little further; False when there is nothing more to look at, or no more time."""
        begun = self._access is not None
        if self._done or len(self._calls) == self._listing.limit or (begun and monotonic_us() > self._until_us):
            return False
        with transaction(main, "DEFERRED"):
            if self._access is None:
                self._access = access(main, self._listing, Matching(main, self._words))
            self._go_on(main, self._access)
        return True

    def looked(self, main: sqlite3.Connection) -> Looked:
        """All that was found."""
        calls = self._calls[::-1] if self._newer else self._calls
        if self._calls and len(self._calls) == self._listing.limit:
            return Looked(calls=calls, next=self._way.of(self._calls[-1]))
        if self._done or self._place is None:
            return Looked(calls=calls)
        sql = f"SELECT started_at_us FROM call INDEXED BY {self._way.index} WHERE {self._way.column} >= ?"
        row = main.execute(f"{sql} ORDER BY {self._way.column} LIMIT 1", (self._place,)).fetchone()
        return Looked(calls=calls, next=self._way.written(self._place), back_to_us=row[0] if row else None)

    def _go_on(self, main: sqlite3.Connection, found: Access) -> None:
        beyond, up_to, direction = (">", "<=", "ASC") if self._newer else ("<", ">=", "DESC")
        conditions = [found.condition]
        if self._place is not None:
            conditions.append(Condition(f"{self._way.column} {beyond} ?", (self._place,)))
        end = self._end(main, beyond, direction) if found.index else None
        if end is not None:
            conditions.append(Condition(f"{self._way.column} {up_to} ?", (end,)))
        order, limit = found.order.replace("DESC", direction), self._listing.limit - len(self._calls)
        self._calls += find.listed(main, self._texts, joined(" AND ", conditions), order, limit, found.index)
        self._done = end is None or (not self._newer and found.oldest is not None and end <= found.oldest)
        self._place = end

    def _end(self, main: sqlite3.Connection, beyond: str, direction: str) -> Any:
        """The last row of the next stretch; None when it reaches to the last of all."""
        column = self._way.column
        place = Condition("1") if self._place is None else Condition(f"{column} {beyond} ?", (self._place,))
        row = main.execute(
            f"SELECT {column} FROM call INDEXED BY {self._way.index} WHERE {place.sql} "
            f"ORDER BY {column} {direction} LIMIT 1 OFFSET ?",
            (*place.values, next(self._stretches, _STRETCHES[-1]) - 1),
        ).fetchone()
        return row[0] if row else None

    def _read(self, before: str) -> Any:
        if _NEXT.fullmatch(before):
            with suppress(ValueError):
                return self._way.read(before)
        raise QueryError(f"{before!r} is no place in this list")
