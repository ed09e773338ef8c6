"""What keeps the store in its bounds: retention, hour by hour, and what commands ask for besides.

All of it is done in short steps between batches, by whoever writes; a step that fails is tried
again later, from what the store says then.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable

import msgspec

from ..clock import monotonic_us, wall_us
from ..query.tree import Filter
from ..store.base import JSON, Store
from ..store.policy import Hold, Policy, Purged

log = logging.getLogger(__name__)

_EVERY_US = 3_600_000_000
_PAUSE_US = 60_000_000  #: after the store could not be used


class Housekeeping:
    """Retention by the settings in force, at the start and every hour."""

    def __init__(self, store: Store, policy: Policy) -> None:
        self._store = store
        self._policy = policy
        self._purge: AsyncIterator[Purged] | None = None
        self._done = Purged()
        self._next_us = 0

    async def step(self) -> bool:
        """Do a short piece of what is due; whether there was one. Whatever it raises, the next one is later."""
        if self._purge is None:
            if monotonic_us() < self._next_us:
                return False
            self._purge, self._done = self._store.purge(self._policy, wall_us()), Purged()
        try:
            done = await anext(self._purge, None)
        except Exception:
            self._rest(_PAUSE_US)
            raise
        if done is not None:
            self._done = done
            return True
        _tell(self._done)
        self._rest(_EVERY_US)
        return False

    def _rest(self, pause_us: int) -> None:
        self._purge, self._next_us = None, monotonic_us() + pause_us


def _tell(done: Purged) -> None:
    for problem in done.problems:
        log.warning("retention: %s", problem)
    if done.segments or done.rows:
        log.info(
            "retention: bodies of %d calls and %d rows deleted, %d bytes of files; %d calls copied first",
            done.bodies,
            done.rows,
            done.bytes,
            done.moved,
        )


# --- what is asked for -------------------------------------------------------------------------------


async def prune(store: Store, request: JSON) -> AsyncIterator[JSON]:
    """A purge now, by the settings of who asks: they may have been edited since we were started."""
    policy = msgspec.convert(request["policy"], Policy)
    async for done in store.purge(policy, wall_us(), sure=bool(request.get("sure"))):
        yield msgspec.to_builtins(done)


async def pin(store: Store, request: JSON) -> AsyncIterator[JSON]:
    """Pin calls, or take their pins away: those named, and those that match."""
    changed, remove = 0, request["remove"]
    if calls := request["calls"]:
        changed += await store.pin(calls, wall_us(), remove=remove)
    if (where := msgspec.convert(request["where"], Filter | None)) is not None:
        changed += await store.pin(where, wall_us(), remove=remove)
    yield {"changed": changed}


async def hold(store: Store, request: JSON) -> AsyncIterator[JSON]:
    """Let a hold stand."""
    await store.hold(msgspec.convert(request["hold"], Hold))
    yield {"standing": len(await store.holds())}


async def release(store: Store, request: JSON) -> AsyncIterator[JSON]:
    """End a hold."""
    released = await store.release(request["name"])
    yield {"released": released, "standing": len(await store.holds())}


_SENTENCES = 20


async def recount(store: Store, _request: JSON) -> AsyncIterator[JSON]:
    """Count again what roll-ups hold, day by day, and mend what differs."""
    receipt: JSON = {"days": 0, "rows": 0, "differences": 0, "sentences": []}
    step = await store.recount()
    while not step.done:
        receipt["days"] += step.finished
        receipt["rows"] += step.rows
        receipt["differences"] += step.differences
        receipt["sentences"] = [*receipt["sentences"], *step.sentences][:_SENTENCES]
        yield receipt
        step = await store.recount(step.after)
    yield receipt


#: Jobs of the store itself, by kind: each gives its receipt so far after every short step, and can begin again.
CHORES: dict[str, Callable[[Store, JSON], AsyncIterator[JSON]]] = {
    "prune": prune,
    "pin": pin,
    "hold": hold,
    "release": release,
    "recount": recount,
}
