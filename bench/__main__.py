"""``python -m bench``: what a call costs through llmtap, through nginx and through a bare aiohttp relay, in one run.

The dialects are measured first, by themselves (``bench.dialects``). What it costs to keep calls, and
to ask for them, is measured by ``bench.storage`` and ``bench.queries``.

CPU time is that of the whole process under test, from /proc, kernel work included; it is the
figure that other load on the machine disturbs least. Runs are interleaved and medians printed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import uvloop

from proxy import config
from proxy.cli.processes import Stack
from proxy.gauges import VITALS, Gauges

from . import dialects, load
from .upstream import CHUNKS, UNARY

ROOT = Path(__file__).resolve().parents[1]
NGINX = """
daemon off; worker_processes 1; error_log stderr crit; pid {dir}/pid;
events {{ worker_connections 4096; }}
http {{
  access_log off; client_body_temp_path {dir}/b; proxy_temp_path {dir}/p; fastcgi_temp_path {dir}/f;
  uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s; keepalive_requests 1000000; client_max_body_size 0;
  upstream up {{ server 127.0.0.1:{upstream}; keepalive 256; keepalive_requests 1000000; }}
  server {{ listen 127.0.0.1:{port}; location / {{
    proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
    proxy_request_buffering off; }} }}
}}
"""


class Target:
    """Something that relays, and the processes whose CPU counts."""

    def __init__(self, name: str, port: int, pids: Callable[[], list[int]]) -> None:
        self.name = name
        self.port = port
        self.pids = pids

    def cpu_us(self) -> float:
        """CPU time so far."""
        return sum(cpu_us(pid) for pid in self.pids())


def cpu_us(pid: int) -> float:
    """User and system time of a process's threads, from the scheduler."""
    total = 0
    for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        total += int(path.read_text().split()[0])
    return total / 1000


