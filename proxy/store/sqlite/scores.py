"""Scores of calls: each author's last word on each name.

Runs inside the transaction that writes the rows: a score may come with its call.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Sequence

from ...records import Score
from . import rows
from .queries import QUERIES

_NAME, _AUTHOR = rows.KINDS["score"], rows.KINDS["author"]


def write_scores(
    connection: sqlite3.Connection,
    text: Callable[[int, str], int],
    next_rev: Callable[[], int],
    scores: Sequence[Score],
    now_us: int,
) -> None:
    """Store them; calls that are scored anew get a new rev.

    Passed over are scores of calls that are not stored, and values that are no finite numbers.
    """
    for score in scores:
        row = connection.execute(QUERIES["call_of"], (rows.uuid_bytes(score.call),)).fetchone()
        if row is not None and math.isfinite(score.value):
            key = (row[0], text(_NAME, score.name), text(_AUTHOR, score.author))
            if connection.execute(QUERIES["put_score"], (*key, float(score.value), score.at_us)).rowcount:
                connection.execute(QUERIES["touch"], (next_rev(), now_us, row[0]))
