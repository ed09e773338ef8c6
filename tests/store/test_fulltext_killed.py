"""kill -9 of the writer, also between the commits of rows and of words: all is found, and nothing twice."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from proxy.store.sqlite.store import SqliteStore
from tests.store.searching_child import BATCHES, PER_BATCH, batch, opened

ROOT = Path(__file__).parents[2]


def in_file(folder: Path) -> list[int]:
    (path,) = (folder / "store").glob("fts-*.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO words (words) VALUES ('integrity-check')")
        return [call for (call,) in connection.execute("SELECT id FROM words_docsize ORDER BY id")]


async def assert_all_found(store: SqliteStore, folder: Path, calls: int) -> None:
    await store.text_settled()
    found = await store.search("refund fine", limit=10_000)
    assert (len(found.calls), found.behind.calls, found.problems) == (calls, 0, ())
    assert len((await store.search(f"word{calls - 1}")).calls) == 1
    await store.close()
    assert in_file(folder) == list(range(1, calls + 1))


async def test_killed_before_calls_into_sqlite(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.store.searching_child", "steps", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=240)
    folders = sorted(tmp_path.iterdir(), key=lambda path: int(path.name))
    assert len(folders) > 20
    behind = 0
    for folder in folders:
        store = await SqliteStore.open(folder)
        before = await store.search("refund")
        behind += before.behind.calls > 0
        await store.close()
        store = await opened(folder)
        for number in range(BATCHES):
            await store.write(batch(number))
        await assert_all_found(store, folder, BATCHES * PER_BATCH)
    assert behind > 3


@pytest.mark.parametrize("seed", range(2))
async def test_killed_at_random(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-m", "tests.store.searching_child", "endless", str(tmp_path)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        ) as child:
            assert child.stdout is not None
            for _ in range(chance.randrange(1, 60)):
                child.stdout.readline()
            child.kill()
    store = await opened(tmp_path)
    await assert_all_found(store, tmp_path, (await store.stats()).calls)
