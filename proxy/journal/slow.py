"""Writing from a thread while the disk is slow: a queue bounded in bytes, and one owner.

While this exists only its thread writes to the journal; when the thread has left, only the event
loop does. The hand-over back happens with an empty queue, so order is kept. A record that finds
no room is lost; its sequence number is consumed in its place, so that it reads as a gap.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from typing import Protocol

log = logging.getLogger(__name__)

Written = bool | asyncio.Future[bool]
Payloads = list[tuple[int, bytes]]

_QUICK_WRITES = 64  #: so many quick writes in a row and the disk counts as quick
_WRITE_BYTES = 1 << 20  #: queued records are joined up to this size


class Disk(Protocol):
    """What the thread works on; only one thread uses it at a time."""

    def write(self, payloads: Payloads) -> bool:
        """Write records; False when they are lost."""
        ...

    def skip(self, records: int) -> None:
        """Consume the sequence numbers of records that are lost already."""
        ...

    def quick_again(self) -> None:
        """The thread has left; called in the event loop."""
        ...


class Waiting:
    """Records in the queue; ``lost`` of them found no room and are only to be counted."""

    __slots__ = ("done", "lost", "payloads", "size")

    def __init__(self, payloads: Payloads, size: int, done: asyncio.Future[bool] | None, lost: int = 0) -> None:
        self.payloads = payloads
        self.size = size
        self.done = done
        self.lost = lost


class SlowDisk:
    """Writes to a disk from a thread of its own, until the disk is quick again."""

    def __init__(self, disk: Disk, slow_us: int, buffer_bytes: int) -> None:
        self._disk = disk
        self._slow_us = slow_us
        self._buffer_bytes = buffer_bytes
        self._loop = asyncio.get_running_loop()
        self._queue: deque[Waiting] = deque()
        self._bytes = 0
        self._quick = 0
        self._wake = threading.Condition()
        self._left = False
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="journal-slow-disk", daemon=True)
        self._thread.start()

    def submit(self, payloads: Payloads) -> Written:
        """Queue records. False at once when the buffer is full, else a future that says whether they were written."""
        size = sum(len(payload) for _, payload in payloads)
        with self._wake:
            if self._left:
                return self._disk.write(payloads)
            if self._bytes + size > self._buffer_bytes:
                self._note_lost(len(payloads))
                return False
            done = self._loop.create_future()
            self._queue.append(Waiting(payloads, size, done))
            self._bytes += size
            self._wake.notify()
        return done

    async def stop(self) -> None:
        """Write what is queued, then end the thread."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        await self._loop.run_in_executor(None, self._thread.join)

    def _note_lost(self, records: int) -> None:
        if self._queue and self._queue[-1].lost:
            self._queue[-1].lost += records
        else:
            self._queue.append(Waiting([], 0, None, records))
        self._wake.notify()

    def _run(self) -> None:
        while batch := self._take():
            started = time.monotonic_ns()
            written = self._try(batch)
            took_us = (time.monotonic_ns() - started) // 1000
            self._quick = self._quick + 1 if took_us < self._slow_us // 5 else 0
            self._loop.call_soon_threadsafe(_resolve, batch, written)

    def _take(self) -> list[Waiting]:
        """The next records to write together; empty when the thread shall end."""
        with self._wake:
            while not self._queue:
                if self._stopping or self._quick >= _QUICK_WRITES:
                    self._left = True
                    if not self._stopping:
                        self._loop.call_soon_threadsafe(self._disk.quick_again)
                    return []
                self._wake.wait()
            batch = [self._queue.popleft()]
            size = batch[0].size
            while self._queue and not batch[-1].lost and size + self._queue[0].size <= _WRITE_BYTES:
                batch.append(self._queue.popleft())
                size += batch[-1].size
            self._bytes -= size
            return batch

    def _try(self, batch: list[Waiting]) -> bool:
        payloads = [item for waiting in batch for item in waiting.payloads]
        try:
            written = self._disk.write(payloads) if payloads else True
            if batch[-1].lost:
                self._disk.skip(batch[-1].lost)
        except Exception:
            log.exception("the journal could not be written")
            return False
        return written


def _resolve(batch: list[Waiting], written: bool) -> None:
    for waiting in batch:
        if waiting.done is not None and not waiting.done.done():
            waiting.done.set_result(written)