@contextmanager
def process(*command: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process that prints its port first."""
    started = subprocess.Popen([sys.executable, "-m", *command], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert started.stdout is not None
    try:
        yield started, int(started.stdout.readline())
    finally:
        started.terminate()
        started.wait()


@contextmanager
def nginx(upstream: int) -> Iterator[Target]:
    port = _free_port()
    with tempfile.TemporaryDirectory() as directory:
        conf = Path(directory, "nginx.conf")
        conf.write_text(NGINX.format(dir=directory, upstream=upstream, port=port))
        binary = shutil.which("nginx") or "/usr/sbin/nginx"
        master = subprocess.Popen([binary, "-p", directory, "-c", str(conf)], stderr=subprocess.DEVNULL)
        try:
            _wait_for(port)
            yield Target("nginx (records nothing)", port, lambda: _children(master.pid))
        finally:
            master.send_signal(signal.SIGQUIT)
            master.wait()


@contextmanager
def llmtap(upstream: int, engine: str) -> Iterator[tuple[Target, Target, Stack]]:
    with tempfile.TemporaryDirectory() as directory:
        data_dir = Path(directory, "data")
        settings = config.load(
            environment={},
            flags={
                ("data", "dir"): str(data_dir),
                ("relay", "listen"): "127.0.0.1:0",
                ("relay", "upstream"): f"http://127.0.0.1:{upstream}",
                ("relay", "engine"): engine,
            },
        )
        with Stack(settings, console=False) as stack:
            relay = Target(f"llmtap {engine}, all recorded", stack.relay.port, lambda: [_pid(data_dir, "relay-0")])
            both = Target(
                f"llmtap {engine} + ingest",
                stack.relay.port,
                lambda: [_pid(data_dir, n) for n in ("relay-0", "ingest")],
            )
            yield relay, both, stack


def measure(
    targets: list[Target], rounds: int, calls: int, data: bytes, connections: int, per: int = 1
) -> dict[str, tuple[float, float]]:
    """name → (CPU µs per call or chunk, p50 ms), medians of interleaved rounds."""
    figures: dict[str, list[tuple[float, float]]] = {target.name: [] for target in targets}
    for _ in range(rounds):
        for target in targets:
            before = target.cpu_us()
            latencies_s = uvloop.run(load.run(target.port, data, connections=connections, calls=calls))
            spent_us = (target.cpu_us() - before) / calls / per
            figures[target.name].append((spent_us, latencies_s[len(latencies_s) // 2] * 1000))
    return {
        name: tuple(statistics.median(column) for column in zip(*rows, strict=True)) for name, rows in figures.items()
    }  # type: ignore[misc]


def table(title: str, unit: str, figures: dict[str, tuple[float, float]]) -> None:
    base = next((value for name, (value, _) in figures.items() if name.startswith("nginx")), None)
    bare = next(value for name, (value, _) in figures.items() if name.startswith("bare"))
    print(f"\n{title}")
    print(f"  {'':<28}{'CPU ' + unit:>14}{'x nginx':>10}{'x bare':>9}{'p50 ms':>10}")
    for name, (spent_us, p50_ms) in figures.items():
        over_nginx = f"{spent_us / base:10.2f}" if base else f"{'-':>10}"
        print(f"  {name:<28}{spent_us:14.1f}{over_nginx}{spent_us / bare:9.2f}{p50_ms:10.2f}")


def ingest_rate(stack: Stack, port: int, calls: int) -> None:
    """Ingest alone: freeze it, relay ``calls`` calls, let it go, and watch how fast the journal empties."""
    data_dir = stack.data_dir
    pid = _pid(data_dir, "ingest")
    stored = _gauge(data_dir, "ingest", "calls_stored")
    _wait_until(lambda: _gauge(data_dir, "ingest", "journal_lag_bytes") == 0)
    os.kill(pid, signal.SIGSTOP)
    uvloop.run(load.run(port, load.request(), connections=16, calls=calls))
    stored = _gauge(data_dir, "ingest", "calls_stored")
    before_us, started = cpu_us(pid), time.perf_counter()
    os.kill(pid, signal.SIGCONT)
    _wait_until(lambda: _gauge(data_dir, "ingest", "calls_stored") >= stored + calls)
    took_s, spent_us = time.perf_counter() - started, cpu_us(pid) - before_us
    print(
        f"\ningest: {calls / took_s:,.0f} calls/s, {spent_us / calls:.0f} µs CPU a call (1.2 KB chats, batches of 500)"
    )


def bytes_per_call(stack: Stack) -> None:
    size = sum(path.stat().st_size for path in (stack.data_dir / "store").iterdir())
    calls = _gauge(stack.data_dir, "ingest", "calls_stored")
    sent = len(load.request()) + len(UNARY)
    print(
        f"store: {size / calls:,.0f} bytes a call, everything included ({calls:,} calls of {sent:,} bytes on the wire)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=4000)
    options = parser.parse_args()
    if not Path("/proc/self/schedstat").exists():
        sys.exit("these measurements read CPU times from /proc: run them on Linux")
    dialects.report()
    with ExitStack() as stack:
        _, upstream = stack.enter_context(process("bench.upstream"))
        bare_process, bare_port = stack.enter_context(process("bench.bare", f"http://127.0.0.1:{upstream}"))
        targets = [Target("bare aiohttp (records nothing)", bare_port, lambda: [bare_process.pid])]
        if shutil.which("nginx") or Path("/usr/sbin/nginx").exists():
            targets.insert(0, stack.enter_context(nginx(upstream)))
        else:
            print("nginx is not installed: its rows are left out (apt install nginx-light)")
        slow, _, _ = stack.enter_context(llmtap(upstream, "aiohttp"))
        relay, both, tap = stack.enter_context(llmtap(upstream, "fast"))
        targets += [slow, relay, both]
        rounds, calls = options.rounds, options.calls
        table(
            "unary, 1.2 KB in, 1.1 KB out, 64 connections",
            "µs/call",
            measure(targets, rounds, calls, load.request(), 64),
        )
        table("unary, one connection", "µs/call", measure(targets, rounds, calls // 4, load.request(), 1))
        table("unary, 200 KB in", "µs/call", measure(targets, rounds, calls // 10, load.request(padding=200_000), 16))
        streams = load.request(stream=True)
        table(
            "streams, 100 at 20 chunks/s", "µs/chunk", measure(targets, max(1, rounds // 2), 100, streams, 100, CHUNKS)
        )
        ingest_rate(tap, relay.port, calls * 2)
        bytes_per_call(tap)


def _pid(data_dir: Path, name: str) -> int:
    return _gauge(data_dir, name, "pid")


def _gauge(data_dir: Path, name: str, vital: str) -> int:
    gauges = Gauges.open(data_dir / "run" / f"{name}.gauges", VITALS)
    try:
        return gauges[vital]
    finally:
        gauges.close()


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _free_port() -> int:
    import socket

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _wait_for(port: int) -> None:
    async def connects() -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return False
        writer.close()
        return True

    _wait_until(lambda: asyncio.run(connects()))


def _wait_until(condition: Callable[[], bool], timeout_s: float = 120) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            sys.exit("gave up waiting")
        time.sleep(0.01)


if __name__ == "__main__":
    main()
