"""A TCP proxy that spoils a connection on purpose; it knows nothing of HTTP.

``with Toxic(port, down=Slice(1)) as toxic:`` then talk to ``toxic.port``. ``up`` is what flows
from the client to the server, ``down`` what flows back. Runs in a thread with a loop of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Self

from msgspec import Struct

from .reset import reset


class Toxics(Struct, frozen=True):
    """What happens to one direction of a connection.

    ``latency_s`` before each piece; pieces of at most ``slice_bytes``; at most ``bytes_per_s``;
    after ``limit_bytes`` the connection is closed, or reset with ``reset``, or with ``stall`` kept
    open in silence.
    """

    latency_s: float = 0.0
    slice_bytes: int = 65_536
    bytes_per_s: float = 0.0
    limit_bytes: int | None = None
    reset: bool = False
    stall: bool = False


CLEAN = Toxics()


class LimitReachedError(Exception):
    """The toxic's limit was reached."""


class Toxic:
    """The proxy, in front of a port on 127.0.0.1."""

    def __init__(self, target_port: int, *, up: Toxics = CLEAN, down: Toxics = CLEAN) -> None:
        self.up, self.down = up, down
        self.connections = 0
        self._target = target_port
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(10)

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT``."""
        return f"http://127.0.0.1:{self.port}"

    async def _run(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        tasks: set[asyncio.Task[None]] = set()

        def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = self._loop.create_task(self._pair(reader, writer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        server = await asyncio.start_server(accepted, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._over.wait()
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _pair(self, client_in: asyncio.StreamReader, client_out: asyncio.StreamWriter) -> None:
        self.connections += 1
        server_in, server_out = await asyncio.open_connection("127.0.0.1", self._target)
        for writer in (client_out, server_out):
            writer.transport.set_write_buffer_limits(0)  # drain then means that the kernel has it
        flows = {
            self._loop.create_task(self._flow(client_in, server_out, self.up)),
            self._loop.create_task(self._flow(server_in, client_out, self.down)),
        }
        try:
            await asyncio.wait(flows, return_when=asyncio.FIRST_COMPLETED)
            broken = any(flow.done() and isinstance(flow.exception(), LimitReachedError) for flow in flows)
            if broken and (self.up.reset or self.down.reset):
                await reset(client_out.transport)
                await reset(server_out.transport)
        finally:
            for flow in flows:
                flow.cancel()
            await asyncio.gather(*flows, return_exceptions=True)
            for writer in (client_out, server_out):
                writer.close()

    async def _flow(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, toxics: Toxics) -> None:
        passed = 0
        with contextlib.suppress(ConnectionError):
            while data := await source.read(toxics.slice_bytes):
                if toxics.latency_s or toxics.bytes_per_s:
                    await asyncio.sleep(
                        toxics.latency_s + (len(data) / toxics.bytes_per_s if toxics.bytes_per_s else 0)
                    )
                if toxics.limit_bytes is not None and passed + len(data) >= toxics.limit_bytes:
                    sink.write(data[: toxics.limit_bytes - passed])
                    await sink.drain()
                    if toxics.stall:
                        await self._over.wait()
                    raise LimitReachedError
                sink.write(data)
                await sink.drain()
                passed += len(data)
