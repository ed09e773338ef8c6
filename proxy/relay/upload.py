"""The body of a request on its way from the client: passed on as it comes, or held until it is whole.

Whatever is read is in the capture first. A failure of the client's is kept here, to be told apart
from one of the upstream's: both come out of the same write.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import aiohttp
from aiohttp import web

from ..errors import RefusedRequest
from .capture import Capture

UNSENT_BYTES = 8 << 20  #: of a body that goes nowhere
UNSENT_S = 1.0
MOST_HELD_BYTES = 32 << 20  #: by all calls of a worker together


class Allowance:
    """How much the uploads of one worker may hold together, in bytes."""

    def __init__(self, left: int = MOST_HELD_BYTES) -> None:
        self.left = left


class Upload:
    """One request's body. ``complete``: all of it was read; ``failure``: why it never will be."""

    def __init__(self, request: web.BaseRequest, capture: Capture, idle_s: float, allowance: Allowance) -> None:
        self.complete = not request.body_exists
        self.failure: RefusedRequest | None = None
        self._content = request.content
        self._capture = capture
        self._idle_s = idle_s
        self._began = False
        self._allowance = allowance
        self._held: bytes | bytearray = b""
        self._counted = 0  #: of the allowance, for what is held

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes, what is held first. Raises TimeoutError or ConnectionError for the client's faults."""
        if self._held:
            yield self._hand_over()
        self.release()
        while not self.complete and (data := await self._next()):
            yield data

    async def hold(self, most_bytes: int) -> bool:
        """Whether the whole body could be held: it is no longer than that, and all calls hold no more than they may.

        In any case ``pieces`` still gives all of it. Raises ``RefusedRequest`` when it never comes whole.
        """
        held = self._held = bytearray()
        try:
            while not self.complete and len(held) <= most_bytes and self._allowance.left >= 0:
                held += await self._next()
                self._count(len(held))
        except (TimeoutError, ConnectionError):
            if self.failure is None:
                raise
            raise self.failure from None
        return self.complete

    def rewrite(self, change: Callable[[bytes], bytes | None]) -> int | None:
        """Put ``change`` of the held body in its place; the length of that, None where it gives None.

        Nothing is awaited, so only one call of a worker has a body twice at a time.
        """
        changed = change(bytes(self._held))
        if changed is None:
            return None
        self._held = changed
        self._count(len(changed))
        return len(changed)

    def release(self) -> None:
        """Nothing is held any more."""
        self._held = b""
        self._count(0)

    async def take_unsent(self) -> None:
        """Nothing was sent on: read what the client sends all the same, within bounds, for the row to say it."""
        if self._began:
            return
        left = UNSENT_BYTES
        with contextlib.suppress(TimeoutError, aiohttp.ClientError):
            async with asyncio.timeout(UNSENT_S):
                while left > 0 and (data := await self._content.readany()):
                    self._capture.request_data(data)
                    left -= len(data)
                self.complete = self._content.at_eof()

    def _hand_over(self) -> bytes:
        """What is held; only whoever gets it still has it."""
        held, self._held = self._held, b""
        return bytes(held)

    def _count(self, held_bytes: int) -> None:
        self._allowance.left -= held_bytes - self._counted
        self._counted = held_bytes

    async def _next(self) -> bytes:
        self._began = True
        try:
            async with asyncio.timeout(self._idle_s):
                data = await self._content.readany()
        except TimeoutError:
            self.failure = stalled(self._idle_s)
            raise
        except aiohttp.ClientError as error:
            self.failure = RefusedRequest(400, "malformed_request", "The request's body is malformed or cut short.")
            raise ConnectionError("client body") from error
        if data:
            self._capture.request_data(data)
        else:
            self.complete = True
        return data


def stalled(idle_s: float) -> RefusedRequest:
    """Why a request is given up whose body does not come."""
    sentence = f"The request's body stalled for {idle_s:g} s (limits.client_body_idle_timeout_s)."
    return RefusedRequest(408, "client_idle_timeout", sentence)
