"""Mistakes around llmtap: proxies, base URLs, swapped ports, descriptors, file systems, clocks. Sends nothing."""

from __future__ import annotations

import resource
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from urllib.parse import SplitResult, urlsplit

from ...addresses import parse_address
from ...config import Config
from ...console.health import look, relay_url
from ...errors import StoreError
from ..base_urls import BASE_URLS, BaseUrl
from ..findings import Finding
from ..options import invoked_as
from ..ports import leads_to_relay
from .comparison import Observed

_DESCRIPTORS_MIN = 1024
_SKEW_MAX_S = 30
_LOOPBACK = ("127.0.0.1", "localhost")


def findings(config: Config, environment: Mapping[str, str]) -> Iterator[Finding]:
    """Everything that can be seen without a call."""
    yield from _file_system(config)
    yield _descriptors()
    yield from _swapped(config)
    yield from _proxies(config, environment)
    yield from _no_proxy(environment)
    for row in BASE_URLS:
        if url := environment.get(row.name, "").strip():
            yield _base_url(config, row, url)


def clock(answer: Observed) -> Finding | None:
    """This machine's clock beside the upstream's; None when its answer has no date, or comes from a cache."""
    try:
        theirs = parsedate_to_datetime(answer.value(b"date"))
    except ValueError:
        return None
    if answer.value(b"age"):
        return None
    ahead_s = answer.ended_at_us / 1e6 - theirs.timestamp()
    if abs(ahead_s) <= _SKEW_MAX_S:
        return Finding(True, "clock: agrees with the upstream's")
    side = "ahead of" if ahead_s > 0 else "behind"
    what = f"clock: {abs(ahead_s):,.0f} s {side} the upstream's"
    return Finding(False, what, "set it (timedatectl set-ntp true, or its like): calls are dated and priced by it")


# --- machine and settings ----------------------------------------------------------------------------


def _file_system(config: Config) -> Iterator[Finding]:
    from ...store.sqlite.files import refuse_network

    try:
        refuse_network(config.data_dir)
    except StoreError as error:
        yield Finding(False, f"{config.data_dir} lies on a network file system", str(error))


def _descriptors() -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = soft == resource.RLIM_INFINITY
    what = f"open files: {'unlimited' if unlimited else f'{soft:,}'}; each running call takes two"
    raised = min(65_536, hard) if hard != resource.RLIM_INFINITY else 65_536
    return Finding(
        unlimited or soft >= _DESCRIPTORS_MIN, what, f"raise it before serving: ulimit -n {raised}", grave=False
    )


def _swapped(config: Config) -> Iterator[Finding]:
    relay, console, usual = config.relay.listen, config.console.listen, Config()
    if _port(relay) == _port(usual.console.listen) or _port(console) == _port(usual.relay.listen):
        yield Finding(
            False,
            f"relay.listen = {relay} and console.listen = {console}: the usual ports are the other way round",
            f"make sure that applications use port {_port(relay)} and people port {_port(console)}",
            grave=False,
        )


def _port(listen: str) -> int:
    return parse_address(listen, "listen").port


# --- proxies -----------------------------------------------------------------------------------------


def proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that name a proxy, by what they are for: http, https, all."""
    found: dict[str, str] = {}
    for scheme in ("http", "https", "all"):
        for name in (f"{scheme}_proxy", f"{scheme.upper()}_PROXY"):
            if environment.get(name, "").strip():
                found.setdefault(scheme, name)
    return found


def _proxies(config: Config, environment: Mapping[str, str]) -> Iterator[Finding]:
    named = ", ".join(proxies(environment).values())
    if named and not config.relay.use_env_proxy:
        what = f"{named} is set, but llmtap reaches upstreams without it"
        yield Finding(False, what, "set relay.use_env_proxy = true if the proxy is the only way out", grave=False)
    elif named:
        yield Finding(True, f"upstreams are reached through {named}")
    elif config.relay.use_env_proxy:
        what = "relay.use_env_proxy is on, but no variable names a proxy"
        yield Finding(False, what, "set HTTPS_PROXY where llmtap is started, or leave the setting out", grave=False)


def _no_proxy(environment: Mapping[str, str]) -> Iterator[Finding]:
    """A base URL of ours is plain http: whoever heeds http_proxy asks the proxy for it."""
    named = proxies(environment)
    variable = named.get("http") or named.get("all")
    excepted = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    hosts = {host.strip() for host in excepted.split(",")}
    missing = [] if "*" in hosts else [host for host in _LOOPBACK if host not in hosts]
    if variable and missing:
        yield Finding(
            False,
            f"{variable} is set and NO_PROXY leaves out {' and '.join(missing)}: "
            "applications would ask the proxy for llmtap",
            f"export NO_PROXY={','.join(filter(None, [excepted, *missing]))}",
            grave=_LOOPBACK[0] in missing,
        )


# --- base URLs ---------------------------------------------------------------------------------------


def _base_url(config: Config, row: BaseUrl, given: str) -> Finding:
    """Whether a variable leads applications through llmtap, and to the right place there."""
    url = urlsplit(given if "://" in given else f"http://{given}")
    ours = relay_url(config)
    wanted = f"export {row.name}={ours}{row.prefix}{row.tail}"
    try:
        port = url.port
    except ValueError:
        return Finding(False, f"{row.name} is no URL", wanted)
    shown = f"{row.name} = {url.scheme}://{url.hostname}{f':{port}' if port else ''}{url.path}"
    if leads_to_relay(config.data_dir, url.geturl()) or _is(url, ours):
        trouble = _wrong_path(config, row, url.path.rstrip("/"))
        return Finding(not trouble, f"{shown}: {trouble or 'leads through llmtap'}", wanted)
    if url.hostname in _LOOPBACK and port == _console_port(config):
        return Finding(False, f"{shown}: that is the console, for people", wanted)
    if url.hostname in _LOOPBACK and not _listens(url.hostname or "", port or 80):
        start = "" if _runs(config) else f"; start it with {invoked_as()} serve"
        return Finding(False, f"{shown}: nothing listens there", f"{wanted}{start}")
    return Finding(False, f"{shown}: calls of these applications go past llmtap", wanted, grave=False)


def _is(url: SplitResult, ours: str) -> bool:
    return url.hostname in _LOOPBACK and url.port == urlsplit(ours).port


def _console_port(config: Config) -> int:
    console = look(config.data_dir, ["console"])[0]
    return console.vitals["port"] if console.up else _port(config.console.listen)


def _wrong_path(config: Config, row: BaseUrl, path: str) -> str:
    if row.tail and not path.endswith(row.tail):
        return f"{row.tail} is missing at its end"
    if not row.tail and path.endswith("/v1"):
        return "/v1 at its end is one too many: these clients add it"
    if row.prefix not in ("", "/anthropic") and not path and not config.relay.upstream:
        return f"{row.prefix} is missing, so calls would go to the upstream of /"
    return ""


def _runs(config: Config) -> bool:
    return look(config.data_dir, ["relay-0"])[0].up


def _listens(host: str, port: int) -> bool:
    import socket

    try:
        socket.create_connection((host, port), 0.5).close()
    except OSError:
        return False
    return True
