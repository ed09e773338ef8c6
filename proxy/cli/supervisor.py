"""Starts the children of ``serve``, restarts those that die, and stops all of them in order.

It owns the listening sockets, so connections wait in their queue while a relay is restarted. It
knows nothing of calls. Order of a stop: relays drain, the console goes, ingest empties the
journals. When the supervisor itself is killed, the children see the end of their standard input
and drain by themselves.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from ..child import Assignment
from ..clock import wall_us
from ..gauges import VITALS, Gauges
from .ports import Listening

log = logging.getLogger(__name__)

_BACKOFF_FIRST_S = 0.1
_BACKOFF_MOST_S = 10.0
_DEATHS_AT_START = 3  #: a child that dies so often before it ever served will not serve
_GRACE_S = 10.0  #: beyond a child's own deadline
_PACKAGE_PARENT = str(Path(__file__).resolve().parents[2])


class Child:
    """One child process and its restarts."""

    def __init__(self, module: str, assignment: Assignment) -> None:
        self.name = assignment.name
        self.process: subprocess.Popen[bytes] | None = None
        self._module = module
        self._assignment = assignment
        self._backoff_s = _BACKOFF_FIRST_S
        self.deaths = 0  #: before it served
        self._start_at = 0.0

    def start(self) -> None:
        """Start it by exec; its assignment travels over its standard input, which then stays open."""
        # Only this package's own parent is put on the path, never the user's working directory.
        path = os.pathsep.join(filter(None, [_PACKAGE_PARENT, os.environ.get("PYTHONPATH")]))
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", self._module],
            stdin=subprocess.PIPE,
            pass_fds=self._assignment.listen_fds,
            env={**os.environ, "PYTHONPATH": path},
        )
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(msgspec.json.encode(self._assignment) + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            log.error("%s died while it started", self.name)

    def look_after(self) -> None:
        """Restart it when it is dead and its pause is over."""
        if self.process is None:
            if time.monotonic() >= self._start_at:
                self.start()
            return
        code = self.process.poll()
        if code is None:
            return
        # One that had served is started again at once: only a child that cannot start is given pauses.
        served = self.ready()
        self._release()
        self.deaths += not served
        self._backoff_s = _BACKOFF_FIRST_S if served else min(self._backoff_s * 2, _BACKOFF_MOST_S)
        log.error("%s ended (%s); starting it again in %.1f s", self.name, _ending(code), self._backoff_s)
        self._start_at = time.monotonic() + self._backoff_s

    def ready(self) -> bool:
        """Whether it says so, in its gauges."""
        if self.process is None:
            return False
        try:
            gauges = Gauges.open(self._gauges_path(), VITALS)
        except (OSError, ValueError):
            return False
        try:
            return gauges["pid"] == self.process.pid and gauges["ready"] == 1
        finally:
            gauges.close()

    def terminate(self) -> None:
        """Ask it to drain."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    def wait(self, timeout_s: float) -> bool:
        """Until it has ended, killing it after ``timeout_s``; whether it ended by itself."""
        if self.process is None:
            return True
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            log.error("%s did not end in time and is killed", self.name)
            self.kill()
            return False
        finally:
            self._release()
        return True

    def kill(self) -> None:
        """End it at once."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def _release(self) -> None:
        if self.process is not None and self.process.stdin is not None:
            self.process.stdin.close()
        self.process = None

    def _gauges_path(self) -> Path:
        return Path(self._assignment.data_dir) / "run" / f"{self.name}.gauges"


class Supervisor:
    """All children of one ``serve`` or ``run``."""

    def __init__(
        self,
        data_dir: Path,
        relays: Sequence[Child],
        ingest: Child | None,
        console: Child | None,
        drain_timeout_s: float,
    ) -> None:
        self._relays = list(relays)
        self._ingest = ingest
        self._console = console
        self._drain_timeout_s = drain_timeout_s
        self._gauges = Gauges.create(data_dir / "run" / "supervisor.gauges", VITALS) if console else None

    @property
    def children(self) -> list[Child]:
        """In the order in which they are started."""
        return [child for child in (self._ingest, *self._relays, self._console) if child is not None]

    def start(self) -> None:
        """Start every child."""
        if self._gauges is not None:
            self._gauges["pid"], self._gauges["started_at_us"] = os.getpid(), wall_us()
        for child in self.children:
            child.start()

    def look_after(self) -> None:
        """Restart what died; call it often."""
        if self._gauges is not None:
            self._gauges["heartbeat_us"] = time.monotonic_ns() // 1000
            self._gauges["ready"] = 1
        for child in self.children:
            child.look_after()

    def wait_ready(self, timeout_s: float) -> list[str]:
        """Until every child serves; the names of those that do not after ``timeout_s``."""
        deadline = time.monotonic() + timeout_s
        while waiting := [child for child in self.children if not child.ready()]:
            if time.monotonic() > deadline or any(child.deaths >= _DEATHS_AT_START for child in waiting):
                break
            self.look_after()
            time.sleep(0.01)
        return [child.name for child in waiting]

    def stop(self, listening: Sequence[Listening]) -> None:
        """Drain the relays, then end the rest; journals are empty afterwards."""
        for sockets in listening:
            sockets.close()
        for relay in self._relays:
            relay.terminate()
        for relay in self._relays:
            relay.wait(self._drain_timeout_s + _GRACE_S)
        for child in (self._console, self._ingest):
            if child is not None:
                child.terminate()
                child.wait(_GRACE_S if child is self._console else self._drain_timeout_s + _GRACE_S)
        self.close()

    def cut_short(self) -> None:
        """Stop waiting for running calls: they are recorded as interrupted."""
        for relay in self._relays:
            relay.kill()

    def close(self) -> None:
        """Take the supervisor's own gauges away."""
        if self._gauges is not None:
            self._gauges.path.unlink(missing_ok=True)
            self._gauges.close()
            self._gauges = None


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
