"""The relay's half of the journal: append, rotate, count what could not be written.

``append`` writes at once, in the event loop: a few µs into the page cache, which survives the
death of the process. When a write was slow (``slow_write_ms``), writes move to a thread behind a
buffer that is bounded in bytes, until the disk is quick again.

Nothing here raises for a failing disk. A record that cannot be written consumes its sequence
number, is counted in the gauges, and reads as a gap; what that means for the call is the
caller's to decide.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import secrets
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from ..clock import monotonic_us, wall_us
from ..config import Journal as Settings
from ..gauges import Gauges
from .codec import Record, encode
from .frame import MAX_PAYLOAD, SegmentHeader, encode_frame, encode_segment_header, segment_name
from .slow import Payloads, SlowDisk, Written

log = logging.getLogger(__name__)

__all__ = ["COUNTERS", "COUNTER_FILE", "JournalWriter", "Record", "Written"]

COUNTER_FILE = "counter"
#: The counters of one journal, in its ``counter`` file; the flock on that file is the owner's.
COUNTERS = (
    "issued",  #: highest sequence number given out
    "active",  #: first sequence of the segment being written, 0 when there is none
    "records_lost",
    "calls_lost",
    "ingested",  #: highest sequence that ingest has committed; the only counter it writes
)
_RETRY_US = 500_000  #: after a failure the disk is tried again this often
_IDLE_ROTATE_US = 10_000_000


class MutableCounters(Protocol):
    """Where the worst write time and the number of lost calls are shown."""

    def __getitem__(self, name: str) -> int: ...
    def __setitem__(self, name: str, value: int) -> None: ...


class Segment:
    """One open file, appended to."""

    def __init__(self, directory: Path, first_seq: int) -> None:
        self.salt = secrets.randbits(32)
        self.path = directory / segment_name(first_seq, self.salt)
        self.opened_us = monotonic_us()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self._fd = os.open(self.path, flags, 0o600)
        self.size = 0
        try:
            self.write(encode_segment_header(SegmentHeader(self.salt, first_seq), wall_us()))
        except OSError:
            self.close()
            self.path.unlink(missing_ok=True)
            raise

    def write(self, data: bytes) -> None:
        """Append all of it, or nothing: a write that stops half-way is cut off again. Raises OSError."""
        written = os.write(self._fd, data)
        try:
            while written < len(data):
                written += os.write(self._fd, memoryview(data)[written:])
        except OSError:
            os.ftruncate(self._fd, self.size)
            raise
        self.size += len(data)

    def close(self) -> None:
        """Close the file; what was written stays."""
        os.close(self._fd)


class JournalWriter:
    """The journal of one relay incarnation. Belongs to an event loop, or to the slow-disk thread while there is one."""

    def __init__(self, root: Path, name: str, settings: Settings, vitals: MutableCounters) -> None:
        self.name = name
        self.generation = 0  #: grows when the directory was taken away and another one was made
        self.failure: str | None = None  #: why the last record could not be written; None when it could
        self._root = root
        self._first_name = name
        self._settings = settings
        self._segment_bytes = min(settings.segment_bytes, settings.max_bytes // 4)
        self._vitals = vitals
        self._counters: Gauges | None = None
        self._segment: Segment | None = None
        self._seq = 0  #: last number given out
        self._written_seq = 0  #: last number that is on disk
        self._calls_lost = 0
        self._records_lost = 0
        self._closed_bytes = 0
        self._retry_us = 0
        self._worst_write_us = 0
        self._slow: SlowDisk | None = None
        self._open_directory()

    @property
    def hindered(self) -> bool:
        """Whether the disk is slow or fails, so that ``append`` may not answer at once, or may answer no."""
        return self._slow is not None or self.failure is not None

    def append(self, records: Sequence[Record]) -> Written:
        """Append records in one write.

        True: they are in the page cache. False: lost, and counted. A future when the disk is slow:
        it will say which.
        """
        payloads = self._encoded(records)
        if payloads is None:
            self._lose_records(len(records))
            return False
        if self._slow is not None:
            return self._slow.submit(payloads)
        started = time.monotonic_ns()
        written = self.write(payloads)
        took_us = (time.monotonic_ns() - started) // 1000
        if took_us > self._worst_write_us:
            self._worst_write_us = self._vitals["journal_worst_write_us"] = took_us
        if took_us > self._settings.slow_write_ms * 1000:
            self._leave_loop(took_us)
        return written

    def append_if_possible(self, records: Sequence[Record]) -> bool:
        """As ``append``, but what cannot be written now is not lost: no number is consumed, the caller tries again."""
        payloads = self._encoded(records)
        return payloads is not None and self._slow is None and self._write(payloads)

    def lose_calls(self, count: int = 1) -> None:
        """Count calls that were not recorded, or not wholly; -1 when one turns out to be recorded after all."""
        self._calls_lost += count
        self._vitals["calls_lost"] = self._calls_lost
        self._count("calls_lost", self._calls_lost)

    def tick(self) -> None:
        """Once a second: notice that the directory is gone; rotate a segment that ingest has read to its end."""
        if self._slow is not None or self._counters is None:
            return
        if not (self._directory / COUNTER_FILE).exists():
            self._start_anew()
            return
        if self._segment is None:
            return
        old = monotonic_us() - self._segment.opened_us > _IDLE_ROTATE_US
        if old and self._counters["ingested"] >= self._written_seq:
            self._close_segment()

    async def close(self) -> None:
        """Write what waits, close the segment, let go of the lock. The journal stays for ingest."""
        if self._slow is not None:
            await self._slow.stop()
        self._close_segment()
        if self._counters is not None:
            self._counters.close()
            self._counters = None

    # --- the disk, as the slow-disk thread sees it too --------------------------------------------

    def write(self, payloads: Payloads) -> bool:
        """Write records, or lose and count them."""
        if self._write(payloads):
            return True
        self._lose_records(len(payloads))
        return False

    def skip(self, records: int) -> None:
        """Count records that found no room in the buffer."""
        self._lose_records(records)

    def quick_again(self) -> None:
        """Write in the event loop from now on."""
        self._slow = None
        self._vitals["journal_slow"] = 0
        log.info("journal writes are quick again")

    def _write(self, payloads: Payloads) -> bool:
        first = self._seq + 1
        try:
            segment = self._segment_for(first, sum([len(payload) for _, payload in payloads]))
            segment.write(b"".join([encode_frame(segment.salt, first + i, *item) for i, item in enumerate(payloads)]))
        except OSError as error:
            self._failed(error)
            return False
        if self.failure is not None:
            log.warning("journal %s is written again", self.name)
            self.failure = None
        self._seq += len(payloads)
        self._written_seq = self._seq
        self._count("issued", self._seq)
        return True

    def _lose_records(self, records: int) -> None:
        self._seq += records
        self._records_lost += records
        self._count("issued", self._seq)
        self._count("records_lost", self._records_lost)

    def _encoded(self, records: Sequence[Record]) -> Payloads | None:
        """None for a record that cannot be written down: a text that is no UTF-8, or too long for a frame."""
        try:
            payloads = [encode(record) for record in records]
        except (ValueError, TypeError, OverflowError):
            log.exception("a record cannot be encoded and is counted as lost")
            return None
        return payloads if all(len(payload) <= MAX_PAYLOAD for _, payload in payloads) else None

    def _count(self, name: str, value: int) -> None:
        if self._counters is not None:
            self._counters[name] = value

    # --- segments ---------------------------------------------------------------------------

    @property
    def _directory(self) -> Path:
        return self._root / self.name

    def _segment_for(self, first_seq: int, size: int) -> Segment:
        """The segment to append to; opens and rotates. Raises OSError."""
        if self.failure is not None and monotonic_us() < self._retry_us:
            raise OSError(errno.EAGAIN, self.failure)
        if self._segment is not None and self._segment.size + size > self._segment_bytes:
            self._close_segment()
        self._check_cap(size)
        if self._segment is None:
            self._open_segment(first_seq)
        assert self._segment is not None
        return self._segment

    def _check_cap(self, size: int) -> None:
        """Ingest frees segments behind our back, so the disk is asked again before a record is refused."""
        used = self._segment.size if self._segment is not None else 0
        if self._closed_bytes + used + size > self._settings.max_bytes:
            self._closed_bytes = self._bytes_on_disk() - used
            if self._closed_bytes + used + size > self._settings.max_bytes:
                raise OSError(errno.EDQUOT, f"the journal is at its cap of {self._settings.max_bytes} bytes")

    def _open_segment(self, first_seq: int) -> None:
        if self._counters is None:
            self._open_directory()
        if self._counters is None:
            raise OSError(errno.EIO, f"{self._directory} cannot be made")
        # The reader takes a segment for closed when none is active, so say first that one is.
        self._counters["active"] = first_seq
        self._closed_bytes = self._bytes_on_disk()
        try:
            self._segment = Segment(self._directory, first_seq)
        except OSError:
            self._counters["active"] = 0  # or the last segment could not be freed, which may be what is needed
            raise

    def _close_segment(self) -> None:
        if self._segment is None:
            return
        self._closed_bytes += self._segment.size
        with contextlib.suppress(OSError):
            self._segment.close()
        self._segment = None
        self._count("active", 0)

    def _open_directory(self) -> None:
        """Make the directory with its counter file inside, in one step as readers see it."""
        if self._directory.exists():
            return
        temporary = self._directory.with_name(f".{self.name}.new")
        try:
            temporary.mkdir(mode=0o700, parents=True, exist_ok=True)
            counters = Gauges.create(temporary / COUNTER_FILE, COUNTERS)
            temporary.rename(self._directory)
        except OSError as error:
            self._note(error)
            return
        self._counters = counters
        counters["issued"] = self._seq
        counters["calls_lost"], counters["records_lost"] = self._calls_lost, self._records_lost

    def _start_anew(self) -> None:
        """Somebody took the directory away: what ingest had not read of it is lost, and a new one is begun."""
        assert self._counters is not None
        unread = max(0, self._written_seq - self._counters["ingested"])
        log.error("the directory of journal %s is gone, with %d records in it; a new one is begun", self.name, unread)
        self._close_segment()
        self._counters.close()
        self._counters = None
        self.generation += 1
        self.name = f"{self._first_name}-{self.generation}"
        self._seq = self._written_seq = 0
        self._open_directory()
        self._lose_records(unread)

    def _bytes_on_disk(self) -> int:
        with contextlib.suppress(OSError), os.scandir(self._directory) as entries:
            return sum(entry.stat().st_size for entry in entries)
        return 0

    # --- failure ----------------------------------------------------------------------------

    def _failed(self, error: OSError) -> None:
        if error.errno != errno.EAGAIN:
            # A file that failed once is not trusted again; one at the cap can be freed once it is closed.
            self._close_segment()
            self._note(error)

    def _note(self, error: OSError) -> None:
        reason = error.strerror or str(error)
        if self.failure is None:
            log.error("journal %s cannot be written: %s; calls go on unrecorded and are counted", self.name, reason)
        self.failure = reason
        self._retry_us = monotonic_us() + _RETRY_US

    def _leave_loop(self, took_us: int) -> None:
        log.warning("a journal write took %d ms: writing from a thread until the disk is quick again", took_us // 1000)
        self._vitals["journal_slow"] = 1
        self._slow = SlowDisk(self, self._settings.slow_write_ms * 1000, self._settings.buffer_bytes)
