"""The one writer: a batch becomes bodies, then rows. Runs on the thread of ``main.db``.

Order of commits: the segment's first, then rows, positions and gaps together in ``main.db``.
A death between the two leaves bodies that no row points at: harmless, and the batch comes
again, because its positions were not stored.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from msgspec import Struct

from ...records import Status
from ..base import Batch, Gap, JobRow, Position, StoredCall
from . import jobs, rows
from .files import transaction
from .links import Links
from .queries import QUERIES
from .recent import Recent
from .segments import Segments

_TEXTS = 2_000  # numbers of shared texts kept in memory; a text has at most rows.SHARED_CHARS
_JOURNAL = rows.KINDS["journal"]
_SEGMENT = rows.KINDS["segment"]


class _Known(Struct, frozen=True):
    """What is stored of a call."""

    row_id: int
    running: bool
    has_bodies: bool
    postings: frozenset[tuple[int, str]]


class _Entry(Struct):
    """A call about to be written, and where its bodies went."""

    uuid: bytes
    stored: StoredCall
    known: _Known | None
    body: int | None = None


class Writer:
    """Writes batches; all methods are for the database's thread."""

    def __init__(self, connection: sqlite3.Connection, directory: Path, now_us: Callable[[], int]) -> None:
        self._main = connection
        self._segments = Segments(directory)
        self._now_us = now_us
        self._texts: Recent[tuple[int, str], int] = Recent(_TEXTS)
        self._links = Links(connection, self._text, lambda: self._revs(1)[0])

    def close(self) -> None:
        """Close the open segment."""
        self._segments.close()

    def write(self, batch: Batch) -> None:
        """Store a batch: bodies durably first, then everything else in one transaction."""
        now_us = self._now_us()
        entries = self._wanted(batch.calls)
        segment = self._write_bodies([entry for entry in entries if entry.stored.exchange], now_us)
        with self._transaction():
            self._write_rows(entries, segment, now_us)
            self._write_positions(batch.positions, batch.finished_journals)
            self._write_gaps(batch.gaps)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            with transaction(self._main):
                yield
        except BaseException:
            self._texts = Recent(_TEXTS)  # some of these numbers were rolled back
            raise

    def interrupt_running(self, journals_alive: Sequence[str], at_us: int) -> int:
        """See ``Store.interrupt_running``."""
        alive = set(journals_alive)
        with transaction(self._main):
            found = [row for row, journal in self._main.execute(QUERIES["running"]).fetchall() if journal not in alive]
            revs = self._revs(len(found))
            self._main.executemany(
                QUERIES["interrupt"], [(rev, at_us, row) for rev, row in zip(revs, found, strict=True)]
            )
        return len(found)

    def rewrite(self, calls: Sequence[StoredCall], job: JobRow | None) -> None:
        """See ``Store.rewrite``."""
        now_us = self._now_us()
        with self._transaction():
            for stored in calls:
                known = self._known(rows.uuid_bytes(stored.call.id))
                if known is not None and not known.running:
                    self._rewrite(known, stored, now_us)
            if job is not None:
                jobs.put(self._main, job)

    def _rewrite(self, known: _Known, stored: StoredCall, now_us: int) -> None:
        call = rows.fitted(stored.call)
        values = rows.encode(call, self._text)
        if tuple(values) != self._main.execute(rows.AS_WRITTEN, (known.row_id,)).fetchone():
            self._main.execute(rows.REWRITE, (self._revs(1)[0], now_us, *values, known.row_id))
            self._post(known.row_id, known.postings, rows.postings(call.metadata, call.tags))
        self._links.rewrite(known.row_id, stored, now_us)

    def _post(self, row_id: int, before: Collection[tuple[int, str]], now: Collection[tuple[int, str]]) -> None:
        added = [(self._text(*posting), row_id) for posting in now if posting not in before]
        dropped = [(self._text(*posting), row_id) for posting in before if posting not in now]
        self._main.executemany(QUERIES["add_posting"], added)
        self._main.executemany(QUERIES["drop_posting"], dropped)

    # --- what is worth writing ------------------------------------------------------------------

    def _wanted(self, calls: Iterable[StoredCall]) -> list[_Entry]:
        entries = [_Entry(uuid, stored, self._known(uuid)) for uuid, stored in one_version_each(calls).items()]
        return [entry for entry in entries if self._is_news(entry)]

    def _is_news(self, entry: _Entry) -> bool:
        return is_news(entry.stored, entry.known) and not self._end_is_stored(entry.stored)

    def _known(self, uuid: bytes) -> _Known | None:
        row = self._main.execute(QUERIES["stored_version"], (uuid,)).fetchone()
        if row is None:
            return None
        row_id, status, has_bodies, metadata, tags = row
        postings = frozenset(rows.stored_postings(metadata, tags))
        return _Known(row_id, status == rows.RUNNING_ID, bool(has_bodies), postings)

    def _end_is_stored(self, stored: StoredCall) -> bool:
        if stored.seq is None or stored.journal is None:
            return False
        return self._main.execute(QUERIES["stored_end"], (stored.journal, stored.seq)).fetchone() is not None

    # --- bodies, then rows ----------------------------------------------------------------------

    def _write_bodies(self, entries: list[_Entry], now_us: int) -> str | None:
        pairs = [(entry.uuid, entry.stored.exchange) for entry in entries if entry.stored.exchange]
        if not pairs:
            return None
        segment, bodies = self._segments.write(pairs, now_us)
        for entry, body in zip(entries, bodies, strict=True):
            entry.body = body
        return segment

    def _write_rows(self, entries: list[_Entry], segment: str | None, now_us: int) -> None:
        segment_id = self._text(_SEGMENT, segment) if segment else None
        new_ids = count(self._main.execute(QUERIES["last_call"]).fetchone()[0] + 1)
        written: list[tuple[Any, ...]] = []
        for rev, entry in zip(self._revs(len(entries)), entries, strict=True):
            row_id = entry.known.row_id if entry.known else next(new_ids)
            before = entry.known.postings if entry.known else ()
            call = rows.fitted(entry.stored.call)
            now = rows.postings(call.metadata, call.tags)
            origin = (self._journal(entry.stored.journal), entry.stored.seq)
            bodies = (segment_id, entry.body) if entry.body else (None, None)
            written.append((row_id, entry.uuid, rev, rev, now_us, *origin, *bodies, *rows.encode(call, self._text)))
            self._post(row_id, before, now)
        self._main.executemany(rows.UPSERT, written)
        for row, entry in zip(written, entries, strict=True):
            self._links.write(row[0], entry.stored, now_us)

    def _write_positions(self, positions: Sequence[Position], finished: Sequence[str]) -> None:
        for position in positions:
            counts = (position.low_seq, position.read_seq, position.calls_lost)
            self._main.execute(QUERIES["set_position"], (self._journal(position.journal), *counts))
        self._main.executemany(QUERIES["finish_journal"], [(self._journal(name),) for name in finished])

    def _write_gaps(self, gaps: Sequence[Gap]) -> None:
        for gap in gaps:
            values = (gap.first_seq, gap.records, gap.reason, gap.noticed_at_us)
            self._main.execute(QUERIES["add_gap"], (self._journal(gap.journal), *values))

    # --- numbers ----------------------------------------------------------------------------------

    def _revs(self, count: int) -> range:
        (last,) = self._main.execute(QUERIES["last_rev"]).fetchone()
        if count:
            self._main.execute(QUERIES["set_rev"], (last + count,))
        return range(last + 1, last + count + 1)

    def _journal(self, name: str | None) -> int | None:
        return None if name is None else self._text(_JOURNAL, name)

    def _text(self, kind: int, text: str) -> int:
        known = self._texts.get((kind, text))
        return self._text_of(kind, rows.fit(text)) if known is None else known

    def _text_of(self, kind: int, text: str) -> int:
        row = self._main.execute(QUERIES["dim_id"], (kind, text)).fetchone()
        known = row[0] if row else self._main.execute(QUERIES["add_dim"], (kind, text)).lastrowid
        assert known is not None
        self._texts[kind, text] = known
        return known


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


def is_news(stored: StoredCall, known: _Known | None) -> bool:
    """Whether a version says more than what is stored: an end ends a running call, bodies come once."""
    if known is None or known.running:
        return True
    return stored.exchange is not None and not known.has_bodies and stored.call.status != Status.RUNNING
