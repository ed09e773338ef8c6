"""One TCP connection of the fake upstream: reading on demand, noticing the peer's leave, breaking off at any byte."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable
from typing import Any

from .wire import Seen, ViolationError


class ClientGoneError(Exception):
    """The peer closed while something was to be written or awaited."""


class Connection(asyncio.Protocol):
    """One TCP connection: buffers what comes, notices when the peer goes, can break off at any byte."""

    HIGH_WATER = 1 << 20

    def __init__(self, adopt: Callable[[Connection], object]) -> None:
        self._adopt = adopt
        self._buffer = bytearray()
        self._news = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._paused = False
        self.gone = asyncio.Event()
        self.seen: Seen | None = None
        self.number = 0

    # -- what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if transport.get_extra_info("ssl_object") is None:
            transport.set_write_buffer_limits(0)  # what is written is in the kernel; TLS transports never resume then
        with contextlib.suppress(OSError):
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._adopt(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._news.set()
        if len(self._buffer) > self.HIGH_WATER and not self._paused:
            self._paused = True
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        self._left(reset=False)
        return self.transport.get_extra_info("ssl_object") is None

    def connection_lost(self, exc: Exception | None) -> None:
        self._left(reset=isinstance(exc, ConnectionResetError | BrokenPipeError))
        self._writable.set()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def _left(self, *, reset: bool) -> None:
        if not self.gone.is_set() and self.seen is not None:
            self.seen.closed_at, self.seen.reset = time.monotonic(), reset
        self.gone.set()
        self._news.set()

    # -- reading

    async def _more(self) -> bool:
        """Wait for bytes; False when the peer has gone."""
        if self._paused:
            self._paused = False
            self.transport.resume_reading()
        if self.gone.is_set():
            return False
        self._news.clear()
        await self._news.wait()
        return True

    def _take(self, size: int) -> bytes:
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    @property
    def waiting(self) -> bytes:
        """Bytes that came and were not read yet."""
        return bytes(self._buffer)

    async def until(self, end: bytes, limit: int) -> bytes:
        """Bytes up to and with ``end``; empty when the peer goes first."""
        while (at := self._buffer.find(end)) < 0:
            if len(self._buffer) > limit or (self._buffer and self._buffer[0] < 32):
                raise ViolationError(f"no {end!r} within {limit} bytes: {self._buffer[:40]!r}")
            if not await self._more() and end not in self._buffer:
                return b""
        return self._take(at + len(end))

    async def exactly(self, size: int) -> bytes:
        """``size`` bytes; fewer when the peer goes first."""
        while len(self._buffer) < size and await self._more():
            pass
        return self._take(size)

    async def some(self, limit: int) -> bytes:
        """What is there, at least one byte; empty when the peer has gone."""
        while not self._buffer:
            if not await self._more() and not self._buffer:
                return b""
        return self._take(limit)

    # -- writing

    async def write(self, data: bytes) -> None:
        """Hand bytes to the kernel; raises ``ClientGoneError``."""
        if self.transport.is_closing():
            raise ClientGoneError
        if data:
            self.transport.write(data)
            await self._writable.wait()
        if self.transport.is_closing():
            raise ClientGoneError
        if self.seen is not None:
            self.seen.sent += len(data)

    async def wait(self, awaitable: Any) -> None:
        """Wait for something, but not longer than the peer stays; raises ``ClientGoneError``."""
        wanted, gone = asyncio.ensure_future(awaitable), asyncio.ensure_future(self.gone.wait())  # noqa: TID251
        try:
            await asyncio.wait({wanted, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not wanted.done():
                raise ClientGoneError
        finally:
            wanted.cancel()
            gone.cancel()
