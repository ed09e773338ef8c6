"""What all calls of a relay share on their way into the journal: its timer, and ends that wait for a failing disk."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Protocol

from ..clock import monotonic_us
from ..config import Journal as Settings
from ..journal.writer import JournalWriter
from ..records import End

log = logging.getLogger(__name__)
_MOST_UNWRITTEN_ENDS = 4096


class Flushable(Protocol):
    """Something that holds bytes which are not in the journal yet."""

    def flush(self) -> object:
        """Write them."""
        ...


class Recording:
    """One per worker."""

    def __init__(self, journal: JournalWriter, settings: Settings) -> None:
        self.journal = journal
        self.settings = settings
        self._dirty: dict[Flushable, int] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._unwritten_ends: deque[End] = deque(maxlen=_MOST_UNWRITTEN_ENDS)

    @property
    def refuses(self) -> bool:
        """Whether a call that cannot be recorded must not complete."""
        return self.settings.on_capture_failure == "refuse"

    def wait_for_more(self, capture: Flushable) -> None:
        """Flush ``capture`` at the latest ``part_delay_ms`` from now."""
        self._dirty.setdefault(capture, monotonic_us())
        if self._timer is None:
            self._arm(self.settings.part_delay_ms / 1000)

    def forget(self, capture: Flushable) -> None:
        """It has nothing unwritten any more."""
        self._dirty.pop(capture, None)

    def keep_end(self, end: End) -> None:
        """Remember the end of a call whose beginning is recorded, until the disk takes it.

        The call is counted as lost already; beyond the bound the oldest is forgotten, and its row
        stays running until the relay ends.
        """
        self._unwritten_ends.append(end)

    def tick(self) -> None:
        """Once a second."""
        self.journal.tick()
        while self._unwritten_ends and self.journal.append_if_possible([self._unwritten_ends[0]]):
            self._unwritten_ends.popleft()

    def _arm(self, delay_s: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._flush_due)

    def _flush_due(self) -> None:
        """Flush what is due; one call's trouble is not another's, and the timer goes on."""
        self._timer = None
        delay_us = self.settings.part_delay_ms * 1000
        due = monotonic_us() - delay_us
        for capture, since_us in list(self._dirty.items()):
            if since_us > due:
                self._arm((since_us - due) / 1_000_000)
                return
            try:
                capture.flush()
            except Exception:
                log.exception("parts of a call could not be journaled")
                self.forget(capture)
