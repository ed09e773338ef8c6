"""One call between its two sides, on the slow path.

Reads as the life of a call: check, send, pass the answer on, end. Bytes move as they come; the
capture is told of them just before they move. Deviations from promise 1 that aiohttp forces
(1xx, trailers, chunk framing, non-UTF-8 header bytes) are in the conformance table.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

import aiohttp
from aiohttp import hdrs, web
from aiohttp.http import HttpVersion10
from msgspec import Struct

from ..child import Vitals
from ..clock import id_text
from ..config import Config
from ..errors import LlmtapError, RefusedRequest, UpstreamError, UpstreamUnreachable
from ..records import Outcome
from ..wire.headers import Recorder, end_to_end
from .answers import CALL_ID_HEADER, AnswerCutError, RelayedAnswer, error_parts, own_answer
from .capture import Capture
from .recording import Recording
from .routes import Destination, Routes
from .upstream import Upstreams

#: Not forwarded: Host is the upstream's own, Expect is answered here, control headers are ours.
_CONSUMED = frozenset({b"host", b"expect"})
_CONTROL_PREFIX = b"x-llmtap-"
_NO_LOG = b"x-llmtap-no-log"
_FALSE = frozenset({b"", b"0", b"false", b"no", b"off"})
_CONTROL_CHARACTERS = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_UNSENT_BYTES = 8 << 20  #: of a body that goes nowhere
_UNSENT_S = 1.0
_STREAMED_TYPES = ("text/event-stream", "application/x-ndjson")


class Services(NamedTuple):
    """What the calls of one worker share."""

    config: Config
    routes: Routes
    upstreams: Upstreams
    recording: Recording
    recorder: Recorder
    vitals: Vitals


class Arrival(Struct, frozen=True):
    """What is read off a request's head, once."""

    target: str
    names: frozenset[bytes]  #: lower case
    no_log: bool

    @classmethod
    def of(cls, request: web.BaseRequest) -> Arrival:
        """Look at the head of a request."""
        headers = [(name.lower(), value) for name, value in request.raw_headers]
        no_log = any(name == _NO_LOG and value.strip().lower() not in _FALSE for name, value in headers)
        return cls(request._message.path, frozenset(name for name, _ in headers), no_log)  # noqa: SLF001  (as sent)


