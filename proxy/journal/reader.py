"""Ingest's half of the journal: follow the segments of one directory, count what is missing.

Reading never refuses: a torn tail is the end, damage elsewhere is skipped to the next valid
frame, and every sequence number that does not turn up is part of a counted ``Missing``. Frames
come out in sequence order, each once.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from ..gauges import Gauges, held
from .frame import FRAME_HEADER_SIZE, SEGMENT_HEADER_SIZE, Damage, Frame, parse_segment_name, scan
from .writer import COUNTER_FILE, COUNTERS

READ_BYTES = 4 << 20  #: at most this much of a segment is looked at in one step


class Missing(Struct, frozen=True):
    """Consecutive records that will never come."""

    first_seq: int
    records: int
    reason: str  #: ``damaged``: bytes on disk were bad; ``lost``: they were never written


class SegmentFile:
    """One segment being followed."""

    def __init__(self, path: Path, first_seq: int, salt: int) -> None:
        self.path = path
        self.first_seq = first_seq
        self.salt = salt
        self.offset = 0  #: of the next unread byte
        self.last_seq = first_seq - 1  #: highest sequence seen in it
        self.exhausted = False  #: sealed, and read to its end
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    @property
    def size(self) -> int:
        """Bytes in the file now."""
        return os.fstat(self._fd).st_size

    def scan(self, *, sealed: bool, limit: int = READ_BYTES) -> Iterator[Frame | Damage]:
        """Frames from ``offset`` on, and damage between them; a step of about ``limit`` bytes.

        ``sealed`` must have been found out before: then the bytes read now are all there will be.
        """
        if self.offset < SEGMENT_HEADER_SIZE:
            if self.size < SEGMENT_HEADER_SIZE and not sealed:
                return
            self.offset = SEGMENT_HEADER_SIZE
        size = self.size
        while True:
            data = os.pread(self._fd, limit, self.offset)
            whole = self.offset + len(data) >= size
            start = self.offset
            for item in scan(data, self.salt, self.offset, final=sealed and whole):
                self.offset = item.offset + (item.size if isinstance(item, Damage) else _frame_size(item))
                yield item
            if whole or self.offset > start:
                break
            limit *= 2  # one frame is larger than the step, or damage is
        self.exhausted = sealed and whole

    def payload_at(self, offset: int, length: int) -> bytes:
        """Bytes of a frame seen before."""
        return os.pread(self._fd, length, offset)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._fd)


def _frame_size(frame: Frame) -> int:
    return FRAME_HEADER_SIZE + len(frame.payload)


class JournalReader:
    """Follows one journal directory.

    ``counted_seq``: gaps up to this sequence have been reported in an earlier life.
    ``low_seq``: nothing below this sequence is needed any more.
    """

    def __init__(self, directory: Path, counted_seq: int = 0, low_seq: int = 0) -> None:
        self.name = directory.name
        self.directory = directory
        self.last_seq = counted_seq  #: gaps are known up to here
        self.finished = False  #: the owner is gone and everything has been read
        self.segments: list[SegmentFile] = []  #: oldest first; the caller drops them with ``drop``
        self.read_bytes = 0  #: in this life
        self.seen_seq = max(low_seq - 1, 0)  #: read in this life, which may be behind ``last_seq`` for a while
        self._damaged = False
        self._counters: Gauges | None = None
        self._open_counters()
        self._drop_leftovers()

    def poll(self) -> Iterator[tuple[SegmentFile, Frame] | Missing]:
        """What is new, a bounded step of it per segment; gaps in their place."""
        # In this order: a dead owner makes no more segments, so all are found; and a segment that was
        # found is closed when a newer one was found too, or when the owner says that it writes none.
        owner_alive = self.owner_alive()
        self._find_segments()
        none_active = self._counters is not None and self._counters["active"] == 0
        newest = max((segment.first_seq for segment in self.segments), default=0)
        for segment in [segment for segment in self.segments if not segment.exhausted]:
            sealed = not owner_alive or none_active or segment.first_seq < newest
            start = segment.offset
            for item in segment.scan(sealed=sealed):
                yield from self._account(segment, item)
            self.read_bytes += segment.offset - start
            if not segment.exhausted:
                return
            # Bytes that are left over are a torn tail, or damage that no valid frame follows.
            self._damaged = self._damaged or segment.offset < segment.size
        if not owner_alive:
            yield from self._account_for_the_end()

    def owner_alive(self) -> bool:
        """Whether the relay that writes this journal still runs."""
        if self._counters is None:
            self._open_counters()
        return self._counters.owner_alive() if self._counters is not None else held(self.directory / COUNTER_FILE)

    @property
    def calls_lost(self) -> int:
        """Calls that the owner could not record, by its own count."""
        return self._counters["calls_lost"] if self._counters is not None else 0

    @property
    def unread_bytes(self) -> int:
        """How far behind the owner we are."""
        return sum(max(0, segment.size - segment.offset) for segment in self.segments if not segment.exhausted)

    def committed(self, seq: int) -> None:
        """Tell the owner that everything up to ``seq`` is stored."""
        if self._counters is not None:
            self._counters["ingested"] = seq

    def drop(self, segment: SegmentFile) -> None:
        """Delete a segment whose calls are all stored."""
        segment.close()
        segment.path.unlink(missing_ok=True)
        self.segments.remove(segment)

    def replace(self, segment: SegmentFile, path: Path, salt: int) -> SegmentFile:
        """Go on with a compacted copy, already on disk, in place of a segment that was read to its end."""
        compacted = SegmentFile(path, segment.first_seq, salt)
        compacted.last_seq, compacted.offset, compacted.exhausted = segment.last_seq, compacted.size, True
        self.segments[self.segments.index(segment)] = compacted
        segment.close()
        segment.path.unlink(missing_ok=True)
        return compacted

    def remove(self) -> None:
        """Delete the directory of a finished journal."""
        self.close()
        with contextlib.suppress(FileNotFoundError):
            for entry in self.directory.iterdir():
                entry.unlink()
            self.directory.rmdir()

    def close(self) -> None:
        """Let go of all files."""
        for segment in self.segments:
            segment.close()
        self.segments.clear()
        if self._counters is not None:
            self._counters.close()
            self._counters = None

    # --- finding ----------------------------------------------------------------------------

    def _open_counters(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._counters = Gauges.open(self.directory / COUNTER_FILE, COUNTERS, writable=True)

    def _drop_leftovers(self) -> None:
        """Copies that a compaction did not come to finish."""
        with contextlib.suppress(OSError):
            for path in self.directory.glob("*.new"):
                path.unlink()

    def _find_segments(self) -> None:
        known = {segment.path.name for segment in self.segments}
        with contextlib.suppress(FileNotFoundError):
            for name in sorted(entry.name for entry in self.directory.iterdir()):
                parsed = parse_segment_name(name)
                if parsed is None or name in known:
                    continue
                with contextlib.suppress(FileNotFoundError):
                    self.segments.append(SegmentFile(self.directory / name, *parsed))

    # --- counting ---------------------------------------------------------------------------

    def _account(self, segment: SegmentFile, item: Frame | Damage) -> Iterator[tuple[SegmentFile, Frame] | Missing]:
        if isinstance(item, Damage):
            self._damaged = True
            return
        if item.seq <= self.seen_seq:
            return  # a segment and its compacted copy may both be there after a crash
        if item.seq > self.last_seq + 1:
            yield self._missing(item.seq - 1)
        self._damaged = False
        self.seen_seq = item.seq
        self.last_seq = max(self.last_seq, item.seq)
        segment.last_seq = item.seq
        yield segment, item

    def _account_for_the_end(self) -> Iterator[Missing]:
        if self.finished:
            return
        issued = self._counters["issued"] if self._counters is not None else 0
        if issued > self.last_seq:
            yield self._missing(issued)
        self.finished = True

    def _missing(self, up_to_seq: int) -> Missing:
        missing = Missing(self.last_seq + 1, up_to_seq - self.last_seq, "damaged" if self._damaged else "lost")
        self.last_seq = up_to_seq
        self._damaged = False
        return missing
