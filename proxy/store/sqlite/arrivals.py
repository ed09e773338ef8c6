"""Rows that a transaction is about to insert: each is written once, with its links, and what many of them add to a
conversation is added once. Whoever reads or changes what may be waiting here calls ``flush`` before.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from .queries import QUERIES
from .rows import WRITTEN, Inserts

_FAILED = frozenset({3, 5, 6})  # error, truncated, interrupted: numbers that the first migration gave out
_MOST_TOKENS, _MOST_COST = 10**12, 10**15  # of one call: no sum leaves 64 bits, see the triggers
_DIGEST, _SERVER = 5, 6  # places in a row of ``tool_call``
_figures = itemgetter(
    *map(WRITTEN.index, ("id", "excluded", "status", "input_tokens", "output_tokens", "cost_nano_usd"))
)


class Tie(NamedTuple):
    """What a call is tied by: the values of ``rows.TIED``."""

    conversation: int | None = None
    follows: int | None = None
    follows_by: int | None = None
    answered: int | None = None
    continues: int | None = None
    system_version: int | None = None


class _Growth(Struct):
    """What is added to a conversation. The columns of ``grow_conversation``, but for its number."""

    session: int | None = None
    trace: int | None = None
    started_by: int | None = None
    last: int = 0
    calls: int = 0
    errors: int = 0
    tools: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_nano_usd: int = 0

    def add(self, row: Sequence[Any], tools: int) -> None:
        """One more call; those that are excluded do not count."""
        row_id, excluded, status, received, sent, cost = _figures(row)
        if excluded is None:
            self.last = max(self.last, row_id)
            self.calls += 1
            self.errors += status in _FAILED
            self.tools += tools
            self.input_tokens += _within(received, _MOST_TOKENS)
            self.output_tokens += _within(sent, _MOST_TOKENS)
            self.cost_nano_usd += _within(cost, _MOST_COST)


def _within(amount: int | None, most: int) -> int:
    return max(0, min(amount or 0, most))


class Arrivals:
    """Of one writing connection, for the transaction that it is in."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._main = connection
        self._inserts = Inserts()
        self.forget()

    def forget(self) -> None:
        """The transaction was rolled back."""
        self._rows: list[tuple[Any, ...]] = []
        self._tools: list[tuple[Any, ...]] = []
        self._postings: list[tuple[int, int]] = []
        self._conversations: dict[int, _Growth] = {}
        self._asked: set[int] = set()

    def add(
        self,
        row: Sequence[Any],
        tie: Tie | None = None,
        *,
        tools: Sequence[tuple[Any, ...]] = (),
        postings: Iterable[tuple[int, int]] = (),
    ) -> None:
        """A call: the values of ``rows.WRITTEN``, and rows of ``tool_call`` and ``posting``."""
        self._rows.append((*row, *(tie or Tie())))
        self._postings += postings
        if tools:
            self._tools += tools
            self._asked |= {tool[_DIGEST] for tool in tools if not tool[_SERVER]}
        if tie is not None and tie.conversation is not None:
            self._growth(tie.conversation).add(row, len(tools))

    def begin(self, conversation: int, session: int | None, trace: int | None) -> None:
        """A conversation, unless there is one of this number."""
        growth = self._growth(conversation)
        growth.session, growth.trace = session, trace

    def started(self, conversation: int, by: int) -> None:
        """Which call a conversation was started by, unless that is known."""
        growth = self._growth(conversation)
        growth.started_by = growth.started_by or by

    def _growth(self, conversation: int) -> _Growth:
        found = self._conversations.get(conversation)
        if found is None:
            found = self._conversations[conversation] = _Growth()
        return found

    def asks(self, digest: int) -> bool:
        """Whether a tool that waits here may be the one that a result is for."""
        return digest in self._asked

    def flush(self) -> None:
        """Write all of it."""
        if self._rows:
            self._main.executemany(QUERIES["add_tool"], self._tools)  # before their calls, or triggers count them twice
            for row in self._rows:
                self._main.execute(*self._inserts.of(row))
            self._main.executemany(QUERIES["add_posting"], self._postings)
        if self._conversations:
            grown = [(number, *msgspec.structs.astuple(growth)) for number, growth in self._conversations.items()]
            self._main.executemany(QUERIES["grow_conversation"], grown)
        if self._rows or self._conversations:
            self.forget()