class RunningCall:
    """One call between its two sides."""

    def __init__(
        self, services: Services, request: web.BaseRequest, arrived: Arrival, to: Destination | None, capture: Capture
    ) -> None:
        self.last_on_connection = False  #: llmtap is draining: close after this answer
        self._services = services
        self._request = request
        self._arrived = arrived
        self._to = to
        self._capture = capture
        self._recorded = False  #: that it began
        self._upload_failure: LlmtapError | None = None
        self._upload_began = False
        self._uploaded = False

    async def run(self, refusal: RefusedRequest | None) -> web.StreamResponse:
        """From the head of the request to the end of the answer."""
        self._recorded = await self._capture.begin()
        try:
            self._refuse_if(refusal)
            answer = await self._send(self._check())
        except (RefusedRequest, UpstreamError) as error:
            await self._take_unsent_body()
            return await self._answer_ourselves(self._upload_failure or error)
        try:
            return await self._pass_on(answer)
        finally:
            answer.close()

    def _refuse_if(self, refusal: RefusedRequest | None) -> None:
        if not self._recorded and self._services.recording.refuses:
            raise RefusedRequest(503, "not_recorded", "llmtap cannot record calls now and is set to refuse them.")
        if refusal is not None:
            raise refusal

    # --- towards the upstream ----------------------------------------------------------------

    def _check(self) -> list[tuple[str, str]]:
        """The headers to send on, or a refusal."""
        names, request = self._arrived.names, self._request
        if request.version < HttpVersion10:
            raise RefusedRequest(505, "http_version", "HTTP/0.9 is not spoken here.")
        if request.method == hdrs.METH_CONNECT:
            raise RefusedRequest(405, "connect", "llmtap is not a forward proxy: set it as the base URL instead.")
        if b"upgrade" in names and b"websocket" in request.headers.get(hdrs.UPGRADE, "").lower().encode():
            raise RefusedRequest(501, "websocket", "WebSocket calls are not relayed yet; use the HTTP endpoint.")
        if request.version <= HttpVersion10 and b"transfer-encoding" in names:
            raise RefusedRequest(400, "malformed_request", "Transfer-Encoding does not exist in HTTP/1.0.")
        encodings = request.headers.getall(hdrs.TRANSFER_ENCODING, [])
        if any(value.strip().lower() != "chunked" for value in encodings):
            raise RefusedRequest(501, "malformed_request", "The only Transfer-Encoding understood is chunked.")
        expect = request.headers.getall(hdrs.EXPECT, [])
        if any(value.strip().lower() != "100-continue" for value in expect):
            raise RefusedRequest(417, "expect", "The only Expect understood is 100-continue.")
        return _sendable(request.raw_headers)

    async def _send(self, headers: list[tuple[str, str]]) -> aiohttp.ClientResponse:
        assert self._to is not None
        body = self._upload() if self._request.body_exists else None
        if body is None:
            self._uploaded = True
        elif hdrs.EXPECT in self._request.headers:
            await self._request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._request.writer.output_size = 0
        return await self._services.upstreams.send(self._request.method, self._to, headers, body)

    async def _upload(self) -> AsyncIterator[bytes]:
        """The client's body as it comes; a failure of the client's is kept, to be told apart from the upstream's."""
        idle_s = self._services.config.limits.client_body_idle_timeout_s
        content = self._request.content
        self._upload_began = True
        try:
            while True:
                async with asyncio.timeout(idle_s):
                    data = await content.readany()
                if not data:
                    break
                self._capture.request_data(data)
                yield data
        except TimeoutError:
            self._upload_failure = RefusedRequest(
                408,
                "client_idle_timeout",
                f"The request's body stalled for {idle_s:g} s (limits.client_body_idle_timeout_s).",
            )
            raise
        except aiohttp.ClientError as error:
            self._upload_failure = RefusedRequest(
                400, "malformed_request", "The request's body is malformed or cut short."
            )
            raise ConnectionError("client body") from error
        self._uploaded = True

    async def _take_unsent_body(self) -> None:
        """Nothing was sent on: read what the client sends all the same, within bounds, for the row to say it."""
        if self._upload_began or not self._recorded:
            return
        content, left = self._request.content, _UNSENT_BYTES
        with contextlib.suppress(TimeoutError, aiohttp.ClientError):
            async with asyncio.timeout(_UNSENT_S):
                while left > 0 and (data := await content.readany()):
                    self._capture.request_data(data)
                    left -= len(data)
                self._uploaded = content.at_eof()

    # --- towards the client ------------------------------------------------------------------

    async def _pass_on(self, upstream: aiohttp.ClientResponse) -> web.StreamResponse:
        """The upstream's answer, as it comes."""
        assert self._to is not None
        try:
            headers = _answer_headers(upstream.reason or "", upstream.raw_headers)
        except UpstreamError as error:
            return await self._answer_ourselves(error)
        patience_s = self._services.config.limits.client_body_idle_timeout_s
        answer = RelayedAnswer(upstream.status, upstream.reason or "", patience_s)
        for name, value in headers:
            answer.headers.add(name, value)
        self._record_head(upstream)
        self._decorate(answer)
        if _bodiless(self._request.method, upstream.status) or answer.headers.get(hdrs.CONTENT_LENGTH) == "0":
            await self._end(Outcome.COMPLETE, response_complete=True)
            await answer.prepare(self._request)
        else:
            await answer.prepare(self._request)
            await self._pass_body(upstream, answer)
        await answer.write_eof()
        return answer

    async def _pass_body(self, upstream: aiohttp.ClientResponse, answer: RelayedAnswer) -> None:
        assert self._to is not None
        length = answer.headers.get(hdrs.CONTENT_LENGTH)
        left = int(length) if length is not None else None
        try:
            while data := await self._services.upstreams.read(upstream, self._to):
                if not await self._capture.response_data(data):
                    self._cut_if_refusing()
                if left is not None:
                    left -= len(data)
                    if left <= 0:
                        await self._end(Outcome.COMPLETE, response_complete=True)
                await answer.write(data)
        except UpstreamError as error:
            self._capture.end_now(Outcome.CUT, error_type=error.code, error_message=str(error), **self.upload_state())
            raise AnswerCutError from error
        except ConnectionError:
            self._capture.end_now(Outcome.CLIENT_CLOSED, **self.upload_state())
            raise
        await self._end(Outcome.COMPLETE, response_complete=True)

    async def _end(self, outcome: Outcome, **details: object) -> None:
        recorded = await self._capture.end(outcome, **details, **self.upload_state())
        if not recorded or self._capture.lost:
            self._cut_if_refusing()

    def _cut_if_refusing(self) -> None:
        """Before the client can take for complete what is not recorded."""
        if self._services.recording.refuses:
            self._capture.end_now(
                Outcome.CUT, error_type="not_recorded", error_message="The call could not be recorded to its end.",
                **self.upload_state(),
            )  # fmt: skip
            raise AnswerCutError

    def upload_state(self) -> dict[str, object]:
        """Whether the request's body came whole, as a field of its end."""
        return {"request_complete": self._uploaded}

    def _record_head(self, upstream: aiohttp.ClientResponse) -> None:
        version = upstream.version
        self._capture.response_head(
            upstream.status,
            upstream.reason or "",
            f"{version.major}.{version.minor}" if version else "1.1",
            self._services.recorder.headers(upstream.raw_headers),
            ours=False,
            event_stream=upstream.content_type in _STREAMED_TYPES,
        )

    def _decorate(self, answer: web.StreamResponse) -> None:
        if self._services.config.relay.call_id_header:
            answer.headers[CALL_ID_HEADER] = id_text(self._capture.id)
        if self.last_on_connection:
            answer.force_close()

    async def _answer_ourselves(self, error: LlmtapError) -> web.StreamResponse:
        answer = own_answer(error)
        self._decorate(answer)
        if not self._uploaded:
            answer.force_close()
        body = answer.body
        assert isinstance(body, bytes)
        lines = [(name.encode(), value.encode()) for name, value in answer.headers.items()]
        headers = self._services.recorder.headers(lines)
        self._capture.response_head(answer.status, answer.reason, "1.1", headers, ours=True, event_stream=False)
        await self._capture.response_data(body)
        outcome = Outcome.REFUSED if isinstance(error, RefusedRequest) else Outcome.FAILED
        _, _, code = error_parts(error)
        recorded = await self._capture.end(
            outcome, error_type=code, error_message=str(error), response_complete=True, **self.upload_state()
        )
        if self._recorded and not recorded:
            self._cut_if_refusing()
        return answer


