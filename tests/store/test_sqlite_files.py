"""What is SQLite's own: files and their modes, versions, damage, days, space."""

from __future__ import annotations

import os
import resource
import sqlite3
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from proxy.errors import StoreError
from proxy.records import evolve
from proxy.store.sqlite.blob import DICTIONARY, LARGEST_BYTES, DamagedError, Packer, Unpacker, trained
from proxy.store.sqlite.files import filesystem_of
from proxy.store.sqlite.reader import SqliteReader
from proxy.store.sqlite.recent import Recent
from proxy.store.sqlite.store import SqliteStore
from tests.store.samples import DAY_US, Clock, chat_request, collected, ended, write

TODAY = "body-forever-20261121.db"
OpenAt = Callable[[], Awaitable[SqliteStore]]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def open_store(tmp_path: Path, clock: Clock) -> AsyncIterator[OpenAt]:
    opened: list[SqliteStore] = []

    async def open_one() -> SqliteStore:
        opened.append(await SqliteStore.open(tmp_path, now_us=clock))
        return opened[-1]

    yield open_one
    for store in opened:
        await store.close()


@pytest.fixture
async def reader(tmp_path: Path) -> AsyncIterator[SqliteReader]:
    reader = await SqliteReader.open(tmp_path)
    yield reader
    await reader.close()


