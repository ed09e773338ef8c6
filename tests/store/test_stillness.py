"""Whether a database was written to, told by its log's file."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from proxy.store.sqlite.files import connect_writer
from proxy.store.sqlite.stillness import Stillness


def test_what_is_written_is_noticed_and_what_stands_still_is_believed_for_a_second(tmp_path: Path) -> None:
    path = tmp_path / "some.db"
    with closing(connect_writer(path)) as writer:
        writer.execute("CREATE TABLE t (a)")
        still = Stillness(path)
        assert not still.holds(100.0)  # never asked before
        assert not still.holds(100.4)  # it may be that a commit is not seen yet
        assert still.holds(100.6)
        assert still.holds(101.3)
        assert not still.holds(101.5)  # a second is over
        assert still.holds(101.6)
        writer.execute("INSERT INTO t VALUES (1)")
        assert not still.holds(101.7)
        assert not still.holds(102.1)
        assert still.holds(102.3)


def test_a_log_that_begins_anew_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "some.db"
    with closing(connect_writer(path)) as writer:
        writer.execute("CREATE TABLE t (a)")
        still = Stillness(path)
        still.holds(100.0)
        assert still.holds(100.6)
        size = (tmp_path / "some.db-wal").stat().st_size
        writer.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
        writer.execute("INSERT INTO t VALUES (1)")
        assert (tmp_path / "some.db-wal").stat().st_size <= size
        assert not still.holds(100.7)


def test_without_a_database_nothing_is_written(tmp_path: Path) -> None:
    still = Stillness(tmp_path / "none.db")
    assert not still.holds(100.0)
    assert still.holds(100.6)
    with closing(sqlite3.connect(tmp_path / "none.db", isolation_level=None)) as made:
        made.execute("PRAGMA journal_mode = WAL").fetchone()
        made.execute("CREATE TABLE t (a)")
        assert not still.holds(100.7)
