"""Header lines: which ones end at a hop, which may be kept in clear, and what stands for a secret. No I/O.

Recording works by an allow-list: a header that is not on it is kept by name and place, its value
as a fingerprint. A fingerprint is a keyed HMAC-SHA-256, cut to 64 bits: equal values look equal,
and nobody without the key can test a guess.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from ..records import Header

RawHeaders = Iterable[tuple[bytes, bytes]]

#: RFC 9110 §7.6.1, and what real clients still send; they belong to one connection.
HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)

#: Recorded in clear. Values that can carry a key, a cookie or free text of a stranger are not here.
RECORDED = frozenset({
    b"accept", b"accept-encoding", b"accept-language", b"anthropic-beta", b"anthropic-organization-id",
    b"anthropic-version", b"apim-request-id", b"azureml-model-session", b"cache-control", b"cf-ray",
    b"content-disposition", b"content-encoding", b"content-language", b"content-length", b"content-type", b"date",
    b"host", b"openai-beta", b"openai-model", b"openai-organization", b"openai-processing-ms", b"openai-project",
    b"openai-version", b"request-id", b"retry-after", b"retry-after-ms", b"server", b"traceparent", b"tracestate",
    b"transfer-encoding", b"user-agent", b"vary", b"via", b"x-client-request-id", b"x-envoy-upstream-service-time",
    b"x-groq-region", b"x-litellm-call-id", b"x-litellm-model-id", b"x-litellm-response-cost",
    b"x-litellm-session-id", b"x-litellm-trace-id", b"x-ms-client-request-id", b"x-ms-region", b"x-request-id",
    b"x-llmtap-call-id", b"x-llmtap-no-log", b"x-session-id", b"x-should-retry", b"x-title",
})  # fmt: skip
RECORDED_PREFIXES = (b"x-stainless-", b"x-ratelimit-", b"anthropic-ratelimit-", b"x-llmtap-meta-", b"llm_provider-")

_CREDENTIAL = re.compile(rb"^(?i:(bearer|basic|token|digest)) +(.+)$", re.DOTALL)
#: Names of query parameters whose value is a secret, compared in lower case without - and _.
_SECRET_PARAMETERS = frozenset(
    b"""
    key apikey accesstoken accesskey token idtoken auth authorization sig signature secret clientsecret password passwd
    pwd code xapikey subscriptionkey credential session sessionid xamzsignature xamzcredential xamzsecuritytoken
    """.split()
)
_MOST_RECORDED_BYTES = 256 << 10  #: of the header values of one message; beyond it values become fingerprints


class Fingerprints:
    """Turns secrets into fingerprints; one key per data directory."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._cached = lru_cache(maxsize=4096)(self._compute)

    def of(self, secret: bytes) -> bytes:
        """``fp:`` and 16 hex digits. Short secrets are cached, in a bounded cache."""
        return self._cached(secret) if len(secret) <= 512 else self._compute(secret)

    def of_header(self, value: bytes) -> bytes:
        """As ``of``, but a scheme such as Bearer stays readable, so one key looks the same in every header."""
        match = _CREDENTIAL.match(value)
        return match[1] + b" " + self.of(match[2].strip()) if match else self.of(value.strip())

    def _compute(self, secret: bytes) -> bytes:
        return b"fp:" + hmac.digest(self._key, secret, hashlib.sha256)[:8].hex().encode()


def connection_names(headers: RawHeaders) -> frozenset[bytes]:
    """Lower-case names that are listed in Connection."""
    listed = b",".join(value for name, value in headers if name.lower() == b"connection")
    return frozenset(name.strip().lower() for name in listed.split(b",") if name.strip())


def end_to_end(headers: RawHeaders, drop: frozenset[bytes] = frozenset()) -> list[tuple[bytes, bytes]]:
    """The headers that travel on: without hop-by-hop ones, those named in Connection, and ``drop`` (lower case)."""
    headers = list(headers)
    gone = HOP_BY_HOP | connection_names(headers) | drop
    return [(name, value) for name, value in headers if name.lower() not in gone]


class Recorder:
    """Decides how header lines and targets are written down."""

    def __init__(self, fingerprints: Fingerprints, also_clear: Iterable[str] = ()) -> None:
        self._fingerprints = fingerprints
        self._clear = RECORDED | {name.strip().lower().encode() for name in also_clear}

    def headers(self, headers: RawHeaders) -> tuple[Header, ...]:
        """Every line in its place; values off the allow-list as fingerprints."""
        room = _MOST_RECORDED_BYTES
        recorded = []
        for name, value in headers:
            room -= len(value)
            lower = name.lower()
            clear = room > 0 and (lower in self._clear or lower.startswith(RECORDED_PREFIXES))
            recorded.append(Header(name, value) if clear else Header(name, self._fingerprints.of_header(value), True))
        return tuple(recorded)

    def target(self, target: bytes) -> str:
        """A request target with user info, fragment and secret parameters as fingerprints."""
        target, hash_mark, fragment = target.partition(b"#")
        path, mark, query = target.partition(b"?")
        if mark:
            query = b"&".join(self._parameter(item) for item in query.split(b"&"))
        if hash_mark:
            fragment = self._fingerprints.of(fragment)
        return (self._without_userinfo(path) + mark + query + hash_mark + fragment).decode("utf-8", "backslashreplace")

    def _parameter(self, item: bytes) -> bytes:
        name, equals, value = item.partition(b"=")
        plain = unquote_to_bytes(name).lower().replace(b"-", b"").replace(b"_", b"")
        if not value or plain not in _SECRET_PARAMETERS:
            return item
        return name + equals + self._fingerprints.of(unquote_to_bytes(value))

    def _without_userinfo(self, path: bytes) -> bytes:
        """``http://user:key@host/x``, ``//user:key@host/x`` and CONNECT's ``user:key@host:443``."""
        before, slashes, rest = path.partition(b"//")
        if path.startswith(b"/") and before:
            return path
        authority, slash, tail = (rest if slashes else before).partition(b"/")
        userinfo, at, host = authority.rpartition(b"@")
        if not at:
            return path
        return (before + slashes if slashes else b"") + self._fingerprints.of(userinfo) + at + host + slash + tail


def header_map(headers: Iterable[Header]) -> dict[str, str]:
    """Lower-case names to values, for readers of records; hidden values are left out, the first line wins."""
    found: dict[str, str] = {}
    for header in headers:
        if not header.hidden:
            found.setdefault(header.name.decode("latin-1").lower(), header.value.decode("utf-8", "replace"))
    return found


#: In this order: which recorded header holds the provider's key.
KEY_HEADERS = ("authorization", "x-api-key", "api-key", "x-goog-api-key")


def key_fingerprint(headers: Iterable[Header]) -> str | None:
    """``fp:…`` of the provider key that a request carried in its headers, or None."""
    hidden = {h.name.decode("latin-1").lower(): h.value.decode("latin-1") for h in headers if h.hidden}
    found = next((hidden[name] for name in KEY_HEADERS if name in hidden), None)
    return found.rpartition(" ")[2] if found else None
