"""Connections of the fast path to upstreams: one call at a time on each, idle ones kept for the next.

The one that was used last is taken first, so that those which are not needed grow old and go. A connection
that says anything, or ends, while no call uses it is closed at once: what stands in the pool was alive
when it was taken, as far as anybody can know before the first byte of a request is sent.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Protocol

from .routes import Route

_IDLE_MOST = 256  #: kept per upstream; a relay that needed more for a moment closes them


class Answered(Protocol):
    """Who waits for what an upstream sends."""

    def answer_data(self, data: bytes) -> None:
        """Bytes of its answer."""

    def upstream_lost(self, error: Exception | None) -> None:
        """The connection has ended; with ``error`` it broke."""

    def upstream_full(self) -> None:
        """It takes nothing more for now."""

    def upstream_ready(self) -> None:
        """It does again."""


class Connection(asyncio.Protocol):
    """One connection to an upstream."""

    def __init__(self, pool: Pool, route: Route, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.route = route
        self.used_s = 0.0  #: when it was put into the pool
        self.call: Answered | None = None
        self._pool = pool
        transport.set_protocol(self)

    def data_received(self, data: bytes) -> None:
        """Bytes from the upstream."""
        if self.call is not None:
            self.call.answer_data(data)
        else:
            self._pool.forget(self)
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended."""
        self._pool.forget(self)
        call, self.call = self.call, None
        if call is not None:
            call.upstream_lost(exc)

    def pause_writing(self) -> None:
        """What was written to it waits."""
        if self.call is not None:
            self.call.upstream_full()

    def resume_writing(self) -> None:
        """It was taken."""
        if self.call is not None:
            self.call.upstream_ready()


class Pool:
    """All connections of one worker that no call uses."""

    def __init__(self, keep_alive_s: float) -> None:
        self._keep_alive_s = keep_alive_s
        self._idle: defaultdict[Route, list[Connection]] = defaultdict(list)

    def take(self, route: Route) -> Connection | None:
        """The one that was used last and still lives; None when there is none."""
        idle = self._idle[route]
        while idle:
            connection = idle.pop()
            if not connection.transport.is_closing():
                return connection
        return None

    def give(self, connection: Connection, now_s: float) -> None:
        """Keep one whose call is over and whose upstream waits for the next."""
        idle = self._idle[connection.route]
        connection.used_s = now_s
        if len(idle) < _IDLE_MOST and not connection.transport.is_closing():
            idle.append(connection)
        else:
            connection.transport.close()

    def forget(self, connection: Connection) -> None:
        """It is not to be used any more."""
        idle = self._idle[connection.route]
        if connection in idle:
            idle.remove(connection)

    def expire(self, now_s: float) -> None:
        """Close those that nobody used for so long that their upstream may be about to."""
        oldest_s = now_s - self._keep_alive_s
        for idle in self._idle.values():
            while idle and idle[0].used_s < oldest_s:
                idle.pop(0).transport.close()

    def close(self) -> None:
        """Close them all."""
        self.expire(float("inf"))
