"""What retention must not touch: pinned calls, and calls that a legal hold covers.

A pin is a row of one call. A hold is a filter with a name, asked whenever something is about to be
deleted: it covers calls that come while it stands, and one that matches no longer is covered no longer.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import msgspec

from ...errors import QueryError, StoreError
from ...query.tree import Filter
from ..policy import Hold
from . import rows
from .compile import Condition, compiled, joined
from .files import transaction
from .queries import QUERIES

#: What a filter can do wrong that SQLite is the first to see: a number or a text that it cannot hold, too many values.
_UNASKABLE = (OverflowError, UnicodeError, RecursionError, sqlite3.OperationalError, sqlite3.ProgrammingError)
_PINNED = Condition("id IN (SELECT call FROM pin)")


def set_pins(main: sqlite3.Connection, calls: Sequence[str] | Filter, at_us: int, *, remove: bool) -> int:
    """See ``Store.pin``."""
    before = main.total_changes
    wanted = _ids(calls) if isinstance(calls, Sequence) else compiled(calls)
    chosen = f"SELECT id FROM call WHERE {wanted.sql}"
    with transaction(main):
        if remove:
            main.execute(f"DELETE FROM pin WHERE call IN ({chosen})", wanted.values)
        else:
            main.execute(f"INSERT OR IGNORE INTO pin SELECT id, ? FROM ({chosen})", (at_us, *wanted.values))
    return main.total_changes - before


def _ids(call_ids: Sequence[str]) -> Condition:
    return Condition(f"uuid IN ({', '.join('?' * len(call_ids))})", tuple(map(rows.uuid_bytes, call_ids)))


def pinned(main: sqlite3.Connection) -> int:
    """How many calls are."""
    (count,) = main.execute(QUERIES["count_pins"]).fetchone()
    return int(count)


def hold(main: sqlite3.Connection, wanted: Hold) -> None:
    """See ``Store.hold``. Raises ``QueryError`` for a filter that rows alone cannot answer, or that cannot be asked."""
    with transaction(main):
        try:
            compiled(wanted.where)
            tree = msgspec.json.encode(wanted.where).decode()
            main.execute(QUERIES["put_hold"], (wanted.name, tree, wanted.words, wanted.since_us))
            _ask(main, kept(main))
        except _UNASKABLE as error:
            raise QueryError(f"the hold {wanted.name!r} cannot stand: its filter cannot be asked ({error})") from error


def _ask(main: sqlite3.Connection, every: Condition) -> None:
    """All holds at once, twice over, as retention will: none of them may be the one that it fails at."""
    main.execute(f"SELECT {every.sql} FROM call WHERE NOT {every.sql} LIMIT 1", every.values * 2).fetchone()


def release(main: sqlite3.Connection, name: str) -> bool:
    """End a hold; whether there was one."""
    return main.execute(QUERIES["drop_hold"], (name,)).rowcount > 0


def holds(main: sqlite3.Connection) -> list[Hold]:
    """All that stand. Raises ``StoreError`` for one that this version cannot read: nothing may be deleted then."""
    return [_hold(*row) for row in main.execute(QUERIES["holds"])]


def _hold(name: str, tree: str, words: str, since_us: int) -> Hold:
    try:
        where = msgspec.json.decode(tree, type=Filter)
    except msgspec.MsgspecError as error:
        raise StoreError(f"the hold {name!r} cannot be read by this version ({error}): upgrade llmtap") from error
    return Hold(name=name, where=where, words=words, since_us=since_us)


def kept(main: sqlite3.Connection) -> Condition:
    """Which rows of ``call`` no retention may touch: never NULL, so that it can be negated."""
    either = [_PINNED, *(compiled(hold.where) for hold in holds(main))]
    condition = joined(" OR ", either)
    return Condition(f"coalesce({condition.sql}, 0)", condition.values)


def staying(main: sqlite3.Connection, past: Condition) -> Condition:
    """Which calls must stay, when only those ``past`` their limit may go. Ask anew in each transaction: holds come."""
    now_kept = kept(main)
    return Condition(f"({now_kept.sql} OR NOT {past.sql})", (*now_kept.values, *past.values))
