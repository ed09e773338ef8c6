"""What is SQLite's own in retention: files, their space, damage, death at any moment."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from proxy.records import evolve
from proxy.store.policy import Keeping, Policy
from proxy.store.sqlite.purge import OF_A_CALL
from proxy.store.sqlite.reader import SqliteReader
from proxy.store.sqlite.store import SqliteStore
from tests.store.contract_retention import a_call, a_hold, bare, purged
from tests.store.purging_child import LATER_US, POLICY, purge
from tests.store.samples import DAY_US, NOON_US, Clock, collected, ended, write

ROOT = Path(__file__).parents[2]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(tmp_path: Path, clock: Clock) -> AsyncIterator[SqliteStore]:
    store = await SqliteStore.open(tmp_path, policy=POLICY, now_us=clock)
    yield store
    await store.close()


def bodies_of(folder: Path) -> list[str]:
    """The names of the body files."""
    return sorted(path.name for path in (folder / "store").glob("body-*.db"))


async def test_files_are_named_by_class_and_day(store: SqliteStore, tmp_path: Path) -> None:
    await write(store, ended(), ended())
    assert bodies_of(tmp_path) == ["body-30d-20261121.db"]
    await store.pin([(await store.find())[0].id], NOON_US)
    await purged(store, POLICY, LATER_US)
    assert bodies_of(tmp_path) == ["body-kept-20261101-1001.db"]


async def test_whatever_lies_beside_a_body_file_goes_with_it(store: SqliteStore, tmp_path: Path) -> None:
    await write(store, ended())
    for name in ("fts-30d-20261121.db", "fts-30d-20261121.db-wal", "body-30d-20261121.db-shm"):
        (tmp_path / "store" / name).touch()
    await purged(store, POLICY, LATER_US)
    assert [path for path in (tmp_path / "store").iterdir() if not path.name.startswith("main.db")] == []


async def test_a_name_is_never_used_again(store: SqliteStore, tmp_path: Path, clock: Clock) -> None:
    old = ended()
    await write(store, old)
    await purged(store, POLICY, LATER_US)
    new = ended()  # by a clock that is not what the purge was told
    await write(store, new)
    assert bodies_of(tmp_path) == ["body-30d-20261121-2.db"]
    assert await store.exchange(new.call.id) == new.exchange
    assert (await store.absence(old.call.id)).reason == "expired"
    await store.close()
    again = await SqliteStore.open(tmp_path, policy=POLICY, now_us=clock)
    await write(again, third := ended())
    assert bodies_of(tmp_path) == ["body-30d-20261121-2.db"]
    assert await again.exchange(third.call.id) == third.exchange
    await again.close()


async def test_a_copy_that_was_not_finished_is_cleared_away(store: SqliteStore, tmp_path: Path) -> None:
    await write(store, ended())
    (tmp_path / "store" / "body-kept-20261101-1001.db").write_bytes(b"half")
    await purged(store, POLICY, NOON_US)
    assert bodies_of(tmp_path) == ["body-30d-20261121.db"]


async def test_the_main_file_gives_its_space_back(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path, now_us=lambda: NOON_US)
    await write(store, *(bare("x", error_message="e" * 4000) for _ in range(1500)), bare("y", days=99))
    await store.close()
    before = (tmp_path / "store" / "main.db").stat().st_size
    store = await SqliteStore.open(tmp_path)
    done = await purged(store, POLICY, LATER_US)
    await store.close()
    assert done.rows == 1500
    assert done.returned_bytes > before // 3
    assert (tmp_path / "store" / "main.db").stat().st_size < before // 2


def test_every_table_of_calls_is_cleared(tmp_path: Path) -> None:
    """A table that gains a column ``call`` has to be in the list of those that go with a row."""
    with closing(sqlite3.connect(tmp_path / "main.db")) as main:
        for path in sorted((ROOT / "proxy/store/sqlite/migrations").glob("*.sql")):
            main.executescript(path.read_text("utf-8"))
        tables = [name for (name,) in main.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        of_a_call = {
            table for table in tables if "call" in [name for _, name, *_ in main.execute(f"PRAGMA table_info({table})")]
        }
    assert of_a_call == {*OF_A_CALL, "posting"}


# --- the cap ------------------------------------------------------------------------------------------


async def test_a_store_that_is_too_large_loses_its_oldest_bodies(
    store: SqliteStore, tmp_path: Path, clock: Clock
) -> None:
    calls = []
    for _ in range(5):
        calls.append(ended(request=os.urandom(400_000), started_at_us=clock.us))
        await write(store, calls[-1])
        clock.us += DAY_US
    await store.pin([calls[0].call.id], NOON_US)
    size = sum(path.stat().st_size for path in (tmp_path / "store").glob("*"))
    policy = Policy(max_bytes=size - 900_000)
    told = await store.prunable(policy, clock.us)
    assert [(each.day, each.bodies, each.kept) for each in told][:2] == [("2026-11-21", 0, 1), ("2026-11-22", 1, 0)]
    await purged(store, policy, clock.us)
    there = [await store.exchange(each.call.id) is not None for each in calls]
    assert there == [True, False, False, True, True] or there == [True, False, True, True, True]
    assert await collected(store.verify()) == []
    await purged(store, Policy(max_bytes=1), clock.us)
    there = [await store.exchange(each.call.id) is not None for each in calls]
    assert there == [True, False, False, False, True]  # what is pinned, and the newest


async def test_the_cap_takes_no_bodies_when_rows_and_free_pages_are_enough(
    store: SqliteStore, tmp_path: Path, clock: Clock
) -> None:
    await write(store, *(bare("x", error_message="e" * 4000) for _ in range(1500)))
    for _ in range(3):
        clock.us += 30 * DAY_US
        await write(store, ended(request=os.urandom(50_000), started_at_us=clock.us))
    before = sum(path.stat().st_size for path in (tmp_path / "store").glob("*"))
    policy = Policy(usual=Keeping(0, 60), max_bytes=before // 2)
    done = await purged(store, policy, NOON_US + 89 * DAY_US)
    assert (done.segments, done.rows) == (0, 1500)
    assert sum(path.stat().st_size for path in (tmp_path / "store").glob("*")) <= policy.max_bytes


# --- damage -------------------------------------------------------------------------------------------


async def test_what_must_stay_and_cannot_be_read_keeps_its_file(store: SqliteStore, tmp_path: Path) -> None:
    good, bad = a_call("good", user="ada"), a_call("bad", user="ada")
    await write(store, good, bad, a_call("other"))
    await store.hold(a_hold("user = 'ada'"))
    (path,) = (tmp_path / "store").glob("body-*.db")
    with closing(sqlite3.connect(path)) as segment:
        segment.execute("UPDATE exchange SET seal = x'0000000000000000' WHERE id = 2")
        segment.commit()
    done = await purged(store, POLICY, LATER_US)
    (problem,) = done.problems
    assert path.name in problem
    assert bad.call.id in problem
    assert path.exists()
    assert await store.exchange(good.call.id) == good.exchange
    assert len(await store.find()) == 3
    await store.release("case 7")
    assert (await purged(store, POLICY, LATER_US)).problems == []
    assert not path.exists()


async def test_a_body_file_that_is_gone_already_expires_as_well(store: SqliteStore, tmp_path: Path) -> None:
    old = ended()
    await write(store, old)
    for path in (tmp_path / "store").glob("body-*"):
        path.unlink()
    done = await purged(store, POLICY, LATER_US)
    assert (done.segments, done.problems) == (1, [])
    assert (await store.absence(old.call.id)).reason == "expired"


# --- death --------------------------------------------------------------------------------------------


async def test_killed_before_calls_into_sqlite(tmp_path: Path) -> None:
    """Whatever a purge was at, the next one comes to the same end, and nothing that is kept was lost meanwhile."""
    store = await SqliteStore.open(tmp_path, policy=POLICY, now_us=lambda: NOON_US)
    calls = [a_call(f"call {number}", user=f"user {number % 2}", tags=("x",)) for number in range(12)]
    await write(store, *calls, bare("young", days=99))
    await store.pin([calls[1].call.id], NOON_US)
    await store.hold(a_hold("user = 'user 0'"))
    await store.close()
    kept = {each.call.id: each for number, each in enumerate(calls) if number == 1 or number % 2 == 0}
    subprocess.run(
        [sys.executable, "-m", "tests.store.purging_child", str(tmp_path), "5"], cwd=ROOT, check=True, timeout=120
    )
    folders = [path for path in tmp_path.iterdir() if path.name.isdigit()]
    assert len(folders) > 10
    for folder in folders:
        await _assert_kept(folder, {call_id: each.exchange for call_id, each in kept.items()})
        await purge(folder)
        found = await _assert_kept(folder, {call_id: each.exchange for call_id, each in kept.items()})
        assert found == len(kept) + 1


async def _assert_kept(folder: Path, kept: dict[str, object]) -> int:
    reader = await SqliteReader.open(folder)
    try:
        for call_id, exchange in kept.items():
            assert await reader.exchange(call_id) == exchange
        assert await collected(reader.verify()) == []
        return len(await reader.find(limit=100))
    finally:
        await reader.close()


def test_a_policy_names_the_class_of_a_project() -> None:
    policy = evolve(POLICY, projects={"a": Keeping(), "b": Keeping(body_days=0, row_days=7), "c": Keeping(9, 7)})
    assert [policy.class_of(name) for name in (None, "default", "a", "b", "c")] == ["30d", "30d", "forever", "7d", "7d"]
