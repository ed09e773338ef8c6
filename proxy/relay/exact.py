"""Where aiohttp's client does more, or less, than a relay may. All that leans on its inside is here, with the reason.

``tests/conformance`` and ``tests/relay/test_identity.py`` notice when a new aiohttp behaves otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ClientRequest
from aiohttp.connector import Connection
from multidict import CIMultiDict

from .patience import Patience


class UploadStalledError(TimeoutError):
    """The upstream took nothing of a request's body for too long."""


class ExactRequest(ClientRequest):
    """A request that goes out as it was given: no invented length, no change to its method, no endless wait."""

    write_timeout_s: float  #: how long the upstream may leave the body unread; set by ``exact_request``

    def __init__(self, method: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(method, *args, **kwargs)
        self.method = method  # aiohttp has made it upper case

    def update_body_from_data(self, body: Any, _stacklevel: int = 3) -> None:
        """aiohttp would add ``Content-Length: 0`` to a POST that was sent without a body."""
        if body is not None:
            super().update_body_from_data(body, _stacklevel + 1)

    async def write_bytes(
        self, writer: AbstractStreamWriter, conn: Connection, content_length: int | None = None
    ) -> None:
        """aiohttp has no limit on a write, and closes a broken request only once its rest was read."""
        protocol, transport = conn.protocol, conn.transport
        assert protocol is not None
        assert transport is not None
        drain = writer.drain

        async def drain_in_time() -> None:
            if protocol.writing_paused:
                # The exception wakes whoever waits for the head of the answer.
                with Patience(transport, self.write_timeout_s, lambda: protocol.set_exception(UploadStalledError())):
                    await drain()

        writer.drain = drain_in_time  # type: ignore[method-assign]
        try:
            await super().write_bytes(writer, conn, content_length)
        except BaseException:
            transport.abort()
            raise
        if protocol.exception() is not None:
            transport.abort()


def exact_request(write_timeout_s: float) -> type[ExactRequest]:
    """``ExactRequest`` with a limit; aiohttp makes the instances itself."""
    return type("LimitedRequest", (ExactRequest,), {"write_timeout_s": write_timeout_s})


def never_repeat(session: aiohttp.ClientSession) -> None:
    """Whether an upstream acted on a request that got no answer cannot be known, so none is sent again."""
    session._retry_connection = False  # noqa: SLF001  (no public switch)


def exact_headers(headers: Sequence[tuple[str, str]]) -> tuple[aiohttp.ClientMiddlewareType, ...]:
    """A middleware that puts every line back in its place, if aiohttp would not leave it there.

    Of a name in two spellings it keeps the last only. What it adds itself (Host, framing) stays around.
    """
    names = {name for name, _ in headers}
    if len({name.lower() for name in names}) == len(names):
        return ()

    async def middleware(request: ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        given = {name.lower() for name in names}
        added = [(name, value) for name, value in request.headers.items() if name.lower() not in given]
        request.headers = CIMultiDict([*added[:1], *headers, *added[1:]])
        return await handler(request)

    return (middleware,)


class ExactResponseHandler(ResponseHandler):
    """aiohttp tells nobody who reads a body that its framing turned out bad: the reader would wait for ever."""

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        """What broke the connection's parser ends the body too."""
        payload = self._payload
        super().set_exception(exc, *cause)
        if payload is not None and not payload.is_eof() and payload.exception() is None:
            told = isinstance(exc, aiohttp.ClientError | OSError)
            payload.set_exception(exc if told else aiohttp.ClientPayloadError("bad framing"))

    def connection_lost(self, exc: BaseException | None) -> None:
        """A body that ends with the connection has not ended well when that broke; aiohttp does not look."""
        payload = self._payload
        if exc is not None and payload is not None and not payload.is_eof() and payload.exception() is None:
            payload.set_exception(aiohttp.ClientPayloadError("connection broke"))
        super().connection_lost(exc)
