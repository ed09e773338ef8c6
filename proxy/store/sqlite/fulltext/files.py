"""The file with the words of one body segment: how it is named, made, opened and written."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from ....query.letters import folded
from ...texts import Texts
from ..files import connect_reader, connect_writer, create, schema_version, sync_directory, transaction

VERSION = 1
_BODY, _TEXT = "body-", "fts-"
_SCHEMA = Path(__file__).with_name("schema.sql")
_DAY = re.compile(r"-(\d{8})(?:-\d+)?\.db$")
_CHECKPOINT_PAGES = 16_000  # 64 MB: what is merged again and again is written to the file less often
_INSERT = "INSERT INTO words (rowid, output, tools, input, system) VALUES (?, ?, ?, ?, ?)"
_MERGED_PAGES = 200  # at once
_FREED_PAGES = 2000


class Indexable(Struct, frozen=True):
    """A call whose bodies have been stored. ``texts``: None when there is nothing to be added."""

    call: int  #: call.id
    rev: int
    segment: str  #: name of its body segment
    texts: Texts | None = None


class About(Struct, frozen=True):
    """What a file says of itself."""

    done_rev: int
    built_after: int | None
    merged: bool
    calls: int


def text_name(segment: str) -> str:
    """The name of the file that belongs to a body segment."""
    return segment.replace(_BODY, _TEXT, 1)


def segment_name(text: str) -> str:
    """The opposite of ``text_name``."""
    return text.replace(_TEXT, _BODY, 1)


def text_files(directory: Path) -> list[Path]:
    """Those that are there, the newest day first; of files without a day nobody knows, they come last."""
    return sorted(directory.glob(f"{_TEXT}*.db"), key=lambda path: (day_of(path.name), path.name), reverse=True)


def day_of(name: str) -> str:
    """``20261121``, the UTC day on which what a file holds was stored."""
    found = _DAY.search(name)
    return found[1] if found else ""


def drop(directory: Path, name: str) -> None:
    """Delete a file, and before it what SQLite keeps beside it: afterwards, that could be a new file's."""
    for companion in ("-wal", "-shm", ""):
        (directory / f"{name}{companion}").unlink(missing_ok=True)


def about(path: Path) -> About | None:
    """What a file says of itself; None when it is not there, or of another version. Raises ``sqlite3.Error``."""
    try:
        connection = connect_reader(path)
    except sqlite3.OperationalError:
        return None
    try:
        if schema_version(connection) != VERSION:
            return None
        row = connection.execute("SELECT done_rev, built_after, merged FROM about").fetchone()
        (calls,) = connection.execute("SELECT count(*) FROM words_docsize").fetchone()
        return About(row[0], row[1], bool(row[2]), calls)
    finally:
        connection.close()


class TextFile:
    """A file that words are being added to. After an exception it is of no more use: close it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            _make(path)
        self._connection = connect_writer(path)
        try:
            self._connection.execute("PRAGMA synchronous = NORMAL")  # it can be made anew
            self._connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}").fetchone()
            self._inode = path.stat().st_ino
            self.current = schema_version(self._connection) == VERSION
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Close the file; its WAL is folded in, also when somebody reads it: then SQLite would leave that."""
        with suppress(sqlite3.Error):
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        self._connection.close()

    def in_place(self) -> bool:
        """Whether the file is still the one at its path: retention may have deleted it."""
        with suppress(OSError):
            return self.path.stat().st_ino == self._inode
        return False

    def missing(self, calls: Iterable[int]) -> set[int]:
        """Those of these calls that are not in it."""
        execute = self._connection.execute
        return {call for call in calls if not execute("SELECT 1 FROM words_docsize WHERE id = ?", (call,)).fetchone()}

    def add(self, calls: Sequence[Indexable], *, done_rev: int | None = None, built_after: int | None = None) -> None:
        """Add those that are not there yet, and how far one has come, in one transaction."""
        missing = self.missing(each.call for each in calls)
        rows = [_row(each.call, each.texts) for each in calls if each.texts is not None and each.call in missing]
        with transaction(self._connection):
            self._connection.executemany(_INSERT, rows)
            self._connection.execute(
                "UPDATE about SET done_rev = coalesce(?, done_rev), built_after = coalesce(?, built_after), merged = 0",
                (done_rev, built_after),
            )

    def build(self, after: int | None) -> None:
        """Say that calls above an id are to be looked at again; None: no more."""
        self._connection.execute("UPDATE about SET built_after = ?", (after,))

    def merge(self) -> bool:
        """A step towards one tree, and a file without holes, for a segment that nothing comes to any more.

        Whether there is more to do.
        """
        before = self._connection.total_changes
        self._connection.execute("INSERT INTO words (words, rank) VALUES ('merge', ?)", (-_MERGED_PAGES,))
        if self._connection.total_changes - before > 1:
            return True
        # As a script: of a single statement, Python runs only the first step, which frees one page.
        self._connection.executescript(f"PRAGMA incremental_vacuum({_FREED_PAGES})")
        if self._connection.execute("PRAGMA freelist_count").fetchone()[0]:
            return True
        self._connection.execute("UPDATE about SET merged = 1")
        return False


def _row(call: int, texts: Texts) -> tuple[int, str, str, str, str]:
    return call, folded(texts.output), folded(texts.tools), folded(texts.input), folded(texts.system)


def _make(path: Path) -> None:
    """A file without calls. Whether free pages can be given back is settled before anything is in it."""
    create(path)
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.executescript(f"BEGIN IMMEDIATE;{_SCHEMA.read_text('utf-8')};COMMIT;")
    finally:
        connection.close()
    sync_directory(path.parent)
