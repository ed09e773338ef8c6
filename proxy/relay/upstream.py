"""The slow path's client half: aiohttp, tuned to add nothing, follow nothing and repeat nothing.

Every failure leaves here as one of our errors, with a sentence that names its cause and never
quotes a header.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from typing import Any
from urllib.request import getproxies, proxy_bypass

import aiohttp
from aiohttp.client_reqrep import ClientRequest
from multidict import CIMultiDict
from yarl import URL

from ..config import Limits
from ..config import Relay as Settings
from ..errors import LlmtapError, RefusedRequest, UpstreamCut, UpstreamTimeout, UpstreamUnreachable
from .routes import Destination

_AUTO_HEADERS = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
_PROXY_VARIABLES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")


class ExactRequest(ClientRequest):
    """A request that goes out as it was given: no invented length, no change to its method."""

    def __init__(self, method: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(method, *args, **kwargs)
        self.method = method

    def update_body_from_data(self, body: Any, _stacklevel: int = 3) -> None:
        """aiohttp would add ``Content-Length: 0`` to a POST that was sent without a body."""
        if body is not None:
            super().update_body_from_data(body, _stacklevel + 1)


class OwnAddresses:
    """The sockets that this relay listens on: a connection to one of them would be a loop."""

    def __init__(self, sockets: Sequence[socket.socket]) -> None:
        names = [sock.getsockname()[:2] for sock in sockets if sock.family in (socket.AF_INET, socket.AF_INET6)]
        self._exact = {(host, port) for host, port in names}
        self._any_host = {port for host, port in names if host in ("0.0.0.0", "::")}  # noqa: S104
        self._own_hosts = _interface_addresses() if self._any_host else frozenset()

    def __contains__(self, address: tuple[Any, ...]) -> bool:
        host, port = address[0], address[1]
        host = host.removeprefix("::ffff:")
        return (host, port) in self._exact or (port in self._any_host and host in self._own_hosts)


class Upstreams:
    """Connections to all upstreams of one worker."""

    def __init__(self, settings: Settings, limits: Limits, own: OwnAddresses) -> None:
        self._settings = settings
        self._limits = limits
        self._own = own
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,
                resolver=aiohttp.ThreadedResolver(),
                keepalive_timeout=limits.upstream_keep_alive_s,
                ssl=_trust(settings.ca_file),
                socket_factory=self._socket,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(
                total=None, connect=limits.connect_timeout_s, sock_read=limits.answer_timeout_s, ceil_threshold=3600
            ),
            auto_decompress=False,
            skip_auto_headers=_AUTO_HEADERS,
            request_class=ExactRequest,
            max_line_size=limits.header_bytes,
            max_field_size=limits.header_bytes,
            max_headers=limits.header_count,
        )
        # Whether an upstream acted on a request that got no answer cannot be known, so none is repeated.
        self._session._retry_connection = False  # noqa: SLF001  (no public switch)

    async def send(
        self, method: str, to: Destination, headers: list[tuple[str, str]], body: AsyncIterator[bytes] | None
    ) -> aiohttp.ClientResponse:
        """Send a request; returns when the head of the answer is there.

        Raises ``UpstreamError`` or ``RefusedRequest``; the response's body is read with ``read``.
        """
        target = to.path if to.query is None else f"{to.path}?{to.query}"
        # With encoded=True a path is taken as it stands, so the whole target goes in there.
        url = URL.build(scheme=to.route.scheme, authority=to.route.authority, path=target, encoded=True)
        try:
            answer = await self._session.request(
                method,
                url,
                headers=CIMultiDict(headers),
                data=body,
                allow_redirects=False,
                proxy=self._proxy(url),
                middlewares=(_exact_headers(headers),) if _spelled_differently(headers) else (),
            )
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            raise self._translated(error, to) from error
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
            raise UpstreamTimeout(
                "upstream_idle_timeout",
                f"{_name(to)} sent nothing for {self._limits.body_idle_timeout_s:g} s (limits.body_idle_timeout_s).",
            ) from error
        except (aiohttp.ClientError, OSError) as error:
            raise UpstreamCut("upstream_cut", f"{_name(to)} broke off its answer before the end.") from error

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    def _socket(self, info: Any) -> socket.socket:
        family, kind, protocol, _, address = info
        if address in self._own:
            raise OSError(errno.ELOOP, "this is llmtap itself")
        return socket.socket(family, kind, protocol)

    def _proxy(self, url: URL) -> URL | None:
        if not self._settings.use_env_proxy or proxy_bypass(url.host or ""):
            return None
        proxies = getproxies()
        found = proxies.get(url.scheme) or proxies.get("all")
        return URL(found) if found else None

    def _translated(self, error: Exception, to: Destination) -> LlmtapError:
        if isinstance(error, OSError) and _errno(error) == errno.ELOOP:
            return RefusedRequest(
                508,
                "loop",
                f"The upstream {to.route.base} is llmtap itself; point it at the API that calls shall reach.",
            )
        for kind, make in _CAUSES:
            if isinstance(error, kind):
                code, status_504, sentence = make
                text = sentence.format(name=_name(to), reason=_reason(error), limits=self._limits) + self._hint(error)
                return (UpstreamTimeout if status_504 else UpstreamUnreachable)(code, text)
        return UpstreamUnreachable("upstream_error", f"{_name(to)} could not be used: {type(error).__name__}.")

    def _hint(self, error: Exception) -> str:
        refused_to_use = [name for name in _PROXY_VARIABLES if os.environ.get(name)]
        connecting = isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)
        if not connecting or self._settings.use_env_proxy or not refused_to_use:
            return ""
        return f" {refused_to_use[0]} is set but not used: set relay.use_env_proxy = true to go through it."


#: exception → (error_type, is a timeout, sentence); the first match counts
_CAUSES: tuple[tuple[type[Exception], tuple[str, bool, str]], ...] = (
    (aiohttp.ClientConnectorDNSError, ("upstream_dns", False, "The name of {name} could not be resolved: {reason}.")),
    (
        aiohttp.ClientConnectorCertificateError,
        (
            "upstream_tls",
            False,
            "The certificate of {name} is not trusted: {reason}. If it is your own authority's, set relay.ca_file.",
        ),
    ),
    (aiohttp.ClientSSLError, ("upstream_tls", False, "TLS with {name} failed: {reason}.")),
    (aiohttp.ClientConnectorError, ("upstream_connect", False, "{name} could not be reached: {reason}.")),
    (
        aiohttp.ConnectionTimeoutError,
        ("upstream_connect_timeout", True, "{name} could not be reached within {limits.connect_timeout_s:g} s."),
    ),
    (
        aiohttp.SocketTimeoutError,
        (
            "upstream_answer_timeout",
            True,
            "{name} did not begin to answer within {limits.answer_timeout_s:g} s (limits.answer_timeout_s).",
        ),
    ),
    (
        aiohttp.ServerDisconnectedError,
        ("upstream_disconnected", False, "{name} closed the connection without answering; the call was not repeated."),
    ),
    (
        aiohttp.ClientResponseError,
        ("upstream_protocol", False, "{name} answered with something that is not valid HTTP."),
    ),
    (
        aiohttp.ClientPayloadError,
        ("upstream_protocol", False, "{name} answered with something that is not valid HTTP."),
    ),
    (OSError, ("upstream_reset", False, "The connection to {name} broke: {reason}; the call was not repeated.")),
    (aiohttp.ClientError, ("upstream_error", False, "{name} could not be used: {reason}.")),
    (ValueError, ("upstream_request", False, "The request cannot be sent to {name} as it stands.")),
)


def _spelled_differently(headers: Sequence[tuple[str, str]]) -> bool:
    """Whether one name stands there in two spellings: of those aiohttp would keep the last only."""
    names = {name for name, _ in headers}
    return len({name.lower() for name in names}) < len(names)


def _exact_headers(headers: Sequence[tuple[str, str]]) -> aiohttp.ClientMiddlewareType:
    """Puts every line back in its place, behind what aiohttp adds (Host, framing)."""

    async def middleware(request: ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        given = {name.lower() for name, _ in headers}
        added = [(name, value) for name, value in request.headers.items() if name.lower() not in given]
        request.headers = CIMultiDict([*added[:1], *headers, *added[1:]])
        return await handler(request)

    return middleware


def _name(to: Destination) -> str:
    name, where = to.route.upstream, to.route.authority
    return where if name == where else f"{name} ({where})"


def _errno(error: OSError) -> int | None:
    inner = getattr(error, "os_error", None)
    return inner.errno if isinstance(inner, OSError) else error.errno


def _reason(error: Exception) -> str:
    inner = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error
    if isinstance(inner, ssl.SSLCertVerificationError):
        return inner.verify_message
    if isinstance(inner, OSError) and inner.errno and not isinstance(inner, ssl.SSLError | socket.gaierror):
        return os.strerror(inner.errno)
    return getattr(inner, "strerror", None) or getattr(inner, "reason", None) or type(inner).__name__


def _trust(ca_file: str) -> ssl.SSLContext | bool:
    if not ca_file:
        return True
    context = ssl.create_default_context()
    context.load_verify_locations(cafile=ca_file)
    return context


def _interface_addresses() -> frozenset[str]:
    """Numeric addresses of this machine, as far as its own name and the loopbacks tell."""
    found = {"127.0.0.1", "::1"}
    try:
        found |= {str(info[4][0]) for info in socket.getaddrinfo(socket.gethostname(), None)}
    except OSError:
        return frozenset(found)
    return frozenset(found)
