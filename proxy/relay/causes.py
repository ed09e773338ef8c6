"""What an exception of aiohttp's client means to a caller, as a table. No I/O."""

from __future__ import annotations

import os
import socket
import ssl

import aiohttp
from msgspec import Struct

from ..errors import UpstreamError, UpstreamTimeout, UpstreamUnreachable
from .exact import UploadStalledError


class Cause(Struct, frozen=True):
    """What an exception of aiohttp means to a caller. ``sentence`` is a template of name, reason and limits."""

    exception: type[Exception]
    code: str
    sentence: str
    error: type[UpstreamError] = UpstreamUnreachable


#: The first that fits counts.
CAUSES = (
    Cause(
        aiohttp.ClientConnectorDNSError,
        "upstream_dns",
        "The name of {name} could not be resolved: {reason}.",
    ),
    Cause(
        aiohttp.ClientConnectorCertificateError,
        "upstream_tls",
        "The certificate of {name} is not trusted: {reason}. If it is your own authority's, set relay.ca_file.",
    ),
    Cause(
        aiohttp.ClientSSLError,
        "upstream_tls",
        "TLS with {name} failed: {reason}.",
    ),
    Cause(
        aiohttp.ClientConnectorError,
        "upstream_connect",
        "{name} could not be reached: {reason}.",
    ),
    Cause(
        aiohttp.ConnectionTimeoutError,
        "upstream_connect_timeout",
        "{name} could not be reached within {limits.connect_timeout_s:g} s.",
        UpstreamTimeout,
    ),
    Cause(
        UploadStalledError,
        "upstream_idle_timeout",
        "{name} read nothing of the request for {limits.body_idle_timeout_s:g} s (limits.body_idle_timeout_s).",
        UpstreamTimeout,
    ),
    Cause(
        aiohttp.SocketTimeoutError,
        "upstream_answer_timeout",
        "{name} did not begin to answer within {limits.answer_timeout_s:g} s (limits.answer_timeout_s).",
        UpstreamTimeout,
    ),
    Cause(
        aiohttp.ServerDisconnectedError,
        "upstream_disconnected",
        "{name} closed the connection without answering; the call was not repeated.",
    ),
    Cause(
        aiohttp.ClientResponseError,
        "upstream_protocol",
        "{name} answered with something that is not valid HTTP.",
    ),
    Cause(
        aiohttp.ClientPayloadError,
        "upstream_protocol",
        "{name} answered with something that is not valid HTTP.",
    ),
    Cause(
        OSError,
        "upstream_reset",
        "The connection to {name} broke: {reason}; the call was not repeated.",
    ),
    Cause(
        ValueError,
        "upstream_request",
        "The request cannot be sent to {name} as it stands.",
    ),
    Cause(
        Exception,
        "upstream_error",
        "{name} could not be used: {reason}.",
    ),
)


def cause_of(error: Exception) -> Cause:
    """The row of an exception; there is one for each."""
    return next(cause for cause in CAUSES if isinstance(error, cause.exception))


def reason_of(error: Exception) -> str:
    """The system's words for it, without anything that was sent."""
    inner = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error
    if isinstance(inner, ssl.SSLCertVerificationError):
        return inner.verify_message
    if isinstance(inner, OSError) and inner.errno and not isinstance(inner, ssl.SSLError | socket.gaierror):
        return os.strerror(inner.errno)
    return getattr(inner, "strerror", None) or getattr(inner, "reason", None) or type(inner).__name__
