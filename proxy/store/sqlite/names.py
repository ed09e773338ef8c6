"""Which calls bear an id that somebody else gave: the provider's, of an answer or of a request.

Such ids are random. An index in their order would change a page for each call, and be larger than what it
finds. Here each is one number, of the call's neighbourhood first and a hash second: new ones lie
together, and whoever looks asks once for each neighbourhood, newest first (a million calls: 244 times, under a
millisecond). What is found may be another's with the same hash, so the row has the last word.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence

from . import rows
from .queries import QUERIES

_PLACE_BITS = 12  # of call.id: neighbours are 4096 calls
_HASH_BITS = 31
_SHIFT = _PLACE_BITS + _HASH_BITS
_PLACES = (1 << _PLACE_BITS) - 1
_BUILT_AT_ONCE = 20_000  # rows

#: Rows that may bear one of some names (``{}``: their hashes), newest neighbourhood first.
_BEARING = f"""
WITH RECURSIVE chunk (number) AS (
    SELECT max(id) >> {_PLACE_BITS} FROM call
    UNION ALL
    SELECT number - 1 FROM chunk WHERE number > (SELECT min(id) >> {_PLACE_BITS} FROM call)
), wanted (hash) AS (VALUES {{}})
SELECT (number << {_PLACE_BITS}) | (entry & {_PLACES}) AS id
FROM chunk CROSS JOIN wanted CROSS JOIN call_name
ON entry BETWEEN (number << {_SHIFT}) | hash AND ((number << {_SHIFT}) | hash) + {_PLACES}
"""


def bearing(names: Sequence[str]) -> tuple[str, tuple[int, ...]]:
    """SELECT of ``id`` of the calls that may bear one of these, and its values."""
    return _BEARING.format(", ".join(["(?)"] * len(names))), tuple(map(_hash, names))


def entries(row_id: int, names: Iterable[str | None]) -> Iterator[int]:
    """Rows of ``call_name`` of a call with these ids, as the row has them."""
    chunk, place = row_id >> _PLACE_BITS, row_id & _PLACES
    for name in names:
        if name:
            yield chunk << _SHIFT | _hash(name) | place


def _hash(name: str) -> int:
    return (zlib.crc32(rows.fit(name, rows.TEXT_CHARS).encode()) & ((1 << _HASH_BITS) - 1)) << _PLACE_BITS


def add(connection: sqlite3.Connection, calls: Iterable[tuple[int, Iterable[str | None]]]) -> None:
    """Numbers of calls, with their names, are found from now on."""
    found = sorted({entry for row_id, names in calls for entry in entries(row_id, names)})
    connection.executemany(QUERIES["add_name"], [(entry,) for entry in found])


def drop(connection: sqlite3.Connection, calls: Iterable[tuple[int, Iterable[str | None]]]) -> None:
    """These calls are gone."""
    connection.executemany(
        QUERIES["drop_name"], [(entry,) for row_id, names in calls for entry in entries(row_id, names)]
    )


def build(connection: sqlite3.Connection) -> bool:
    """A bounded step of what an older version has not done, within a transaction; whether something is left."""
    (missing,) = connection.execute(QUERIES["missing_names"]).fetchone()
    if not missing:
        return False
    found = connection.execute(QUERIES["names_up_to"], (missing, _BUILT_AT_ONCE)).fetchall()
    add(connection, ((row_id, names) for row_id, *names in found))
    connection.execute(QUERIES["set_missing_names"], (found[-1][0] - 1 if found else 0,))
    return True


def problems(connection: sqlite3.Connection) -> Iterator[str]:
    """Names of rows that are not to be found, and entries of none."""
    (loose,) = connection.execute("SELECT count(*) FROM call_name").fetchone()
    first, last = connection.execute(QUERIES["ends_of_calls"]).fetchone()
    missing = 0
    for chunk in range(first >> _PLACE_BITS, (last >> _PLACE_BITS) + 1):
        ids, span = (chunk << _PLACE_BITS, chunk << _PLACE_BITS | _PLACES), (chunk << _SHIFT, (chunk + 1) << _SHIFT)
        found = connection.execute(QUERIES["names_of"], ids)
        wanted = {entry for row_id, *names in found for entry in entries(row_id, names)}
        there = {entry for (entry,) in connection.execute(QUERIES["entries_between"], span)}
        missing += len(wanted - there)
        loose -= len(wanted & there)
    if missing:
        yield f"main.db: {missing} calls cannot be found by the ids of their answers or requests"
    if loose:
        yield f"main.db: {loose} entries of ids belong to calls that do not bear them"
