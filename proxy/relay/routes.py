"""Which upstream a request target means. A table, decided without I/O.

A prefix selects an upstream and is replaced by its base; the rest of the target travels as sent.
Nothing else in a request can choose where it goes: not an absolute-form target, not ``//host``,
not ``Host``, not a header. Nor does anything but its address make an upstream a provider: a row of
the user's own that leads to one is treated as the built-in row is, keys to other gateways and all.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from msgspec import Struct

from ..addresses import parse_base
from ..config import Config, Upstream
from ..errors import RefusedRequest

#: name, prefix, base
BUILT_IN = (
    ("openai", "/", "https://api.openai.com"),
    ("anthropic", "/anthropic", "https://api.anthropic.com"),
    ("gemini", "/gemini", "https://generativelanguage.googleapis.com"),
    ("openrouter", "/openrouter", "https://openrouter.ai/api"),
    ("groq", "/groq", "https://api.groq.com/openai"),
    ("mistral", "/mistral", "https://api.mistral.ai"),
    ("deepseek", "/deepseek", "https://api.deepseek.com"),
    ("xai", "/xai", "https://api.x.ai"),
    ("together", "/together", "https://api.together.xyz"),
    ("fireworks", "/fireworks", "https://api.fireworks.ai/inference"),
    ("ollama", "/ollama", "http://127.0.0.1:11434"),
)
_PROVIDERS = frozenset(urlsplit(base).netloc for _, _, base in BUILT_IN)
DEFAULT_PROJECT = "default"
_PROJECT = re.compile(r"^/p/([^/?]*)(.*)$", re.DOTALL)
_PROJECT_NAME = re.compile(r"^[A-Za-z0-9._~-]{1,64}$")
_ABSOLUTE = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*(.*)$", re.DOTALL)


class Route(Struct, frozen=True):
    """One row of the table; ``prefix`` is empty for the root."""

    upstream: str
    prefix: str
    scheme: str
    authority: str
    base_path: str
    consumes: bool = False  #: headers made for gateways end here
    inject_usage: bool = False  #: streams are asked for their usage

    @property
    def base(self) -> str:
        """The upstream's URL."""
        return f"{self.scheme}://{self.authority}{self.base_path}"


class Destination(Struct, frozen=True):
    """Where one request goes."""

    route: Route
    project: str
    path: str  #: to send, never empty
    query: str | None  #: to send; None means no question mark, '' means a bare one


def route(name: str, prefix: str, base: str, gateway_headers: str = "auto", *, inject_usage: bool = False) -> Route:
    """A row from what people write; ``gateway_headers`` as in ``[relay]``."""
    url = urlsplit(parse_base(base, f"upstream {name}"))
    consumes = {"auto": _host(url.netloc) in _PROVIDERS, "consume": True, "pass": False}[gateway_headers]
    return Route(name, prefix.rstrip("/"), url.scheme, url.netloc, url.path, consumes, inject_usage)


class Routes:
    """The table of one configuration."""

    def __init__(self, config: Config) -> None:
        headers, only = config.relay.gateway_headers, config.relay.upstream
        built_in = [route(*row, headers) for row in BUILT_IN]
        table = {row.prefix: row for row in built_in}
        for upstream in config.upstreams:
            inject = upstream.inject_usage
            added = route(upstream.name, _prefix(upstream), upstream.base, headers, inject_usage=inject)
            table = {prefix: row for prefix, row in table.items() if row.upstream != upstream.name}
            table[added.prefix] = added
        # Only the built-in root shares its keys' owner with /anthropic by convention of SDKs.
        root = table.get("")
        self._anthropic = table.get("/anthropic") if root and root.base == built_in[0].base else None
        if only:
            table, self._anthropic = {"": route(urlsplit(only).netloc, "/", only, headers)}, None
        self.rows: tuple[Route, ...] = tuple(sorted(table.values(), key=lambda row: -len(row.prefix)))

    def resolve(self, target: str, *, anthropic_version: bool = False) -> Destination:
        """The destination of a request target. Raises ``RefusedRequest``."""
        path, mark, query = _origin_form(target).partition("?")
        path, project = _split_project(path)
        found = self._select(path)
        if found is None:
            raise RefusedRequest(404, "no_route", f"No upstream is configured for this path; known: {self._known()}.")
        rest = path[len(found.prefix) :]
        if anthropic_version and not found.prefix and self._anthropic is not None:
            found = self._anthropic
        return Destination(found, project, found.base_path + rest or "/", query if mark else None)

    def _select(self, path: str) -> Route | None:
        return next((row for row in self.rows if _below(path, row.prefix)), None)

    def _known(self) -> str:
        return ", ".join(sorted(f"{row.prefix}/" for row in self.rows))


def _host(authority: str) -> str:
    return authority.lower().removesuffix(":443")


def _prefix(upstream: Upstream) -> str:
    return upstream.prefix or f"/{upstream.name}"


def _below(path: str, prefix: str) -> bool:
    return path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in ("", "/")


def _origin_form(target: str) -> str:
    """Path and query of a target in any form; its scheme and host are dropped."""
    if "#" in target:
        raise RefusedRequest(400, "bad_target", "A request target cannot hold '#'; send it as %23.")
    if match := _ABSOLUTE.match(target):
        rest = match[1]
        return rest if rest.startswith("/") else f"/{rest}"
    if not target.startswith("/"):
        raise RefusedRequest(
            400, "bad_target", "The request target must be a path; set the base URL to llmtap's address."
        )
    return target


def _split_project(path: str) -> tuple[str, str]:
    """(path without ``/p/<project>``, project)."""
    match = _PROJECT.match(path)
    if match is None:
        return path, DEFAULT_PROJECT
    if not _PROJECT_NAME.match(match[1]):
        raise RefusedRequest(
            400,
            "bad_project",
            "A project name is 1 to 64 letters, digits and ._~-, as in /p/my-app/v1/chat/completions.",
        )
    return match[2] or "/", match[1]
