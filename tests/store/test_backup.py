"""Backups: beside a writer, twice for little, damaged, restored."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.datadir import fingerprint_secret, prepare
from proxy.errors import Busy, StoreError
from proxy.store.base import unwatched
from proxy.store.policy import Keeping, Policy
from proxy.store.sqlite.backup import MANIFEST, backup, damages, manifest, restore, snapshots
from proxy.store.sqlite.reader import SqliteReader
from proxy.store.sqlite.store import SqliteStore
from tests.store.samples import DAY_US, NOON_US, Clock, chat_request, collected, ended, write


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return prepare(tmp_path / "data")


@pytest.fixture
async def store(data: Path, clock: Clock) -> AsyncIterator[SqliteStore]:
    store = await SqliteStore.open(data, now_us=clock)
    yield store
    await store.close()


def made(data: Path, target: Path) -> Path:
    """A backup, without an onlooker."""
    return backup(data, target, unwatched)


async def calls_of(data: Path) -> list[str]:
    """The ids of all calls, each of which has its bodies, of a store that holds together."""
    reader = await SqliteReader.open(data)
    try:
        found = [call.id for call in await reader.find(limit=100_000)]
        assert None not in [await reader.exchange(call_id) for call_id in found]
        assert await collected(reader.verify()) == []
        return found
    finally:
        await reader.close()


async def restored(snapshot: Path, data: Path) -> list[str]:
    """The calls of a backup that was brought back."""
    assert list(damages(snapshot, unwatched)) == []
    restore(snapshot, prepare(data), unwatched)
    return await calls_of(data)


async def test_a_backup_comes_back_whole(store: SqliteStore, data: Path, tmp_path: Path) -> None:
    secret = fingerprint_secret(data, "")
    calls = [ended(request=chat_request("a" * 3000, str(number))) for number in range(20)]
    await write(store, *calls)
    snapshot = made(data, tmp_path / "backups")
    assert sorted(await restored(snapshot, tmp_path / "new")) == sorted(each.call.id for each in calls)
    assert fingerprint_secret(tmp_path / "new", "") == secret
    reader = await SqliteReader.open(tmp_path / "new")
    assert await reader.exchange(calls[7].call.id) == calls[7].exchange
    await reader.close()


async def test_it_is_private_and_leaves_no_traces(store: SqliteStore, data: Path, tmp_path: Path) -> None:
    await write(store, ended())
    snapshot = made(data, tmp_path / "backups")
    assert {path.name for path in (tmp_path / "backups").iterdir()} == {snapshot.name}
    assert {path.name for path in snapshot.iterdir()} == {*manifest(snapshot).files, MANIFEST}
    assert {stat.S_IMODE(path.stat().st_mode) for path in snapshot.iterdir()} == {0o600}
    assert stat.S_IMODE(snapshot.stat().st_mode) == 0o700


async def test_what_has_not_changed_is_linked(store: SqliteStore, data: Path, clock: Clock, tmp_path: Path) -> None:
    await write(store, ended(request=os.urandom(300_000)))
    clock.us += DAY_US
    await write(store, ended())
    first = manifest(made(data, tmp_path / "backups"))
    await write(store, ended())
    second = made(data, tmp_path / "backups")
    assert sum(file.linked for file in manifest(second).files.values()) == 1
    assert manifest(second).new_bytes < first.size - 300_000
    shutil.rmtree(snapshots(tmp_path / "backups")[0])
    assert len(await restored(second, tmp_path / "new")) == 3


async def test_beside_a_writer_all_that_rows_point_at_is_there(store: SqliteStore, data: Path, tmp_path: Path) -> None:
    await write(store, *(ended(request=os.urandom(20_000)) for _ in range(50)))
    working = asyncio.get_running_loop().run_in_executor(None, made, data, tmp_path / "backups")
    written = 50
    while not working.done():
        await write(store, *(ended(request=os.urandom(20_000)) for _ in range(5)))
        written += 5
    snapshot = await working
    assert 50 <= len(await restored(snapshot, tmp_path / "new")) <= written


async def test_beside_retention_nothing_is_half_there(
    store: SqliteStore, data: Path, clock: Clock, tmp_path: Path
) -> None:
    for _ in range(6):
        await write(store, *(ended(request=os.urandom(50_000), started_at_us=clock.us) for _ in range(10)))
        clock.us += DAY_US
    working = asyncio.get_running_loop().run_in_executor(None, made, data, tmp_path / "backups")
    policy = Policy(usual=Keeping(body_days=3))
    async for _ in store.purge(policy, clock.us):
        await asyncio.sleep(0)
    snapshot = await working
    assert manifest(snapshot).missing == ()
    restore(snapshot, prepare(tmp_path / "new"), unwatched)
    reader = await SqliteReader.open(tmp_path / "new")
    assert await collected(reader.verify()) == []
    assert len(await reader.find(limit=100)) == 60
    await reader.close()


async def test_a_store_goes_on_from_a_backup(store: SqliteStore, data: Path, tmp_path: Path) -> None:
    await write(store, ended())
    await restored(made(data, tmp_path / "backups"), tmp_path / "new")
    again = await SqliteStore.open(tmp_path / "new")
    new = ended(request=b"later")
    await write(again, new)
    assert await again.exchange(new.call.id) == new.exchange
    await again.close()
    assert len(await calls_of(tmp_path / "new")) == 2


@pytest.mark.parametrize("harm", ["changed", "missing", "shorter"])
async def test_a_damaged_backup_is_found_out(store: SqliteStore, data: Path, tmp_path: Path, harm: str) -> None:
    await write(store, ended())
    snapshot = made(data, tmp_path / "backups")
    path = snapshot / "main.db"
    content = path.read_bytes()
    if harm == "missing":
        path.unlink()
    else:
        path.write_bytes(content[:-1] + (b"" if harm == "shorter" else bytes([content[-1] ^ 1])))
    (said,) = damages(snapshot, unwatched)
    assert said.startswith("main.db ")


async def test_a_manifest_cannot_lead_out_of_the_backup(store: SqliteStore, data: Path, tmp_path: Path) -> None:
    await write(store, ended())
    snapshot = made(data, tmp_path / "backups")
    text = (snapshot / MANIFEST).read_text().replace('"main.db"', '"../../main.db"')
    (snapshot / MANIFEST).write_text(text)
    assert any("is no name of a file" in said for said in damages(snapshot, unwatched))
    (snapshot / MANIFEST).write_text("{}")
    with pytest.raises(StoreError, match="cannot be read"):
        manifest(snapshot)


async def test_what_is_there_is_never_replaced(store: SqliteStore, data: Path, tmp_path: Path) -> None:
    await write(store, ended())
    snapshot = made(data, tmp_path / "backups")
    with pytest.raises(StoreError, match="holds files already"):
        restore(snapshot, data, unwatched)
    with pytest.raises(StoreError, match="there is no store"):
        made(tmp_path / "nowhere", tmp_path / "backups")


async def test_a_backup_that_was_interrupted_is_cleared_away(store: SqliteStore, data: Path, tmp_path: Path) -> None:
    await write(store, ended())
    (tmp_path / "backups" / ".partial-20260101T000000Z").mkdir(parents=True)
    snapshot = made(data, tmp_path / "backups")
    assert [path.name for path in (tmp_path / "backups").iterdir()] == [snapshot.name]


async def test_a_damaged_body_file_is_copied_as_it_is(
    store: SqliteStore, data: Path, clock: Clock, tmp_path: Path
) -> None:
    bad, good = ended(request=os.urandom(9000)), ended()
    await write(store, bad)
    clock.us += DAY_US
    await write(store, good)
    (path,) = (data / "store").glob("body-*20261121.db")
    path.write_bytes(b"\xa5" * 20_000)
    snapshot = made(data, tmp_path / "backups")
    assert (snapshot / path.name).read_bytes() == b"\xa5" * 20_000
    restore(snapshot, prepare(tmp_path / "new"), unwatched)
    reader = await SqliteReader.open(tmp_path / "new")
    assert await reader.exchange(bad.call.id) is None
    assert await reader.exchange(good.call.id) == good.exchange
    await reader.close()


async def test_bodies_that_came_while_it_tried_again_are_in_it(data: Path, clock: Clock, tmp_path: Path) -> None:
    policy = Policy(projects={"short": Keeping(body_days=7)})
    store = await SqliteStore.open(data, policy=policy, now_us=clock)
    await write(store, ended())
    await write(store, ended(project="short", started_at_us=NOON_US))
    (first, second) = sorted(path.name for path in (data / "store").glob("body-*.db"))[::-1]
    assert (first, second) == ("body-forever-20261121.db", "body-7d-20261121.db")
    loop, new = asyncio.get_running_loop(), ended(request=b"while it is copied")

    async def meanwhile() -> None:
        await write(store, new)
        async for _ in store.purge(policy, NOON_US + 9 * DAY_US):
            pass

    seen: list[str] = []

    def watch(name: str, *_: int) -> None:
        if name == first and name not in seen:
            asyncio.run_coroutine_threadsafe(meanwhile(), loop).result()
        seen.append(name)

    snapshot = await loop.run_in_executor(None, backup, data, tmp_path / "backups", watch)
    await store.close()
    assert second not in manifest(snapshot).files
    assert {path.name for path in snapshot.iterdir()} == {*manifest(snapshot).files, MANIFEST}
    restore(snapshot, prepare(tmp_path / "new"), unwatched)
    reader = await SqliteReader.open(tmp_path / "new")
    assert new.call.id in [call.id for call in await reader.find()]
    assert await reader.exchange(new.call.id) == new.exchange
    await reader.close()


async def test_a_copy_that_rotted_is_not_linked(store: SqliteStore, data: Path, clock: Clock, tmp_path: Path) -> None:
    await write(store, ended(request=os.urandom(30_000)))
    clock.us += DAY_US
    await write(store, ended())
    first = made(data, tmp_path / "backups")
    (path,) = first.glob("body-*20261121.db")
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    second = made(data, tmp_path / "backups")
    assert not manifest(second).files[path.name].linked
    assert list(damages(second, unwatched)) == []


async def test_two_at_once_are_one_too_many(store: SqliteStore, data: Path, tmp_path: Path) -> None:
    await write(store, ended())
    refused: list[str] = []

    def watch(*_: object) -> None:
        with pytest.raises(Busy, match="another backup") as caught:
            made(data, tmp_path / "backups")
        refused.append(str(caught.value))

    snapshot = backup(data, tmp_path / "backups", watch)
    assert refused
    assert list(damages(snapshot, unwatched)) == []


def test_a_main_file_that_is_none_is_said_so(data: Path, tmp_path: Path) -> None:
    (data / "store").mkdir(exist_ok=True)
    (data / "store" / "main.db").write_bytes(b"\xa5" * 20_000)
    with pytest.raises(StoreError, match=r"main.db: .*not a database"):
        made(data, tmp_path / "backups")
    assert list((tmp_path / "backups").iterdir()) == []
