"""Answers to clients: the upstream's, passed on exactly, and our own errors, shaped as OpenAI's."""

from __future__ import annotations

import asyncio
import json

from aiohttp import ClientPayloadError, hdrs, web
from aiohttp.http import HttpVersion10, HttpVersion11, StreamWriter
from aiohttp.web_protocol import RequestHandler, _ErrInfo

from ..errors import LlmtapError, RefusedRequest, UpstreamError
from .patience import Patience

CALL_ID_HEADER = "x-llmtap-call-id"

#: What aiohttp's parser objects to → (status, sentence). Its own texts quote what was sent, keys included.
_MALFORMED = {
    "LineTooLong": (431, "The request line or a header is too long; limits.header_bytes allows more."),
    "BadHttpMethod": (400, "This is not HTTP; if you meant TLS, write http:// in the base URL."),
    "InvalidHeader": (400, "A header is malformed; nothing was sent on."),
    "BadStatusLine": (400, "The request line is malformed; nothing was sent on."),
    "InvalidURLError": (400, "The request target is malformed; nothing was sent on."),
    "TransferEncodingError": (400, "The body's framing is malformed; nothing more was sent on."),
    "ContentLengthError": (400, "The body's length is malformed; nothing more was sent on."),
}
_MALFORMED_OTHERWISE = (400, "The request is not valid HTTP; nothing was sent on.")


class AnswerCutError(ConnectionError):
    """Ends a client's connection without completing the answer that has begun."""


class RelayedAnswer(web.StreamResponse):
    """Status line and headers go out in the order and spelling given; only framing is added.

    A client that takes nothing for ``patience_s`` loses its connection, which cancels the call.
    """

    def __init__(self, status: int, reason: str, patience_s: float) -> None:
        super().__init__(status=status, reason=reason)
        self._patience_s = patience_s

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """Pass bytes on; returns when the client has taken enough for more."""
        writer = self._payload_writer
        assert isinstance(writer, StreamWriter)
        await writer.write(data, drain=False)
        if writer.protocol.writing_paused and writer.transport is not None:
            with Patience(writer.transport, self._patience_s):
                await writer.drain()

    async def write_eof(self, data: bytes = b"") -> None:
        """Complete the answer."""
        writer = self._payload_writer
        transport = writer.transport if isinstance(writer, StreamWriter) else None
        if transport is None or not transport.get_write_buffer_size():
            await super().write_eof(data)
        else:
            with Patience(transport, self._patience_s):
                await super().write_eof(data)

    async def _prepare_headers(self) -> None:
        request, writer = self._req, self._payload_writer
        assert request is not None
        assert writer is not None
        keep_alive = request.keep_alive if self._keep_alive is None else self._keep_alive
        if not self._must_be_empty_body:
            length = self.headers.get(hdrs.CONTENT_LENGTH)
            if length is not None:
                writer.length = int(length)
            elif request.version >= HttpVersion11:
                writer.enable_chunking()
                self.headers[hdrs.TRANSFER_ENCODING] = "chunked"
            else:
                keep_alive = False
        self._keep_alive = keep_alive
        if not keep_alive and request.version >= HttpVersion11:
            self.headers[hdrs.CONNECTION] = "close"
        elif keep_alive and request.version < HttpVersion11:
            self.headers[hdrs.CONNECTION] = "keep-alive"


class OwnAnswer(web.Response):
    """Ours. What came without a version, or with one before 1.0, gets HTTP/1.1: there is no HTTP/0.9 status line."""

    async def _write_headers(self) -> None:
        request, writer = self._req, self._payload_writer
        assert request is not None
        assert writer is not None
        if request.version >= HttpVersion10:
            await super()._write_headers()
        else:
            self.headers[hdrs.CONNECTION] = "close"
            await writer.write_headers(f"HTTP/1.1 {self.status} {self.reason}", self.headers)


def error_body(message: str, kind: str, code: str) -> dict[str, object]:
    """OpenAI's shape, which every SDK can show."""
    return {"error": {"message": message, "type": kind, "code": code}}


def error_parts(error: LlmtapError) -> tuple[int, str, str]:
    """(status, type, code) of one of our errors."""
    if isinstance(error, RefusedRequest):
        return error.status, "llmtap_refused", error.code
    if isinstance(error, UpstreamError):
        return error.status, "llmtap_upstream", error.code
    return 500, "llmtap_error", "internal"


def own_answer(error: LlmtapError) -> web.Response:
    """The answer that llmtap gives by itself."""
    status, kind, code = error_parts(error)
    return _json(error_body(str(error), kind, code), status)


def _json(body: dict[str, object], status: int) -> OwnAnswer:
    return OwnAnswer(body=json.dumps(body).encode(), status=status, content_type="application/json", charset="utf-8")


class RelayProtocol(RequestHandler):
    """aiohttp's server protocol, with error pages that quote nothing and a limit on the first head."""

    __slots__ = ("busy", "head_deadline", "head_timeout_s")

    def __init__(self, manager: web.Server, head_timeout_s: float, **options: object) -> None:
        super().__init__(manager, **options)  # type: ignore[arg-type]
        self.busy = 0  #: requests being handled
        self.head_timeout_s = head_timeout_s
        self.head_deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: object) -> None:
        """Start the clock for the first request's head."""
        super().connection_made(transport)  # type: ignore[arg-type]
        self.head_deadline = self._loop.call_later(self.head_timeout_s, self._give_up_on_head)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Stop it."""
        if self.head_deadline is not None:
            self.head_deadline.cancel()
            self.head_deadline = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """aiohttp tells nobody who reads a body that its framing turned out bad: the reader would wait for ever."""
        super().data_received(data)
        if not self._messages or not isinstance(self._messages[-1][0], _ErrInfo):
            return
        begun = [payload for _, payload in list(self._messages)[:-1]]
        if self._current_request is not None:
            begun.insert(0, self._current_request.content)
        for payload in begun:
            if not payload.is_eof() and payload.exception() is None:
                payload.set_exception(ClientPayloadError("bad framing"))
                self._lingering_time = 0  # there is no rest to be read

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002
    ) -> web.StreamResponse:
        """Our own page instead of aiohttp's, which quotes header lines; the log gets no text of the peer either."""
        if request.writer.output_size > 0 or isinstance(exc, AnswerCutError):
            raise AnswerCutError
        if status == 500:
            self.logger.error("a call failed inside llmtap", exc_info=exc)
            text, kind, code = "llmtap failed on this call; its log on stderr says why.", "llmtap_error", "internal"
        else:
            status, text = _MALFORMED.get(type(exc).__name__, _MALFORMED_OTHERWISE)
            kind, code = "llmtap_refused", "malformed_request"
        answer = _json(error_body(text, kind, code), status)
        answer.force_close()
        return answer

    def _give_up_on_head(self) -> None:
        if self._request_count == 0:
            self.force_close()


class RelayServer(web.Server):
    """Makes a ``RelayProtocol`` per connection."""

    def __init__(self, handler: object, head_timeout_s: float, **options: object) -> None:
        super().__init__(handler, handler_cancellation=True, **options)  # type: ignore[arg-type]
        self._head_timeout_s = head_timeout_s

    def __call__(self) -> RelayProtocol:
        """A protocol for a new connection."""
        return RelayProtocol(self, self._head_timeout_s, loop=self._loop, **self._kwargs)
