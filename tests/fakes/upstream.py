"""A real HTTP server on loopback that is strict about what it gets and does as told with answers.

In a test::

    async with FakeUpstream() as upstream:          # or, without a loop: with FakeUpstream() as upstream
        upstream.script("/v1/x", sse([b"1", b"2"], gates=True))
        ...
        upstream.open("event-0")
        upstream.requests[0].headers

As a process of its own (it prints its URL, then one JSON line a request when ``--record`` asks)::

    python -m tests.fakes.upstream --port 0 --record seen.jsonl
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ssl
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Self

import orjson

from .connection import ClientGoneError, Connection
from .reset import reset
from .scripts import Await, Close, Echo, Fill, Pause, ReadBody, Reset, Script, Send, Stall, answer, chat, split
from .wire import MAX_HEAD_BYTES, Seen, ViolationError, parse_head, read_body

Answering = Script | Callable[[Seen], Script]
_PATTERN = bytes(range(256)) * 256


class FakeUpstream:
    """The server. Usable as a context manager inside a loop (``async with``) or without one (``with``).

    ``requests`` holds every request in order of arrival, ``violations`` what a careful server
    would have refused, ``connections`` how many there were.
    """

    def __init__(self, *, port: int = 0, tls: ssl.SSLContext | None = None, record: Path | None = None) -> None:
        self.requests: list[Seen] = []
        self.violations: list[str] = []
        self.connections = 0
        self._scripts: dict[str, list[Answering]] = {}
        self._default: Answering = default
        self._gates: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._open: set[Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._port, self._tls = port, tls
        self._record = record.open("ab", buffering=0) if record else None
        self._thread: threading.Thread | None = None

    # -- what tests call

    @property
    def port(self) -> int:
        return self._port

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT``."""
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self._port}"

    def script(self, path: str, *answers: Answering) -> None:
        """Answer requests for a path (no query) in this order; the last answer repeats."""
        self._scripts[path] = list(answers)

    def otherwise(self, answering: Answering) -> None:
        """Answer requests for all other paths."""
        self._default = answering

    def open(self, gate: str) -> None:
        """Let scripts pass an ``Await(gate)``, now and later."""
        self._loop.call_soon_threadsafe(lambda: self._gates[gate].set())

    def drop_idle(self) -> None:
        """Close, from this side, every connection that waits for a request."""
        self._loop.call_soon_threadsafe(
            lambda: [each.transport.close() for each in self._open if each.seen is None or each.seen.finished_at]
        )

    def forget(self) -> None:
        """Start afresh: no requests, violations, scripts or open gates. Connections stay."""
        self._loop.call_soon_threadsafe(self._gates.clear)
        self.requests.clear()
        self.violations.clear()
        self._scripts.clear()
        self._default = default

    # -- life

    async def start(self) -> None:
        """Bind and listen on 127.0.0.1."""
        self._loop = asyncio.get_running_loop()
        self._server = await self._loop.create_server(
            lambda: Connection(self.adopt), "127.0.0.1", self._port, ssl=self._tls, backlog=1024
        )
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close everything."""
        self._server.close()
        for connection in list(self._open):
            connection.transport.abort()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._record:
            self._record.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    def __enter__(self) -> Self:
        started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._live(started)), daemon=True)
        self._thread.start()
        if not started.wait(10):
            raise RuntimeError("the fake upstream did not start")
        return self

    def __exit__(self, *exc: object) -> None:
        assert self._thread is not None
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(10)

    async def _live(self, started: threading.Event) -> None:
        self._over = asyncio.Event()
        async with self:
            started.set()
            await self._over.wait()

    # -- connections

    def adopt(self, connection: Connection) -> asyncio.Task[None]:
        """Start serving a new connection."""
        self.connections += 1
        connection.number = self.connections
        self._open.add(connection)
        task = self._loop.create_task(self._serve(connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _serve(self, connection: Connection) -> None:
        try:
            while await self._one(connection):
                pass
        except ClientGoneError:
            pass
        except ViolationError as violation:
            self._refuse(connection, str(violation))
        finally:
            connection.transport.close()
            self._open.discard(connection)

    def _refuse(self, connection: Connection, violation: str) -> None:
        self.violations.append(violation)
        if connection.seen is not None:
            connection.seen.violation = violation
        if not connection.transport.is_closing():
            connection.transport.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    async def _one(self, connection: Connection) -> bool:
        """Serve one request; whether the connection may serve another."""
        raw = await connection.until(b"\r\n\r\n", MAX_HEAD_BYTES)
        if not raw:
            if connection.waiting:
                raise ViolationError(
                    f"{len(connection.waiting)} bytes that are no request: {connection.waiting[:80]!r}"
                )
            return False
        seen = connection.seen = Seen(len(self.requests), connection.number, time.monotonic())
        try:
            parse_head(seen, raw)
        finally:
            self.requests.append(seen)
        try:
            return await self._answer(seen, connection)
        finally:
            self._log(seen)

    async def _answer(self, seen: Seen, connection: Connection) -> bool:
        answering = self._next_script(seen.path)
        if not isinstance(answering, Script) or answering.read_first:
            await read_body(seen, connection)
            if not seen.whole:
                raise ClientGoneError
        script = answering if isinstance(answering, Script) else answering(seen)
        for step in script.steps:
            await self._do(step, connection, seen)
        seen.finished_at = time.monotonic()
        if script.keep:
            await read_body(seen, connection)
        if connection.waiting and seen.whole:
            raise ViolationError(f"bytes after the request, before its answer ended: {connection.waiting[:80]!r}")
        asked_to_close = (seen.value(b"connection") or b"").lower() == b"close" or seen.version != b"HTTP/1.1"
        return script.keep and seen.whole and not asked_to_close

    def _next_script(self, path: str) -> Answering:
        answers = self._scripts.get(path)
        if not answers:
            return self._default
        return answers.pop(0) if len(answers) > 1 else answers[0]

    async def _do(self, step: object, connection: Connection, seen: Seen) -> None:
        match step:
            case Send(data, sizes, pause_s):
                for piece in split(data, sizes):
                    await connection.write(piece)
                    if pause_s:
                        await connection.wait(asyncio.sleep(pause_s))
            case Fill(size, chunked):
                for piece in split_pattern(size):
                    await connection.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
            case Pause(seconds):
                await connection.wait(asyncio.sleep(seconds))
            case Await(gate):
                await connection.wait(self._gates[gate].wait())
            case ReadBody(at_least):
                await read_body(seen, connection, at_least)
            case Stall():
                await connection.gone.wait()
                raise ClientGoneError
            case Close():
                connection.transport.close()
            case Reset():
                await reset(connection.transport)
            case Echo(framing):
                for each in answer(200, body=bytes(seen.body), framing=framing).steps:
                    await self._do(each, connection, seen)
            case _:
                raise TypeError(step)

    def _log(self, seen: Seen) -> None:
        if self._record and not self._record.closed:
            row = {"target": seen.target.decode("latin-1"), "body": seen.body.decode("latin-1"), "whole": seen.whole,
                   "finished": seen.finished_at is not None, "violation": seen.violation}  # fmt: skip
            self._record.write(orjson.dumps(row) + b"\n")


def split_pattern(size: int) -> list[bytes]:
    """``size`` bytes of the pattern that ``Fill`` writes, in 64 KB pieces."""
    whole, rest = divmod(size, len(_PATTERN))
    return [_PATTERN] * whole + ([_PATTERN[:rest]] if rest else [])


def default(seen: Seen) -> Script:
    """A chat API at ``…/chat/completions``; everything else is echoed."""
    if seen.path.endswith("/chat/completions") and seen.method == b"POST":
        return chat(bytes(seen.body))
    return answer(200, body=bytes(seen.body), method=seen.method.decode())


async def _main(arguments: argparse.Namespace) -> None:
    async with FakeUpstream(port=arguments.port, record=arguments.record) as upstream:
        print(upstream.url, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="a scripted HTTP server on loopback")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--record", type=Path)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_main(parser.parse_args()))
    sys.exit(0)
