"""The fast path: clients' connections as protocols of the event loop, without a task or a parser's objects for a call.

It takes what is usual (see ``heads``) and hands over everything else, connection and all, to the slow
path: before anything of that request was recorded or sent, with an empty write buffer, and with every
byte that was read. A connection that has been handed over stays there.
"""

from __future__ import annotations

import asyncio
import logging
from typing import cast

from ..errors import RefusedRequest
from ..records import Outcome
from .answers import RelayServer
from .asker import Held
from .call import ASKING, Services
from .capture import Capture
from .exchange import Exchange
from .heads import END, RequestHead, usual
from .patience import unsent_bytes
from .pool import Pool
from .routes import Destination, Route
from .slowpath import SlowPath

log = logging.getLogger(__name__)
_AHEAD_BYTES = 65_536  #: of requests that come before their turn
_ANY = ~Held.NOT
_LINGER_S = 2.0  #: an answer given before the body was read would be lost in a reset without it


class FastPath:
    """What the fast connections of one worker share. Makes a protocol per connection."""

    def __init__(self, services: Services, slow: SlowPath, server: RelayServer) -> None:
        self.services = services
        self.slow = slow
        self.server = server
        self.pool = Pool(services.config.limits.upstream_keep_alive_s)
        self.clients: set[Client] = set()
        self.draining = False
        self._through_proxy: dict[Route, bool] = {}

    def __call__(self) -> Client:
        """A protocol for a new connection."""
        return Client(self)

    @property
    def running(self) -> int:
        """How many calls are under way."""
        return sum(client.call is not None for client in self.clients)

    def destination(self, head: RequestHead) -> Destination | None:
        """Where a usual request goes; None when the slow path has to see to it."""
        recording = self.services.recording
        if self.draining or recording.refuses or recording.journal.hindered or not head.names.isdisjoint(ASKING):
            return None
        try:
            anthropic = b"anthropic-version" in head.names
            to = self.services.routes.resolve(head.target.decode("ascii"), anthropic_version=anthropic)
        except RefusedRequest:
            return None
        if self._by_proxy(to) or (to.route.inject_usage and head.length):
            return None
        return to

    def tick(self, now_s: float) -> None:
        """Once a second: give up on what has been silent for too long."""
        self.pool.expire(now_s)
        for client in list(self.clients):
            try:
                client.look_at_clock(now_s)
            except Exception:
                log.exception("a connection could not be looked after")

    def close_idle(self) -> None:
        """Close the connections that wait for a request."""
        for client in list(self.clients):
            client.close_if_idle()

    def stop(self) -> None:
        """End the calls that still run."""
        for client in list(self.clients):
            client.stop()

    def _by_proxy(self, to: Destination) -> bool:
        known = self._through_proxy.get(to.route)
        if known is None:
            known = self._through_proxy[to.route] = self.services.upstreams.through_proxy(to)
        return known


