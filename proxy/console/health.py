"""Whether llmtap's processes run, judged by their gauges alone: nobody is asked, nobody can stall the answer.

A process is up when its owner holds the gauges' lock, it says ``ready`` and its heartbeat is
fresh. ``/healthz`` and ``llmtap status`` both read this.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from ..addresses import Address, parse_address
from ..clock import monotonic_us
from ..config import Config
from ..gauges import STALE_US, VITALS, Gauges


class Process(Struct, frozen=True, kw_only=True):
    """One process of ``serve``, as its gauges tell."""

    name: str
    state: str  #: up, waiting (starts or drains), hung, down
    vitals: dict[str, int] = {}  #: VITALS by name; of the last run when down, empty when there never was one

    @property
    def up(self) -> bool:
        """Whether it does its work."""
        return self.state == "up"


def relay_names(workers: int) -> list[str]:
    """``relay-0``, ``relay-1``…"""
    return [f"relay-{number}" for number in range(workers)]


def relay_url(config: Config) -> str:
    """Where applications send their calls: the running relay's port, else the one in the settings."""
    address = parse_address(config.relay.listen, "relay.listen")
    relay = look(config.data_dir, ["relay-0"])[0]
    port = relay.vitals["port"] if relay.up else 0
    return Address(address.host, port or address.port).url


def look(data_dir: Path, names: Sequence[str]) -> list[Process]:
    """The state of these processes, in this order."""
    now_us = monotonic_us()
    return [_look_at(data_dir / "run" / f"{name}.gauges", name, now_us) for name in names]


def look_at_all(data_dir: Path, workers: int) -> list[Process]:
    """The processes of the running ``serve``, or of the one that would be started with so many workers."""
    supervisor, ingest, console = look(data_dir, ["supervisor", "ingest", "console"])
    found = {path.stem for path in (data_dir / "run").glob("relay-*.gauges")}
    relays = look(data_dir, sorted(found | set(relay_names(workers)), key=_number))
    return [supervisor, *(relay for relay in relays if _counts(relay, supervisor, workers)), ingest, console]


def _counts(relay: Process, supervisor: Process, workers: int) -> bool:
    """Whether a relay belongs to this run: flags may have given ``serve`` other workers than the settings say.

    A dead one that is older than the supervisor was left by an earlier run and says nothing.
    """
    if relay.state != "down" or relay.name == "relay-0":
        return True
    if supervisor.state == "down":
        return _number(relay.name) < workers
    return relay.vitals.get("started_at_us", 0) >= supervisor.vitals["started_at_us"]


def _number(name: str) -> int:
    digits = name.rpartition("-")[2]
    return int(digits) if digits.isascii() and digits.isdigit() else -1


def _look_at(path: Path, name: str, now_us: int) -> Process:
    try:
        gauges = Gauges.open(path, VITALS)
    except (OSError, ValueError):
        return Process(name=name, state="down")
    try:
        vitals = {vital: gauges[vital] for vital in VITALS}
        return Process(name=name, state=_state(vitals, gauges.owner_alive(), now_us), vitals=vitals)
    finally:
        gauges.close()


def _state(vitals: dict[str, int], owner_alive: bool, now_us: int) -> str:
    if not owner_alive:
        return "down"
    if now_us - vitals["heartbeat_us"] > STALE_US:
        return "hung"
    return "up" if vitals["ready"] else "waiting"