async def test_everything_is_private(open_store: OpenAt, tmp_path: Path) -> None:
    store = await open_store()
    await write(store, ended())
    folder = tmp_path / "store"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    files = list(folder.iterdir())
    assert {path.name for path in files} >= {"main.db", "main.db-wal", TODAY, f"{TODAY}-wal"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


async def test_a_reader_makes_no_files(reader: SqliteReader, tmp_path: Path) -> None:
    assert await reader.find() == []
    assert list(tmp_path.iterdir()) == []


async def test_a_stop_leaves_no_wal(open_store: OpenAt, tmp_path: Path) -> None:
    store = await open_store()
    await write(store, ended())
    await store.close()
    assert sorted(path.name for path in (tmp_path / "store").iterdir()) == [TODAY, "main.db"]
    with pytest.raises(StoreError, match="closed"):
        await write(store, ended())
    with pytest.raises(StoreError, match="closed"):
        await store.find()


async def test_bodies_go_into_the_segment_of_the_day(
    open_store: OpenAt, clock: Clock, reader: SqliteReader, tmp_path: Path
) -> None:
    store = await open_store()
    shared = chat_request("x" * 5000, "y")
    calls = [ended(request=shared) for _ in range(3)]
    for stored in calls:
        await write(store, stored)
        clock.us += DAY_US
    days = ["20261121", "20261122", "20261123"]
    assert sorted(path.name for path in (tmp_path / "store").glob("body*.db")) == [
        f"body-forever-{day}.db" for day in days
    ]
    await store.close()
    (tmp_path / "store" / TODAY).unlink()
    assert await reader.exchange(calls[0].call.id) is None
    assert await reader.exchange(calls[1].call.id) == calls[1].exchange
    assert await reader.exchange(calls[2].call.id) == calls[2].exchange
    assert len(await reader.find()) == 3
    assert [problem for problem in await collected(reader.verify()) if TODAY not in problem] == []


async def test_a_body_that_comes_again_costs_next_to_nothing(open_store: OpenAt, tmp_path: Path) -> None:
    store = await open_store()
    noise = os.urandom(400_000).hex()
    await write(store, ended(request=chat_request(noise)))
    await store.close()
    before = (tmp_path / "store" / TODAY).stat().st_size
    store = await open_store()
    for count in range(2, 12):
        await write(store, ended(request=chat_request(noise, *["more"] * count)))
    await store.close()
    assert (tmp_path / "store" / TODAY).stat().st_size - before < 20_000


# --- versions and disks -----------------------------------------------------------------------------


async def test_a_newer_schema_is_refused(open_store: OpenAt, tmp_path: Path) -> None:
    store = await open_store()
    await store.close()
    connection = sqlite3.connect(tmp_path / "store" / "main.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreError, match=r"newer llmtap \(schema 99.*upgrade"):
        await open_store()
    with pytest.raises(StoreError, match=r"newer llmtap \(schema 99.*upgrade"):
        await SqliteReader.open(tmp_path)


async def test_a_file_that_is_no_database_is_named(open_store: OpenAt, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "main.db").write_bytes(b"hello" * 1000)
    with pytest.raises(StoreError, match=r"main\.db: file is not a database: the file is damaged"):
        await open_store()


async def test_a_store_in_the_making_is_empty(tmp_path: Path, reader: SqliteReader) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "main.db").touch()
    assert await reader.find() == []


async def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="choose another --data-dir"):
        await SqliteStore.open(tmp_path / "file")


MOUNTS = """\
22 1 8:1 / / rw - ext4 /dev/sda1 rw
30 22 0:40 / /home rw,relatime shared:1 - nfs4 server:/home rw
31 30 0:41 / /home/local\\040disk rw - xfs /dev/sdb rw
32 22 0:42 / /mnt/a rw - ext4 /dev/sdc rw
33 32 0:43 / /mnt/a rw - fuse.sshfs host: rw
broken line
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/x", "ext4"),
        ("/home", "nfs4"),
        ("/home/me/data", "nfs4"),
        ("/homestead", "ext4"),
        ("/home/local disk/x", "xfs"),
        ("/mnt/a/b", "fuse.sshfs"),
    ],
)
def test_the_file_system_of_a_path(path: str, kind: str) -> None:
    assert filesystem_of(path, MOUNTS) == kind


def test_no_mounts_no_answer() -> None:
    assert filesystem_of("/x", "") is None


# --- damage -----------------------------------------------------------------------------------------


def overwrite(path: Path, start: int, size: int) -> None:
    """Put noise into a file."""
    with path.open("r+b") as file:
        file.seek(start)
        file.write(b"\xa5" * size)


async def test_a_damaged_segment_costs_its_bodies_only(
    open_store: OpenAt, tmp_path: Path, reader: SqliteReader
) -> None:
    store = await open_store()
    old = [ended(request=os.urandom(9000)) for _ in range(3)]
    await write(store, *old)
    await store.close()
    path = tmp_path / "store" / TODAY
    overwrite(path, 0, path.stat().st_size)
    store = await open_store()
    new = ended()
    await write(store, new)
    assert await reader.exchange(new.call.id) == new.exchange
    assert [await reader.exchange(stored.call.id) for stored in old] == [None] * 3
    assert len(await reader.find()) == 4
    problems = await collected(reader.verify())
    assert any(TODAY in problem and "3 calls" in problem for problem in problems)


async def test_a_page_that_went_bad_under_the_writer(open_store: OpenAt, tmp_path: Path, reader: SqliteReader) -> None:
    store = await open_store()
    first = ended(request=os.urandom(50_000))
    await write(store, first)
    await store.close()
    path = tmp_path / "store" / TODAY
    overwrite(path, 4096, path.stat().st_size - 4096)
    store = await open_store()
    calls = [ended(request=os.urandom(5000)) for _ in range(3)]
    for stored in calls:
        await write(store, stored)
    assert [await reader.exchange(stored.call.id) for stored in calls] == [stored.exchange for stored in calls]
    assert await reader.exchange(first.call.id) is None


@pytest.mark.parametrize("seed", range(60))
async def test_no_wrong_byte_is_ever_given_back(open_store: OpenAt, tmp_path: Path, seed: int) -> None:
    store = await open_store()
    calls = [ended(request=chat_request("shared" * 300, f"{n}" * 900), response=b"%d" % n * 700) for n in range(20)]
    await write(store, *calls)
    await store.close()
    path = tmp_path / "store" / TODAY
    overwrite(path, (path.stat().st_size - 16) * seed // 60, 16)
    reader = await SqliteReader.open(tmp_path)
    try:
        for stored in calls:
            assert await reader.exchange(stored.call.id) in (stored.exchange, None)
    finally:
        await reader.close()


async def test_a_segment_deleted_under_the_writer(open_store: OpenAt, tmp_path: Path, reader: SqliteReader) -> None:
    store = await open_store()
    first, second = ended(request=b"first"), ended(request=b"second")
    await write(store, first)
    assert await reader.exchange(first.call.id) == first.exchange
    for path in (tmp_path / "store").glob("body*"):
        path.unlink()
    await write(store, second)
    assert await reader.exchange(second.call.id) == second.exchange
    assert await reader.exchange(first.call.id) is None


async def test_verify_finds_a_message_that_changed(open_store: OpenAt, tmp_path: Path) -> None:
    store = await open_store()
    good, bad = ended(request=b"unchanged", response=b"a"), ended(request=b"this is it", response=b"b")
    await write(store, good, bad)
    assert await collected(store.verify()) == []
    connection = sqlite3.connect(tmp_path / "store" / TODAY)
    connection.execute("UPDATE msg SET body = CAST('this is IT' AS BLOB) WHERE body = CAST('this is it' AS BLOB)")
    connection.commit()
    connection.close()
    (problem,) = await collected(store.verify())
    assert bad.call.id in problem
    assert "changed" in problem
    assert await store.exchange(bad.call.id) is None
    assert await store.exchange(good.call.id) == good.exchange


async def test_a_batch_that_fails_leaves_nothing_behind(open_store: OpenAt) -> None:
    store = await open_store()
    await write(store, ended(journal="j", seq=1))
    good, bad = ended(model="new"), ended()
    with pytest.raises(TypeError):
        await write(store, good, evolve(bad, call=evolve(bad.call, http_status="not a number")))
    assert len(await store.find()) == 1
    await write(store, good)
    assert (await store.call(good.call.id)).model == "new"
    assert await store.exchange(good.call.id) == good.exchange
    assert await collected(store.verify()) == []


@pytest.mark.parametrize(("file", "body", "text"), [("main.db", 10, 9000), (TODAY, 30_000, 10)])
async def test_a_disk_that_is_full_for_a_while(
    open_store: OpenAt, tmp_path: Path, file: str, body: int, text: int
) -> None:
    store = await open_store()
    first, *rest = (ended(request=os.urandom(body), error_message="x" * text) for _ in range(60))
    await write(store, first)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    room = (tmp_path / "store" / f"{file}-wal").stat().st_size + 80_000
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        with pytest.raises(StoreError, match=rf"{file}: "):
            await write(store, *rest)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert len(await store.find(limit=100)) == 1
    await write(store, *rest)
    assert len(await store.find(limit=100)) == 60
    assert await store.exchange(rest[-1].call.id) == rest[-1].exchange
    assert await collected(store.verify()) == []


# --- small parts --------------------------------------------------------------------------------------


def test_blobs_come_back_or_not_at_all() -> None:
    dictionary = trained([os.urandom(100) + b"what comes again" * 4 for _ in range(100)])
    assert dictionary is not None
    unpacker = Unpacker(lambda number: dictionary if number == 3 else b"")
    for packer in (Packer(), Packer(3, dictionary)):
        for data in (b"", b"x", b"a" * 5000, os.urandom(5000)):
            enc, stored = packer.pack(data)
            assert unpacker.unpack(enc, len(data), stored) == data
            assert len(stored) <= len(data)
        enc, stored = packer.pack(b"a" * 5000)
        bad = [(enc, 4999, stored), (enc, 5000, stored[:-1]), (enc, 5000, b""), (7, 5000, stored), (0, 3, b"xx")]
        for piece in (*bad, (enc, LARGEST_BYTES + 1, stored), (enc, -1, stored), (DICTIONARY, 5000, stored[1:])):
            with pytest.raises(DamagedError):
                unpacker.unpack(*piece)


def test_what_was_seen_lately_is_bounded_and_what_is_used_stays() -> None:
    recent: Recent[int, int] = Recent(10)
    recent[-1] = 1
    for number in range(1000):
        recent[number] = number + 1
        assert recent.get(-1) == 1
        assert len(recent) <= 20
    assert recent.get(999) == 1000
    assert recent.get(5) is None
