"""A process that purges a store and kills itself just before its N-th call into SQLite.

``python -m tests.store.purging_child DIR STRIDE``: copies ``DIR/store`` for N = 1, 1 + STRIDE… and purges each
copy in a process that dies there; stops at the N that lives.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from pathlib import Path

from proxy.store.policy import Keeping, Policy
from proxy.store.sqlite.store import SqliteStore
from tests.store.samples import DAY_US, NOON_US
from tests.store.writing_child import dying

POLICY = Policy(usual=Keeping(body_days=30, row_days=60))
LATER_US = NOON_US + 100 * DAY_US


async def purge(folder: Path, *, dying_at: int = 0) -> None:
    """A whole purge, or as much of it as there is time for."""
    store = await SqliteStore.open(folder, policy=POLICY, now_us=lambda: LATER_US)
    steps = store.purge(POLICY, LATER_US)
    if dying_at:
        watch = dying(dying_at)
        await store._ask(None, lambda _: sys.setprofile(watch))
    async for _ in steps:
        pass
    await store.close()


def main(folder: Path, stride: int) -> None:
    number, status = 1 - stride, -1
    while status != 0:
        number += stride
        shutil.copytree(folder / "store", folder / str(number) / "store")
        child = os.fork()
        if child == 0:
            asyncio.run(purge(folder / str(number), dying_at=number))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status not in (0, signal.SIGKILL):
            sys.exit(f"step {number}: the child ended with status {status}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
