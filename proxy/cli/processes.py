"""The process layout: which children there are, and what each is given.

``Stack`` runs a whole one, for ``serve``, ``run`` and ``demo``.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
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

log = logging.getLogger(__name__)

RELAY_MODULE = "proxy.relay.worker"
INGEST_MODULE = "proxy.ingest.worker"
CONSOLE_MODULE = "proxy.console.worker"
_START_TIMEOUT_S = 60.0
_SETTLE_S = 20.0
_LOOK_S = 0.1


class Stack:
    """Relay, ingest and (maybe) console of one data directory, looked after from a thread.

    ``relay_name``: one that is given is a relay beside others; without one the directory is ours,
    and another stack on it is refused (``Busy``). Ingest runs while nobody else ingests.
    ``relays_suffice``: traffic does not depend on the store, so ``start`` waits for nothing else.
    """

    def __init__(
        self, config: Config, *, console: bool, relay_name: str | None = None, relays_suffice: bool = False
    ) -> None:
        self.config = config
        self.data_dir = prepare(config.data_dir)
        self._relays_suffice = relays_suffice
        self._beside = relay_name
        self._relay_name = relay_name or "relay"
        self._relay_address = parse_address(config.relay.listen, "--listen")
        self._console_address = parse_address(config.console.listen, "--console")
        with contextlib.ExitStack() as undo:
            if relay_name is None:
                undo.callback(os.close, own(self.data_dir))
            self.relay = listen(self._relay_address, "--listen")
            undo.callback(self.relay.close)
            self.console = listen(self._console_address, "--console") if console else None
            self._release = undo.pop_all()
        self._supervisor = self._make_supervisor()
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
        """What a person should know about this start."""
        return [sockets.note for sockets in self._listening if sockets.note]

    def start(self) -> None:
        """Start all children and wait until they serve. Raises ``OurError`` when those that must do not."""
        self._supervisor.start()
        if waiting := self._supervisor.wait_ready(_START_TIMEOUT_S, all_of_them=not self._relays_suffice):
            self._supervisor.cut_short()
            self._supervisor.stop(self._listening)
            raise OurError(f"{', '.join(waiting)} did not start; the log above says why")
        self._thread.start()

    def settle(self) -> list[Path]:
        """Take no more calls, let those that run finish, wait until all are stored; journals that still wait."""
        self._rest()
        self._supervisor.stop_relays(self._listening)
        self._supervisor.await_ingest(lambda: not self._journals(), _SETTLE_S)
        return self._journals()

    def drain(self) -> None:
        """Stop accepting, let running calls finish, leave every journal empty."""
        self._rest()
        self._supervisor.stop(self._listening)
        self._release.close()

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

    def _journals(self) -> list[Path]:
        """Those of our relays that ingest has not finished."""
        return sorted((self.data_dir / "journal").glob(f"{self._relay_name}-*"))

    def _look_after(self) -> None:
        while not self._stopping.wait(_LOOK_S):
            try:
                self._supervisor.look_after()
            except Exception:  # whatever it is, the next look may go well
                log.exception("the processes could not be looked after")
                self._stopping.wait(1.0)

    def _rest(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _make_supervisor(self) -> Supervisor:
        fds = self.relay.fds
        names = [f"{self._relay_name}-{number}" for number in range(self.config.relay.workers)]
        ingest = Child(
            INGEST_MODULE,
            self._assignment("ingest"),
            free=lambda: not writer_alive(self.data_dir),
            without_it="calls go through, but wait in the journal and are not shown",
        )
        console = None
        if self.console:
            assignment = self._assignment("console", self.console.fds)
            console = Child(CONSOLE_MODULE, assignment, without_it="the web pages cannot be seen")
        relays = [Child(RELAY_MODULE, self._assignment(name, fds)) for name in names]
        timeout_s = self.config.limits.drain_timeout_s
        return Supervisor(self.data_dir, relays, ingest, console, timeout_s, named=self._beside is None)

    def _assignment(self, name: str, fds: tuple[int, ...] = ()) -> Assignment:
        data_dir = str(self.data_dir)
        return Assignment(name=name, config=self.config, data_dir=data_dir, listen_fds=fds, relay_name=self._beside)


def own(data_dir: Path) -> int:
    """A descriptor that makes the directory ours while it is open. Raises ``Busy`` when it is another's."""
    # The folder itself is locked: that needs no room on the disk.
    fd = os.open(data_dir / "run", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        pid = _pid(data_dir, "supervisor")
        raise Busy(f"another llmtap{pid} serves {data_dir}; stop it, or choose another --data-dir") from None
    return fd


def writer_alive(data_dir: Path) -> bool:
    """Whether somebody ingests into this data directory: holds the writer lock."""
    try:
        fd = os.open(data_dir / "writer.lock", os.O_RDWR | os.O_CLOEXEC)
    except OSError:  # there was none yet, or whoever starts will say what is wrong
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(fd)
    return False


def writer(data_dir: Path) -> str | None:
    """Who ingests into this data directory, for a note; None when nobody does."""
    return f"another llmtap{_pid(data_dir, 'ingest')}" if writer_alive(data_dir) else None


def _pid(data_dir: Path, name: str) -> str:
    try:
        gauges = Gauges.open(data_dir / "run" / f"{name}.gauges", VITALS)
    except (OSError, ValueError):
        return ""
    try:
        return f" (pid {gauges['pid']})" if gauges.owner_alive() else ""
    finally:
        gauges.close()
