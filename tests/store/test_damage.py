"""Damage of any file, and power failures that took some files back in time: what it cost, and nothing else."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from proxy.errors import LlmtapError
from proxy.store.sqlite.reader import SqliteReader
from proxy.store.sqlite.store import SqliteStore
from tests.store.samples import DAY_US, NOON_US, as_stored, collected
from tests.store.writing_child import PER_BATCH, batch

BATCHES = 4


async def written(folder: Path, batches: Sequence[int] = range(BATCHES)) -> SqliteStore:
    """A store with these batches, a day apart from the third on: two body files."""
    now = [NOON_US]
    store = await SqliteStore.open(folder, now_us=lambda: now[0])
    for number in batches:
        now[0] = NOON_US + number // 2 * DAY_US
        await store.write(batch(number))
    return store


async def asked_everything(folder: Path) -> tuple[list[str], int, int]:
    """Problems, calls found and bodies given back of a store; what is given back is what was written."""
    wanted = {stored.call.id: stored for number in range(BATCHES) for stored in batch(number).calls[:PER_BATCH]}
    try:
        reader = await SqliteReader.open(folder)
    except LlmtapError as error:
        return [str(error)], 0, 0
    bodies = 0
    try:
        problems = await collected(reader.verify())
        for call_id, stored in wanted.items():
            try:
                exchange = await reader.exchange(call_id)
            except LlmtapError as error:
                problems.append(str(error))
                continue
            assert exchange in (None, stored.exchange)
            bodies += exchange is not None
        calls = -1
        for question in (reader.find(limit=1000), reader.report(["model"]), reader.stats()):
            try:
                found = await question  # type: ignore[misc]
                calls = len(found) if calls < 0 else calls
            except LlmtapError as error:
                problems.append(str(error))
    finally:
        await reader.close()
    return problems, calls, bodies


@pytest.fixture
async def whole(tmp_path: Path) -> Path:
    """The folder of a store that is closed."""
    folder = tmp_path / "whole"
    await (await written(folder)).close()
    return folder


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("file", ["main.db", "body-*20261121.db", "body-*20261122.db", "fts-*.db"])
async def test_flipped_bytes_cost_what_they_held(whole: Path, file: str, seed: int) -> None:
    chance = random.Random(seed)
    found = sorted((whole / "store").glob(file))
    for path in found:
        content = bytearray(path.read_bytes())
        for _ in range(chance.randrange(1, 4)):
            start = chance.randrange(len(content))
            size = chance.choice((1, 16, 600))
            content[start : start + size] = chance.randbytes(len(content[start : start + size]))
        path.write_bytes(content)
    problems, calls, bodies = await asked_everything(whole)
    if not file.startswith("main"):
        assert calls == BATCHES * PER_BATCH + 1
    if file.startswith("body"):
        assert bodies >= BATCHES * PER_BATCH // 2
        assert problems or bodies == BATCHES * PER_BATCH
    if file.startswith("fts"):
        assert bodies == BATCHES * PER_BATCH


@pytest.mark.parametrize("seed", range(5))
async def test_a_writer_goes_on_behind_a_damaged_body_file(whole: Path, seed: int) -> None:
    chance = random.Random(seed)
    for path in (whole / "store").glob("body-*20261122.db"):
        content = bytearray(path.read_bytes())
        start = chance.randrange(len(content) - 600)
        content[start : start + 600] = chance.randbytes(600)
        path.write_bytes(content)
    store = await SqliteStore.open(whole, now_us=lambda: NOON_US + DAY_US)
    await store.write(batch(BATCHES))
    stored = batch(BATCHES).calls[0]
    assert await store.exchange(stored.call.id) == stored.exchange
    await store.close()


@pytest.mark.parametrize("cut", [0, 1, 100, 4096, 5000])
@pytest.mark.parametrize("file", ["main.db", "body-*20261121.db"])
async def test_a_file_that_was_cut_off(whole: Path, file: str, cut: int) -> None:
    (path,) = (whole / "store").glob(file)
    os.truncate(path, cut)
    problems, calls, bodies = await asked_everything(whole)
    if file.startswith("body"):
        assert problems
        assert (calls, bodies) == (BATCHES * PER_BATCH + 1, BATCHES * PER_BATCH // 2)


# --- power failures -----------------------------------------------------------------------------------


async def images(folder: Path, target: Path) -> list[Path]:
    """The files of a store after each commit, as a disk would have them that keeps what was synced."""
    now = [NOON_US]
    store = await SqliteStore.open(folder, now_us=lambda: now[0])
    made = []
    for number in range(BATCHES + 1):
        image = target / str(number)
        await asyncio.to_thread(shutil.copytree, folder / "store", image, ignore=shutil.ignore_patterns("*-shm"))
        made.append(image)
        if number < BATCHES:
            now[0] = NOON_US + number // 2 * DAY_US
            await store.write(batch(number))
    await store.close()
    return made


def mixed(folder: Path, main: Path, bodies: Path, text: Path) -> None:
    """A store whose files are of different moments."""
    target = folder / "store"
    target.mkdir(parents=True)
    for source, pattern in ((main, "main.db*"), (bodies, "body-*"), (text, "fts-*")):
        for path in source.glob(pattern):
            shutil.copy(path, target)


async def test_files_of_different_moments(tmp_path: Path) -> None:
    """Bodies may be newer than rows: nothing is lost. Older ones cost what they do not hold. Nothing comes twice."""
    made = await images(tmp_path / "source", tmp_path / "images")
    for main, newest in enumerate(made):
        for bodies, older in enumerate(made):
            for text in (made[0], made[-1]):
                folder = tmp_path / f"{main}-{bodies}-{text.name}"
                mixed(folder, newest, older, text)
                problems, _, given_back = await asked_everything(folder)
                expected = min(main, bodies) * PER_BATCH
                assert given_back == expected
                assert bool(problems) == (bodies < main)
                store = await written(folder)
                found = {call.id: call for call in await store.find(limit=1000)}
                assert len(found) == BATCHES * PER_BATCH + 1
                for number in range(BATCHES):
                    for stored in batch(number).calls[:PER_BATCH]:
                        assert as_stored(found[stored.call.id]) == stored.call
                        lost = bodies <= number < main
                        assert await store.exchange(stored.call.id) == (None if lost else stored.exchange)
                await store.close()
