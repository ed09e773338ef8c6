"""What tabs that follow calls cost those whose calls go through the relay: with and without, in turns."""

from __future__ import annotations

import selectors
import socket
import statistics
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import uvloop

from tests.fakes.process import UpstreamProcess
from tests.harness.server import LlmtapServer

from . import load

TABS = 20
CALLS = 1000  #: of each half of a pair
CONNECTIONS = 4
_FOLLOW = b"GET /live HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: text/event-stream\r\n\r\n"


@contextmanager
def tabs(port: int) -> Iterator[None]:
    """Pages that follow, each a connection; one more never reads."""
    frozen = socket.socket()
    frozen.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    frozen.connect(("127.0.0.1", port))
    reading = [socket.create_connection(("127.0.0.1", port)) for _ in range(TABS)]
    for each in (frozen, *reading):
        each.sendall(_FOLLOW % port)
    stop = threading.Event()
    thread = threading.Thread(target=_read, args=(reading, stop))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        for each in (frozen, *reading):
            each.close()


def _read(reading: list[socket.socket], stop: threading.Event) -> None:
    with selectors.DefaultSelector() as waiting:
        for each in reading:
            waiting.register(each, selectors.EVENT_READ)
        while not stop.is_set():
            for key, _ in waiting.select(0.1):
                if not key.fileobj.recv(1 << 16):  # type: ignore[union-attr]
                    waiting.unregister(key.fileobj)


def p99_ms(port: int) -> float:
    """Of calls through the relay."""
    took_s = sorted(uvloop.run(load.run(port, load.request(), connections=CONNECTIONS, calls=CALLS)))
    return took_s[int(len(took_s) * 0.99)] * 1000


def crowd(directory: Path, pairs: int, line: Callable[..., None]) -> None:
    """Measure and print."""
    differences, alone = [], []
    with UpstreamProcess(directory) as upstream, LlmtapServer(directory, upstream.url) as server:
        p99_ms(server.port)
        for _ in range(pairs):
            without = p99_ms(server.port)
            with tabs(server.console_port):
                differences.append(p99_ms(server.port) - without)
            alone.append(without)
    said = f"{statistics.median(differences):+.2f} ({statistics.median(alone):.2f})"
    line(f"{TABS} tabs and a frozen one: p99 of calls, ms", said, "<+1")
