"""Starts the children of ``serve``, restarts those that die, and stops all of them in order.

It owns the listening sockets, so connections wait in their queue while a relay is restarted. It
knows nothing of calls. Order of a stop: relays drain, the console goes, ingest empties the
journals. A child is asked to stop by the end of its standard input, so it also drains when the
supervisor itself is killed.
"""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from ..child import BUSY, Assignment, make_gauges, put_away
from ..clock import wall_us
from .ports import Listening

log = logging.getLogger(__name__)

_BACKOFF_FIRST_S = 0.1
_BACKOFF_MOST_S = 10.0
_DEATHS_AT_START = 3  #: a child that dies so often before it ever served will not serve soon
_GRACE_S = 10.0  #: beyond a child's own deadline
_POLL_S = 0.01
_PACKAGE_PARENT = str(Path(__file__).resolve().parents[2])


class Child:
    """One child process and its restarts.

    ``free``: whether its place is; it is started only then. ``without_it``: what is missing while
    it does not start, for the log.
    """

    def __init__(
        self,
        module: str,
        assignment: Assignment,
        *,
        free: Callable[[], bool] = lambda: True,
        without_it: str = "",
    ) -> None:
        self.name = assignment.name
        self.process: subprocess.Popen[bytes] | None = None
        self.ready = False  #: it has said that it serves
        self.deaths = 0  #: in a row, before it served
        self._module = module
        self._assignment = assignment
        self._free = free
        self._without_it = without_it
        self._backoff_s = _BACKOFF_FIRST_S
        self._start_at = 0.0
        self._ready_fd = -1
        self._ended = False

    @property
    def hopeless(self) -> bool:
        """It died so often that waiting for it makes no sense; it is started again all the same."""
        return self.deaths >= _DEATHS_AT_START

    @property
    def held_back(self) -> bool:
        """Another process has its place."""
        return self.process is None and not self._free()

    def start(self) -> None:
        """Start it by exec, if its place is free; what hinders that counts as a death."""
        if self._ended or not self._free():
            return
        try:
            self._start()
        except OSError as error:  # no descriptors, no memory, no process to be had
            self._died(f"cannot be started ({error.strerror})")

    def look_after(self) -> None:
        """Restart it when it is dead and its pause is over; hear whether it serves."""
        if self.process is None:
            if time.monotonic() >= self._start_at:
                self.start()
            return
        self._hear()
        code = self.process.poll()
        if code is None:
            return
        served = self.ready
        self._release()
        if code == BUSY:
            self._start_at = time.monotonic() + _BACKOFF_FIRST_S
        else:
            self._died(f"ended ({_ending(code)})", served=served)

    def terminate(self) -> None:
        """Ask it to drain; it is not started again.

        The end of its standard input asks, not SIGTERM, which would end a child that has only begun to start.
        """
        self._ended = True
        if self.process is not None and self.process.stdin is not None:
            with contextlib.suppress(OSError):
                self.process.stdin.close()

    def wait(self, timeout_s: float, cut: threading.Event | None = None) -> bool:
        """Until it has ended, killing it after ``timeout_s``, or once ``cut`` is set; whether it ended by itself."""
        deadline = time.monotonic() + timeout_s
        while self.process is not None and self.process.poll() is None:
            late = time.monotonic() > deadline
            if late:
                log.error("%s did not end in time and is killed", self.name)
            if late or (cut is not None and cut.is_set()):
                self.process.kill()
                self.process.wait()
                self._release()
                return False
            time.sleep(_POLL_S)
        self._release()
        return True

    def _start(self) -> None:
        """Raises OSError. The assignment travels over standard input, which then stays open."""
        # Only this package's own parent is put on the path, never the user's working directory.
        path = os.pathsep.join(filter(None, [_PACKAGE_PARENT, os.environ.get("PYTHONPATH")]))
        self._ready_fd, theirs = os.pipe()
        try:
            os.set_blocking(self._ready_fd, False)
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", self._module],
                stdin=subprocess.PIPE,
                pass_fds=(*self._assignment.listen_fds, theirs),
                env={**os.environ, "PYTHONPATH": path},
            )
        except BaseException:
            self._release()
            raise
        finally:
            os.close(theirs)
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it died already, which is noticed in its turn
            assignment = msgspec.structs.replace(self._assignment, ready_fd=theirs)
            self.process.stdin.write(msgspec.json.encode(assignment) + b"\n")
            self.process.stdin.flush()

    def _died(self, how: str, *, served: bool = False) -> None:
        # One that had served is started again at once: only a child that cannot start is given pauses.
        self.deaths = 0 if served else self.deaths + 1
        self._backoff_s = _BACKOFF_FIRST_S if served else min(self._backoff_s * 2, _BACKOFF_MOST_S)
        self._start_at = time.monotonic() + self._backoff_s
        log.error("%s %s; starting it again in %.1f s", self.name, how, self._backoff_s)
        if self.deaths == _DEATHS_AT_START and self._without_it:
            log.error("%s does not start: %s until it does; why is said above", self.name, self._without_it)

    def _hear(self) -> None:
        if not self.ready:
            with contextlib.suppress(BlockingIOError):
                self.ready = os.read(self._ready_fd, 1) != b""

    def _release(self) -> None:
        if self._ready_fd >= 0:
            os.close(self._ready_fd)
            self._ready_fd = -1
        if self.process is not None and self.process.stdin is not None:
            with contextlib.suppress(OSError):  # what it did not read is still in the buffer
                self.process.stdin.close()
        self.process = None
        self.ready = False


