"""A real ``llmtap serve`` (``python -m proxy serve``) on free ports, with a data directory of its own.

Readiness, ports and process ids are read where ``llmtap status`` reads them: from the gauge
files below ``<data>/run``. Rows are read as a user would, with ``llmtap tail --json``.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Self

from .eventually import eventually
from .watched import ENGINE, ROOT, START_S, Watched, clean_environment


class LlmtapServer(Watched):
    """The processes of one ``serve``.

    ``config``: TOML text. ``flags``: further command-line arguments. ``wrap``: a command that runs
    ours, e.g. ``["prlimit", "--fsize=100000"]``. The log of all processes is ``self.log``.
    """

    def __init__(
        self,
        directory: Path,
        upstream: str | None = None,
        *,
        config: str = "",
        env: Mapping[str, str] | None = None,
        flags: Iterable[str] = (),
        wrap: Iterable[str] = (),
        data: Path | None = None,
        workers: int = 1,
        engine: str = ENGINE,
    ) -> None:
        self.directory = directory
        self.data = data or directory / "data"
        self.stderr = directory / "stderr.log"
        self._config = directory / "config.toml"
        self._config.write_text(config)
        self._config.chmod(0o600)
        command = [*wrap, sys.executable, "-m", "proxy", "serve", "--listen", "127.0.0.1:0", "--console", "127.0.0.1:0"]
        if upstream:
            command += ["--upstream", upstream]
        if workers != 1:
            command += ["--workers", str(workers)]
        self._command = [*command, *flags]
        self._env = {**clean_environment(), **_engine(engine), **(env or {}), **self.place}
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def place(self) -> dict[str, str]:
        """Environment that points any llmtap command at this server's data and settings."""
        return {"LLMTAP_CONFIG": str(self._config), "LLMTAP_DATA_DIR": str(self.data)}

    # -- life

    def start(self) -> Self:
        """Start, and return once the relay serves and ingest and console run."""
        with self.stderr.open("ab") as log:
            self.process = subprocess.Popen(
                self._command, cwd=ROOT, env=self._env, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            eventually(self._serves, "llmtap serves", START_S)
        except AssertionError as error:
            self.kill_all()
            raise AssertionError(f"{error}\n{self.log[-4000:]}") from None
        return self

    def _serves(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise RuntimeError(f"llmtap ended with {self.process.returncode}:\n{self.log}")
        return all(self.ready(role) for role in ("relay-0", "ingest", "console"))

    def stop(self, timeout_s: float = 40.0) -> int:
        """Ask it to stop (SIGTERM) and wait; its exit code."""
        assert self.process is not None
        if self.running:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill_all()
            raise AssertionError(f"did not stop within {timeout_s} s of SIGTERM:\n{self.log[-4000:]}") from None

    def kill_all(self) -> None:
        """End every process of ours at once (cleaning up after a test)."""
        assert self.process is not None
        children = self.pids()
        self.process.kill()
        self.process.wait()
        for role, pid in children.items():
            if self.gauges(role).get("pid") == pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                eventually(lambda role=role: not self.alive(role), f"{role} is gone")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            self.stop()
        else:
            self.kill_all()

    # -- looking at it

    @property
    def running(self) -> bool:
        """Whether the supervisor has been started and has not ended."""
        return self.process is not None and self.process.poll() is None

    # -- doing things to it

    def await_restart(self, role: str, old_pid: int, timeout_s: float = START_S) -> None:
        """Wait until a new process serves in a role."""
        eventually(lambda: self.ready(role, old_pid), f"{role} is back", timeout_s)

    # -- reading what was recorded

    def command(self, *arguments: str, timeout_s: float = 60.0) -> subprocess.CompletedProcess[bytes]:
        """Run an llmtap command on this data directory."""
        return subprocess.run(
            [sys.executable, "-m", "proxy", *arguments],
            cwd=ROOT,
            env=self._env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )

    def calls(self, limit: int = 100_000) -> list[dict[str, Any]]:
        """All rows, oldest first, as ``tail --json`` gives them."""
        done = self.command("tail", "--no-follow", "--json", "-n", str(limit))
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def rows(
        self, wanted: int, which: Callable[[dict[str, Any]], bool] = lambda row: True, timeout_s: float = 30.0
    ) -> list[dict[str, Any]]:
        """Wait until at least ``wanted`` rows that fit have ended, and give all that fit."""

        def ended() -> list[dict[str, Any]]:
            fitting = [row for row in self.calls() if which(row) and row["status"] != "running"]
            assert len(fitting) >= wanted, [(row["path"], row["status"]) for row in fitting][-20:]
            return fitting or [{}]

        found = eventually(ended, f"{wanted} rows ended", timeout_s, every_s=0.1)
        return [row for row in found if row]

    def row(self, call_id: str, timeout_s: float = 30.0) -> dict[str, Any]:
        """Wait for the row of one call to have ended."""
        return self.rows(1, lambda row: row["id"] == call_id, timeout_s)[0]

    def raw(self, call_id: str, side: str) -> bytes:
        """``show --raw request|response``: the exact bytes of a body."""
        done = self.command("show", call_id, "--raw", side)
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return done.stdout

    def status(self) -> dict[str, Any]:
        """``status --json``."""
        return json.loads(self.command("status", "--json").stdout)


def _engine(name: str) -> dict[str, str]:
    return {} if name == "aiohttp" else {"LLMTAP_RELAY_ENGINE": name}
