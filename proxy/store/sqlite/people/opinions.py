"""Scores, comments and corrections: each author's last word on each part of a call.

The last that is stored is the last word; what was said before stays in the history. Beside opinions
stands ``score``: what each author thinks of a call and its parts on average, which filters and lists
read. What is said of a whole conversation is no score of one of its calls.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from math import isfinite

from ....records import Score
from ...heard import NAME_CHARS, author, moment, text
from ...judgements import TRACE, WHOLE, FeedbackSaid, Given
from .. import rows
from ..queries import QUERIES

_NAME, _AUTHOR, _LABEL = (rows.KINDS[kind] for kind in ("score", "author", "label"))
NAMES = 64  #: of scores, of one call
WORDS = 1_000  #: opinions of one call, and as many remarks
COMMENT, CORRECTION = 0, 1  #: kinds of remarks

Text = Callable[[int, str], int]


class Opinions:
    """Of one writing connection; ``text`` gives the number of a shared text. All in a transaction."""

    def __init__(self, connection: sqlite3.Connection, text: Text) -> None:
        self._main = connection
        self._text = text

    def feedback(self, call: int, who: str, said: FeedbackSaid, at_us: int) -> None:
        """Everything that an author thinks of a part of a call."""
        by = self._text(_AUTHOR, who)
        for given in said.scores:
            self.judge(call, said.part, by, given, at_us)
        for kind, remark in ((COMMENT, said.comment), (CORRECTION, said.expected)):
            if remark is not None:
                self._remark(call, said.part, (kind, by), remark, at_us)

    def score(self, call: int, score: Score) -> bool:
        """A number from elsewhere, unless its author has spoken later; whether it changed anything."""
        name, by = self._text(_NAME, text(score.name, NAME_CHARS)), self._text(_AUTHOR, author(score.author))
        at_us = moment(score.at_us)
        known = self._main.execute(QUERIES["opinion_of"], (call, name, by, WHOLE)).fetchone()
        if not isfinite(score.value) or (known is not None and (at_us, score.value) in (known, (known[0], None))):
            return False
        if known is not None and at_us < known[0]:
            return False
        self.judge(call, WHOLE, by, Given(name=score.name, value=score.value), at_us)
        return True

    def judge(self, call: int, part: str, by: int, given: Given, at_us: int) -> None:
        """One word on one name; without a value, it is taken back."""
        name = self._text(_NAME, text(given.name, NAME_CHARS))
        key = (call, name, by, part)
        if part == TRACE:
            self._main.execute(QUERIES["drop_trace_opinions"], (name, by, call))
        if given.value is None:
            self._main.execute(QUERIES["drop_opinion"], key)
        elif self._has_room(call, name):
            self._main.execute(QUERIES["put_opinion"], (*key, *self._values(given), at_us))
        self._main.execute(QUERIES["put_mean"], (call, name, by, TRACE))
        self._main.execute(QUERIES["drop_mean"], (call, name, by, TRACE))

    def _values(self, given: Given) -> Sequence[float | int | str | None]:
        """Value, label, whether it is a truth, comment."""
        if isinstance(given.value, str):
            return None, self._text(_LABEL, given.value), 0, given.comment
        number = None if given.value is None else float(given.value)
        return number, None, int(isinstance(given.value, bool)), given.comment

    def _has_room(self, call: int, name: int) -> bool:
        words, names, knows = self._main.execute(QUERIES["count_opinions"], (name, call)).fetchone()
        return words < WORDS and (names < NAMES or bool(knows))

    def _remark(self, call: int, part: str, key: tuple[int, int], said: str, at_us: int) -> None:
        kind, by = key
        if part == TRACE:
            self._main.execute(QUERIES["drop_trace_remarks"], (kind, by, call))
        if not said:
            self._main.execute(QUERIES["drop_remark"], (call, kind, by, part))
        elif self._main.execute(QUERIES["count_remarks"], (call,)).fetchone()[0] < WORDS:
            self._main.execute(QUERIES["put_remark"], (call, kind, by, part, said, at_us))
