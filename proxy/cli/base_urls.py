"""Which base URLs a command finds in its environment, and the routes and upstreams that this takes.

Decided without I/O. The rule above all: a key goes where it would have gone without us. So a
base URL that is set becomes the upstream of its route, and one that is not set never shares the
route of one that is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
from msgspec import Struct

from ..addresses import parse_base
from ..config import Config, Upstream
from ..errors import ConfigError
from ..relay.routes import BUILT_IN, Routes

#: A proxy that the environment names must not stand between the command and our relay.
_LOOPBACK = ("127.0.0.1", "localhost")


class BaseUrl(Struct, frozen=True):
    """An environment variable that SDKs read their base URL from."""

    name: str
    prefix: str  #: of the route that it stands for
    tail: str  #: what follows the relay's address and the prefix when the variable was not set


BASE_URLS = (
    BaseUrl("OPENAI_BASE_URL", "", "/v1"),
    BaseUrl("OPENAI_API_BASE", "", "/v1"),
    BaseUrl("ANTHROPIC_BASE_URL", "/anthropic", ""),
    BaseUrl("GOOGLE_GEMINI_BASE_URL", "/gemini", ""),
    BaseUrl("OLLAMA_HOST", "/ollama", ""),
)


class Redirection(Struct, frozen=True):
    """How one variable leads through the relay: an upstream to add, and what the command sees."""

    name: str
    path: str
    upstream: Upstream | None


class Plan(Struct, frozen=True):
    """What becomes of all variables."""

    redirections: tuple[Redirection, ...]
    untouched: tuple[str, ...]  #: these lead to a relay of ours already

    def variables(self, relay_url: str, environment: Mapping[str, str]) -> dict[str, str]:
        """What to set for the command, given the relay's address."""
        urls = {item.name: relay_url + item.path for item in self.redirections}
        return urls | {name: _without_proxy(environment, name) for name in ("NO_PROXY", "no_proxy")}


def plan(environment: Mapping[str, str], config: Config, recorded: Callable[[str], bool] = lambda _base: False) -> Plan:
    """What to do with each variable. ``recorded``: whether a base URL is that of a running relay.

    Raises ``ConfigError`` for a base URL that cannot be an upstream.
    """
    if config.relay.upstream:
        raise ConfigError("relay.upstream is set, so every provider would get every key; leave it out for llmtap run")
    given = {row: base for row in BASE_URLS if (base := _url(environment.get(row.name, "").strip()))}
    bases = {row: parse_base(url, row.name) for row, url in given.items()}
    untouched = {row for row, base in bases.items() if recorded(base)}
    known = {prefix.rstrip("/"): base for _, prefix, base in BUILT_IN}
    known |= {route.prefix: route.base for route in Routes(config).rows}
    taken: dict[str, str] = {}
    for row, base in bases.items():
        if row not in untouched:
            taken.setdefault(row.prefix, base)
    redirections = [
        _redirection(row, given.get(row), bases.get(row) or known[row.prefix], taken.get(row.prefix))
        for row in BASE_URLS
        if row not in untouched
    ]
    return Plan(tuple(redirections), tuple(row.name for row in BASE_URLS if row in untouched))


def _url(given: str) -> str:
    """With a scheme, and an address that can be called; empty when nothing is given."""
    url = given if not given or "://" in given else f"http://{given}"
    return url.replace("//0.0.0.0", "//127.0.0.1")


def _redirection(row: BaseUrl, url: str | None, base: str, taken: str | None) -> Redirection:
    """``base``: where the variable leads without us; ``taken``: where its route leads now, None where it always did."""
    tail = row.tail if url is None else "/v1" if url.rstrip("/").endswith("/v1") else ""
    if taken is None:
        return Redirection(row.name, row.prefix + tail, None)
    # Two variables of one route that disagree get a route each.
    prefix = row.prefix if base == taken else f"/{row.name.lower()}"
    name = row.name.lower().replace("_", "-")
    return Redirection(row.name, prefix + tail, Upstream(name=name, base=base, prefix=prefix or "/"))


def _without_proxy(environment: Mapping[str, str], name: str) -> str:
    """The variable with our relay's host added to what it, or its twin in the other case, says."""
    said = environment.get(name) or environment.get(name.swapcase()) or ""
    hosts = [host.strip() for host in said.split(",") if host.strip()]
    return ",".join([*hosts, *(host for host in _LOOPBACK if host not in hosts)])


def own_config(config: Config, planned: Plan) -> Config:
    """The user's settings, a free port, and the upstreams that the environment names."""
    added = {item.upstream.prefix: item.upstream for item in planned.redirections if item.upstream is not None}
    kept = [row for row in config.upstreams if (row.prefix or f"/{row.name}") not in added]
    relay = msgspec.structs.replace(config.relay, listen="127.0.0.1:0", workers=1)
    return msgspec.structs.replace(config, relay=relay, upstreams=(*kept, *added.values()))