# --- pieces that decide without I/O ------------------------------------------------------------


def _sendable(raw: Sequence[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    """Request headers for the upstream, in order. Raises ``RefusedRequest`` for bytes that cannot be sent exactly."""
    kept = [item for item in end_to_end(raw, _CONSUMED) if not item[0].lower().startswith(_CONTROL_PREFIX)]
    try:
        return [(name.decode("ascii"), value.decode("utf-8")) for name, value in kept]
    except UnicodeDecodeError:
        raise RefusedRequest(
            502,
            "header_bytes",
            "A request header holds bytes that are not UTF-8, which this relay cannot pass on exactly.",
        ) from None


def _answer_headers(reason: str, raw: Sequence[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    """Answer headers for the client, in order. Raises ``UpstreamError`` for what must not be passed on."""
    try:
        phrase = reason.encode()
        headers = [(name.decode("ascii"), value.decode("utf-8")) for name, value in end_to_end(raw)]
    except UnicodeError:
        raise UpstreamUnreachable(
            "header_bytes",
            "The head of the answer holds bytes that are not UTF-8, which this relay cannot pass on exactly.",
        ) from None
    if any(_CONTROL_CHARACTERS.search(value) for value in (phrase, *(value for _, value in raw))):
        raise UpstreamUnreachable("upstream_protocol", "The upstream's answer holds control characters in its head.")
    return headers


def _bodiless(method: str, status: int) -> bool:
    return method == hdrs.METH_HEAD or status in (204, 304)
