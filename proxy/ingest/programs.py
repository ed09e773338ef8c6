"""Which program of this machine made a call: its name, working directory and git branch.

``note`` a peer when its call begins, ask ``found`` when the row is made. The looking is done by a
thread of its own, because it takes milliseconds and a directory can hang (a network disk that is
gone): all peers that wait are looked up at once, and a look is followed by a rest twenty times as
long. An answer holds for a second, which is less than a port is out of use between two
connections; after it the connection is compared again, so one port's next program is not taken
for the last one's. What cannot be told in time (a client that has gone, another user's process)
stays unknown.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections import OrderedDict
from pathlib import Path

import psutil
from msgspec import Struct

from .git_branch import git_branch
from .peers import Connection, connections, loopback_address
from .program_names import program_name

log = logging.getLogger(__name__)

_HOLDS_S = 1.0
_REST = 20  #: times as long as a look
_REST_S_MAX = 5.0
_ANSWERS_MAX = 4096
_WAITING_MAX = 4096  #: peers that are not looked up yet; further ones stay unknown
_SETTLE_S = 0.05
_SETTLE_STEP_S = 0.002
_PATH_MAX = 1024


class Program(Struct, frozen=True):
    """A client on this machine, when one of its calls began."""

    pid: int
    name: str | None
    cwd: str | None
    branch: str | None


class _Answer(Struct, frozen=True):
    connection: Connection
    program: Program | None
    looked_s: float


class Programs:
    """Remembers what was found, and looks up what is asked for, in a thread of its own until ``close``."""

    def __init__(self) -> None:
        self.looks = 0
        self._answers: OrderedDict[str, _Answer] = OrderedDict()
        self._waiting: set[str] = set()
        self._lock = threading.Lock()
        self._asked = threading.Event()
        self._resting = False
        self._stop = threading.Event()
        # A daemon: a directory that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="programs", daemon=True)
        self._thread.start()

    def note(self, peer: str) -> None:
        """A call of this peer (``host:port``) has begun. Returns at once; peers off the loopback are overlooked."""
        if loopback_address(peer) is None:
            return
        with self._lock:
            answer = self._answers.get(peer)
            if answer is not None and time.monotonic() - answer.looked_s < _HOLDS_S:
                return
            if len(self._waiting) >= _WAITING_MAX:
                self._answers.pop(peer, None)
                return
            self._waiting.add(peer)
            self._asked.set()

    async def settle(self) -> None:
        """Wait until what was noted is looked up: some milliseconds at most, and not while the thread rests."""
        deadline = time.monotonic() + _SETTLE_S
        while self._waiting and not self._resting and time.monotonic() < deadline:  # noqa: ASYNC110  (a thread's)
            await asyncio.sleep(_SETTLE_STEP_S)

    def found(self, peer: str) -> Program | None:
        """What is known of a peer that was noted; None while, or because, it cannot be told."""
        with self._lock:
            answer = self._answers.get(peer)
            return None if answer is None or peer in self._waiting else answer.program

    def close(self) -> None:
        """End the thread, unless it hangs."""
        self._stop.set()
        self._asked.set()
        self._thread.join(1.0)

    # --- in the thread ------------------------------------------------------------------------------

    def _run(self) -> None:
        while self._asked.wait() and not self._stop.is_set():
            started_s = time.monotonic()
            try:
                self._look()
            except Exception:  # whatever the system says of its processes, calls are stored without it
                log.exception("programs of clients cannot be looked up")
            self._resting = True
            self._stop.wait(min(_REST * (time.monotonic() - started_s), _REST_S_MAX))
            self._resting = False

    def _look(self) -> None:
        with self._lock:
            self._asked.clear()
            peers = set(self._waiting)
            known = {peer: answer.connection for peer, answer in self._answers.items()}
        answers: dict[str, _Answer] = {}
        try:
            for peer, connection in connections(peers, known).items():
                answers[peer] = _Answer(connection, _program(connection.pid), time.monotonic())
        finally:
            self._keep(peers, answers)

    def _keep(self, peers: set[str], answers: dict[str, _Answer]) -> None:
        with self._lock:
            for peer in peers:
                self._answers.pop(peer, None)
            self._answers.update(answers)
            self._waiting -= peers
            while len(self._answers) > _ANSWERS_MAX:
                self._answers.popitem(last=False)
            self.looks += 1


def _program(pid: int | None) -> Program | None:
    if pid is None:
        return None
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            name = program_name(process.cmdline(), process.name())
    except (psutil.Error, OSError):
        return None
    cwd = _directory(process)
    return Program(pid, name, cwd and _storable(cwd), git_branch(Path(cwd)) if cwd else None)


def _directory(process: psutil.Process) -> str | None:
    with contextlib.suppress(psutil.Error, OSError):
        return process.cwd() or None
    return None


def _storable(path: str) -> str:
    """A path is bytes to the system; what is no text in it is replaced."""
    return path.encode("utf-8", "replace").decode()[:_PATH_MAX]
