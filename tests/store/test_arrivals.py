"""New rows: what is written of them, and what they add to conversations."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import combinations, islice
from pathlib import Path
from typing import Any

import pytest

from proxy.store.sqlite.arrivals import Arrivals, Tie
from proxy.store.sqlite.rows import TIED, WRITTEN
from proxy.store.sqlite.schema import migrate

NUMBERS = [
    name for name in WRITTEN if name.endswith(("tokens", "_us")) and name not in ("started_at_us", "updated_at_us")
]
BOUNDARY = 1 << 62


@pytest.fixture
def main(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(tmp_path / "main.db", isolation_level=None)) as connection:
        migrate(connection, tmp_path / "main.db")
        yield connection


def a_row(number: int, **values: Any) -> tuple[Any, ...]:
    """The values of ``WRITTEN``."""
    known = {
        "id": number, "uuid": number.to_bytes(16), "rev": number, "news_rev": number, "started_at_us": number,
        "updated_at_us": number, "status": 2,
    }  # fmt: skip
    return tuple((known | values).get(name) for name in WRITTEN)


def conversations(main: sqlite3.Connection) -> list[tuple[Any, ...]]:
    return main.execute(
        "SELECT id, session, started_by, last, calls, errors, tools, input_tokens FROM conversation ORDER BY id"
    ).fetchall()


def test_rows_of_many_shapes_are_written_as_they_are(main: sqlite3.Connection) -> None:
    arrivals = Arrivals(main)
    shapes = islice(combinations(NUMBERS, 3), 250)
    written = [a_row(number, **dict.fromkeys(names, number)) for number, names in enumerate(shapes, 1)]
    for row in written:
        arrivals.add(row, Tie(system_version=7))
    arrivals.flush()
    columns = ", ".join((*WRITTEN, *TIED))
    tied = (None, None, None, None, None, 7)
    assert main.execute(f"SELECT {columns} FROM call ORDER BY id").fetchall() == [(*row, *tied) for row in written]


def test_a_conversation_grows_by_all_its_calls_at_once(main: sqlite3.Connection) -> None:
    arrivals = Arrivals(main)
    arrivals.begin(1, 40, None)
    arrivals.add(a_row(1, input_tokens=5), Tie(conversation=1))
    arrivals.add(
        a_row(2, input_tokens=BOUNDARY, status=3), Tie(conversation=1, follows=1), tools=[(2, 0, None, None, 1, 9, 0)]
    )
    arrivals.add(a_row(3, input_tokens=7, excluded=50), Tie(conversation=1))
    arrivals.add(a_row(4, input_tokens=-3))
    assert (arrivals.asks(9), arrivals.asks(8)) == (True, False)
    arrivals.flush()
    assert conversations(main) == [(1, 40, None, 2, 2, 1, 1, 5 + 10**12)]
    assert not arrivals.asks(9)
    arrivals.started(1, 90)
    arrivals.flush()
    arrivals.started(1, 91)
    arrivals.add(a_row(5, input_tokens=1), Tie(conversation=1))
    arrivals.flush()
    assert conversations(main) == [(1, 40, 90, 5, 3, 1, 1, 6 + 10**12)]


def test_what_is_forgotten_is_not_written(main: sqlite3.Connection) -> None:
    arrivals = Arrivals(main)
    arrivals.begin(1, None, None)
    arrivals.add(a_row(1), Tie(conversation=1), postings=[(3, 1)])
    arrivals.forget()
    arrivals.flush()
    assert conversations(main) == []
    assert main.execute("SELECT (SELECT count(*) FROM call), (SELECT count(*) FROM posting)").fetchone() == (0, 0)
