"""The process layout: which children there are, and what each is given.

``Stack`` runs a whole one, for ``serve``, ``run`` and ``demo``.
"""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from ..addresses import Address, parse_address
from ..child import Assignment
from ..config import Config
from ..datadir import prepare
from ..errors import Busy, OurError
from ..gauges import VITALS, Gauges
from .ports import Listening, listen
from .supervisor import Child, Supervisor

RELAY_MODULE = "proxy.relay.worker"
INGEST_MODULE = "proxy.ingest.worker"
CONSOLE_MODULE = "proxy.console.worker"
_START_TIMEOUT_S = 60.0
_LOOK_S = 0.1


class Stack:
    """Relay, ingest and (maybe) console of one data directory, looked after from a thread.

    ``relay_name``: ``relay`` for ``serve``; another for a relay that lives beside one.
    Without ``ingest``, whoever else writes to this data directory ingests.
    """

    def __init__(self, config: Config, *, console: bool, ingest: bool = True, relay_name: str = "relay") -> None:
        self.config = config
        self.data_dir = prepare(config.data_dir)
        if ingest:
            refuse_second_writer(self.data_dir)
        self._relay_address = parse_address(config.relay.listen, "--listen")
        self._console_address = parse_address(config.console.listen, "--console")
        self.relay = listen(self._relay_address, "--listen")
        try:
            self.console = listen(self._console_address, "--console") if console else None
        except BaseException:
            self.relay.close()
            raise
        self._supervisor = self._make_supervisor(ingest=ingest, relay_name=relay_name)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._look_after, name="supervisor", daemon=True)

    @property
    def relay_url(self) -> str:
        """Where applications send their calls, without ``/v1``."""
        return Address(self._relay_address.host, self.relay.port).url

    @property
    def console_url(self) -> str | None:
        """Where people look."""
        return Address(self._console_address.host, self.console.port).url if self.console else None

    @property
    def notes(self) -> list[str]:
        """What a person should know about the sockets."""
        return [sockets.note for sockets in self._listening if sockets.note]

    def start(self) -> None:
        """Start all children and wait until they serve. Raises ``OurError`` when they do not."""
        self._supervisor.start()
        if waiting := self._supervisor.wait_ready(_START_TIMEOUT_S):
            self._supervisor.cut_short()
            self._supervisor.stop(self._listening)
            raise OurError(f"{', '.join(waiting)} did not start; the log above says why")
        self._thread.start()

    def drain(self) -> None:
        """Stop accepting, let running calls finish, leave every journal empty."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self._supervisor.stop(self._listening)

    def cut_short(self) -> None:
        """While draining: wait for running calls no longer."""
        self._supervisor.cut_short()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.drain()

    @property
    def _listening(self) -> list[Listening]:
        return [sockets for sockets in (self.relay, self.console) if sockets is not None]

    def _look_after(self) -> None:
        while not self._stopping.wait(_LOOK_S):
            self._supervisor.look_after()

    def _make_supervisor(self, *, ingest: bool, relay_name: str) -> Supervisor:
        return Supervisor(
            self.data_dir,
            [
                self._child(RELAY_MODULE, f"{relay_name}-{number}", self.relay.fds)
                for number in range(self.config.relay.workers)
            ],
            self._child(INGEST_MODULE, "ingest") if ingest else None,
            self._child(CONSOLE_MODULE, "console", self.console.fds) if self.console else None,
            self.config.limits.drain_timeout_s,
        )

    def _child(self, module: str, name: str, fds: tuple[int, ...] = ()) -> Child:
        return Child(module, Assignment(name=name, config=self.config, data_dir=str(self.data_dir), listen_fds=fds))


def refuse_second_writer(data_dir: Path) -> None:
    """Raise ``Busy`` when another process ingests into this data directory."""
    if writer_alive(data_dir):
        raise Busy(f"another llmtap{_writer_pid(data_dir)} serves {data_dir}; stop it, or choose another --data-dir")


def writer_alive(data_dir: Path) -> bool:
    """Whether somebody holds the writer lock."""
    fd = os.open(data_dir / "writer.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(fd)
    return False


def _writer_pid(data_dir: Path) -> str:
    try:
        gauges = Gauges.open(data_dir / "run" / "ingest.gauges", VITALS)
    except (OSError, ValueError):
        return ""
    try:
        return f" (ingest pid {gauges['pid']})"
    finally:
        gauges.close()
