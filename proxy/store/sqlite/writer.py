"""The one writer: a batch becomes bodies, then rows. Runs on the thread of ``main.db``.

Order of commits: the segment's first, then rows, positions and gaps together in ``main.db``.
A death between the two leaves bodies that no row points at: harmless, and the batch comes
again, because its positions were not stored.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from msgspec import Struct

from ...records import Status, evolve
from ..base import Batch, Gap, JobRow, Position, Recounted, StoredCall
from ..policy import Policy
from . import jobs, rows, segment
from .files import transaction
from .fulltext.files import Indexable
from .links import Links
from .queries import QUERIES
from .recent import Recent
from .rollups.writing import Rollups
from .scores import write_scores
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
    """A call about to be written, the row it gets, and where its bodies went."""

    uuid: bytes
    stored: StoredCall
    known: _Known | None
    row_id: int
    segment: str | None = None


class Writer:
    """Writes batches; all methods are for the database's thread."""

    def __init__(
        self, connection: sqlite3.Connection, directory: Path, now_us: Callable[[], int], policy: Policy
    ) -> None:
        self._main = connection
        (self.secret,) = connection.execute(QUERIES["secret"]).fetchone()
        self._segments = Segments(directory, self.secret)
        self.leave(name for (name,) in connection.execute(QUERIES["dropped_names"]))
        self._policy = policy
        self._now_us = now_us
        self._texts: Recent[tuple[int, str], int] = Recent(_TEXTS)
        self._rollups = Rollups(connection)
        self._links = Links(connection, self.secret, self._text, lambda: self._revs(1)[0])

    def close(self) -> None:
        """Close the open segments."""
        self._segments.close()

    def leave(self, segments: Iterable[str]) -> None:
        """Write to these files no more."""
        self._segments.leave(segments)

    def write(self, batch: Batch) -> list[Indexable]:
        """Store a batch: bodies durably first, then everything else in one transaction.

        The calls that full text is to have, in the order of their ``rev``.
        """
        now_us = self._now_us()
        entries = self._wanted(batch.calls)
        self._write_bodies(entries, now_us)
        with self._transaction():
            revs = self._write_rows(entries, now_us)
            self._write_positions(batch.positions, batch.finished_journals)
            self._write_gaps(batch.gaps)
            write_scores(self._main, self._text, lambda: self._revs(1)[0], batch.scores, now_us)
        return [
            Indexable(entry.row_id, rev, entry.segment, entry.stored.texts)
            for rev, entry in zip(revs, entries, strict=True)
            if entry.segment is not None
        ]

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            with transaction(self._main):
                yield
                self._links.settle()
                self._rollups.settle(self._now_us())
        except BaseException:
            self._texts = Recent(_TEXTS)  # some of these numbers were rolled back
            self._rollups.forget()
            self._links.forget()
            raise

    def interrupt_running(self, journals_alive: Sequence[str], at_us: int) -> int:
        """See ``Store.interrupt_running``."""
        alive = set(journals_alive)
        with self._transaction():
            found = [row for row, journal in self._main.execute(QUERIES["running"]).fetchall() if journal not in alive]
            revs = self._revs(len(found))
            self._main.executemany(
                QUERIES["interrupt"], [(rev, at_us, row) for rev, row in zip(revs, found, strict=True)]
            )
        return len(found)

    def recount(self, after: int | None) -> Recounted:
        """See ``Store.recount``."""
        with self._transaction():
            return self._rollups.recount(after, self._now_us())

    def build_rollups(self) -> None:
        """Count the rows of a store that an older version wrote."""
        if not self._rollups.are_built:
            step = self.recount(None)
            while not step.done:
                step = self.recount(step.after)

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
        before = self._main.execute(rows.AS_WRITTEN, (known.row_id,)).fetchone()
        if known.has_bodies:
            rows.keep_previews(values, before)
        if tuple(values) != before:
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
        new_ids = count(self._main.execute(QUERIES["last_call"]).fetchone()[0] + 1)
        wanted = []
        for uuid, stored in one_version_each(calls).items():
            known = self._known(uuid)
            if is_news(stored, known) and not self._end_is_stored(stored):
                wanted.append(_Entry(uuid, stored, known, known.row_id if known else next(new_ids)))
        return wanted

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

    def _write_bodies(self, entries: Sequence[_Entry], now_us: int) -> None:
        """Into the segment of each retention class; before any row points at them."""
        classes: defaultdict[str, list[_Entry]] = defaultdict(list)
        for entry in entries:
            if entry.stored.exchange is not None:
                classes[self._policy.class_of(entry.stored.call.project)].append(entry)
        for kept, some in classes.items():
            bodies = [
                segment.Entry(entry.row_id, entry.uuid, entry.stored.exchange, entry.stored.request, _previews(entry))
                for entry in some
                if entry.stored.exchange is not None
            ]
            name = self._segments.write(kept, bodies, now_us)
            for entry in some:
                entry.segment = name

    def _write_rows(self, entries: list[_Entry], now_us: int) -> range:
        written: list[tuple[Any, ...]] = []
        revs = self._revs(len(entries))
        for rev, entry in zip(revs, entries, strict=True):
            before = entry.known.postings if entry.known else ()
            call = rows.fitted(entry.stored.call)
            # First words lie with the bodies, and go with them; those of a fetched answer are another call's, too.
            if entry.segment is not None and not entry.stored.retrieved:
                call = evolve(call, preview_input=None, preview_output=None)
            now = rows.postings(call.metadata, call.tags)
            origin = (self._journal(entry.stored.journal), entry.stored.seq)
            bodies = self._text(_SEGMENT, entry.segment) if entry.segment else None
            written.append(
                (entry.row_id, entry.uuid, rev, rev, now_us, *origin, bodies, *rows.encode(call, self._text))
            )
            self._post(entry.row_id, before, now)
        self._main.executemany(rows.UPSERT, written)
        self._rollups.added(row for row, entry in zip(written, entries, strict=True) if entry.known is None)
        self._widen_segments(entries)
        for row, entry in zip(written, entries, strict=True):
            self._links.write(row[0], entry.stored, now_us)
        return revs

    def _widen_segments(self, entries: Iterable[_Entry]) -> None:
        """The span of time that each segment covers."""
        times_us: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        for entry in entries:
            if entry.segment is not None:
                kept = self._policy.class_of(entry.stored.call.project)
                times_us[entry.segment, kept].append(entry.stored.call.started_at_us)
        spans = [(self._text(_SEGMENT, name), kept, min(us), max(us)) for (name, kept), us in times_us.items()]
        self._main.executemany(QUERIES["widen_segment"], spans)

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


def _previews(entry: _Entry) -> tuple[str | None, str | None]:
    call = entry.stored.call
    first, last = (None if text is None else rows.fit(text) for text in (call.preview_input, call.preview_output))
    return first, last


def is_news(stored: StoredCall, known: _Known | None) -> bool:
    """Whether a version says more than what is stored: an end ends a running call, bodies come once."""
    if known is None or known.running:
        return True
    return stored.exchange is not None and not known.has_bodies and stored.call.status != Status.RUNNING
