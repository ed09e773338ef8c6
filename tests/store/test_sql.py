"""Statements of people: what the views show, and that nothing else can be reached, written or held up."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from pathlib import Path

import pytest

from proxy.clock import rfc3339
from proxy.errors import QueryError, StoreError
from proxy.records import Score, ToolSpan
from proxy.store.base import Batch, StoredCall
from proxy.store.sqlite.sql import FUNCTIONS, VALUE_BYTES, ask, exists
from proxy.store.sqlite.store import SqliteStore
from proxy.store.sqlite.views import VIEWS
from tests.store.samples import FULL, NOON_US, ended


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sql")

    async def fill() -> None:
        store = await SqliteStore.open(path)
        span = ToolSpan(place=0, id="call_1", name="search", arguments_bytes=7, digest=1)
        score = Score(call=FULL.id, name="tone", author="ada", value=0.5, at_us=NOON_US)
        calls = [StoredCall(call=FULL, tools=[span]), *(ended(started_at_us=NOON_US + n) for n in range(4))]
        await store.write(Batch(calls=calls, scores=[score]))
        await store.close()

    asyncio.run(fill())
    return path


def test_the_views_have_peoples_names_and_units(data: Path) -> None:
    answer = ask(
        data,
        "SELECT id, created, status, model, latency_ms, ttft_ms, cost_usd, stream, user, retry_of "
        "FROM calls WHERE project = 'shop'",
    )
    assert answer.columns[:3] == ("id", "created", "status")
    created = rfc3339(FULL.started_at_us)[:23].replace("T", " ")
    assert answer.rows == [
        (FULL.id, created, "error", "gpt-5-2025-08-07", 1234.567, 0.0, 12.345678901, 1, "ü", FULL.retry_of)
    ]
    assert not answer.cut


def test_what_lies_beside_the_row_has_views_of_its_own(data: Path) -> None:
    def rows(text: str) -> list[object]:
        return list(ask(data, text).rows)

    assert rows("SELECT tag FROM tags ORDER BY tag") == [("a b",), ("prod",)]
    assert rows("SELECT value FROM metadata WHERE name = '__proto__'") == [("x",)]
    assert rows("SELECT call, name, author, value, created FROM scores") == [
        (FULL.id, "tone", "ada", 0.5, "2026-11-21 12:00:00.000")
    ]
    assert rows("SELECT call, name, tool_id, arguments_bytes FROM tools") == [(FULL.id, "search", "call_1", 7)]
    assert rows("SELECT model FROM scores JOIN calls USING (number)") == [("gpt-5-2025-08-07",)]
    assert rows("SELECT c.model FROM scores s JOIN calls c ON c.id = s.call") == [("gpt-5-2025-08-07",)]
    assert rows("SELECT json_extract(metadata, '$.a') FROM calls WHERE metadata IS NOT NULL") == [("1",)]


@pytest.mark.parametrize("name", VIEWS)
def test_every_column_of_every_view_can_be_read_and_has_help(data: Path, name: str) -> None:
    answer = ask(data, f"SELECT * FROM {name}")
    assert answer.columns == tuple(column.name for column in VIEWS[name].columns)
    assert all(column.help and column.type for column in VIEWS[name].columns)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("SELECT count(*), sum(cost_usd) IS NULL FROM calls WHERE status = 'ok'", [(4, 1)]),
        ("SELECT status, count(*) n FROM calls GROUP BY 1 HAVING n > 1", [("ok", 4)]),
        ("WITH x AS (SELECT * FROM calls) SELECT count(*) FROM x;", [(5,)]),
        ("WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n LIMIT 3) SELECT i FROM n",
        [(1,), (2,), (3,)]),
        ("SELECT row_number() OVER (ORDER BY created) FROM calls LIMIT 1", [(1,)]),
        ("SELECT x'00ff', 1.5, NULL, 'a'", [("x'00ff'", 1.5, None, "a")]),
        ("SELECT model FROM calls WHERE model LIKE 'gpt%' AND model GLOB 'gpt*'", [("gpt-5-2025-08-07",)]),
        ("SELECT value FROM json_each('[7]')", [(7,)]),
        ("/* why */ SELECT 1 -- because", [(1,)]),
        ("VALUES (1)", [(1,)]),
    ],
)  # fmt: skip
def test_what_can_be_asked(data: Path, text: str, rows: list[object]) -> None:
    assert ask(data, text).rows == rows


BREAK_OUTS = [
    "SELECT * FROM call",
    "SELECT * FROM main.call",
    "SELECT * FROM dim",
    "SELECT request FROM job",
    "SELECT * FROM sqlite_master",
    "SELECT * FROM sqlite_schema",
    "SELECT * FROM temp.sqlite_schema",
    "SELECT sql FROM sqlite_temp_master",
    "SELECT * FROM sqlite_sequence",
    "SELECT * FROM dbstat",
    "SELECT rowid FROM call",
    "WITH calls AS (SELECT * FROM call) SELECT * FROM calls",
    "WITH calls AS (SELECT * FROM sqlite_temp_schema) SELECT * FROM calls",
    "SELECT * FROM (SELECT * FROM call) AS calls",
    "SELECT (SELECT val FROM dim LIMIT 1) FROM calls",
    "SELECT 1 FROM calls WHERE EXISTS (SELECT 1 FROM state)",
    "SELECT * FROM calls UNION SELECT * FROM call",
    "SELECT * FROM pragma_table_info('call')",
    "SELECT * FROM pragma_database_list",
    "SELECT * FROM pragma_function_list",
    "PRAGMA user_version",
    "PRAGMA writable_schema = ON",
    "PRAGMA query_only = OFF",
    "PRAGMA journal_mode = DELETE",
    "ATTACH ':memory:' AS other",
    "ATTACH '/etc/passwd' AS other",
    "DETACH main",
    "VACUUM",
    "VACUUM INTO '/tmp/copy.db'",
    "REINDEX",
    "ANALYZE",
    "BEGIN IMMEDIATE",
    "COMMIT",
    "SAVEPOINT x",
    "INSERT INTO call (id) VALUES (1)",
    "INSERT INTO calls (id) VALUES (1)",
    "UPDATE call SET status = 1",
    "UPDATE calls SET status = 1",
    "DELETE FROM call",
    "DELETE FROM calls RETURNING *",
    "REPLACE INTO dim VALUES (1, 1, 'x')",
    "WITH x AS (SELECT 1) DELETE FROM call",
    "DROP TABLE call",
    "DROP VIEW calls",
    "CREATE TABLE x (a)",
    "CREATE TEMP TABLE x (a)",
    "CREATE TEMP TABLE x AS SELECT * FROM calls",
    "CREATE TEMP VIEW x AS SELECT * FROM call",
    "CREATE TEMP TRIGGER x INSTEAD OF INSERT ON calls BEGIN SELECT 1; END",
    "CREATE VIRTUAL TABLE x USING fts5(a)",
    "CREATE INDEX x ON call (id)",
    "ALTER TABLE call ADD COLUMN x",
    "SELECT load_extension('x')",
    "SELECT readfile('/etc/passwd')",
    "SELECT writefile('x', 'y')",
    "SELECT edit('x')",
    "SELECT fts3_tokenizer('simple')",
    "SELECT randomblob(1000)",
    "SELECT zeroblob(1000000000)",
    "SELECT sqlite_source_id()",
    "SELECT sqlite_compileoption_get(1)",
    "SELECT changes(), last_insert_rowid()",
    "SELECT * FROM generate_series(1, 1000000000)",
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP TABLE call",
    "EXPLAIN SELECT * FROM call",
    "SELECT ?",
    "SELECT :a",
    "SELECT @a",
    "SELECT $a",
    "SELECT 1\0; DROP TABLE call",
    "",
    ";",
    "-- nothing",
    "SELECT",
    "not sql at all",
    "\ud800",
    "SELECT " + "(" * 500 + "1" + ")" * 500,
    "SELECT " + "1," * 500 + "1",
    "SELECT " + " UNION ALL SELECT ".join(["1"] * 100),
    "SELECT '" + "a" * 30_000 + "'",
    "SELECT replace(printf('%.*c', 900000, 'a'), 'a', 'aaaaaaaaaa')",
    f"SELECT printf('%.*c', {VALUE_BYTES + 10}, 'a')",
    "SELECT 'a' LIKE '" + "%a" * 2000 + "'",
    "SELECT '" + "a" * 15_000 + "' GLOB '" + "*a" * 490 + "b" + "'",
]  # fmt: skip


@pytest.mark.parametrize("text", BREAK_OUTS, ids=lambda text: repr(text[:40]))
def test_what_is_refused(data: Path, text: str) -> None:
    before = content(data)
    if text in HARMLESS:
        assert ask(data, text, seconds=5).rows in ([(None,)], [(0,)])
    else:
        with pytest.raises(QueryError) as caught:
            ask(data, text, seconds=5)
        assert caught.value.column is None or 1 <= caught.value.column <= len(text) + 1
    assert content(data) == before


#: What has an answer that says nothing: too long a text is NULL.
HARMLESS = {f"SELECT printf('%.*c', {VALUE_BYTES + 10}, 'a')", BREAK_OUTS[-1]}


def content(data: Path) -> tuple[list[str], int, list[object]]:
    names = sorted(path.name for path in (data / "store").iterdir())
    connection = sqlite3.connect(f"file:{data / 'store' / 'main.db'}?mode=ro", uri=True)
    try:
        (calls,) = connection.execute("SELECT count(*) FROM call").fetchone()
        return names, calls, connection.execute("SELECT name FROM sqlite_schema ORDER BY 1").fetchall()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        ("SELECT modle FROM calls", 8, "did you mean model?"),
        ("SELECT c.cost FROM calls c", 8, "did you mean cost_usd?"),
        ("SELECT 1 FROM cals", 15, "did you mean calls?"),
        ("SELECT zzzzz FROM calls", 8, "--schema"),
        ("SELECT averag(cost_usd) FROM calls", 8, "did you mean avg?"),
        ("SELECT load_extension('x')", 8, "not authorized"),
        ("SELECT model FORM calls", 19, "near 'calls'"),
        ("DELETE FROM call", None, "only one SELECT"),
        ("SELECT * FROM call", None, "only one SELECT"),
        ("SELECT 1; SELECT 2", None, "only one SELECT"),
        ("SELECT * FROM calls JOIN tools", None, ""),
    ],
)
def test_mistakes(data: Path, text: str, column: int | None, says: str) -> None:
    if not says:
        assert ask(data, text).rows
        return
    with pytest.raises(QueryError) as caught:
        ask(data, text)
    assert says in str(caught.value)
    assert caught.value.column == column


def test_an_endless_statement_is_stopped(data: Path) -> None:
    begun = time.monotonic()
    with pytest.raises(QueryError, match="took too long"):
        ask(data, "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n", seconds=0.2)
    assert time.monotonic() - begun < 60


def test_rows_are_bounded_in_number_and_size(data: Path) -> None:
    endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i{} FROM n"
    answer = ask(data, endless.format(""), most_rows=10)
    assert (len(answer.rows), answer.cut) == (10, True)
    answer = ask(data, endless.format(", printf('%.*c', 900000, 'a')"), most_rows=1000)
    assert answer.cut
    assert len(answer.rows) < 400


def test_whatever_is_cut_exactly_is_not_cut(data: Path) -> None:
    assert not ask(data, "SELECT id FROM calls", most_rows=5).cut
    assert ask(data, "SELECT id FROM calls", most_rows=4).cut


def test_without_a_store_there_is_nothing_to_ask(tmp_path: Path) -> None:
    assert not exists(tmp_path)
    with pytest.raises(StoreError, match="no calls are recorded"):
        ask(tmp_path, "SELECT 1")
    assert list(tmp_path.iterdir()) == []


def test_functions_that_are_named_exist_or_are_of_newer_sqlites() -> None:
    connection = sqlite3.connect(":memory:")
    known = {name for (name,) in connection.execute("SELECT name FROM pragma_function_list")} | {"json_each"}
    connection.close()
    assert len(FUNCTIONS - known) < 10
