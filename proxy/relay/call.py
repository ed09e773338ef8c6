"""One call between its two sides, on the slow path.

Reads as the life of a call: check, send, pass the answer on, end. Bytes move as they come; the
capture is told of them just before they move. Deviations from promise 1 that aiohttp forces
(1xx, trailers, chunk framing, non-UTF-8 header bytes) are in the conformance table.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
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
from ..wire.identity import OMITTING, is_private
from .answers import CALL_ID_HEADER, AnswerCutError, RelayedAnswer, error_parts, own_answer
from .beginning import Beginnings
from .capture import Capture
from .heads import CONTROL_CHARACTERS
from .recording import Recording
from .routes import Destination, Routes
from .upload import Allowance, Upload
from .upstream import Upstreams
from .usage_injection import MOST_REQUEST_BYTES, Lines, UnaskedAnswer, asking, asking_headers, can_filter, may_ask

#: Not forwarded: Host is the upstream's own, Expect is answered here, control headers are ours.
_CONSUMED = frozenset({b"host", b"expect"})
_CONTROL_PREFIX = b"x-llmtap-"
_NO_LOG = b"x-llmtap-no-log"
ASKING = frozenset({_NO_LOG, *OMITTING})
_FALSE = frozenset({b"", b"0", b"false", b"no", b"off"})
STREAMED_TYPES = ("text/event-stream", "application/x-ndjson")


class Services(NamedTuple):
    """What the calls of one worker share."""

    config: Config
    routes: Routes
    upstreams: Upstreams
    recording: Recording
    recorder: Recorder
    beginnings: Beginnings
    vitals: Vitals
    may_hold: Allowance  #: of their uploads


class Arrival(Struct, frozen=True):
    """What is read off a request's head, once."""

    target: str
    names: frozenset[bytes]  #: lower case
    no_log: bool
    omit_request: bool
    omit_response: bool

    @classmethod
    def of(cls, request: web.BaseRequest) -> Arrival:
        """Look at the head of a request."""
        names = frozenset([name.lower() for name, _ in request.raw_headers])
        asked = frozenset() if names.isdisjoint(ASKING) else _asked(request.raw_headers)
        omitted = [OMITTING[name] for name in asked & OMITTING.keys()]
        return cls(
            target=request._message.path,  # noqa: SLF001  (as sent)
            names=names,
            no_log=_NO_LOG in asked,
            omit_request=any(request for request, _ in omitted),
            omit_response=any(answer for _, answer in omitted),
        )


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
        self._usage_asked = False  #: by us, in the client's place
        self._upload = Upload(request, capture, services.config.limits.client_body_idle_timeout_s, services.may_hold)

    async def run(self, refusal: RefusedRequest | None) -> web.StreamResponse:
        """From the head of the request to the end of the answer."""
        try:
            return await self._run(refusal)
        finally:
            self._upload.release()

    async def _run(self, refusal: RefusedRequest | None) -> web.StreamResponse:
        self._recorded = await self._capture.begin()
        try:
            self._refuse_if(refusal)
            answer = await self._send(self._check())
        except (RefusedRequest, UpstreamError) as error:
            if self._recorded:
                await self._upload.take_unsent()
            return await self._answer_ourselves(self._upload.failure or error)
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

    def _check(self) -> Lines:
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
        assert self._to is not None
        return _sendable(request.raw_headers, _CONSUMED | private(names, gateways=self._to.route.consumes))

    async def _send(self, headers: Lines) -> aiohttp.ClientResponse:
        assert self._to is not None
        method, send = self._request.method, self._services.upstreams.send
        if not self._request.body_exists:
            return await send(method, self._to, headers, None)
        if hdrs.EXPECT in self._request.headers:
            await self._request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._request.writer.output_size = 0
        if self._to.route.inject_usage and may_ask(method, self._to.path, headers):
            length = self._upload.rewrite(asking) if await self._upload.hold(MOST_REQUEST_BYTES) else None
            if length is not None:
                self._usage_asked = True
                headers = asking_headers(headers, length)
        return await send(method, self._to, headers, self._upload.pieces())

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
            unasked = self._unasked(upstream)
            if unasked is not None:
                answer.headers.popall(hdrs.CONTENT_LENGTH, None)
                answer.headers.popall(hdrs.CONTENT_ENCODING, None)
            await answer.prepare(self._request)
            await self._pass_body(upstream, answer, unasked)
        await answer.write_eof()
        return answer

    def _unasked(self, upstream: aiohttp.ClientResponse) -> UnaskedAnswer | None:
        encoding = ",".join(upstream.headers.getall(hdrs.CONTENT_ENCODING, []))
        taken_out = self._usage_asked and can_filter(upstream.status, upstream.content_type, encoding)
        return UnaskedAnswer(encoding) if taken_out else None

    async def _pass_body(
        self, upstream: aiohttp.ClientResponse, answer: RelayedAnswer, unasked: UnaskedAnswer | None
    ) -> None:
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
                for piece in _passed(data, unasked):
                    await answer.write(piece)
            if unasked is not None:
                await answer.write(unasked.finish())
        except UpstreamError as error:
            self._capture.end_now(Outcome.CUT, error_type=error.code, error_message=str(error), **self.upload_state())
            if unasked is not None:
                with contextlib.suppress(ConnectionError):
                    await answer.write(unasked.held)
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
        return {"request_complete": self._upload.complete}

    def _record_head(self, upstream: aiohttp.ClientResponse) -> None:
        version = upstream.version
        self._capture.response_head(
            upstream.status,
            upstream.reason or "",
            f"{version.major}.{version.minor}" if version else "1.1",
            self._services.recorder.headers(upstream.raw_headers),
            ours=False,
            usage_injected=self._usage_asked,
            event_stream=upstream.content_type in STREAMED_TYPES,
        )

    def _decorate(self, answer: web.StreamResponse) -> None:
        if self._services.config.relay.call_id_header:
            answer.headers[CALL_ID_HEADER] = id_text(self._capture.id)
        if self.last_on_connection:
            answer.force_close()

    async def _answer_ourselves(self, error: LlmtapError) -> web.StreamResponse:
        answer = own_answer(error)
        self._decorate(answer)
        if not self._upload.complete:
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


