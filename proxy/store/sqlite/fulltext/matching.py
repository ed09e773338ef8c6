"""``text match '…'`` in a filter, as a condition on rows.

Few matches are listed. Of many, each row is asked for: a function that SQLite calls looks up the
matches of a stretch of rows at once, and remembers them for the next rows of that stretch.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from itertools import cycle, islice
from pathlib import Path

import orjson

from ....query.tree import Match
from ...texts import COLUMNS
from ..compile import Condition
from .match import sought
from .reading import UNREADABLE, TextReaders

LISTED = 2_000  #: matches
_STRETCH = 4_096  #: rows
_STRETCHES = 64  #: that are remembered
_ALL_IDS = (1 << 63) - 1
_FUNCTIONS = 64  #: a filter holds fewer matches than there are names for them
#: The first part says where the rows are, the second that the words are still those of their bodies.
_LISTED = (
    "(id IN (SELECT value ->> 0 FROM json_each(?)) "
    "AND (id, segment) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?)))"
)
_names = cycle(f"holds_words_{number}" for number in range(_FUNCTIONS))


class Matching:
    """What matches mean, for one statement on ``main.db``. Files that cannot be read hold nothing."""

    def __init__(self, main: sqlite3.Connection, readers: TextReaders) -> None:
        self._main = main
        self._readers = readers

    def __call__(self, where: Match) -> Condition:
        """The rows whose texts hold the words. Raises ``QueryError`` when these are none."""
        few = self._listed(where)
        if few is not None:
            pairs = orjson.dumps(few).decode()
            return Condition(_LISTED, (pairs, pairs))
        files = {self._readers.segment(self._main, path): path for path in self._paths()}
        name = next(_names)
        self._main.create_function(name, 2, _Holds(self._readers, files, _sought(where)))
        return Condition(f"{name}(id, segment)")

    def _listed(self, where: Match) -> list[tuple[int, int]] | None:
        """All that match, with the segments that their words are of; None when they are many."""
        found = list(islice(self._matches(_sought(where)), LISTED + 1))
        return found if len(found) <= LISTED else None

    def _matches(self, sought: str) -> Iterator[tuple[int, int]]:
        for path in self._paths():
            with suppress(*UNREADABLE):
                segment = self._readers.segment(self._main, path)
                yield from ((call, segment) for call in self._readers.reader(path).newest(sought, _ALL_IDS, LISTED + 1))

    def _paths(self) -> Iterator[Path]:
        for paths in self._readers.days().values():
            yield from paths


def _sought(where: Match) -> str:
    return sought(where.words, COLUMNS if where.field == "text" else (where.field,))


class _Holds:
    """Whether the texts of a row hold the words: what SQLite asks of one row after another."""

    def __init__(self, readers: TextReaders, files: dict[int, Path], sought: str) -> None:
        self._readers = readers
        self._files = files
        self._sought = sought
        self._stretches: dict[tuple[int, int], set[int]] = {}

    def __call__(self, call: int, segment: int | None) -> bool:
        key = (segment or 0, call // _STRETCH)
        known = self._stretches.get(key)
        if known is None:
            if len(self._stretches) >= _STRETCHES:
                self._stretches.clear()
            known = self._stretches[key] = self._looked_up(*key)
        return call in known

    def _looked_up(self, segment: int, stretch: int) -> set[int]:
        path = self._files.get(segment)
        if path is not None:
            with suppress(*UNREADABLE):
                first = stretch * _STRETCH
                return self._readers.reader(path).between(self._sought, first, first + _STRETCH - 1)
        return set()
