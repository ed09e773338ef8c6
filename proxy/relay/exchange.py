"""One call on the fast path, between a client's connection and an upstream's.

Everything here runs inside a callback of the event loop and waits for nothing: bytes go on as they
come, the capture is told of them just before. Only a slow disk, and a connection that has to be made,
make a call pause. A call ends in one of three ways: its answer came whole, the client left, or the
upstream failed; whichever comes first counts.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import aiohttp
import httptools

from ..clock import id_text
from ..errors import LlmtapError, RefusedRequest
from ..journal.writer import Written
from ..records import Outcome
from ..tasks import spawn
from .answers import CALL_ID_HEADER, error_parts, own_answer
from .asker import Asker, Held
from .call import STREAMED_TYPES, Services, private
from .capture import Capture
from .chunks import Chunks
from .exact import UploadStalledError
from .heads import (
    END,
    LAST_CHUNK,
    AnswerHead,
    Framing,
    Lines,
    RequestHead,
    answered,
    chunk,
    is_usual,
    passed_on,
    sent_on,
)
from .patience import unsent_bytes
from .pool import Connection, Pool
from .routes import Destination
from .upload import UNSENT_BYTES, UNSENT_S, stalled

log = logging.getLogger(__name__)
_STREAMED = frozenset(each.encode() for each in STREAMED_TYPES)
_CALL_ID = CALL_ID_HEADER.encode()
_SWITCHING = 101  #: nobody asked for it
_INTERIM_BYTES = 1 << 18  #: of informational heads of one call
_LONG = 65_536  #: bytes that are not copied to be sent in one piece with a head


class Exchange:
    """One call. ``left``: bytes of the request's body that have not come yet."""

    def __init__(
        self, services: Services, pool: Pool, client: Asker, head: RequestHead, to: Destination, capture: Capture
    ) -> None:
        self.left = head.length
        self.capture = capture
        self.over = False
        self.moved_s = 0.0  #: when bytes last came from one of the sides
        self._services = services
        self._pool = pool
        self._client = client
        self._head = head
        self._to = to
        self._loop = asyncio.get_running_loop()
        self._connection: Connection | None = None
        self._dialling: asyncio.Task[None] | None = None
        self._queued: list[Callable[[], None]] | None = None  #: what came while the disk was waited for
        self._refusal: LlmtapError | None = None  #: to be said once the request was read as far as it is worth it
        self._last = head.close  #: no further answer on this connection
        self._sent = False  #: the head of the request was
        self._dirty = False  #: the upstream said more than was asked for
        self._waiting_bytes = 0  #: of the request, that the upstream had not taken a second ago
        self._interim_bytes = 0
        self._refused_bytes = 0
        self._unsent = b""  #: of the request, until there is a connection
        self._answer: AnswerHead | None = None
        self._heads = b""  #: of answers, not complete yet
        self._out = b""  #: head of the answer, until it is sent with the first of its body
        self._begun = False  #: the client has seen something of the final answer
        self._chunks: Chunks | None = None
        self._answer_left = 0

    # --- towards the upstream ------------------------------------------------------------------------

    def start(self, body: bytes) -> None:
        """Record that the call began, and send it on; ``body``: what came with its head."""
        self.moved_s = self._loop.time()
        written = self.capture.begin_now()
        self._take(body)
        self._unsent = body
        self._when_safe(written, self._connect)

    def request_data(self, data: bytes) -> bytes:
        """Bytes from the client; what is not of this request's body is given back."""
        self.moved_s = self._loop.time()
        piece = data[: self.left]
        self._take(piece)
        if self._connection is None:
            self._keep(piece)
        else:
            self._connection.transport.write(piece)
        return data[len(piece) :]

    def _keep(self, piece: bytes) -> None:
        if self._refusal is not None:
            self._refused_bytes += len(piece)
            if not self.left or self._refused_bytes > UNSENT_BYTES:
                self._refuse()
            return
        self._unsent += piece
        if len(self._unsent) > _LONG:
            self._client.hold(Held.UNSENT)

    def _take(self, piece: bytes) -> None:
        if piece:
            self.left -= len(piece)
            self.capture.request_data(piece)

    def _connect(self) -> None:
        connection = self._pool.take(self._to.route)
        if connection is not None:
            self._send(connection)
        else:
            self._dialling = spawn(self._dial(), "dial")

    async def _dial(self) -> None:
        upstreams = self._services.upstreams
        try:
            transport = await upstreams.dial(self._to)
        except LlmtapError as error:
            self.fail(error)
        except Exception as error:
            log.exception("a connection could not be made")
            self.fail(upstreams.failed(error, self._to))
        else:
            self.moved_s = self._loop.time()
            if self.over:
                transport.abort()
            else:
                self._send(Connection(self._pool, self._to.route, transport))
        finally:
            self._dialling = None

    def _send(self, connection: Connection) -> None:
        self._connection = connection
        self._sent = True
        connection.call = self
        to = self._to
        target = (to.path if to.query is None else f"{to.path}?{to.query}").encode()
        consumed = private(self._head.names, gateways=to.route.consumes)
        head, body = sent_on(self._head, target, to.route.authority.encode(), consumed), self._unsent
        self._unsent = b""
        self._client.go_on(Held.UNSENT)
        if len(body) < _LONG:
            connection.transport.write(head + body)
        else:
            connection.transport.write(head)
            connection.transport.write(body)

    def upstream_full(self) -> None:
        """The upstream takes nothing more for now."""
        self._client.hold(Held.UPSTREAM)

    def upstream_ready(self) -> None:
        """It does again."""
        self._client.go_on(Held.UPSTREAM)

    # --- towards the client --------------------------------------------------------------------------

    def answer_data(self, data: bytes) -> None:
        """Bytes from the upstream."""
        self.moved_s = self._loop.time()
        if self._queued is not None:
            self._queued.append(lambda: self.answer_data(data))
        elif self.capture.ended:
            self._dirty = True
        elif self._answer is not None:
            self._pass_on(data)
        else:
            self._heads += data
            rest = self._read_heads()
            if rest is not None:
                self._pass_on(rest)

    def _read_heads(self) -> bytes | None:
        """Informational heads are passed on as they came; what follows the final one is given back."""
        limits, heads, start = self._services.config.limits, self._heads, 0
        while (end := heads.find(END, start)) >= 0:
            raw, start = heads[start : end + len(END)], end + len(END)
            head = _well_formed(raw, limits.header_bytes, limits.header_count)
            if head is None or head.status == _SWITCHING or self._interim_bytes > _INTERIM_BYTES:
                self._fail_protocol()
                return None
            if head.status >= 200:
                self._heads = b""
                self._begin_answer(head)
                return heads[start:]
            self._interim_bytes += len(raw)
            self._client.write(raw)
        self._heads = heads[start:]
        if len(self._heads) > max(limits.header_bytes, _INTERIM_BYTES):
            self._fail_protocol()
        return None

    def _fail_protocol(self) -> None:
        self.fail(self._services.upstreams.failed(aiohttp.ClientPayloadError(), self._to))

    def _begin_answer(self, head: AnswerHead) -> None:
        self._answer = head
        self.capture.response_head(
            head.status,
            head.reason.decode("utf-8", "replace"),
            f"1.{head.minor}",
            self._services.recorder.headers(head.lines),
            ours=False,
            event_stream=head.content_type in _STREAMED,
        )
        added = self._decoration()
        if head.framing is Framing.CHUNKED:
            self._chunks = Chunks()
        if head.framing in (Framing.CHUNKED, Framing.CLOSE):
            added.append((b"Transfer-Encoding", b"chunked"))
        self._last |= self.left > 0 or self._client.leaves
        if self._last:
            added.append((b"Connection", b"close"))
        self._answer_left = head.length
        self._out = passed_on(head, added)

    def _decoration(self) -> Lines:
        if not self._services.config.relay.call_id_header:
            return []
        return [(_CALL_ID, id_text(self.capture.id).encode())]

    def _pass_on(self, data: bytes) -> None:
        assert self._answer is not None
        framing = self._answer.framing
        if framing is Framing.NONE:
            self._complete(b"", dirty=bool(data))
        elif framing is Framing.LENGTH:
            piece = data[: self._answer_left]
            self._answer_left -= len(piece)
            self._pass_piece(piece, piece, whole=not self._answer_left, dirty=len(data) > len(piece))
        elif framing is Framing.CLOSE:
            self._pass_piece(chunk(data) if data else b"", data, whole=False)
        else:
            self._pass_chunks(data)

    def _pass_chunks(self, data: bytes) -> None:
        assert self._chunks is not None
        try:
            raw, piece = self._chunks.feed(data)
        except ValueError:
            if self._begun:
                self.fail(self._services.upstreams.cut(self._to))
            else:
                self._fail_protocol()
            return
        self._pass_piece(raw, piece, whole=self._chunks.whole, dirty=len(raw) < len(data))

    def _pass_piece(self, raw: bytes, piece: bytes, *, whole: bool, dirty: bool = False) -> None:
        """Send ``raw`` on, of which ``piece`` is the body; ``dirty``: bytes followed that belong to no answer."""
        must_be_safe = bool(piece) and self.capture.response_data_now(piece)
        if whole:
            self._complete(raw, dirty=dirty)
        elif must_be_safe:
            self._when_safe(self.capture.flush(), lambda: self._write(raw))
        else:
            self._write(raw)

    def _write(self, raw: bytes) -> None:
        out, self._out = self._out + raw, b""
        self._begun = True
        self._client.write(out)

    def _complete(self, raw: bytes, *, dirty: bool) -> None:
        self._dirty |= dirty
        written = self.capture.end_now(Outcome.COMPLETE, response_complete=True, request_complete=not self.left)
        self._when_safe(written, lambda: self._finish(raw))

    def _finish(self, raw: bytes) -> None:
        self._write(raw)
        self._let_go(usable=self._is_usable())
        self._client.finished(close=self._last)

    def _is_usable(self) -> bool:
        """Whether the upstream waits for the next request, and for nothing else."""
        assert self._answer is not None
        ended = self._answer.keep_alive and self._answer.framing is not Framing.CLOSE
        taken = self._connection is not None and not self._connection.transport.get_write_buffer_size()
        return ended and taken and not (self._dirty or self.left)

    # --- other ends ----------------------------------------------------------------------------------

    def upstream_lost(self, error: Exception | None) -> None:
        """The connection to the upstream has ended."""
        if self._queued is not None:
            self._queued.append(lambda: self.upstream_lost(error))
            return
        self._connection = None
        if self.over or self.capture.ended:
            return
        if self._answer is None:
            cause = aiohttp.ServerDisconnectedError() if error is None else error
            self.fail(self._services.upstreams.failed(cause, self._to))
        elif self._answer.framing is Framing.CLOSE and error is None:
            self._complete(LAST_CHUNK, dirty=False)
        else:
            self.fail(self._services.upstreams.cut(self._to))

    def client_lost(self, outcome: Outcome = Outcome.CLIENT_CLOSED) -> None:
        """The client's connection has ended, or is ended by us."""
        if self.over:
            return
        self.capture.end_now(outcome, request_complete=not self.left)
        self._let_go(usable=False)

    def client_full(self) -> None:
        """The client takes nothing more for now."""
        if self._connection is not None:
            self._connection.transport.pause_reading()

    def client_ready(self) -> None:
        """It does again."""
        self.moved_s = self._loop.time()
        if self._connection is not None and not self._connection.transport.is_closing():
            self._connection.transport.resume_reading()

    def fail(self, error: LlmtapError) -> None:
        """The upstream cannot be reached, or has failed: say so, or cut the answer that has begun."""
        if self.over:
            return
        if self.left and not self._sent and self._refusal is None:
            self._read_then_refuse(error)
        elif self._begun:
            _, _, code = error_parts(error)
            self.capture.end_now(Outcome.CUT, error_type=code, error_message=str(error), request_complete=not self.left)
            self._let_go(usable=False)
            self._client.cut()
        else:
            self._answer_ourselves(error)

    def _read_then_refuse(self, error: LlmtapError) -> None:
        """Nothing was sent on: read what the client sends all the same, within bounds, for the row to say it."""
        self._refusal = error
        self._unsent = b""
        self._client.go_on(Held.UNSENT)
        self._loop.call_later(UNSENT_S, self._refuse)

    def _refuse(self) -> None:
        if self._refusal is not None and not self.over:
            self._answer_ourselves(self._refusal)

    def _answer_ourselves(self, error: LlmtapError) -> None:
        answer = own_answer(error)
        body = answer.body
        assert isinstance(body, bytes)
        lines: Lines = [(name.encode(), value.encode()) for name, value in answer.headers.items()]
        lines += self._decoration()
        close = self._head.close or self.left > 0 or self._client.leaves
        if close:
            lines.append((b"Connection", b"close"))
        headers = self._services.recorder.headers(lines)
        self.capture.response_head(answer.status, answer.reason, "1.1", headers, ours=True, event_stream=False)
        self.capture.response_data_now(body)
        outcome = Outcome.REFUSED if isinstance(error, RefusedRequest) else Outcome.FAILED
        _, _, code = error_parts(error)
        self.capture.end_now(
            outcome, error_type=code, error_message=str(error), response_complete=True, request_complete=not self.left
        )
        head = b"HTTP/1.1 %d %b\r\n" % (answer.status, answer.reason.encode())
        lines.append((b"Content-Length", b"%d" % len(body)))
        self._let_go(usable=False)
        self._client.write(b"%b%b\r\n%b" % (head, b"".join([b"%b: %b\r\n" % line for line in lines]), body))
        self._client.finished(close=close)

    def _let_go(self, *, usable: bool) -> None:
        self.over = True
        if self._dialling is not None and self._dialling is not asyncio.current_task():
            self._dialling.cancel()
        connection, self._connection = self._connection, None
        if connection is None:
            return
        connection.call = None
        if usable:
            connection.transport.resume_reading()
            self._pool.give(connection, self.moved_s)
        else:
            connection.transport.abort()

    # --- waiting -------------------------------------------------------------------------------------

    def look_at_clock(self, now_s: float) -> None:
        """Give up on a side that has been silent for too long. Asked once a second."""
        limits, upstreams, silent_s = self._services.config.limits, self._services.upstreams, now_s - self.moved_s
        if self.over or self._dialling is not None or self._queued is not None:
            return
        sending = self._still_to_send()
        if sending != self._waiting_bytes:  # a slow upstream is not a silent one
            self._waiting_bytes, self.moved_s, silent_s = sending, now_s, 0.0
        if sending and silent_s > limits.body_idle_timeout_s:
            self.fail(upstreams.failed(UploadStalledError(), self._to))
        elif self.left and self._answer is None:
            if silent_s > limits.client_body_idle_timeout_s and not sending:
                self.fail(stalled(limits.client_body_idle_timeout_s))
        elif self._answer is None and silent_s > limits.answer_timeout_s:
            self.fail(upstreams.failed(aiohttp.SocketTimeoutError(), self._to))
        elif self._answer is not None and silent_s > limits.body_idle_timeout_s:
            self.fail(upstreams.silent(self._to))

    def _still_to_send(self) -> int:
        connection = self._connection
        if connection is None or not connection.transport.get_write_buffer_size():
            return 0
        return unsent_bytes(connection.transport)

    def _when_safe(self, written: Written, then: Callable[[], None]) -> None:
        """Go on at once; on a slow disk, when it has decided or was waited for long enough."""
        if isinstance(written, bool):
            then()
            return
        self._queued = []
        if self._connection is not None:
            self._connection.transport.pause_reading()
        self._client.hold(Held.DISK)
        spawn(self._wait(written, then), "slow disk")

    async def _wait(self, written: Written, then: Callable[[], None]) -> None:
        await self.capture.settled(written)
        queued, self._queued = self._queued or [], None
        if self.over:
            return
        self._client.go_on(Held.DISK)
        if not self._client.is_full:
            self.client_ready()
        self._replay([then, *queued])

    def _replay(self, events: list[Callable[[], None]]) -> None:
        """What happened meanwhile, in its order; one of them may begin the next wait."""
        for at, event in enumerate(events):
            if self._queued is not None:
                self._queued += events[at:]
                return
            event()


def _well_formed(raw: bytes, most_line_bytes: int, most_lines: int) -> AnswerHead | None:
    """A head as llhttp and we read it; None when one of us does not."""
    if raw.count(b"\n") > most_lines + 2 or (
        len(raw) > most_line_bytes and max(map(len, raw.split(b"\r\n"))) > most_line_bytes
    ):
        return None
    if not is_usual(raw):
        try:
            httptools.HttpResponseParser(None).feed_data(raw)
        except httptools.HttpParserError:
            return None
    return answered(raw)
