"""kill -9 of the writer, anywhere: what was acknowledged is there, once, whole."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.store.sqlite.reader import SqliteReader
from proxy.store.sqlite.store import SqliteStore
from tests.store.samples import NOON_US, as_stored, collected
from tests.store.writing_child import BATCHES, PER_BATCH, batch

ROOT = Path(__file__).parents[2]


async def assert_sound(data_dir: Path, batches: int) -> None:
    """Just these batches are stored, or also the next one."""
    reader = await SqliteReader.open(data_dir)
    try:
        positions = await reader.positions()
        stored = positions["j"].low_seq // PER_BATCH if positions else 0
        assert stored in (batches, batches + 1)
        found = {call.id: call for call in await reader.find(limit=10_000)}
        assert len(found) == (stored * PER_BATCH + 1 if stored else 0)
        for number in range(stored):
            for written in batch(number).calls[:PER_BATCH]:
                assert as_stored(found[written.call.id]) == written.call
                assert await reader.exchange(written.call.id) == written.exchange
        stats = await reader.stats()
        assert (stats.calls, stats.running, stats.gaps) == (len(found), min(stored, 1), stored)
        assert await collected(reader.verify()) == []
    finally:
        await reader.close()


async def test_killed_before_each_call_into_sqlite(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "tests.store.writing_child", "steps", str(tmp_path)], cwd=ROOT, check=True, timeout=120
    )
    folders = sorted(tmp_path.iterdir(), key=lambda path: int(path.name))
    assert len(folders) > 40
    half_done = 0
    for folder in folders:
        reader = await SqliteReader.open(folder)
        before = len(await reader.find())
        await reader.close()
        store = await SqliteStore.open(folder, now_us=lambda: NOON_US)
        for number in range(BATCHES):
            await store.write(batch(number))
        half_done += 0 < before < BATCHES * PER_BATCH
        await store.close()
        await assert_sound(folder, BATCHES)
    assert half_done


@pytest.mark.parametrize("seed", range(3))
async def test_killed_at_random(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    acknowledged = 0
    for _ in range(4):
        with subprocess.Popen(
            [sys.executable, "-m", "tests.store.writing_child", "endless", str(tmp_path)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        ) as child:
            assert child.stdout is not None
            for _ in range(chance.randrange(1, 12)):
                acknowledged = int(child.stdout.readline()) + 1
            child.kill()
            rest = child.stdout.read().split()
        acknowledged = int(rest[-1]) + 1 if rest else acknowledged
        await assert_sound(tmp_path, acknowledged)
