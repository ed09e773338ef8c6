"""What of a batch is news: which version of each call counts, and whether it says more than what is stored."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from typing import Any

from msgspec import Struct

from ...records import Status
from ..base import StoredCall
from . import rows
from .queries import QUERIES

_AT_ONCE = 100  # are looked up: always as many, so that there is one statement


class Known(Struct, frozen=True):
    """What is stored of a call."""

    row_id: int
    running: bool
    has_bodies: bool
    postings: frozenset[tuple[int, str]]


class Entry(Struct):
    """A call about to be written, the row it gets, and where its bodies went."""

    uuid: bytes
    stored: StoredCall
    known: Known | None
    row_id: int
    segment: str | None = None


def news(connection: sqlite3.Connection, calls: Iterable[StoredCall]) -> list[Entry]:
    """What of these is worth writing; new calls get the next numbers."""
    chosen = one_version_each(calls)
    known = stored_versions(connection, list(chosen))
    ended = _stored_ends(connection, chosen.values())
    new_ids = count(connection.execute(QUERIES["last_call"]).fetchone()[0] + 1)
    wanted = []
    for uuid, stored in chosen.items():
        before = known.get(uuid)
        if is_news(stored, before) and (stored.journal, stored.seq) not in ended:
            wanted.append(Entry(uuid, stored, before, before.row_id if before else next(new_ids)))
    return wanted


def stored_versions(connection: sqlite3.Connection, uuids: list[bytes]) -> Mapping[bytes, Known]:
    """Those of these calls that are stored."""
    found: dict[bytes, Known] = {}
    for uuid, row_id, status, has_bodies, metadata, tags in _of_many(connection, "stored_versions", (), uuids):
        postings = frozenset(rows.stored_postings(metadata, tags))
        found[uuid] = Known(row_id, status == rows.RUNNING_ID, bool(has_bodies), postings)
    return found


def _stored_ends(connection: sqlite3.Connection, calls: Iterable[StoredCall]) -> set[tuple[str | None, int | None]]:
    """Which of the frames that end these calls have been stored."""
    seqs: defaultdict[str, list[int]] = defaultdict(list)
    for stored in calls:
        if stored.journal is not None and stored.seq is not None:
            seqs[stored.journal].append(stored.seq)
    return {
        (journal, seq)
        for journal, some in seqs.items()
        for (seq,) in _of_many(connection, "stored_ends", (journal,), some)
    }


def _of_many(
    connection: sqlite3.Connection, name: str, values: tuple[Any, ...], sought: list[Any]
) -> Iterator[tuple[Any, ...]]:
    """What a statement that ends in ``IN`` gives for all of these."""
    statement = f"{QUERIES[name]} ({', '.join('?' * _AT_ONCE)})"
    for start in range(0, len(sought), _AT_ONCE):
        some = sought[start : start + _AT_ONCE]
        yield from connection.execute(statement, (*values, *some, *some[:1] * (_AT_ONCE - len(some)))).fetchall()


def one_version_each(calls: Iterable[StoredCall]) -> dict[bytes, StoredCall]:
    """By uuid, the version of each call that counts: its first end, else its last state."""
    chosen: dict[bytes, StoredCall] = {}
    ends: set[tuple[str, int]] = set()
    for stored in calls:
        uuid = rows.uuid_bytes(stored.call.id)
        before = chosen.get(uuid)
        if before is not None and before.call.status != Status.RUNNING:
            continue
        if stored.journal is not None and stored.seq is not None:
            if (stored.journal, stored.seq) in ends:
                continue
            ends.add((stored.journal, stored.seq))
        chosen[uuid] = stored
    return chosen


def is_news(stored: StoredCall, known: Known | None) -> bool:
    """Whether a version says more than what is stored: an end ends a running call, bodies come once."""
    if known is None or known.running:
        return True
    return stored.exchange is not None and not known.has_bodies and stored.call.status != Status.RUNNING
