"""What a relay process and a whole ``serve`` have in common for tests: gauges, ports, process ids, requests."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

from proxy.gauges import VITALS, Gauges

from .client import Answer, RawClient, ask

ROOT = Path(__file__).resolve().parents[2]
START_S = 30.0
ENGINE = os.environ.get("LLMTAP_TEST_ENGINE", "aiohttp")  #: of relays whose test names none


class Watched:
    """Processes whose gauges lie in ``<data>/run`` and whose log is in ``stderr``."""

    data: Path
    stderr: Path

    @property
    def log(self) -> str:
        """What all processes have written to stderr and stdout."""
        return self.stderr.read_text(errors="replace")

    def gauges(self, role: str) -> dict[str, int]:
        """The vital signs of ``relay-0``, ``ingest``, ``console``, ``supervisor``; empty when it does not live."""
        try:
            gauges = Gauges.open(self.data / "run" / f"{role}.gauges", VITALS)
        except (OSError, ValueError):
            return {}
        try:
            return {name: gauges[name] for name in VITALS} if gauges.owner_alive() else {}
        finally:
            gauges.close()

    def alive(self, role: str) -> bool:
        """Whether the process that owns a role's gauges lives."""
        return bool(self.gauges(role))

    def ready(self, role: str, besides: int = 0) -> bool:
        """Whether a role is served, by a process other than ``besides``."""
        gauges = self.gauges(role)
        return gauges.get("ready") == 1 and gauges["pid"] != besides

    def pid(self, role: str) -> int:
        """The process id of a role that is alive."""
        return self.gauges(role)["pid"]

    def pids(self) -> dict[str, int]:
        """Role → process id, of every role that is alive."""
        found = {path.stem: self.gauges(path.stem) for path in (self.data / "run").glob("*.gauges")}
        return {role: gauges["pid"] for role, gauges in found.items() if gauges}

    @property
    def port(self) -> int:
        """Where the relay listens."""
        return self.gauges("relay-0")["port"]

    @property
    def console_port(self) -> int:
        """Where the console listens."""
        return self.gauges("console")["port"]

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT`` of the relay."""
        return f"http://127.0.0.1:{self.port}"

    def rss_bytes(self, role: str) -> int:
        """Resident memory of a role's process."""
        return rss_bytes(self.pid(role))

    # -- doing things to it

    def kill(self, role: str, number: int = signal.SIGKILL) -> int:
        """Send a signal to a role's process; its pid."""
        pid = self.pid(role)
        os.kill(pid, number)
        return pid

    def ask(self, data: bytes, method: str = "") -> Answer:
        """One raw request on a connection of its own."""
        return ask(self.port, data, method)

    def connect(self, **options: Any) -> RawClient:
        """A connection to the relay."""
        return RawClient(self.port, **options)


def clean_environment() -> dict[str, str]:
    """Our environment without llmtap's settings, without proxies, and with the tree importable."""
    drop = {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"}
    kept = {
        name: value for name, value in os.environ.items() if name.upper() not in drop and not name.startswith("LLMTAP_")
    }
    return {**kept, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}


def rss_bytes(pid: int) -> int:
    """Resident memory of a process (Linux: ``VmRSS``; elsewhere asks ``ps``)."""
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) * 1024
    return int(subprocess.check_output(["ps", "-o", "rss=", "-p", str(pid)])) * 1024


def files_with(needle: bytes, *places: Path) -> list[Path]:
    """Every file at or below ``places`` that holds ``needle`` (case counts)."""
    found = []
    for place in places:
        for path in [place, *place.rglob("*")] if place.is_dir() else [place]:
            with contextlib.suppress(FileNotFoundError):
                if path.is_file() and needle in path.read_bytes():
                    found.append(path)
    return found
