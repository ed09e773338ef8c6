"""The fake upstream as a process of its own, for loads that would crowd a shared interpreter."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]


class UpstreamProcess:
    """``python -m tests.fakes.upstream``; it answers as ``FakeUpstream`` does by default.

    ``seen`` gives one object a request: target, body, whole, finished, violation.
    """

    def __init__(self, directory: Path) -> None:
        self._record = directory / "upstream.jsonl"

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tests.fakes.upstream", "--port", "0", "--record", str(self._record)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().decode().strip()
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.terminate()
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()

    @property
    def seen(self) -> list[dict[str, Any]]:
        """Every request that has ended so far."""
        return [json.loads(line) for line in self._record.read_bytes().splitlines()]
