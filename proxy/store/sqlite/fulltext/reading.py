"""Files of full text, open for searching: those that were read last, and what is wrong with the others."""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from time import time_ns

from msgspec import Struct

from ....clock import monotonic_us
from ...base import Behind
from ..files import connect_reader, schema_version
from ..queries import QUERIES
from .files import VERSION, day_of, segment_name, text_files, text_name

UNREADABLE = (sqlite3.Error, UnicodeDecodeError, OSError)  #: what a damaged file can raise
_OPEN_FILES = 64  #: a rare word is sought in all of them
_CACHE_KIB = 256
_COARSE_NS = 20_000_000  #: what a file system takes for the same moment
_LOOKS = 10_000  #: steps of SQLite's machine between two looks at the clock
_COUNTED = 10_000  #: calls that are behind; more are not counted
_NEWEST_FILES = 8  #: one of these holds how far all has come


class TextReader(Struct, frozen=True):
    """One file."""

    name: str
    connection: sqlite3.Connection

    @property
    def whole(self) -> bool:
        """Whether it is not being made anew."""
        return bool(self.connection.execute("SELECT built_after IS NULL FROM about").fetchone()[0])

    def newest(self, expression: str, below: int, limit: int) -> list[int]:
        """The last calls with an id below this one that match, the last first."""
        return [
            call
            for (call,) in self.connection.execute(
                "SELECT rowid FROM words WHERE words MATCH ? AND rowid < ? ORDER BY rowid DESC LIMIT ?",
                (expression, below, limit),
            )
        ]

    def between(self, expression: str, first: int, last: int) -> set[int]:
        """All calls that match, of these ids."""
        return {
            call
            for (call,) in self.connection.execute(
                "SELECT rowid FROM words WHERE words MATCH ? AND rowid BETWEEN ? AND ?", (expression, first, last)
            )
        }


class TextReaders:
    """The files of a store. For one thread."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._open: OrderedDict[tuple[str, int], TextReader] = OrderedDict()
        self._segments: dict[str, int] = {}
        self._until_us = 0
        self._listed: tuple[int, list[Path]] = (0, [])  #: when the directory had changed, and what was in it

    def close(self, _: sqlite3.Connection) -> None:
        """Close all files."""
        while self._open:
            self._open.popitem()[1].connection.close()

    def stop_at(self, until_us: int) -> None:
        """From this moment on (monotonic), what is asked of files is given up: ``sqlite3.OperationalError``."""
        self._until_us = until_us

    def days(self) -> dict[str, list[Path]]:
        """The files by day, the last day first; those without a day last."""
        found: dict[str, list[Path]] = {}
        for path in self._files():
            found.setdefault(day_of(path.name), []).append(path)
        return found

    def _files(self) -> list[Path]:
        """Asked for at every step of a search; looked for again when the directory has changed."""
        changed_ns = self._directory.stat().st_mtime_ns if self._directory.exists() else 0
        if changed_ns != self._listed[0]:
            found = text_files(self._directory)
            if time_ns() - changed_ns < _COARSE_NS:
                return found
            self._listed = changed_ns, found
        return self._listed[1]

    def segment(self, main: sqlite3.Connection, path: Path) -> int:
        """The number in ``dim`` of the segment that a file belongs to; 0 for one that no row speaks of."""
        known = self._segments.get(path.name)
        if known is None:
            row = main.execute(QUERIES["segment_id"], (segment_name(path.name),)).fetchone()
            if row is None:
                return 0
            known = self._segments[path.name] = row[0]
        return known

    def reader(self, path: Path) -> TextReader:
        """An open file. Raises one of ``UNREADABLE``."""
        key = (path.name, path.stat().st_ino)  # a file that was deleted and made again is another one
        self._open[key] = found = self._open.pop(key, None) or self._opened(path)
        while len(self._open) > _OPEN_FILES:
            self._open.popitem(last=False)[1].connection.close()
        return found

    def _opened(self, path: Path) -> TextReader:
        connection = connect_reader(path)
        try:
            if schema_version(connection) != VERSION:
                raise sqlite3.DatabaseError("another version of llmtap made it")
            connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            connection.set_progress_handler(self._is_over, _LOOKS)
            return TextReader(path.name, connection)
        except BaseException:
            connection.close()
            raise

    def _is_over(self) -> bool:
        return 0 < self._until_us < monotonic_us()

    def behind(self, main: sqlite3.Connection) -> Behind:
        """How many calls cannot be found yet, and since when."""
        calls, since_us = main.execute(QUERIES["calls_behind"], (self._done_rev(), _COUNTED)).fetchone()
        return Behind(calls=calls, since_us=since_us, more=calls == _COUNTED)

    def _done_rev(self) -> int:
        return max([0, *self._done_revs()])

    def _done_revs(self) -> Iterator[int]:
        for path in self._files()[:_NEWEST_FILES]:
            try:
                yield self.reader(path).connection.execute("SELECT done_rev FROM about").fetchone()[0]
            except UNREADABLE:
                continue

    def problems(self, main: sqlite3.Connection) -> tuple[str, ...]:
        """One sentence for each file that is missing or cannot be opened."""
        return tuple(self._problems(main))

    def _problems(self, main: sqlite3.Connection) -> Iterator[str]:
        for _, segment in main.execute(QUERIES["segments"]).fetchall():
            path = self._directory / text_name(segment)
            if not (self._directory / segment).exists():
                continue
            try:
                if not self.reader(path).whole:
                    yield f"{path.name} is being made anew"
            except FileNotFoundError:
                yield f"{path.name} is missing"
            except UNREADABLE as error:
                yield f"{path.name} cannot be read: {error}"
