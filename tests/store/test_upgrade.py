"""Stores of every earlier schema open, are upgraded, and give their calls back; those of later ones are refused."""

from __future__ import annotations

import sqlite3
import tarfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from proxy.errors import StoreError
from proxy.query.parse import parse_filter
from proxy.records import Call, evolve
from proxy.store.policy import Keeping, Policy
from proxy.store.sqlite import rows, schema
from proxy.store.sqlite.reader import SqliteReader
from proxy.store.sqlite.segment import Entry, SegmentWriter
from proxy.store.sqlite.store import SqliteStore
from tests.store.golden_store import GOLDEN, golden_calls
from tests.store.samples import DAY_US, NOON_US, as_stored, collected, ended, write

MIGRATIONS = sorted(Path(schema.__file__).with_name("migrations").glob("[0-9]*.sql"))
SEGMENT = "body-default-20261121.db"
RELEASED = (1, 2)  #: schemas before the first golden store
#: What a later schema makes of what an earlier one had: found anew, or never kept.
DERIVED = {"conversation": None}
WHOLE = golden_calls()[0].call


def of_schema(version: int, folder: Path) -> Call:
    """A store as that schema had it, with one call and its bodies; what of the call it could hold."""
    (folder / "store").mkdir(parents=True, mode=0o700)
    with closing(sqlite3.connect(folder / "store" / "main.db", isolation_level=None)) as main:
        for file in MIGRATIONS[:version]:
            main.executescript(file.read_text("utf-8"))
        main.execute(f"PRAGMA user_version = {version}")
        text = _texts(main)
        columns = {name for _, name, *_ in main.execute("PRAGMA table_info(call)")}
        values = dict(zip(rows.COLUMNS, rows.encode(WHOLE, text), strict=True))
        place = {"segment": text(rows.KINDS["segment"], SEGMENT)}
        fixed = {"id": 1, "uuid": rows.uuid_bytes(WHOLE.id), "rev": 1, "updated_at_us": 1, **place}
        row = {name: value for name, value in {**values, **fixed}.items() if name in columns}
        main.execute(f"INSERT INTO call ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", [*row.values()])
        for posting in rows.postings(WHOLE.metadata, WHOLE.tags):
            main.execute("INSERT INTO posting (dim, call) VALUES (?, 1)", (text(*posting),))
        main.execute("UPDATE state SET rev = 1")
        (secret,) = main.execute("SELECT secret FROM state").fetchone()
    with closing(SegmentWriter(folder / "store" / SEGMENT, secret)) as segment:
        exchange = golden_calls()[0].exchange
        assert exchange is not None
        segment.write([Entry(1, rows.uuid_bytes(WHOLE.id), exchange)])
    return evolve(WHOLE, **{name: None for name in rows.COLUMNS if name not in columns}, **DERIVED)


def _texts(main: sqlite3.Connection) -> Callable[[int, str], int]:
    def number(kind: int, text: str) -> int:
        main.execute("INSERT OR IGNORE INTO dim (kind, val) VALUES (?, ?)", (kind, text))
        return int(main.execute("SELECT id FROM dim WHERE kind = ? AND val = ?", (kind, text)).fetchone()[0])

    return number


@pytest.mark.parametrize("version", RELEASED)
async def test_a_store_of_an_earlier_schema(tmp_path: Path, version: int) -> None:
    wanted = of_schema(version, tmp_path)
    with pytest.raises(StoreError, match="older llmtap"):
        await SqliteReader.open(tmp_path)
    store = await SqliteStore.open(tmp_path)
    try:
        assert as_stored(evolve(await store.call(WHOLE.id), **DERIVED)) == wanted
        assert await store.exchange(WHOLE.id) == golden_calls()[0].exchange
        assert [call.id for call in await store.find(parse_filter("metadata.a = '1' and tags = 'prod'"))] == [WHOLE.id]
        assert await collected(store.verify()) == []
        new = ended()
        await write(store, new)
        assert await store.exchange(new.call.id) == new.exchange
        receipts = [each async for each in store.purge(Policy(usual=Keeping(7, 7)), NOON_US + 30 * DAY_US)]
        assert receipts[-1].bodies == 2
    finally:
        await store.close()


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.tar.gz")), ids=lambda path: path.name)
async def test_a_store_that_an_earlier_version_left(tmp_path: Path, path: Path) -> None:
    (tmp_path / "store").mkdir(mode=0o700)
    with tarfile.open(path) as archive:
        archive.extractall(tmp_path / "store", filter="data")
    store = await SqliteStore.open(tmp_path)
    try:
        assert await collected(store.verify()) == []
        for stored in golden_calls():
            unset = {**DERIVED, "follows": None, "follows_by": None, "system_version": None}
            found = as_stored(await store.call(stored.call.id))
            assert evolve(found, **unset) == evolve(stored.call, **unset)
            assert await store.exchange(stored.call.id) == stored.exchange
        assert (await store.positions())["j"].low_seq == 7
    finally:
        await store.close()


async def test_a_body_file_of_a_later_schema_is_refused(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path, now_us=lambda: NOON_US)
    old = ended()
    await write(store, old)
    await store.close()
    (path,) = (tmp_path / "store").glob("body-*.db")
    with closing(sqlite3.connect(path)) as segment:
        segment.execute("PRAGMA user_version = 99")
    store = await SqliteStore.open(tmp_path, now_us=lambda: NOON_US)
    try:
        with pytest.raises(StoreError, match=r"newer llmtap \(schema 99\): upgrade llmtap"):
            await write(store, ended())
        assert await store.exchange(old.call.id) is None
        (problem,) = await collected(store.verify())
        assert path.name in problem
        assert "schema 99" in problem
    finally:
        await store.close()


def test_the_migrations_are_numbered_without_holes() -> None:
    assert [int(path.name[:4]) for path in MIGRATIONS] == list(range(1, schema.VERSION + 1))
