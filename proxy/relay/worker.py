"""A relay process: takes over listening sockets, relays until told to stop, drains, leaves its journal to ingest."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import time
from pathlib import Path

from .. import child
from ..child import Assignment, Vitals
from ..config import Config
from ..datadir import fingerprint_secret
from ..journal.writer import JournalWriter
from ..tasks import spawn
from ..wire.headers import Fingerprints, Recorder
from .answers import RelayProtocol, RelayServer
from .beginning import Beginnings
from .call import Services
from .fastpath import FastPath
from .recording import Recording
from .routes import Routes
from .slowpath import SlowPath
from .upload import Allowance
from .upstream import OwnAddresses, Upstreams

log = logging.getLogger(__name__)
_TICK_S = 1.0
_DRAIN_STEP_S = 0.1
_LINGER_S = 2.0  #: an answer given before the body was read would be lost in a reset without it


async def main(assignment: Assignment, vitals: Vitals, stop: asyncio.Event) -> None:
    """Relay until ``stop`` is set, then drain."""
    config = assignment.config
    data_dir = Path(assignment.data_dir)
    listening = child.sockets(assignment)
    journal = JournalWriter(data_dir / "journal", journal_name(assignment.name), config.journal, vitals)
    recording = Recording(journal, config.journal)
    recorder = Recorder(Fingerprints(fingerprint_secret(data_dir, config.fingerprint.secret)), config.recorded_headers)
    services = Services(
        config=config,
        routes=Routes(config),
        upstreams=Upstreams(config.relay, config.limits, OwnAddresses(listening)),
        recording=recording,
        recorder=recorder,
        beginnings=Beginnings(recorder),
        vitals=vitals,
        may_hold=Allowance(),
    )
    slow = SlowPath(services)
    server = _server(slow, config)
    fast = FastPath(services, slow, server)
    engine = fast if config.relay.engine == "fast" else server
    loop = asyncio.get_running_loop()
    accepting = [await loop.create_server(engine, sock=sock) for sock in listening]
    vitals["port"] = listening[0].getsockname()[1] if listening else 0
    vitals["ready"] = 1
    ticking = spawn(_tick(recording, fast), "tick")
    _calm_collector()
    await stop.wait()
    vitals["ready"] = 0
    for acceptor in accepting:
        acceptor.close()
    await _drain(slow, fast, server, config.limits.drain_timeout_s)
    ticking.cancel()
    fast.pool.close()
    await services.upstreams.close()
    await journal.close()


def journal_name(name: str) -> str:
    """One directory per incarnation: ``relay-0-0199…-4711``."""
    return f"{name}-{time.time_ns() // 1_000_000:012x}-{os.getpid()}"


def _server(path: SlowPath, config: Config) -> RelayServer:
    limits = config.limits
    return RelayServer(
        path,
        limits.client_head_timeout_s,
        keepalive_timeout=limits.client_keep_alive_s,
        max_line_size=limits.header_bytes,
        max_field_size=limits.header_bytes,
        max_headers=limits.header_count,
        auto_decompress=False,
        lingering_time=_LINGER_S,
        access_log=None,
        logger=log,
    )


async def _tick(recording: Recording, fast: FastPath) -> None:
    while True:
        await asyncio.sleep(_TICK_S)
        recording.tick()
        fast.tick(asyncio.get_running_loop().time())


async def _drain(slow: SlowPath, fast: FastPath, server: RelayServer, timeout_s: float) -> None:
    """Let running calls finish, close what is idle, and after ``timeout_s`` cut the rest."""
    slow.draining = fast.draining = True
    deadline = time.monotonic() + timeout_s
    _close_idle(fast, server)
    if running := len(slow.running) + fast.running:
        log.info("waiting up to %g s for %d running calls", timeout_s, running)
    while (slow.running or fast.running) and (left := deadline - time.monotonic()) > 0:
        await _some_ended(slow, min(left, _DRAIN_STEP_S))
        _close_idle(fast, server)
    if running := len(slow.running) + fast.running:
        log.warning("cutting %d calls that did not finish in time", running)
        slow.cutting = True
        fast.stop()
    await server.shutdown(timeout=0.1)


async def _some_ended(slow: SlowPath, timeout_s: float) -> None:
    """Wait for the end of one of the slow path's calls, or that long."""
    if slow.running:
        await asyncio.wait(slow.running, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    else:
        await asyncio.sleep(timeout_s)


def _close_idle(fast: FastPath, server: RelayServer) -> None:
    fast.close_idle()
    for connection in server.connections:
        if isinstance(connection, RelayProtocol) and not connection.busy:
            connection.close()


def _calm_collector() -> None:
    """Few and cheap collections: what was imported is never garbage, and calls make no cycles worth chasing."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


if __name__ == "__main__":
    child.run(main)
