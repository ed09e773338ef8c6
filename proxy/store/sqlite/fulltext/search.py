"""Calls whose texts hold some words, the newest first: from day to day, and by their numbers within a day.

Days are those on which calls were stored; a number is given when a call is first seen. Filters are
applied to the calls that match, a bounded number at a time, so a search can stop and go on.
"""

from __future__ import annotations

import heapq
import re
import sqlite3
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import islice

import orjson
from msgspec import Struct

from ....clock import monotonic_us
from ....errors import QueryError
from ....query.tree import Filter
from ....records import Call
from ...base import Found
from .. import find
from ..compile import Condition, compiled, counted, joined
from ..files import transaction
from ..queries import QUERIES
from .matching import Matching
from .reading import UNREADABLE, TextReaders

PATIENCE_US = 2_000_000  #: after it, a search stops where it is
_CHUNK = 250  #: matches that are looked up at once
_LAST_ID = (1 << 63) - 1
_PLACE = re.compile(r"(\d{8})?\.(\d{1,19})")


class Place(Struct, frozen=True, order=True):
    """How far a search has come: all after it has been looked at."""

    day: str
    below: int

    def written(self) -> str:
        """As it is handed out."""
        return f"{self.day}.{self.below}"


BEGINNING = Place("99999999", _LAST_ID)


class Question(Struct, frozen=True):
    """What is sought."""

    expression: str
    where: Filter | None = None
    since_us: int | None = None
    every: bool = False


class Step(Struct, frozen=True):
    """What a step found."""

    calls: list[Call]
    place: Place | None  #: where to go on; None: nothing is left
    back_to: int | None = None  #: the last call looked at
    problems: tuple[str, ...] = ()  #: files that could not be searched


class Search:
    """One search, step by step. Steps are for the database's thread, so that others have their turn between them."""

    def __init__(
        self, readers: TextReaders, texts: find.Texts, question: Question, before: str | None, limit: int
    ) -> None:
        self._readers = readers
        self._texts = texts
        self._question = question
        self._place: Place | None = place_of(before) if before is not None else BEGINNING
        self._limit = limit
        self._calls: list[Call] = []
        self._back_to: int | None = None
        self._problems: dict[str, None] = {}
        self._until_us = monotonic_us() + PATIENCE_US

    def step(self, main: sqlite3.Connection) -> bool:
        """Look a little further; False when there is nothing more to look at, or no more time."""
        if self._place is None or len(self._calls) == self._limit or monotonic_us() > self._until_us:
            return False
        self._readers.stop_at(self._until_us)
        try:
            done = step(main, self._readers, self._texts, self._question, self._place, self._limit - len(self._calls))
        finally:
            self._readers.stop_at(0)
        self._calls += done.calls
        self._place = done.place
        self._back_to = self._back_to if done.back_to is None else done.back_to
        self._problems |= dict.fromkeys(done.problems)
        return True

    def found(self, main: sqlite3.Connection) -> Found:
        """All that was found."""
        early = self._place is not None and len(self._calls) < self._limit
        moment = main.execute(QUERIES["moment_of"], (self._back_to,)).fetchone() if early else None
        return Found(
            calls=self._calls,
            next=self._place.written() if self._place is not None else None,
            back_to_us=moment[0] if moment else None,
            behind=self._readers.behind(main),
            problems=tuple(self._problems),
        )


class _Found(Struct, frozen=True, order=True):
    """A call that matches. ``segment``: whose words they are; its bodies may lie elsewhere by now."""

    call: int
    segment: int


def place_of(text: str) -> Place:
    """The opposite of ``Place.written``. Raises ``QueryError``."""
    found = _PLACE.fullmatch(text)
    if found is None:
        raise QueryError(f"{text!r} is no place where a search stopped")
    return Place(found[1] or "", min(int(found[2]), _LAST_ID))


def step(
    main: sqlite3.Connection,
    readers: TextReaders,
    texts: find.Texts,
    question: Question,
    place: Place,
    limit: int,
) -> Step:
    """Go on with a search until it has found ``limit`` calls, or has looked at a number of them."""
    days = [day for day in readers.days() if _oldest_day(question) <= day <= place.day or not day]
    if not days:
        return Step([], None)
    below = place.below if days[0] == place.day else _LAST_ID
    matches, problems = _matches(main, readers, days[0], question.expression, below)
    with transaction(main, "DEFERRED"):
        wanted = _wanted(main, readers, question, matches)[:limit]
        chosen = Condition("id IN (SELECT value FROM json_each(?))", (_json(wanted),))
        calls = find.listed(main, texts, chosen, "id DESC", limit)
    if len(wanted) == limit:
        return Step(calls, Place(days[0], wanted[-1]), wanted[-1], problems)
    last = matches[-1].call if matches else None
    if last is not None and len(matches) == _CHUNK:
        return Step(calls, Place(days[0], last), last, problems)
    return Step(calls, Place(days[1], _LAST_ID) if len(days) > 1 else None, last, problems)


def _oldest_day(question: Question) -> str:
    """What was accepted since a moment was not stored on an earlier day."""
    if question.since_us is None:
        return ""
    return datetime.fromtimestamp(question.since_us / 1_000_000, UTC).strftime("%Y%m%d")


def _matches(
    main: sqlite3.Connection, readers: TextReaders, day: str, expression: str, below: int
) -> tuple[list[_Found], tuple[str, ...]]:
    """The newest calls of a day that match, of all its files, and files that could not be searched."""
    found: list[list[_Found]] = []
    problems: list[str] = []
    for path in readers.days()[day]:
        try:
            file, segment = readers.reader(path), readers.segment(main, path)
            found.append([_Found(call, segment) for call in file.newest(expression, below, _CHUNK)])
            if not file.whole:
                problems.append(f"{path.name} is being made anew: not all of its calls can be found yet")
        except UNREADABLE as error:
            problems.append(f"{path.name} cannot be searched: {error}")
    return list(islice(heapq.merge(*found, reverse=True), _CHUNK)), tuple(problems)


def _wanted(main: sqlite3.Connection, readers: TextReaders, question: Question, matches: list[_Found]) -> list[int]:
    """Those that the filter lets through, and whose bodies lie where their words do."""
    words = Matching(main, readers)
    conditions = [compiled(question.where, words)] if question.every else counted(question.where, words)
    if question.since_us is not None:
        conditions.append(Condition("started_at_us >= ?", (question.since_us,)))
    rest = joined(" AND ", conditions)
    rows = main.execute(
        f"SELECT id, segment FROM call WHERE id IN (SELECT value FROM json_each(?)) AND {rest.sql} ORDER BY id DESC",
        (_json(found.call for found in matches), *rest.values),
    )
    known = set(matches)
    return [call for call, segment in rows if _Found(call, segment) in known]


def _json(ids: Iterable[int]) -> str:
    return orjson.dumps(list(ids)).decode()
