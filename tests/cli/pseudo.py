"""A command in a pseudo-terminal of a given size: what a person would see, as bytes."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping
from typing import Self

from tests.harness.eventually import eventually
from tests.harness.watched import ROOT, clean_environment


class Pseudo:
    """One llmtap command whose three streams are a terminal."""

    def __init__(
        self, *arguments: str, columns: int = 120, lines: int = 30, env: Mapping[str, str] | None = None
    ) -> None:
        self._master, terminal = os.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        inherited = {name: value for name, value in clean_environment().items() if name != "NO_COLOR"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "proxy", *arguments],
            cwd=ROOT,
            env={**inherited, "TERM": "xterm-256color", **(env or {})},
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
        )
        os.close(terminal)
        self.seen = b""

    def until(self, wanted: bytes, timeout_s: float = 20.0) -> bytes:
        """Wait until this was written; everything written so far."""
        eventually(lambda: wanted in self.read(), f"{wanted!r} on the terminal", timeout_s)
        return self.seen

    def read(self) -> bytes:
        """Everything written so far, without waiting."""
        while select.select([self._master], [], [], 0)[0]:
            try:
                chunk = os.read(self._master, 65_536)
            except OSError:  # Linux: the other end is closed
                break
            if not chunk:
                break
            self.seen += chunk
        return self.seen

    def enter(self, line: str) -> None:
        """Type a line."""
        os.write(self._master, line.encode() + b"\n")

    def interrupt(self) -> int:
        """Send SIGINT, as Ctrl-C does; the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.end()

    def end(self, timeout_s: float = 30.0) -> int:
        """Wait for the end, reading all the while; the exit code."""
        eventually(lambda: (self.read(), self.process.poll() is not None)[1], "the command ends", timeout_s)
        self.read()
        return self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        os.close(self._master)
