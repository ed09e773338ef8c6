"""A process that writes calls with full text until it is killed. Run as a module, for the tests of death.

``python -m tests.store.searching_child endless DIR``: writes forever, and prints
the number of each batch once it is stored.

``python -m tests.store.searching_child steps DIR``: for N = 1, 4, 7… forks a process that writes into ``DIR/N`` and
kills itself just before its N-th call into SQLite, in whichever thread; stops at the N that lives.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from pathlib import Path

from proxy.store.base import Batch, Position
from proxy.store.sqlite.fulltext.index import Limits
from proxy.store.sqlite.store import SqliteStore
from proxy.store.texts import Texts
from tests.store.samples import NOON_US
from tests.store.searching import a_chat
from tests.store.writing_child import an_id, dying

PER_BATCH = 3
BATCHES = 3  #: of a process that counts its steps
_EVERY = 3


def batch(number: int) -> Batch:
    """The n-th batch; of every other call, the words are handed over."""
    first = number * PER_BATCH
    calls = [
        a_chat(
            f"refund word{seq}",
            answer="fine",
            call_id=an_id(seq),
            journal="j",
            seq=seq,
            texts=Texts(input=f"refund word{seq}", output="fine") if number % 2 else None,
        )
        for seq in range(first, first + PER_BATCH)
    ]
    return Batch(calls=calls, positions=[Position(journal="j", low_seq=first + PER_BATCH, read_seq=first + PER_BATCH)])


async def opened(folder: Path) -> SqliteStore:
    return await SqliteStore.open(folder, now_us=lambda: NOON_US, full_text=Limits())


async def endless(folder: Path) -> None:
    store = await opened(folder)
    positions = await store.positions()
    number = positions["j"].low_seq // PER_BATCH if positions else 0
    while True:
        await store.write(batch(number))
        print(number, flush=True)
        number += 1


async def a_few(folder: Path) -> None:
    store = await opened(folder)
    for number in range(BATCHES):
        await store.write(batch(number))
        await store.text_settled()
    await store.close()


def steps(folder: Path) -> None:
    number, status = 1, -1
    while status != 0:
        child = os.fork()
        if child == 0:
            threading.setprofile(dying(number))
            asyncio.run(a_few(folder / str(number)))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status not in (0, signal.SIGKILL):
            sys.exit(f"step {number}: the child ended with status {status}")
        number += _EVERY


if __name__ == "__main__":
    if sys.argv[1] == "steps":
        steps(Path(sys.argv[2]))
    else:
        asyncio.run(endless(Path(sys.argv[2])))
