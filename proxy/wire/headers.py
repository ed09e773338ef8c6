"""Header lines: which ones end at a hop, which may be kept in clear, and what stands for a secret. No I/O.

Recording works by an allow-list: a header that is not on it is kept by name and place, its value
as a fingerprint. In a target, what people put keys into (parameters with a telling name, user info
of any URL inside it) becomes a fingerprint, rather once too often. A fingerprint is a keyed
HMAC-SHA-256, cut to 64 bits: equal values look equal, and nobody without the key can test a guess.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from ..records import Exchange, Header
from .identity import OURS, ROWS, URLS, is_clear
from .remembered import Remembered

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
    b"anthropic-version", b"apim-request-id", b"azureml-model-session", b"cache-control", b"cf-ray", b"connection",
    b"content-disposition", b"content-encoding", b"content-language", b"content-length", b"content-type", b"date",
    b"host", b"openai-beta", b"openai-model", b"openai-organization", b"openai-processing-ms", b"openai-project",
    b"openai-version", b"request-id", b"retry-after", b"retry-after-ms", b"server", b"transfer-encoding",
    b"user-agent", b"vary", b"via", b"x-client-request-id", b"x-envoy-upstream-service-time", b"x-groq-region",
    b"x-ms-client-request-id", b"x-ms-region", b"x-ms-retry-after-ms", b"x-request-id", b"x-should-retry",
    b"x-stainless-arch", b"x-stainless-async", b"x-stainless-custom-poll-interval", b"x-stainless-helper-method",
    b"x-stainless-lang", b"x-stainless-os", b"x-stainless-package-version", b"x-stainless-poll-helper",
    b"x-stainless-read-timeout", b"x-stainless-retry-count", b"x-stainless-runtime", b"x-stainless-runtime-version",
    b"x-stainless-timeout", b"x-title",
})  # fmt: skip
RECORDED_PREFIXES = (b"x-ratelimit-", b"anthropic-ratelimit-")
_PASSED_ON = b"llm_provider-"  #: LiteLLM's prefix of a provider's own headers; what follows it decides

_CREDENTIAL = re.compile(rb"^(?i:(bearer|basic|token|digest)) +(.+)$", re.DOTALL)
#: Names of parameters whose value is a secret, in lower case letters only. A name that ends with one of the
#: first counts too: ``openai_api_key``, ``X-Goog-Signature``.
_SECRET_ENDINGS = (
    b"key", b"keys", b"keyid", b"token", b"secret", b"secrets", b"signature", b"password", b"passwd", b"passphrase",
    b"credential", b"credentials", b"authorization", b"bearer", b"cookie", b"jwt", b"sessionid",
)  # fmt: skip
_SECRET_NAMES = frozenset({b"auth", b"code", b"pass", b"pwd", b"session", b"sig"})
_NOT_LETTERS = re.compile(rb"[^a-z]+")
#: A parameter's name up to its ``=``, in a query, a path segment, or a URL that is escaped inside one. Names
#: never hold a separator, so no byte is looked at twice.
_NAMED = re.compile(rb"(?i)(?:^|[&;?]|%26|%3b|%3f)((?:(?!%26|%3b|%3f|%3d)[^&;?=])*+)(?:=|%3d)")
_SLASH = rb"(?:[/\\]|%2f|%5c)"
#: What stands before ``@`` behind two slashes, or behind a scheme and one, escaped or not.
_USERINFO = re.compile(rb"(?i)((?::|%3a|" + _SLASH + rb")" + _SLASH + rb")((?:(?!%2f|%5c)[^/\\?#&])*)(@|%40)")
_LEADING_USERINFO = re.compile(rb"^()([^/?#]*)(@)")  #: CONNECT's ``user:key@host:443``
_MOST_RECORDED_BYTES = 256 << 10  #: of the header lines of one message; beyond it they lose value, then name
_LINE_BYTES = 8  #: what a line costs besides name and value
_FINGERPRINT_BYTES = 64  #: and at most, when its value is one
_MOST_REMEMBERED, _LONGEST_REMEMBERED = 4096, 256
_CUT_NAME = "…".encode()
_MOST_TARGET_CHARACTERS = 64 << 10  #: each at most four bytes


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


class _Lines(dict[tuple[bytes, bytes], Header]):
    """Header lines as they are recorded: clients and providers send the same ones with every call."""

    def __init__(self, record: Callable[[bytes, bytes], Header]) -> None:
        super().__init__()
        self._record = record

    def __missing__(self, line: tuple[bytes, bytes]) -> Header:
        recorded = self._record(*line)
        if len(line[0]) + len(line[1]) <= _LONGEST_REMEMBERED:
            if len(self) >= _MOST_REMEMBERED:
                self.clear()
            self[line] = recorded
        return recorded


class Recorder:
    """Decides how header lines and targets are written down."""

    def __init__(self, fingerprints: Fingerprints, also_clear: Iterable[str] = ()) -> None:
        self._fingerprints = fingerprints
        self._lines = _Lines(self._line)
        self._targets = Remembered(self._target)
        self._clear = RECORDED | {name.strip().lower().encode() for name in also_clear}

    def headers(self, headers: RawHeaders) -> tuple[Header, ...]:
        """Every line in its place; values off the allow-list as fingerprints.

        What a flood of lines holds beyond ``_MOST_RECORDED_BYTES`` is left out, values first.
        """
        headers = list(headers)
        longest = sum([len(name) + len(value) + _FINGERPRINT_BYTES for name, value in headers])
        if longest <= _MOST_RECORDED_BYTES:
            return tuple([self._lines[line] for line in headers])
        return tuple(self._within_bounds(headers))

    def _within_bounds(self, headers: RawHeaders) -> list[Header]:
        room = _MOST_RECORDED_BYTES
        recorded = []
        for name, value in headers:
            line = self._line(name, value, room)
            room -= len(line.name) + len(line.value) + _LINE_BYTES
            recorded.append(line)
        return recorded

    def target(self, target: bytes) -> str:
        """A request target with user info, fragment and secret parameters as fingerprints; a very long one is cut."""
        return self._targets[target]

    def _target(self, target: bytes) -> str:
        target, hash_mark, fragment = target.partition(b"#")
        path, mark, query = target.partition(b"?")
        if b"=" in target or b"%" in target:
            path = b"/".join(self._parameter(segment) for segment in path.split(b"/"))
            query = b"&".join(self._parameter(item) for item in query.split(b"&"))
        shown = _USERINFO.sub(self._userinfo, path + mark + query)
        if not shown.startswith(b"/"):
            shown = _LEADING_USERINFO.sub(self._userinfo, shown)
        if hash_mark:
            shown += hash_mark + self._fingerprints.of(fragment)
        text = shown.decode("utf-8", "backslashreplace")
        return text if len(text) <= _MOST_TARGET_CHARACTERS else text[:_MOST_TARGET_CHARACTERS] + "…"

    def _line(self, name: bytes, value: bytes, room: int = _MOST_RECORDED_BYTES) -> Header:
        lower = name.lower()
        if lower in URLS:
            value = self.target(value).encode()
        if self._is_clear(lower) and len(name) + len(value) <= room:
            return Header(name, value)
        hidden = self._fingerprints.of_header(value)
        return Header(name, hidden, True) if len(name) + len(hidden) <= room else Header(_CUT_NAME, b"", True)

    def _is_clear(self, name: bytes) -> bool:
        return name.removeprefix(_PASSED_ON) in self._clear or name.startswith(RECORDED_PREFIXES) or is_clear(name)

    def _parameter(self, item: bytes) -> bytes:
        """From the first secret on, all is one secret: where its value ends is the upstream's to say."""
        for name in _NAMED.finditer(item):
            if _is_secret(name[1]) and (value := item[name.end() :]):
                return item[: name.end()] + self._fingerprints.of(unquote_to_bytes(value))
        return item

    def _userinfo(self, found: re.Match[bytes]) -> bytes:
        return found[1] + self._fingerprints.of(found[2]) + found[3]


