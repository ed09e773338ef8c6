"""The slow path's client half: aiohttp, tuned to add nothing, follow nothing and repeat nothing.

Every failure leaves here as one of our errors, with a sentence that names its cause and never
quotes a header.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import os
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any
from urllib.request import getproxies, proxy_bypass

import aiohttp
from aiohttp.client_reqrep import ClientRequest
from aiohttp.connector import Connection
from multidict import CIMultiDict
from yarl import URL

from ..config import Limits
from ..config import Relay as Settings
from ..errors import LlmtapError, RefusedRequest, UpstreamCut, UpstreamTimeout, UpstreamUnreachable
from .causes import cause_of, reason_of
from .exact import ExactResponseHandler, exact_headers, exact_request, never_repeat
from .routes import Destination

_AUTO_HEADERS = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
_PROXY_VARIABLES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
_LOOPBACK = {4: ipaddress.ip_address("127.0.0.1"), 6: ipaddress.ip_address("::1")}


class OwnAddresses:
    """The sockets that this relay listens on: a connection to one of them would be a loop."""

    def __init__(self, sockets: Sequence[socket.socket]) -> None:
        names = [sock.getsockname()[:2] for sock in sockets if sock.family in (socket.AF_INET, socket.AF_INET6)]
        self._exact = {(_reached(host), port) for host, port in names if not _numeric(host).is_unspecified}
        self._any_host = {port for host, port in names if _numeric(host).is_unspecified}

    def __contains__(self, address: tuple[Any, ...]) -> bool:
        """Whether connecting to ``(host, port, …)`` would reach one of them, as far as the address tells."""
        host, port = _reached(address[0]), address[1]
        return (host, port) in self._exact or (port in self._any_host and host.is_loopback)

    def reached_by(self, transport: asyncio.BaseTransport) -> bool:
        """Whether a connection did: a peer with our own address is this machine."""
        peer, here = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        if not isinstance(peer, tuple) or not isinstance(here, tuple):
            return False
        return peer in self or (peer[1] in self._any_host and _reached(peer[0]) == _reached(here[0]))


class GuardedConnector(aiohttp.TCPConnector):
    """Connects to anything but ourselves."""

    def __init__(self, own: OwnAddresses, **options: Any) -> None:
        super().__init__(socket_factory=self._socket, **options)
        self._own = own
        self._factory: partial[Any] = partial(ExactResponseHandler, loop=self._loop)

    async def connect(self, *args: Any, **kwargs: Any) -> Connection:
        """As aiohttp's. Raises OSError (ELOOP)."""
        connection = await super().connect(*args, **kwargs)
        if connection.transport is not None and self._own.reached_by(connection.transport):
            connection.close()
            raise _loop()
        return connection

    async def dial(self, url: URL, proxy: URL | None, timeout_s: float) -> asyncio.Transport:
        """A new connection that is the caller's alone. Raises what requests raise."""
        request = ClientRequest("GET", url, loop=asyncio.get_running_loop(), proxy=proxy)
        try:
            async with asyncio.timeout(timeout_s):
                protocol = await self._create_connection(request, [], aiohttp.ClientTimeout())
        except TimeoutError as error:
            raise aiohttp.ConnectionTimeoutError from error
        transport = protocol.transport
        if transport is None:
            raise aiohttp.ServerDisconnectedError
        if self._own.reached_by(transport):
            transport.abort()
            raise _loop()
        return transport

    def _socket(self, info: Any) -> socket.socket:
        family, kind, protocol, _, address = info
        if address in self._own:
            raise _loop()
        return socket.socket(family, kind, protocol)