class Client(asyncio.Protocol):
    """One connection of a client. Its call, if there is one, is written to as ``Asker``."""

    def __init__(self, fast: FastPath) -> None:
        self.call: Exchange | None = None
        self._fast = fast
        self._loop = asyncio.get_running_loop()
        self._read = b""  #: and not used yet
        self._held = Held.NOT
        self._answered = 0
        self._waits_since_s = self._loop.time()  #: for a request
        self._taken_s = 0.0  #: when it last took bytes of what waited for it
        self._unsent = 0  #: bytes of answers that the client had not taken a second ago
        self._lingers = False
        self.is_full = False  #: of answers that the client does not take

    # --- the event loop's side -----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's are none by inheritance
        peer = transport.get_extra_info("peername")
        self._peer = peer if isinstance(peer, tuple) else None
        self._fast.clients.add(self)

    def data_received(self, data: bytes) -> None:
        """Bytes from the client."""
        if self._lingers:
            return
        if self.call is not None and self.call.left:
            data = self.call.request_data(data)
        if data:
            self._read = self._read + data if self._read else data
            self._next()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """The client has left, or was told to."""
        self._fast.clients.discard(self)
        call = self.call
        if call is not None:
            call.client_lost()
            self._end_call()

    def pause_writing(self) -> None:
        """The client takes nothing more for now."""
        self.is_full = True
        if self.call is not None:
            self.call.client_full()

    def resume_writing(self) -> None:
        """It does again."""
        self.is_full = False
        if self._held & Held.LEAVING:
            self._hand_over()
        elif self.call is not None:
            self.call.client_ready()
        else:
            self._next()

    # --- what its call asks of it --------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send bytes of the answer."""
        self.transport.write(data)

    def hold(self, why: Held) -> None:
        """Take no more bytes from the client."""
        if not self._held and not self.transport.is_closing():
            self.transport.pause_reading()
        self._held |= why

    def go_on(self, why: Held) -> None:
        """Take them again, unless there is another reason not to."""
        before, self._held = self._held, self._held & ~why
        if before and not self._held and not self.transport.is_closing():
            self.transport.resume_reading()

    @property
    def leaves(self) -> bool:
        """Whether the connection ends with this answer, because llmtap does."""
        return self._fast.draining

    def finished(self, *, close: bool) -> None:
        """The answer is complete."""
        left = self.call.left if self.call is not None else 0
        self._end_call()
        self._answered += 1
        self._waits_since_s = self._loop.time()
        if left:
            self._linger()
        elif close or self._fast.draining:
            self.transport.close()
        else:
            self._loop.call_soon(self._next)

    def cut(self) -> None:
        """End the connection before the answer is complete; what was written still goes out."""
        self._end_call()
        self.transport.close()

    def _end_call(self) -> None:
        if self.call is not None:
            self.call = None
            self._fast.services.vitals.add("calls_running", -1)

    def _linger(self) -> None:
        """Let the client read the answer to a request that it has not sent to its end."""
        self._lingers = True
        self._read = b""
        self.go_on(_ANY)
        self._loop.call_later(_LINGER_S, self.transport.close)

    # --- requests ------------------------------------------------------------------------------------

    def _next(self) -> None:
        """Begin the next call, if its head is there."""
        if self.call is not None or self.is_full or self._lingers or self._held & Held.LEAVING:
            self._bound_read_ahead()
            return
        if not self._read or self.transport.is_closing():
            return
        end = self._read.find(END)
        if end < 0:
            self.go_on(Held.AHEAD)
            if not _may_become_usual(self._read, self._fast.services.config.limits.header_bytes):
                self._leave()
            return
        head = self._usual(self._read[: end + len(END)])
        to = self._fast.destination(head) if head is not None else None
        if head is None or to is None:
            self._leave()
            return
        rest = self._read[end + len(END) :]
        body, self._read = rest[: head.length], rest[head.length :]
        self._bound_read_ahead()
        self._begin(head, to, body)

    def _bound_read_ahead(self) -> None:
        if len(self._read) > _AHEAD_BYTES:
            self.hold(Held.AHEAD)
        else:
            self.go_on(Held.AHEAD)

    def _usual(self, raw: bytes) -> RequestHead | None:
        limits = self._fast.services.config.limits
        if len(raw) > limits.header_bytes or raw.count(b"\n") > limits.header_count:
            return None
        if not self._fast.slow.may_use(self._peer[0] if self._peer else None):
            return None
        return usual(raw)

    def _begin(self, head: RequestHead, to: Destination, body: bytes) -> None:
        services = self._fast.services
        begin = services.beginnings.of(head.method.decode(), head.target, "1.1", self._peer, head.lines, to)
        services.vitals.add("calls_accepted")
        services.vitals.add("calls_running")
        capture = Capture(services.recording, begin)
        self.call = Exchange(services, self._fast.pool, self, head, to, capture)
        self.call.start(body)

    # --- the slow path -------------------------------------------------------------------------------

    def _leave(self) -> None:
        """Hand over, once all answers are on their way."""
        self.hold(Held.LEAVING)
        if self.transport.get_write_buffer_size():
            self.transport.set_write_buffer_limits(high=0)  # ``resume_writing`` is called when it is empty
        else:
            self._hand_over()

    def _hand_over(self) -> None:
        self._fast.clients.discard(self)
        if self.transport.is_closing():
            return
        self.transport.set_write_buffer_limits()
        protocol = self._fast.server()
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)
        data, self._read = self._read, b""
        self.transport.resume_reading()
        protocol.data_received(data)

    # --- clocks --------------------------------------------------------------------------------------

    def look_at_clock(self, now_s: float) -> None:
        """Give up on a client that sends no request, or takes no answer."""
        limits = self._fast.services.config.limits
        unsent = unsent_bytes(self.transport) if self.transport.get_write_buffer_size() else 0
        if unsent != self._unsent:
            self._unsent, self._taken_s = unsent, now_s
        if unsent:
            if now_s - self._taken_s > limits.client_body_idle_timeout_s:
                self.transport.abort()
        elif self.call is not None:
            self.call.look_at_clock(now_s)
        elif now_s - self._waits_since_s > (
            limits.client_keep_alive_s if self._answered else limits.client_head_timeout_s
        ):
            self.transport.close()

    def close_if_idle(self) -> None:
        """Close the connection unless a call is under way."""
        if self.call is None and not self._held & Held.LEAVING:
            self.transport.close()

    def stop(self) -> None:
        """End the call, if one is under way."""
        if self.call is not None:
            self.call.client_lost(Outcome.STOPPED)
            self._end_call()
            self.transport.abort()


def _may_become_usual(read: bytes, most_bytes: int) -> bool:
    """Whether it is worth waiting for the rest of a head."""
    return len(read) <= most_bytes and read[:1].isupper() and read.count(b"\n") == read.count(b"\r\n")
