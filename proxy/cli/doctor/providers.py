"""Which upstream ``doctor`` calls, with which key, and what it asks there.

A key goes only where its provider's own client would send it: ``OPENAI_API_KEY`` to the upstream
that is called openai, ``<NAME>_API_KEY`` to one of your own.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

import orjson
from msgspec import Struct

from ...config import Config
from ...errors import UsageError
from ...relay.routes import BUILT_IN, Route, Routes

_REACH_S = 0.5
_ANSWER_TOKENS = 16


class Provider(Struct, frozen=True, kw_only=True):
    """How an API is asked. ``keys``: variables that hold its key, the first that is set counts."""

    keys: tuple[str, ...] = ()
    key_header: str = "Authorization"
    key_scheme: str = "Bearer "
    headers: tuple[tuple[str, str], ...] = ()
    models: str = "/v1/models"
    chat: str = "/v1/chat/completions"
    limit: str = "max_tokens"  #: the field that bounds an answer


PROVIDERS = {
    "openai": Provider(keys=("OPENAI_API_KEY",), limit="max_completion_tokens"),
    "anthropic": Provider(
        keys=("ANTHROPIC_API_KEY",),
        key_header="x-api-key",
        key_scheme="",
        headers=(("anthropic-version", "2023-06-01"),),
        chat="/v1/messages",
    ),
    "gemini": Provider(
        keys=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        models="/v1beta/openai/models",
        chat="/v1beta/openai/chat/completions",
    ),
    "ollama": Provider(),
}


class Chosen(Struct, frozen=True):
    """An upstream to call. ``key_from``: the variable that holds the key, None when it is called without."""

    route: Route
    provider: Provider
    key: str
    key_from: str | None
    why: str

    @property
    def headers(self) -> list[tuple[str, str]]:
        """What both calls send, in this order."""
        key = [(self.provider.key_header, self.provider.key_scheme + self.key)] if self.key else []
        usual = [("Accept", "*/*"), ("Accept-Encoding", "gzip"), ("User-Agent", "llmtap-doctor")]
        return [*usual, *self.provider.headers, *key]

    def completion(self, model: str) -> bytes:
        """The body of a short streamed completion."""
        message = {"role": "user", "content": "Say ok."}
        return orjson.dumps(
            {"model": model, "stream": True, self.provider.limit: _ANSWER_TOKENS, "messages": [message]}
        )


def choose(config: Config, environment: Mapping[str, str], name: str | None) -> Chosen:
    """The upstream of this name, else the first that has a key or answers on loopback. Raises ``UsageError``."""
    all_of_them = [_chosen(route, environment) for route in _in_order(config)]
    if name is not None:
        found = [each for each in all_of_them if each.route.upstream == name]
        if not found:
            known = ", ".join(each.route.upstream for each in all_of_them)
            raise UsageError(f"--upstream {name}: no upstream has this name; known: {known}")
        return found[0]
    usable = (each for each in all_of_them if each.key_from or _answers_on_loopback(each.route))
    return next(usable, all_of_them[0])


def _in_order(config: Config) -> Sequence[Route]:
    """Those of the settings first, then as in the table of built-in ones."""
    names = [upstream.name for upstream in config.upstreams] + [name for name, _, _ in BUILT_IN]
    rows = Routes(config).rows
    return sorted(rows, key=lambda row: names.index(row.upstream) if row.upstream in names else 0)


def _chosen(route: Route, environment: Mapping[str, str]) -> Chosen:
    provider = _provider(route)
    key_from = next((name for name in provider.keys if environment.get(name, "").strip()), None)
    key = environment[key_from].strip() if key_from else ""
    why = f"with {key_from}" if key_from else "without a key (a refusal serves as well to compare)"
    return Chosen(route, provider, key, key_from, why)


def _provider(route: Route) -> Provider:
    """By name; of an address alone (relay.upstream), by where it leads."""
    names = {urlsplit(base).netloc: name for name, _, base in BUILT_IN}
    name = names.get(route.upstream, route.upstream)
    return PROVIDERS.get(name) or Provider(keys=(f"{re.sub('[^A-Za-z0-9]', '_', name).upper()}_API_KEY",))


def _answers_on_loopback(route: Route) -> bool:
    url = urlsplit(route.base)
    host = url.hostname or ""
    if not _loopback(host):
        return False
    with contextlib.suppress(OSError):
        socket.create_connection((host, url.port or (443 if url.scheme == "https" else 80)), _REACH_S).close()
        return True
    return False


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