def _is_secret(name: bytes) -> bool:
    plain = _NOT_LETTERS.sub(b"", unquote_to_bytes(name).lower())
    return plain.endswith(_SECRET_ENDINGS) or plain in _SECRET_NAMES


#: Names of recorded headers as readers know them: text in lower case.
LOWER = Remembered(lambda name: name.decode("latin-1").lower())


def header_map(headers: Iterable[Header]) -> dict[str, str]:
    """Lower-case names to values, for readers of records; hidden values are left out, the first line wins."""
    found: dict[str, str] = {}
    for header in headers:
        if not header.hidden and (name := LOWER[header.name]) not in found:
            found[name] = header.value.decode("utf-8", "replace")
    return found


class HeaderMaps(Struct, frozen=True):
    """The headers of both halves of a call, each by ``header_map``."""

    request: Mapping[str, str]
    response: Mapping[str, str]  #: empty as long as there is no answer


def header_maps(exchange: Exchange) -> HeaderMaps:
    """Read once for all that asks for them."""
    head = exchange.head
    return HeaderMaps(header_map(exchange.begin.headers), header_map(head.headers if head else ()))


#: In this order: which recorded header holds the provider's key.
KEY_HEADERS = ("authorization", "x-api-key", "api-key", "x-goog-api-key")
_ALSO_TELLING = frozenset({"user-agent", *KEY_HEADERS})


def telling(headers: Iterable[Header]) -> list[Header]:
    """The lines that say who asks, or were meant to: one in five, so that the others are looked at once."""
    return [header for header in headers if _IS_TELLING[header.name]]


def _is_telling(name: bytes) -> bool:
    lower = LOWER[name]
    return lower in _ALSO_TELLING or lower.startswith(OURS) or ROWS[lower] is not None


_IS_TELLING = Remembered(_is_telling)


_KEY_IN_TARGET = re.compile(r"[?&]key=(fp:[0-9a-f]{16})(?:&|$)")  #: as Gemini takes it


def key_fingerprint(headers: Iterable[Header], target: str = "") -> str | None:
    """``fp:…`` of the provider key that a request carried in its headers, or in its recorded target; or None."""
    hidden = {LOWER[header.name]: header.value for header in headers if header.hidden}
    found = next((hidden[name] for name in KEY_HEADERS if name in hidden), None)
    if found is None and (in_target := _KEY_IN_TARGET.search(target)):
        return in_target[1]
    return found.decode("latin-1").rpartition(" ")[2] if found else None
