"""A real file system of a few megabytes that fills up under a whole ``serve``, and is freed again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.store.sqlite.reader import SqliteReader
from tests.fakes.upstream import FakeUpstream
from tests.harness.client import request
from tests.harness.eventually import eventually
from tests.harness.server import LlmtapServer

pytestmark = pytest.mark.system


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs of 12 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    done = mount and subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=12m", "tmpfs", place], capture_output=True, check=False
    )
    if not done or done.returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield place
    subprocess.run(["umount", place], check=True)


def fill(place: Path) -> Path:
    """Leave no byte free; the file to delete for room."""
    ballast = place / "ballast"
    descriptor = os.open(ballast, os.O_WRONLY | os.O_CREAT)
    with contextlib.suppress(OSError):
        for size in (1 << 20, 4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    os.write(descriptor, b"x" * size)
    os.close(descriptor)
    return ballast


def test_full_disk_under_a_whole_server(tmp_path: Path, small_disk: Path, own_upstream: FakeUpstream) -> None:
    with LlmtapServer(tmp_path, own_upstream.url, data=small_disk / "data") as server:
        ids: list[str | None] = []

        def call() -> None:
            got = server.ask(request("POST", "/echo", (), b"x" * 20_000))
            assert (got.status, len(got.body), got.whole) == (200, 20_000, True)
            ids.append(got.call_id)

        for _ in range(10):
            call()
        server.rows(10)
        ballast = fill(small_disk)
        for _ in range(40):
            call()
        ballast.unlink()

        def recorded_again() -> bool:
            before = server.gauges("relay-0")["calls_lost"]
            call()
            return server.gauges("relay-0")["calls_lost"] == before

        eventually(recorded_again, "calls are recorded again", timeout_s=30, every_s=0.1)
        for _ in range(10):
            call()
        lost = server.gauges("relay-0")["calls_lost"]
        assert lost > 30
        server.rows(len(ids) - lost, timeout_s=60)
        assert eventually(lambda: server.status()["store"]["calls_lost"] == lost, "the loss is told")
        assert server.stop() == 0
        stored = asyncio.run(wholeness(server.data))
    assert set(stored) <= set(ids)
    assert len(ids) - sum(stored.values()) == lost, "every call is whole in the store, or counted as lost"


async def wholeness(data: Path) -> dict[str, bool]:
    """id → whether all of the call is in the store. A call that is counted as lost may still have a row."""
    reader = await SqliteReader.open(data)
    try:
        found = {}
        for call in await reader.find(limit=1000):
            exchange = await reader.exchange(call.id)
            found[call.id] = exchange is not None and exchange.end is not None and not exchange.holes
        return found
    finally:
        await reader.close()