def _asked(raw: Sequence[tuple[bytes, bytes]]) -> frozenset[bytes]:
    """What a request asks not to be kept: names of headers whose value is not another word for no."""
    lines = ((name.lower(), value.strip().lower()) for name, value in raw)
    return frozenset(name for name, value in lines if name in ASKING and value not in _FALSE)


def _passed(data: bytes, unasked: UnaskedAnswer | None) -> Iterator[bytes]:
    """What the client gets for bytes of the upstream's answer."""
    return iter((data,)) if unasked is None else unasked.feed(data)


def private(names: frozenset[bytes], *, gateways: bool) -> frozenset[bytes]:
    """Those that are for llmtap, and with ``gateways`` those that were made for others of its kind."""
    return frozenset([name for name in names if name.startswith(_CONTROL_PREFIX) or (gateways and is_private(name))])


def _sendable(raw: Sequence[tuple[bytes, bytes]], consumed: frozenset[bytes]) -> Lines:
    """Request headers for the upstream, in order. Raises ``RefusedRequest`` for bytes that cannot be sent exactly."""
    try:
        return [(name.decode("ascii"), value.decode("utf-8")) for name, value in end_to_end(raw, consumed)]
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
    if any(CONTROL_CHARACTERS.search(value) for value in (phrase, *(value for _, value in raw))):
        raise UpstreamUnreachable("upstream_protocol", "The upstream's answer holds control characters in its head.")
    return headers


def _bodiless(method: str, status: int) -> bool:
    return method == hdrs.METH_HEAD or status in (204, 304)
