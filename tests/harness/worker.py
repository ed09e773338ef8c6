"""One relay process without supervisor, ingest or console: starts in a quarter of a second.

It is given what the supervisor would give it: an assignment on standard input, and a listening
socket. Its journal stays where it is; nothing reads it.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import msgspec

from proxy.child import Assignment
from proxy.config import load

from .eventually import eventually
from .watched import ENGINE, ROOT, START_S, Watched, clean_environment


class RelayWorker(Watched):
    """``python -m proxy.relay.worker`` on a free port. ``config``: TOML text."""

    def __init__(
        self,
        directory: Path,
        upstream: str,
        *,
        config: str = "",
        env: Mapping[str, str] | None = None,
        engine: str = ENGINE,
    ) -> None:
        self.data = directory / "data"
        self.stderr = directory / "stderr.log"
        settings = directory / "config.toml"
        settings.write_text(config)
        for needed in (self.data, self.data / "run", self.data / "journal"):
            needed.mkdir(mode=0o700, exist_ok=True)
        self._config = load(settings, {}, {("relay", "upstream"): upstream, ("relay", "engine"): engine})
        self._env = {**clean_environment(), **(env or {})}

    def start(self) -> Self:
        """Start, and return once it serves."""
        with socket.socket() as listening, self.stderr.open("ab") as log:
            listening.bind(("127.0.0.1", 0))
            listening.listen(1024)
            descriptor = listening.fileno()
            self.process = subprocess.Popen(
                [sys.executable, "-m", "proxy.relay.worker"],
                cwd=ROOT, env=self._env, stdin=subprocess.PIPE, stdout=log, stderr=log, pass_fds=[descriptor],
            )  # fmt: skip
        assignment = Assignment(name="relay-0", config=self._config, data_dir=str(self.data), listen_fds=(descriptor,))
        assert self.process.stdin is not None
        self.process.stdin.write(msgspec.json.encode(assignment) + b"\n")
        self.process.stdin.flush()
        try:
            eventually(self._serves, "the relay serves", START_S)
        except AssertionError:
            self.end()
            raise
        return self

    def _serves(self) -> bool:
        if self.process.poll() is not None:
            raise RuntimeError(f"the relay ended with {self.process.returncode}:\n{self.log}")
        return self.ready("relay-0")

    def stop(self, timeout_s: float = 40.0) -> int:
        """Ask it to stop (SIGTERM) and wait; its exit code."""
        self.process.terminate()
        try:
            return self.process.wait(timeout_s)
        finally:
            self.end()

    def __enter__(self) -> Self:
        return self.start()

    def end(self) -> None:
        """kill -9, if it still lives."""
        self.process.kill()
        self.process.wait()
        assert self.process.stdin is not None
        self.process.stdin.close()

    def __exit__(self, kind: object, *exc: object) -> None:
        if self.process.returncode is None:
            code = self.stop()
            assert kind or code == 0, self.log[-4000:]
