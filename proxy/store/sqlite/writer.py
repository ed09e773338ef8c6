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
from functools import lru_cache
from pathlib import Path

from ..base import Batch, Gap, JobRow, Position, Recounted, StoredCall
from ..policy import Policy
from . import jobs, names, rows, segment
from .arrivals import Arrivals
from .files import transaction
from .fulltext.files import Indexable
from .links import Links
from .news import Entry, Known, news, stored_versions
from .people.writing import People
from .queries import QUERIES
from .recent import Recent
from .rollups.writing import Rollups
from .segments import Segments

MEMORY_BYTES = 128 << 20  #: half for pieces of bodies, half for what links lead to
_TEXTS = 2_000  # numbers of shared texts kept in memory; a text has at most rows.SHARED_CHARS
_PROJECTS = 1_000  # whose retention class is kept in memory
_JOURNAL = rows.KINDS["journal"]
_SEGMENT = rows.KINDS["segment"]


class Writer:
    """Writes batches; all methods are for the database's thread."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        directory: Path,
        now_us: Callable[[], int],
        policy: Policy,
        memory_bytes: int = MEMORY_BYTES,
    ) -> None:
        self._main = connection
        (self.secret,) = connection.execute(QUERIES["secret"]).fetchone()
        self._segments = Segments(directory, self.secret, memory_bytes=memory_bytes // 2 // policy.classes)
        self.leave(name for (name,) in connection.execute(QUERIES["dropped_names"]))
        self._class_of = lru_cache(_PROJECTS)(policy.class_of)
        self._now_us = now_us
        self._texts: Recent[tuple[int, str], int] = Recent(_TEXTS)
        self._rollups = Rollups(connection)
        self._arrivals = Arrivals(connection)
        self._links = Links(connection, self.secret, self._arrivals, self._text, self._next_rev, memory_bytes // 2)
        self._people = People(connection, self._text, self._next_rev)
        self._last_rev = 0  #: that was given out; in a transaction

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
        entries = news(self._main, batch.calls)
        self._write_bodies(entries, now_us)
        with self._transaction():
            revs = self._write_rows(entries, now_us)
            self._write_positions(batch.positions, batch.finished_journals)
            self._write_gaps(batch.gaps)
            self._people.arrived([(entry.row_id, entry.stored.call) for entry in entries], now_us)
            self._people.tell(batch.scores, batch.events, now_us)
        self._links.end()
        return [
            Indexable(entry.row_id, rev, entry.segment, entry.stored.texts)
            for rev, entry in zip(revs, entries, strict=True)
            if entry.segment is not None
        ]

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            with transaction(self._main):
                (before,) = self._main.execute(QUERIES["last_rev"]).fetchone()
                self._last_rev = before
                self._links.begin()
                yield
                self._arrivals.flush()
                self._links.settle()
                self._people.settle(self._now_us())
                self._rollups.settle(self._now_us())
                if self._last_rev != before:
                    self._main.execute(QUERIES["set_rev"], (self._last_rev,))
        except BaseException:
            self._texts = Recent(_TEXTS)  # some of these numbers were rolled back
            self._rollups.forget()
            self._links.forget()
            self._arrivals.forget()
            self._people.forget()
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

    def build_names(self) -> None:
        """Let calls that an older version wrote be found by the ids of their answers and requests."""
        more = True
        while more:
            with transaction(self._main):
                more = names.build(self._main)

    @property
    def is_behind(self) -> bool:
        """Whether ``catch_up`` may have something to do."""
        return self._people.behind

    def catch_up(self) -> bool:
        """See ``Store.catch_up``."""
        with self._transaction():
            return self._people.step(self._now_us())

    def rewrite(self, calls: Sequence[StoredCall], job: JobRow | None) -> None:
        """See ``Store.rewrite``."""
        now_us = self._now_us()
        with self._transaction():
            known_calls = stored_versions(self._main, [rows.uuid_bytes(stored.call.id) for stored in calls])
            for stored in calls:
                known = known_calls.get(rows.uuid_bytes(stored.call.id))
                if known is not None and not known.running:
                    self._rewrite(known, stored, now_us)
            if job is not None:
                jobs.put(self._main, job)

    def _rewrite(self, known: Known, stored: StoredCall, now_us: int) -> None:
        call = self._people.kept(known.row_id, rows.fitted(stored.call))
        values = rows.encode(call, self._text)
        before = self._main.execute(rows.AS_WRITTEN, (known.row_id,)).fetchone()
        if known.has_bodies:
            rows.keep_previews(values, before)
        if tuple(values) != before:
            self._main.execute(rows.REWRITE, (self._revs(1)[0], now_us, *values, known.row_id))
            self._post(known.row_id, known.postings, rows.postings(call.metadata, call.tags))
            self._people.renamed(known.row_id, call)
        self._links.rewrite(known.row_id, stored, now_us)

    def _post(self, row_id: int, before: Collection[tuple[int, str]], now: Collection[tuple[int, str]]) -> None:
        added = self._postings(row_id, [posting for posting in now if posting not in before])
        dropped = [(self._text(*posting), row_id) for posting in before if posting not in now]
        self._main.executemany(QUERIES["add_posting"], added)
        self._main.executemany(QUERIES["drop_posting"], dropped)

    def _postings(self, row_id: int, postings: Iterable[tuple[int, str]]) -> list[tuple[int, int]]:
        return [(self._text(*posting), row_id) for posting in postings]

    # --- bodies, then rows ----------------------------------------------------------------------

    def _write_bodies(self, entries: Sequence[Entry], now_us: int) -> None:
        """Into the segment of each retention class; before any row points at them."""
        classes: defaultdict[str, list[Entry]] = defaultdict(list)
        for entry in entries:
            if entry.stored.exchange is not None:
                classes[self._class_of(entry.stored.call.project)].append(entry)
        for kept, some in classes.items():
            bodies = [
                segment.Entry(entry.row_id, entry.uuid, entry.stored.exchange, entry.stored.request, _previews(entry))
                for entry in some
                if entry.stored.exchange is not None
            ]
            name = self._segments.write(kept, bodies, now_us)
            for entry in some:
                entry.segment = name

    def _write_rows(self, entries: list[Entry], now_us: int) -> range:
        revs = self._revs(len(entries))
        self._widen_segments(entries)
        for rev, entry in zip(revs, entries, strict=True):
            self._write_row(entry, rev, now_us)
        self._arrivals.flush()
        return revs

    def _write_row(self, entry: Entry, rev: int, now_us: int) -> None:
        call = rows.fitted(entry.stored.call)
        if entry.known is not None:
            call = self._people.kept(entry.row_id, call)
        values = rows.encode(call, self._text)
        # First words lie with the bodies, and go with them; those of a fetched answer are another call's, too.
        if entry.segment is not None and not entry.stored.retrieved:
            rows.leave_previews_out(values)
        origin = (self._journal(entry.stored.journal), entry.stored.seq)
        bodies = self._text(_SEGMENT, entry.segment) if entry.segment else None
        row = (entry.row_id, entry.uuid, rev, rev, now_us, *origin, bodies, *values)
        postings = rows.postings(call.metadata, call.tags)
        if entry.known is None:
            self._rollups.added([row])
            self._links.arrive(row, entry.stored, self._postings(entry.row_id, postings), now_us)
        else:
            self._arrivals.flush()
            self._post(entry.row_id, entry.known.postings, postings)
            self._main.execute(rows.UPSERT, row)
            self._links.write(entry.row_id, entry.stored, now_us)

    def _widen_segments(self, entries: Iterable[Entry]) -> None:
        """The span of time that each segment covers."""
        times_us: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        for entry in entries:
            if entry.segment is not None:
                kept = self._class_of(entry.stored.call.project)
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
        self._last_rev += count
        return range(self._last_rev - count + 1, self._last_rev + 1)

    def _next_rev(self) -> int:
        return self._revs(1)[0]

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


def _previews(entry: Entry) -> tuple[str | None, str | None]:
    call = entry.stored.call
    first, last = (None if text is None else rows.fit(text) for text in (call.preview_input, call.preview_output))
    return first, last
