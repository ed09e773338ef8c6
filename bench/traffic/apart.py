"""Traffic that is made in processes of its own, so that what is measured elsewhere is not its making."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice
from multiprocessing.connection import Connection
from typing import Any

import msgspec

from . import Call, Lot, loops_abreast, traffic

_DECODER = msgspec.msgpack.Decoder(list[Call])
_SPAWNED = multiprocessing.get_context("spawn")


def batches(calls: int, size: int = 500, processes: int = 1, **options: Any) -> Iterator[list[Call]]:
    """``traffic``, in lists of ``size`` calls."""
    with ExitStack() as stack:
        makers = [
            stack.enter_context(_maker(_traffic, {"calls": calls, "lot": Lot(part, processes, size), **options}))
            for part in range(processes)
        ]
        while made := [batch for maker in makers for batch in islice(maker, 1)]:
            yield from made


def turns(**options: Any) -> Iterator[list[Call]]:
    """``loops_abreast``, a list a turn."""
    with _maker(loops_abreast, options) as made:
        yield from made


def _traffic(lot: Lot, **options: Any) -> Iterator[list[Call]]:
    made = traffic(lot=lot, **options)
    while batch := list(islice(made, lot.size)):
        yield batch


@contextmanager
def _maker(make: Callable[..., Iterator[list[Call]]], options: dict[str, Any]) -> Iterator[Iterator[list[Call]]]:
    here, there = _SPAWNED.Pipe(duplex=False)
    process = _SPAWNED.Process(target=_send, args=(there, make, options), daemon=True)
    process.start()
    there.close()
    try:
        yield _received(here)
    finally:
        here.close()
        process.join()


def _received(pipe: Connection) -> Iterator[list[Call]]:
    with suppress(EOFError):
        while True:
            yield _DECODER.decode(pipe.recv_bytes())


def _send(pipe: Connection, make: Callable[..., Iterator[list[Call]]], options: dict[str, Any]) -> None:
    """What the other process does; it is done when nobody reads any more."""
    if hasattr(os, "sched_setaffinity"):
        cores = set(range(os.cpu_count() or 1))
        os.sched_setaffinity(0, cores - os.sched_getaffinity(0) or cores)
    with suppress(BrokenPipeError, KeyboardInterrupt):
        for batch in make(**options):
            pipe.send_bytes(msgspec.msgpack.encode(batch))