class Upstreams:
    """Connections to all upstreams of one worker."""

    def __init__(self, settings: Settings, limits: Limits, own: OwnAddresses) -> None:
        self._settings = settings
        self._limits = limits
        self._connector = GuardedConnector(
            own,
            limit=0,
            resolver=aiohttp.ThreadedResolver(),
            keepalive_timeout=limits.upstream_keep_alive_s,
            ssl=_trust(settings.ca_file),
        )
        self._session = aiohttp.ClientSession(
            connector=self._connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(
                total=None, connect=limits.connect_timeout_s, sock_read=limits.answer_timeout_s, ceil_threshold=3600
            ),
            auto_decompress=False,
            skip_auto_headers=_AUTO_HEADERS,
            request_class=exact_request(limits.body_idle_timeout_s),
            max_line_size=limits.header_bytes,
            max_field_size=limits.header_bytes,
            max_headers=limits.header_count,
        )
        never_repeat(self._session)

    async def send(
        self, method: str, to: Destination, headers: list[tuple[str, str]], body: AsyncIterator[bytes] | None
    ) -> aiohttp.ClientResponse:
        """Send a request; returns when the head of the answer is there.

        Raises ``UpstreamError`` or ``RefusedRequest``; the response's body is read with ``read``.
        """
        target = to.path if to.query is None else f"{to.path}?{to.query}"
        url = self._url(to, target)
        try:
            answer = await self._session.request(
                method,
                url,
                headers=CIMultiDict(headers),
                data=body,
                allow_redirects=False,
                proxy=self._proxy(url),
                middlewares=exact_headers(headers),
            )
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            raise self.failed(error, to) from error
        if answer.status == 101:
            answer.close()
            raise UpstreamUnreachable("upstream_protocol", f"{_name(to)} switched protocols without being asked.")
        if answer.connection is not None and answer.connection.protocol is not None:
            answer.connection.protocol.read_timeout = self._limits.body_idle_timeout_s
        return answer

    async def read(self, answer: aiohttp.ClientResponse, to: Destination) -> bytes:
        """The next bytes of an answer as they came; empty at its end. Raises ``UpstreamError``."""
        try:
            return await answer.content.readany()
        except aiohttp.SocketTimeoutError as error:
            raise self.silent(to) from error
        except (aiohttp.ClientError, OSError) as error:
            raise self.cut(to) from error

    async def dial(self, to: Destination) -> asyncio.Transport:
        """A new connection to an upstream, without a protocol. Raises ``UpstreamError`` or ``RefusedRequest``."""
        url = self._url(to, "/")
        try:
            return await self._connector.dial(url, self._proxy(url), self._limits.connect_timeout_s)
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            raise self.failed(error, to) from error

    def through_proxy(self, to: Destination) -> bool:
        """Whether requests go to a proxy as such: it reads them, and wants another form."""
        return to.route.scheme == "http" and self._proxy(self._url(to, "/")) is not None

    def silent(self, to: Destination) -> UpstreamTimeout:
        """What is said of an answer that does not go on."""
        return UpstreamTimeout(
            "upstream_idle_timeout",
            f"{_name(to)} sent nothing for {self._limits.body_idle_timeout_s:g} s (limits.body_idle_timeout_s).",
        )

    def cut(self, to: Destination) -> UpstreamCut:
        """What is said of an answer that breaks off."""
        return UpstreamCut("upstream_cut", f"{_name(to)} broke off its answer before the end.")

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    def _url(self, to: Destination, target: str) -> URL:
        # With encoded=True a path is taken as it stands, so the whole target goes in there.
        return URL.build(scheme=to.route.scheme, authority=to.route.authority, path=target, encoded=True)

    def _proxy(self, url: URL) -> URL | None:
        if not self._settings.use_env_proxy or proxy_bypass(url.host or ""):
            return None
        proxies = getproxies()
        found = proxies.get(url.scheme) or proxies.get("all")
        return URL(found) if found else None

    def failed(self, error: Exception, to: Destination) -> LlmtapError:
        """What is said of an exception of aiohttp's, or of the system's."""
        if isinstance(error, OSError) and _errno(error) == errno.ELOOP:
            return RefusedRequest(
                508,
                "loop",
                f"The upstream {to.route.base} is llmtap itself; point it at the API that calls shall reach.",
            )
        cause = cause_of(error)
        sentence = cause.sentence.format(name=_name(to), reason=reason_of(error), limits=self._limits)
        return cause.error(cause.code, sentence + self._hint(error))

    def _hint(self, error: Exception) -> str:
        refused_to_use = [name for name in _PROXY_VARIABLES if os.environ.get(name)]
        connecting = isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)
        if not connecting or self._settings.use_env_proxy or not refused_to_use:
            return ""
        return f" {refused_to_use[0]} is set but not used: set relay.use_env_proxy = true to go through it."


def _name(to: Destination) -> str:
    name, where = to.route.upstream, to.route.authority
    return where if name == where else f"{name} ({where})"


def _errno(error: OSError) -> int | None:
    inner = getattr(error, "os_error", None)
    return inner.errno if isinstance(inner, OSError) else error.errno


def _trust(ca_file: str) -> ssl.SSLContext | bool:
    if not ca_file:
        return True
    context = ssl.create_default_context()
    context.load_verify_locations(cafile=ca_file)
    return context


def _loop() -> OSError:
    return OSError(errno.ELOOP, "this is llmtap itself")


def _numeric(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An address without its zone, IPv4 as IPv4 also where a socket for both shows it otherwise."""
    address = ipaddress.ip_address(host.partition("%")[0])
    return getattr(address, "ipv4_mapped", None) or address


def _reached(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Where a connection to ``host`` ends: to connect to 0.0.0.0 or :: means this machine."""
    address = _numeric(host)
    return _LOOPBACK[address.version] if address.is_unspecified else address
