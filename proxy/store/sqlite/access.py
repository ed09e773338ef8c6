"""Which way to the first rows of a list: SQLite cannot know which of them is short.

Rows are listed by an index, newest first, and reading stops when there are enough: that is short
when many rows match. When few do, it is the way through all rows. So the rows that indexes know
of are counted first, up to a bound: if some part of the filter has so few, and if what the
other parts know leaves fewer still, those are read and sorted.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence

from msgspec import Struct

from ...query.tree import And, Comparison, Filter
from ..base import Order
from . import rows
from .candidates import Candidates, candidates
from .compile import Condition, Matches, compiled, counted, joined, no_words, put

FEW = 5_000  #: rows that are read one by one and sorted
SOME = 20_000  #: ids that are looked up in what else is known
_LAST_MS = (1 << 48) - 1
_STEP_BACK_US = 86_400_000_000  # a clock that goes back by more, while a relay runs, is not reckoned with


class Listing(Struct, frozen=True):
    """What is asked of ``Reader.find``."""

    where: Filter | None = None
    after_rev: int | None = None
    before: str | None = None
    before_rev: int | None = None
    limit: int = 50
    every: bool = False
    news: bool = False
    order: Order = Order.NEWEST


class Access(Struct, frozen=True):
    """The rest of a statement on ``call``."""

    condition: Condition
    order: str
    index: str = ""  #: the one to go along, where SQLite might prefer another
    oldest: bytes | None = None  #: of a list by newest: no row with a lower id matches


def access(connection: sqlite3.Connection, listing: Listing, matches: Matches = no_words) -> Access:
    """The shorter way."""
    where = listing.where
    conditions = [compiled(where, matches, each=True)] if listing.every else counted(where, matches, each=True)
    conditions += _bounds(listing)
    if listing.after_rev is not None:
        return Access(joined(" AND ", conditions), "rev", _INDEXES[Order.UPDATED])
    order = _ORDERS[listing.order]
    known = list(candidates(where))
    few = _few(connection, known)
    if few is not None:  # a + keeps the index of a column from being used
        return Access(joined(" AND ", [put("id IN ({})", few), *conditions]), f"+{order}")
    oldest = _oldest(listing)
    bounds = [*_between(listing, oldest), *_up_to(connection, known)]
    return Access(joined(" AND ", [*bounds, *conditions]), order, _INDEXES[listing.order], oldest)


_ORDERS = {Order.NEWEST: "uuid DESC", Order.UPDATED: "rev DESC"}
_INDEXES = {Order.NEWEST: "INDEXED BY sqlite_autoindex_call_1", Order.UPDATED: "INDEXED BY call_rev"}


def _bounds(listing: Listing) -> Iterator[Condition]:
    if listing.after_rev is not None:
        yield Condition("rev > ?", (listing.after_rev,))
        if listing.news:
            yield Condition("news_rev > ?", (listing.after_rev,))
    if listing.before is not None:
        yield Condition("uuid < ?", (rows.uuid_bytes(listing.before),))
    if listing.before_rev is not None:
        yield Condition("rev < ?", (listing.before_rev,))


# --- few rows ------------------------------------------------------------------------------------------


def _few(connection: sqlite3.Connection, known: Sequence[Candidates]) -> Condition | None:
    """The rows to look at, when they are few."""
    counts = [_count(connection, one.ids, SOME) for one in known]
    fewest = min(counts, default=SOME)
    if fewest == SOME:
        return None
    first = known[counts.index(fewest)]
    others = [one.held for one in known if one is not first and one.held is not None]
    if fewest < FEW or not others:
        return first.ids if fewest < FEW else None
    narrowed = put("SELECT id FROM ({}) AS call WHERE {}", first.ids, joined(" AND ", others))
    return narrowed if _count(connection, narrowed, FEW) < FEW else None


def _count(connection: sqlite3.Connection, ids: Condition, most: int) -> int:
    (count,) = connection.execute(f"SELECT count(*) FROM ({ids.sql} LIMIT ?)", (*ids.values, most)).fetchone()
    return int(count)


# --- many rows: from where to where to read ------------------------------------------------------------


def _oldest(listing: Listing) -> bytes | None:
    """Ids bear the time, and never an earlier one than their call; a later one where a clock went back."""
    first = [low for low, _ in _spans(listing.where) if low is not None]
    return _id_at(max(first)) if first and listing.order is Order.NEWEST else None


def _between(listing: Listing, oldest: bytes | None) -> Iterator[Condition]:
    if listing.order is not Order.NEWEST:
        return
    if oldest is not None:
        yield Condition("uuid >= ?", (oldest,))
    if last := [high for _, high in _spans(listing.where) if high is not None]:
        yield Condition("uuid < ?", (_id_at(min(last) + _STEP_BACK_US),))


def _up_to(connection: sqlite3.Connection, known: Sequence[Candidates]) -> Iterator[Condition]:
    """Asked beforehand: SQLite would ask it again for each row."""
    for one in known:
        if one.last is not None:
            yield Condition("id <= ?", connection.execute(one.last.sql, one.last.values).fetchone())


def _id_at(at_us: int) -> bytes:
    return (min(max(at_us // 1000, 0), _LAST_MS) << 80).to_bytes(16, "big")


def _spans(where: Filter | None) -> Iterator[tuple[int | None, int | None]]:
    """From when to when calls were accepted, at most."""
    match where:
        case And(children):
            for child in children:
                yield from _spans(child)
        case Comparison(field="created" | "started_at") if where.value is not None:
            moments = [value for value in where.values if isinstance(value, int)]
            low = min(moments) if where.op in (">", ">=", "=", "between", "in") else None
            high = max(moments) if where.op in ("<", "<=", "=", "between", "in") else None
            yield low, high
