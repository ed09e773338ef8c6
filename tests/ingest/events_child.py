"""A worker that is killed while it stores what people said. Run as a module, for the tests of death.

``python -m tests.ingest.events_child DIR``: for N = 1, 1 + a few… forks a process that ingests a journal
in ``DIR/N`` and kills itself just before its N-th call into SQLite; stops at the N that lives.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from msgspec import Struct, to_builtins

from proxy.clock import CallIds, id_text, wall_us
from proxy.records import Event, EventKind
from proxy.store.judgements import AuditSaid, FeedbackSaid, Given, NoteSaid, TagsSaid, Target

from ..store.writing_child import dying
from .journaling import Relay
from .test_worker import until_idle, working

SAID = 5  #: events of ``tell``
_STRIDE = 17  # the calls into SQLite between two deaths: within a transaction, one is as good as another
_ids = CallIds()


def tell(folder: Path) -> list[Event]:
    """A journal with a call, and something said of it before and after; what was said."""
    relay = Relay(folder)
    early = FeedbackSaid(target=Target(response_id="r1"), scores=(Given(name="early", value=True),))
    said = [event(EventKind.FEEDBACK, early)]
    relay.write(*said)
    call = id_text(relay.call())
    late = FeedbackSaid(
        target=Target(call=call), scores=(Given(name="late", value=0.5),), comment="c", metadata={"k": "v"}
    )
    more = [
        event(EventKind.NOTE, NoteSaid(call=call, text="a note")),
        event(EventKind.TAGS, TagsSaid(call=call, add=("hand",))),
        event(EventKind.FEEDBACK, late),
        event(EventKind.AUDIT, AuditSaid(action="view", target=call)),
    ]
    relay.write(*more)
    asyncio.run(relay.close())
    return said + more


def event(kind: EventKind, said: Struct) -> Event:
    """Something that ada says now."""
    plain: dict[str, Any] = to_builtins(said)
    return Event(id=_ids.next(wall_us()), kind=kind, at_us=wall_us(), author="ada", said=plain)


async def _work(folder: Path) -> None:
    async with working(folder) as (worker, _, _vitals):
        await until_idle(worker)


def _steps(folder: Path) -> None:
    number, status = 1, -1
    while status != 0:
        tell(folder / str(number))
        child = os.fork()
        if child == 0:
            threading.setprofile(dying(number))
            asyncio.run(_work(folder / str(number)))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status not in (0, signal.SIGKILL):
            sys.exit(f"step {number}: the child ended with status {status}")
        number += _STRIDE


if __name__ == "__main__":
    _steps(Path(sys.argv[1]))
