"""Which segment takes today's bodies: one a day (UTC), and a further one when that is damaged,
or was begun by an older llmtap.

Names: ``body-<class>-<day>.db``, then ``body-<class>-<day>-2.db``… One retention class so far.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from ...errors import StoreError
from ...records import Exchange
from .files import translated_errors
from .segment import OlderSegment, SegmentWriter, is_damage

_CLASS = "default"
_MOST = 100  # segments of one day


class Segments:
    """Writes bodies into the segment of the day, and opens, leaves and replaces segments as needed."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._current: SegmentWriter | None = None
        self._day = ""
        self._damaged: set[str] = set()

    def write(self, entries: Sequence[tuple[bytes, Exchange]], now_us: int) -> tuple[str, list[int]]:
        """Store bodies durably: the segment's name, and each one's row in it.

        Raises ``StoreError`` when the disk refuses; nothing is stored then.
        """
        while True:
            segment = self._of_day(now_us)
            try:
                return segment.path.name, segment.write(entries)
            except BaseException as error:
                self.close()  # it remembers messages that were rolled back
                if not is_damage(error):
                    with translated_errors(segment.path):
                        raise
                self._damaged.add(segment.path.name)

    def close(self) -> None:
        """Close the open segment."""
        if self._current is not None:
            self._current.close()
            self._current = None

    def _of_day(self, now_us: int) -> SegmentWriter:
        day = datetime.fromtimestamp(now_us / 1_000_000, UTC).strftime("%Y%m%d")
        if self._current is None or day != self._day or not self._current.in_place():
            self.close()
            self._current = self._opened(day)
            self._day = day
        return self._current

    def _opened(self, day: str) -> SegmentWriter:
        for name in _names(day):
            if name in self._damaged:
                continue
            try:
                return SegmentWriter(self._directory / name)
            except OlderSegment:
                continue
            except (sqlite3.Error, UnicodeDecodeError) as error:
                if not is_damage(error):
                    raise
                self._damaged.add(name)
        raise StoreError(f"{self._directory}: all {_MOST} body files of {day} are damaged: look at the disk")


def _names(day: str) -> Iterator[str]:
    yield f"body-{_CLASS}-{day}.db"
    for number in range(2, _MOST + 1):
        yield f"body-{_CLASS}-{day}-{number}.db"
