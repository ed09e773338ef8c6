"""A process that writes batches until it is killed. Run as a module, for the tests of death.

``python -m tests.store.writing_child endless DIR``: writes forever and prints the number of each
batch once it is stored.

``python -m tests.store.writing_child steps DIR``: for N = 1, 2, 3… forks a process that writes
into ``DIR/N`` and kills itself just before its N-th call into SQLite; stops at the N that lives.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from proxy.clock import id_text
from proxy.store.base import Batch, Gap, Position
from proxy.store.sqlite.store import SqliteStore
from tests.store.samples import NOON_US, chat_request, ended, running

PER_BATCH = 4
BATCHES = 2  #: of a process that counts its steps


def an_id(number: int) -> str:
    """The id of the n-th call, the same in every process."""
    return id_text((number << 80 | 7 << 76 | 2 << 62).to_bytes(16))


def batch(number: int) -> Batch:
    """The n-th batch: ends of its calls, a first sight of a call of the next one, a position, a gap."""
    first = number * PER_BATCH
    calls = [
        ended(
            an_id(seq),
            request=chat_request("shared " * 300, *(f"{turn} " * 400 for turn in range(seq % 7 + 1))),
            response=f"answer {seq}".encode() * 50,
            journal="j",
            seq=seq,
            metadata={"seq": str(seq)},
        )
        for seq in range(first, first + PER_BATCH)
    ]
    return Batch(
        calls=[*calls, running(an_id(first + PER_BATCH), journal="j", metadata={"seq": "?"})],
        positions=[Position(journal="j", low_seq=first + PER_BATCH, read_seq=first + PER_BATCH)],
        gaps=[Gap(journal="j", first_seq=first, records=1, reason="lost", noticed_at_us=NOON_US)],
    )


async def endless(folder: Path) -> None:
    store = await SqliteStore.open(folder, now_us=lambda: NOON_US)
    positions = await store.positions()
    number = positions["j"].low_seq // PER_BATCH if positions else 0
    while True:
        await store.write(batch(number))
        print(number, flush=True)
        number += 1


async def a_few(folder: Path) -> None:
    store = await SqliteStore.open(folder, now_us=lambda: NOON_US)
    for number in range(BATCHES):
        await store.write(batch(number))
    await store.close()


def dying(at: int) -> Callable[[FrameType, str, Any], None]:
    """A profile hook that kills the process just before its at-th call into SQLite."""
    calls = 0

    def watch(_: FrameType, event: str, called: Any) -> None:
        nonlocal calls
        if event == "c_call" and isinstance(getattr(called, "__self__", None), sqlite3.Connection):
            calls += 1
            if calls == at:
                os.kill(os.getpid(), signal.SIGKILL)

    return watch


def steps(folder: Path) -> None:
    number, status = 0, -1
    while status != 0:
        number += 1
        child = os.fork()
        if child == 0:
            threading.setprofile(dying(number))
            asyncio.run(a_few(folder / str(number)))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status not in (0, signal.SIGKILL):
            sys.exit(f"step {number}: the child ended with status {status}")


if __name__ == "__main__":
    folder = Path(sys.argv[2])
    if sys.argv[1] == "steps":
        steps(folder)
    else:
        asyncio.run(endless(folder))
