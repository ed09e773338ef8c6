"""The slow path: aiohttp's handler for every request of a worker, from accept to the call's record."""

from __future__ import annotations

import asyncio
import ipaddress

from aiohttp import web

from ..addresses import Network
from ..config import Config
from ..errors import RefusedRequest
from ..records import Begin, Outcome
from .answers import AnswerCutError, RelayProtocol, own_answer
from .call import Arrival, RunningCall, Services
from .capture import Capture
from .routes import Destination


class SlowPath:
    """Handles every request of one worker."""

    def __init__(self, services: Services) -> None:
        self.draining = False  #: every answer is the last on its connection
        self.cutting = False  #: calls that still run are being cut
        self.running: set[asyncio.Task[object]] = set()
        self._services = services
        self._allowed = _networks(services.config)

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """aiohttp's handler."""
        task = asyncio.current_task()
        protocol = request.protocol
        assert task is not None
        assert isinstance(protocol, RelayProtocol)
        protocol.busy += 1
        self.running.add(task)
        self._services.vitals.add("calls_accepted")
        self._services.vitals.add("calls_running")
        try:
            return await self._handle(request)
        finally:
            protocol.busy -= 1
            self.running.discard(task)
            self._services.vitals.add("calls_running", -1)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if not self.may_use(request.remote):
            return own_answer(
                RefusedRequest(403, "not_allowed", "Your address is not in relay.allow_networks; ask who runs llmtap.")
            )
        arrived = Arrival.of(request)
        to, refusal = self._route(arrived)
        capture = Capture(self._services.recording, self._begin(request, arrived, to))
        call = RunningCall(self._services, request, arrived, to, capture)
        call.last_on_connection = self.draining
        try:
            return await call.run(refusal)
        except AnswerCutError:
            raise
        except asyncio.CancelledError:
            capture.end_now(Outcome.STOPPED if self.cutting else Outcome.CLIENT_CLOSED, **call.upload_state())
            raise
        except ConnectionError:
            capture.end_now(Outcome.CLIENT_CLOSED, **call.upload_state())
            raise
        except Exception as error:
            capture.end_now(Outcome.FAILED, error_type="internal", error_message=type(error).__name__)
            raise

    def _route(self, arrived: Arrival) -> tuple[Destination | None, RefusedRequest | None]:
        try:
            anthropic = b"anthropic-version" in arrived.names
            return self._services.routes.resolve(arrived.target, anthropic_version=anthropic), None
        except RefusedRequest as error:
            return None, error

    def may_use(self, remote: str | None) -> bool:
        """Whether a client's address is let in."""
        if not self._allowed:
            return True
        peer = ipaddress.ip_address((remote or "0.0.0.0").removeprefix("::ffff:").partition("%")[0])  # noqa: S104
        return any(peer in network for network in self._allowed)

    def _begin(self, request: web.BaseRequest, arrived: Arrival, to: Destination | None) -> Begin:
        return self._services.beginnings.of(
            request.method,
            arrived.target.encode("utf-8", "surrogateescape"),
            f"{request.version.major}.{request.version.minor}",
            request.transport.get_extra_info("peername") if request.transport is not None else None,
            request.raw_headers,
            to,
            no_log=arrived.no_log,
            omit_request=arrived.omit_request,
            omit_response=arrived.omit_response,
        )


def _networks(config: Config) -> tuple[Network, ...]:
    loopback = ("127.0.0.0/8", "::1/128")
    allowed = config.relay.allow_networks
    return tuple(ipaddress.ip_network(text) for text in (*loopback, *allowed)) if allowed else ()
