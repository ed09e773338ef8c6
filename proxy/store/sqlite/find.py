"""Questions about rows. Plain functions on a connection, each within one consistent moment."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path

from ...errors import CallNotFound
from ...records import Call, ToolSpan
from ..base import Position, Stats
from ..policy import Absence
from . import rows
from .access import Listing, access
from .compile import Condition
from .files import transaction
from .fulltext.matching import Matching
from .fulltext.reading import TextReaders
from .links import tool_span
from .queries import QUERIES
from .recent import Recent

_CANDIDATES = 5  # shown when a short id fits several calls
_AT_ONCE = 500  # bound values of one statement
_BACKWARDS = re.compile(r"-[1-9][0-9]{0,11}")
_PART_OF_ID = re.compile(r"[0-9a-f]{1,32}")


class Texts:
    """The shared texts by number; they never change, so they are remembered."""

    def __init__(self, limit: int = 20_000) -> None:
        self._known: Recent[int, str] = Recent(limit)

    def of(self, connection: sqlite3.Connection, ids: Iterable[int]) -> Mapping[int, str]:
        """The texts of these numbers."""
        wanted = set(ids)
        found = {number: text for number in wanted if (text := self._known.get(number)) is not None}
        missing = sorted(wanted - found.keys())
        for start in range(0, len(missing), _AT_ONCE):
            some = missing[start : start + _AT_ONCE]
            marks = ", ".join("?" * len(some))
            for number, text in connection.execute(f"SELECT id, val FROM dim WHERE id IN ({marks})", some):
                found[number] = self._known[number] = text
        return found


def find(connection: sqlite3.Connection, texts: Texts, listing: Listing, words: TextReaders) -> list[Call]:
    """See ``Reader.find``."""
    with transaction(connection, "DEFERRED"):
        found = access(connection, listing, Matching(connection, words))
        return listed(connection, texts, found.condition, found.order, listing.limit, found.index)


def recorded_by(connection: sqlite3.Connection, texts: Texts, relay: str) -> list[Call]:
    """See ``Reader.recorded_by``."""
    shared = "SELECT id FROM dim WHERE kind = ? AND substr(val, 1, ?) = ?"
    condition = Condition(f"journal IN ({shared})", (rows.KINDS["journal"], len(relay) + 1, f"{relay}-"))
    with transaction(connection, "DEFERRED"):
        return listed(connection, texts, condition, "uuid", -1)


def listed(
    connection: sqlite3.Connection, texts: Texts, condition: Condition, order: str, limit: int, index: str = ""
) -> list[Call]:
    """Rows that fulfil a condition, in an order; within the caller's transaction."""
    found = connection.execute(
        f"{rows.SELECT} {index} WHERE {condition.sql} ORDER BY {order} LIMIT ?", (*condition.values, limit)
    ).fetchall()
    known = texts.of(connection, (number for row in found for number in rows.shared_ids(row)))
    return [rows.decode(row, known) for row in found]


def call(connection: sqlite3.Connection, texts: Texts, call_id: str) -> list[Call]:
    """See ``Reader.call``: the one row."""
    with transaction(connection, "DEFERRED"):
        row = connection.execute(f"{rows.SELECT} WHERE uuid = ?", (uuid_of(call_id),)).fetchone()
        if row is None:
            raise CallNotFound(f"no call has the id {call_id}")
        return [rows.decode(row, texts.of(connection, rows.shared_ids(row)))]


def uuid_of(call_id: str) -> bytes:
    """16 bytes of a full id. Raises ``CallNotFound`` for what is none."""
    try:
        return rows.uuid_bytes(call_id)
    except ValueError:
        raise CallNotFound(f"{call_id!r} is not the full id of a call") from None


def latest_rev(connection: sqlite3.Connection) -> int:
    """See ``Reader.latest_rev``."""
    (rev,) = connection.execute(QUERIES["last_rev"]).fetchone()
    return int(rev)


def tools(connection: sqlite3.Connection, call_id: str) -> list[ToolSpan]:
    """See ``Reader.tools``."""
    return [tool_span(row) for row in connection.execute(QUERIES["tools"], (uuid_of(call_id),))]


