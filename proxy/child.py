"""What every child process of ``serve`` shares: its assignment, its gauges, and how it is told to stop.

A child is started by exec and reads its assignment as one JSON line from standard input. The pipe
stays open: its end, by wish or because the supervisor is gone, lets the child drain as on SIGTERM.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec
from msgspec import Struct

from . import logs
from .clock import monotonic_us, wall_us
from .config import Config
from .errors import Busy, LlmtapError
from .gauges import VITALS, Gauges

log = logging.getLogger(__name__)

BUSY = 75  #: exit code of a child whose place another process has; it may be free later
_HEARTBEAT_S = 1.0
#: Ctrl-C, Ctrl-\ and a closed terminal reach the whole group; the supervisor decides what they mean.
_IGNORED = (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)

Main = Callable[["Assignment", "Vitals", asyncio.Event], Awaitable[None]]
Claim = Callable[["Assignment"], AbstractContextManager[object]]


class Assignment(Struct, frozen=True, kw_only=True):
    """What one child shall be."""

    name: str  #: ``relay-0``, ``ingest``, ``console``: names its gauges
    config: Config
    data_dir: str
    listen_fds: tuple[int, ...] = ()
    relay_name: str | None = None  #: of the relay of a ``run``, whose calls are all that its ingest has to wait for
    ready_fd: int = -1  #: a pipe that takes one byte once the child serves, as gauges need a disk; -1: nobody waits


def nothing_to_claim(_assignment: Assignment) -> AbstractContextManager[object]:
    """For children of which there may be several."""
    return contextlib.nullcontext()


def run(main: Main, claim: Claim = nothing_to_claim) -> None:
    """The whole life of a child: read the assignment, run ``main`` until it returns.

    ``claim``: what must be held before there are any gauges, so that those of the process that
    holds it already are left alone. It raises ``Busy``, which ends the process with ``BUSY``.
    """
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    os.umask(0o077)
    line = sys.stdin.buffer.readline()
    if not line:
        sys.exit("this process is started by llmtap serve")
    assignment = msgspec.json.decode(line, type=Assignment)
    logs.start(assignment.config.log, assignment.name)
    with contextlib.suppress(ImportError):
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    try:
        asyncio.run(_run(assignment, main, claim))
    except Busy as error:
        log.debug("%s", error)
        sys.exit(BUSY)
    except LlmtapError as error:
        log.error("%s", error)
        sys.exit(1)


async def _run(assignment: Assignment, main: Main, claim: Claim) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_reader(sys.stdin.fileno(), _parent_gone, loop, stop)
    with claim(assignment), contextlib.closing(Vitals(assignment)) as vitals:
        await main(assignment, vitals, stop)


def _parent_gone(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 4096):
        loop.remove_reader(sys.stdin.fileno())
        stop.set()


def sockets(assignment: Assignment) -> list[socket.socket]:
    """The listening sockets that the supervisor passed on."""
    return [socket.socket(fileno=fd) for fd in assignment.listen_fds]


class Vitals:
    """This process's gauges with a heartbeat; setting ``ready`` tells the supervisor too."""

    def __init__(self, assignment: Assignment) -> None:
        self._gauges = make_gauges(Path(assignment.data_dir), assignment.name)
        self._ready_fd = assignment.ready_fd
        self._beat: asyncio.TimerHandle | None = None
        self["pid"] = os.getpid()
        self["started_at_us"] = wall_us()
        self._heartbeat()

    def __getitem__(self, name: str) -> int:
        return self._gauges[name]

    def __setitem__(self, name: str, value: int) -> None:
        self._gauges[name] = value
        if name == "ready" and value:
            self._tell_supervisor()

    def add(self, name: str, amount: int = 1) -> None:
        """Count up."""
        self._gauges[name] += amount

    def close(self) -> None:
        """The process ends well: its file goes."""
        if self._beat is not None:
            self._beat.cancel()
        put_away(self._gauges)

    def _tell_supervisor(self) -> None:
        if self._ready_fd < 0:
            return
        with contextlib.suppress(OSError):  # the supervisor is gone
            os.write(self._ready_fd, b"1")
        os.close(self._ready_fd)
        self._ready_fd = -1

    def _heartbeat(self) -> None:
        self["heartbeat_us"] = monotonic_us()
        self._beat = asyncio.get_running_loop().call_later(_HEARTBEAT_S, self._heartbeat)


def make_gauges(data_dir: Path, name: str) -> Gauges | dict[str, int]:
    """A process's own gauges; a plain dict when the disk has no room for the file."""
    try:
        return Gauges.create(data_dir / "run" / f"{name}.gauges", VITALS)
    except OSError:
        return dict.fromkeys(VITALS, 0)


def put_away(gauges: Gauges | dict[str, int]) -> None:
    """Take a process's own gauges away at its end."""
    if isinstance(gauges, Gauges):
        gauges.remove()
