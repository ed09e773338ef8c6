"""Which segment takes today's bodies: of each retention class one a day (UTC), and a further one when that is
full, damaged, or was begun by an older llmtap.

Names: ``body-<class>-<day>.db``, then ``body-<class>-<day>-2.db``…
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from ...errors import StoreError
from .files import translated_errors
from .segment import MEMORY_BYTES, Entry, OlderSegment, SegmentWriter, is_damage

FULL_BYTES = 1 << 30  #: a segment that has come so far takes no more
_MOST = 1000  # segments of one class and day


class Segments:
    """Writes bodies into the segments of the day, and opens, leaves and replaces segments as needed."""

    def __init__(
        self, directory: Path, secret: bytes, full_bytes: int = FULL_BYTES, memory_bytes: int = MEMORY_BYTES
    ) -> None:
        self._directory = directory
        self._secret = secret
        self._full_bytes = full_bytes
        self._memory_bytes = memory_bytes
        self._open: dict[str, tuple[str, SegmentWriter]] = {}  # by class: day and segment
        self._left: set[str] = set()  # damaged, or full

    def write(self, kept: str, entries: Sequence[Entry], now_us: int) -> str:
        """Store bodies of a retention class durably; the segment's name.

        Raises ``StoreError`` when the disk refuses; nothing is stored then.
        """
        while True:
            segment = self._of_day(kept, now_us)
            try:
                segment.write(entries)
            except BaseException as error:
                self._close(kept)  # it remembers pieces that were rolled back
                if not is_damage(error):
                    with translated_errors(segment.path):
                        raise
                self._left.add(segment.path.name)
            else:
                return segment.path.name

    def leave(self, names: Iterable[str]) -> None:
        """Write to these files no more, nor to others of their names: their bodies expire, or have expired."""
        self._left.update(names)
        for kept, (_, segment) in list(self._open.items()):
            if segment.path.name in self._left:
                self._close(kept)

    def close(self) -> None:
        """Close the open segments."""
        for kept in list(self._open):
            self._close(kept)

    def _close(self, kept: str) -> None:
        if kept in self._open:
            self._open.pop(kept)[1].close()

    def _of_day(self, kept: str, now_us: int) -> SegmentWriter:
        day = datetime.fromtimestamp(now_us / 1_000_000, UTC).strftime("%Y%m%d")
        begun, segment = self._open.get(kept, ("", None))
        if segment is not None and begun == day and segment.in_place():
            if segment.size() < self._full_bytes:
                return segment
            self._left.add(segment.path.name)
        self._close(kept)
        segment = self._opened(f"body-{kept}-{day}")
        self._open[kept] = day, segment
        return segment

    def _opened(self, stem: str) -> SegmentWriter:
        for name in _names(stem):
            path = self._directory / name
            if name in self._left or (path.exists() and path.stat().st_size >= self._full_bytes):
                continue
            try:
                return SegmentWriter(path, self._secret, self._memory_bytes)
            except OlderSegment:
                continue
            except (sqlite3.Error, UnicodeDecodeError) as error:
                if not is_damage(error):
                    raise
                self._left.add(name)
        raise StoreError(f"{self._directory}: all {_MOST} files {stem}*.db are damaged or full: look at the disk")


def _names(stem: str) -> Iterator[str]:
    yield f"{stem}.db"
    for number in range(2, _MOST + 1):
        yield f"{stem}-{number}.db"