def absence(connection: sqlite3.Connection, call_id: str) -> Absence:
    """See ``Reader.absence``."""
    row = connection.execute(QUERIES["expired_since"], (uuid_of(call_id),)).fetchone()
    if row is None:
        return Absence(reason="none")
    return Absence(reason="damaged") if row[0] is None else Absence(reason="expired", since_us=row[0])


# --- ids -----------------------------------------------------------------------------------------


def resolve(connection: sqlite3.Connection, ref: str | None) -> str:
    """See ``Reader.resolve``."""
    ref = "-1" if ref is None else ref.strip().lower()
    with transaction(connection, "DEFERRED"):
        return _newest(connection, int(ref[1:])) if _BACKWARDS.fullmatch(ref) else _by_part(connection, ref)


def _newest(connection: sqlite3.Connection, place: int) -> str:
    row = connection.execute(QUERIES["nth_newest"], (place - 1,)).fetchone()
    if row is None:
        (count,) = connection.execute("SELECT count(*) FROM call").fetchone()
        raise CallNotFound(
            "no calls are stored yet"
            if count == 0
            else f"there is no call -{place}: {count} {'is' if count == 1 else 'are'} stored"
        )
    return rows.uuid_text(row[0])


def _by_part(connection: sqlite3.Connection, ref: str) -> str:
    digits = ref.replace("-", "")
    if not _PART_OF_ID.fullmatch(digits):
        raise CallNotFound(
            f"{ref!r} is no part of a call id: give its first or last characters, or -1 for the last call"
        )
    found = _candidates(connection, digits)
    if not found:
        raise CallNotFound(f"no call has an id that begins or ends with {ref}")
    if len(found) > 1:
        shown = ", ".join(found[:_CANDIDATES]) + (", …" if len(found) > _CANDIDATES else "")
        raise CallNotFound(f"{ref} fits several calls, give more of it: {shown}")
    return found[0]


def _candidates(connection: sqlite3.Connection, digits: str) -> list[str]:
    first, last = bytes.fromhex(digits.ljust(32, "0")), bytes.fromhex(digits.ljust(32, "f"))
    most = _CANDIDATES + 1
    found = connection.execute(QUERIES["by_prefix"], (first, last, most)).fetchall()
    if len(digits) < 32:
        found += connection.execute(QUERIES["by_suffix"], (f"%{digits.upper()}", most)).fetchall()
    return [rows.uuid_text(uuid) for uuid in sorted({uuid for (uuid,) in found}, reverse=True)]


# --- the store itself ----------------------------------------------------------------------------


def stats(connection: sqlite3.Connection, directory: Path, words: TextReaders) -> Stats:
    """See ``Reader.stats``."""
    calls, running, gaps, lost, oldest, newest = connection.execute(QUERIES["counts"]).fetchone()
    return Stats(
        calls=calls,
        running=running,
        gaps=gaps,
        calls_lost=lost,
        oldest_us=oldest,
        newest_us=newest,
        bytes=sizes(directory),
        stuck_bytes=_stuck_bytes(connection),
        text_behind=words.behind(connection),
        text_problems=words.problems(connection),
    )


def _stuck_bytes(connection: sqlite3.Connection) -> int:
    """Free pages of a file that was made before files gave theirs back."""
    (mode,), (pages,), (size,) = (
        connection.execute(f"PRAGMA {name}").fetchone() for name in ("auto_vacuum", "freelist_count", "page_size")
    )
    return 0 if mode else int(pages * size)


def sizes(directory: Path) -> dict[str, int]:
    """Bytes of each database file; their -wal files count as files of their own."""
    found = {}
    for path in sorted(directory.glob("*.db*")):
        try:
            found[path.name] = path.stat().st_size
        except FileNotFoundError:
            continue
    return found


def positions(connection: sqlite3.Connection) -> dict[str, Position]:
    """See ``Store.positions``."""
    found = connection.execute(QUERIES["positions"]).fetchall()
    return {
        journal: Position(journal=journal, low_seq=low, read_seq=read, calls_lost=lost)
        for journal, low, read, lost in found
    }


def stored_seqs(connection: sqlite3.Connection, journal: str, from_seq: int) -> set[int]:
    """See ``Store.stored_seqs``."""
    return {seq for (seq,) in connection.execute(QUERIES["stored_seqs"], (journal, from_seq))}
