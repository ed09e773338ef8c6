"""What every child process of ``serve`` shares: its assignment, its gauges, and how it is told to stop.

A child is started by exec and reads its assignment as one JSON line from standard input. The pipe
stays open: its end means that the supervisor is gone, and the child drains as on SIGTERM.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
from msgspec import Struct

from . import logs
from .clock import monotonic_us, wall_us
from .config import Config
from .gauges import VITALS, Gauges

_HEARTBEAT_S = 1.0


class Assignment(Struct, frozen=True, kw_only=True):
    """What one child shall be."""

    name: str  #: ``relay-0``, ``ingest``, ``console``: names its gauges
    config: Config
    data_dir: str
    listen_fds: tuple[int, ...] = ()


def run(main: Callable[[Assignment, Vitals, asyncio.Event], Awaitable[None]]) -> None:
    """The whole life of a child: read the assignment, run ``main`` until it returns."""
    # Ctrl-C reaches the whole group; the supervisor decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.umask(0o077)
    line = sys.stdin.buffer.readline()
    if not line:
        sys.exit("this process is started by llmtap serve")
    assignment = msgspec.json.decode(line, type=Assignment)
    logs.start(assignment.config.log, assignment.name)
    with contextlib.suppress(ImportError):
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    asyncio.run(_run(assignment, main))


async def _run(assignment: Assignment, main: Callable[[Assignment, Vitals, asyncio.Event], Awaitable[None]]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_reader(sys.stdin.fileno(), _parent_gone, loop, stop)
    vitals = Vitals(assignment)
    try:
        await main(assignment, vitals, stop)
    finally:
        vitals.close()


def _parent_gone(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 4096):
        loop.remove_reader(sys.stdin.fileno())
        stop.set()


def sockets(assignment: Assignment) -> list[socket.socket]:
    """The listening sockets that the supervisor passed on."""
    return [socket.socket(fileno=fd) for fd in assignment.listen_fds]


class Vitals:
    """This process's gauges with a heartbeat; a plain dict when the disk has no room for the file."""

    def __init__(self, assignment: Assignment) -> None:
        self._path = Path(assignment.data_dir) / "run" / f"{assignment.name}.gauges"
        self._gauges = self._make()
        self._beat: asyncio.TimerHandle | None = None
        self["pid"] = os.getpid()
        self["started_at_us"] = wall_us()
        self._heartbeat()

    def __getitem__(self, name: str) -> int:
        return self._gauges[name]

    def __setitem__(self, name: str, value: int) -> None:
        self._gauges[name] = value

    def add(self, name: str, amount: int = 1) -> None:
        """Count up."""
        self._gauges[name] += amount

    def close(self) -> None:
        """The process ends well: its file goes."""
        if self._beat is not None:
            self._beat.cancel()
        if isinstance(self._gauges, Gauges):
            self._gauges.path.unlink(missing_ok=True)
            self._gauges.close()

    def _make(self) -> Gauges | dict[str, int]:
        try:
            return Gauges.create(self._path, VITALS)
        except OSError:
            return dict.fromkeys(VITALS, 0)

    def _heartbeat(self) -> None:
        self["heartbeat_us"] = monotonic_us()
        self._beat = asyncio.get_running_loop().call_later(_HEARTBEAT_S, self._heartbeat)
