"""The body of a request on its way from the client: passed on as it comes, or held until it is whole.

Whatever is read is in the capture first. A failure of the client's is kept here, to be told apart
from one of the upstream's: both come out of the same write.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import aiohttp
from aiohttp import web

from ..errors import RefusedRequest
from .capture import Capture

_UNSENT_BYTES = 8 << 20  #: of a body that goes nowhere
_UNSENT_S = 1.0


class Upload:
    """One request's body. ``complete``: all of it was read; ``failure``: why it never will be."""

    def __init__(self, request: web.BaseRequest, capture: Capture, idle_s: float) -> None:
        self.complete = not request.body_exists
        self.failure: RefusedRequest | None = None
        self._content = request.content
        self._capture = capture
        self._idle_s = idle_s
        self._began = False
        self._held = bytearray()

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes, what is held first. Raises TimeoutError or ConnectionError for the client's faults."""
        if self._held:
            held, self._held = bytes(self._held), bytearray()
            yield held
        while not self.complete and (data := await self._next()):
            yield data

    async def whole(self, most_bytes: int) -> bytes | None:
        """The body, when it is no longer than that; in any case ``pieces`` still gives all of it.

        Raises ``RefusedRequest`` when it never comes whole.
        """
        try:
            while not self.complete and len(self._held) <= most_bytes:
                self._held += await self._next()
        except (TimeoutError, ConnectionError):
            if self.failure is None:
                raise
            raise self.failure from None
        return bytes(self._held) if len(self._held) <= most_bytes else None

    async def take_unsent(self) -> None:
        """Nothing was sent on: read what the client sends all the same, within bounds, for the row to say it."""
        if self._began:
            return
        left = _UNSENT_BYTES
        with contextlib.suppress(TimeoutError, aiohttp.ClientError):
            async with asyncio.timeout(_UNSENT_S):
                while left > 0 and (data := await self._content.readany()):
                    self._capture.request_data(data)
                    left -= len(data)
                self.complete = self._content.at_eof()

    async def _next(self) -> bytes:
        self._began = True
        try:
            async with asyncio.timeout(self._idle_s):
                data = await self._content.readany()
        except TimeoutError:
            self.failure = RefusedRequest(
                408,
                "client_idle_timeout",
                f"The request's body stalled for {self._idle_s:g} s (limits.client_body_idle_timeout_s).",
            )
            raise
        except aiohttp.ClientError as error:
            self.failure = RefusedRequest(400, "malformed_request", "The request's body is malformed or cut short.")
            raise ConnectionError("client body") from error
        if data:
            self._capture.request_data(data)
        else:
            self.complete = True
        return data
