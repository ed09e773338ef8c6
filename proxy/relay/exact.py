"""Where aiohttp's client does more, or less, than a relay may. All that leans on its inside is here, with the reason.

Written against aiohttp 3.14; ``tests/relay/test_identity.py`` and ``tests/conformance`` fail when it changes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from aiohttp.client_reqrep import ClientRequest
from aiohttp.connector import Connection
from multidict import CIMultiDict


class UploadStalledError(TimeoutError):
    """The upstream read nothing of a request's body for too long."""


class ExactRequest(ClientRequest):
    """A request that goes out as it was given: no invented length, no change to its method."""

    write_timeout_s: float = 900.0  #: how long the upstream may leave the body unread

    def __init__(self, method: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(method, *args, **kwargs)
        self.method = method  # aiohttp puts it into upper case

    def update_body_from_data(self, body: Any, _stacklevel: int = 3) -> None:
        """aiohttp would add ``Content-Length: 0`` to a POST that was sent without a body."""
        if body is not None:
            super().update_body_from_data(body, _stacklevel + 1)

    async def write_bytes(
        self, writer: AbstractStreamWriter, conn: Connection, content_length: int | None = None
    ) -> None:
        """aiohttp waits forever for an upstream that does not read, and keeps what was left unsent."""
        protocol = conn.protocol
        assert protocol is not None
        transport = protocol.transport
        drain = writer.drain

        async def drain_in_time() -> None:
            if not protocol.writing_paused:
                return
            try:
                await within(self.write_timeout_s, transport, drain)
            except TimeoutError as error:
                stalled = UploadStalledError()
                protocol.set_exception(stalled, error)  # wakes whoever waits for the answer's head
                raise stalled from error

        writer.drain = drain_in_time  # type: ignore[method-assign]
        try:
            await super().write_bytes(writer, conn, content_length)
        except BaseException:
            # A request that broke off is of no use; closing in order would wait for its rest to be read.
            if transport is not None:
                transport.abort()
            raise