class Supervisor:
    """All children of one ``serve``, ``run`` or ``demo``; ``named``: it keeps gauges of its own."""

    def __init__(
        self,
        data_dir: Path,
        relays: Sequence[Child],
        ingest: Child,
        console: Child | None,
        drain_timeout_s: float,
        *,
        named: bool,
    ) -> None:
        self._relays = list(relays)
        self._ingest = ingest
        self._console = console
        self._drain_timeout_s = drain_timeout_s
        self._cut = threading.Event()
        self._gauges = make_gauges(data_dir, "supervisor") if named else {}

    @property
    def children(self) -> list[Child]:
        """In the order in which they are started."""
        return [child for child in (self._ingest, *self._relays, self._console) if child is not None]

    def start(self) -> None:
        """Start every child."""
        self._gauges["pid"], self._gauges["started_at_us"] = os.getpid(), wall_us()
        for child in self.children:
            child.start()

    def look_after(self) -> None:
        """Restart what died; call it often."""
        self._gauges["heartbeat_us"] = time.monotonic_ns() // 1000
        self._gauges["ready"] = 1
        for child in self.children:
            child.look_after()

    def wait_ready(self, timeout_s: float, *, all_of_them: bool) -> list[str]:
        """Until the relays serve, or every child does; the names of those that do not after ``timeout_s``."""
        needed = self.children if all_of_them else self._relays
        deadline = time.monotonic() + timeout_s
        while waiting := [child for child in needed if not (child.ready or child.held_back)]:
            if time.monotonic() > deadline or any(child.hopeless for child in waiting):
                break
            self.look_after()
            time.sleep(_POLL_S)
        return [child.name for child in waiting]

    def stop_relays(self, listening: Sequence[Listening]) -> None:
        """Take no more calls, and let those that run finish."""
        for sockets in listening:
            sockets.close()
        for relay in self._relays:
            relay.terminate()
        for relay in self._relays:
            relay.wait(self._drain_timeout_s + _GRACE_S, self._cut)

    def await_ingest(self, done: Callable[[], bool], timeout_s: float) -> None:
        """Look after ingest, ours or (by waiting) another's, until ``done`` or it is hopeless."""
        deadline = time.monotonic() + timeout_s
        while not (done() or self._ingest.hopeless or self._cut.is_set() or time.monotonic() > deadline):
            self._ingest.look_after()
            time.sleep(_POLL_S)

    def stop(self, listening: Sequence[Listening]) -> None:
        """Drain the relays, then end the rest; journals are empty afterwards, unless another process ingests."""
        self.stop_relays(listening)
        if self._console is not None:
            self._console.terminate()
            self._console.wait(_GRACE_S)
        self._ingest.terminate()
        self._ingest.wait(self._drain_timeout_s + _GRACE_S)
        put_away(self._gauges)
        self._gauges = {}

    def cut_short(self) -> None:
        """Stop waiting for running calls: they are recorded as interrupted. Safe in a signal handler."""
        self._cut.set()


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
