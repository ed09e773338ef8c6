"""All settings of one run: TOML, then environment, then flags; the last one wins, the result is frozen.

``settings.py`` is the table, ``sources.py`` reads file and environment; here values are held
against the table and against each other. ``LLMTAP_<SECTION>_<NAME>`` overrides the file, a flag
overrides both; lists are written with commas in the environment.

Every ``ConfigError`` names the setting, who gave its value and what to do, and never shows a
secret. What needs a look at the machine (data directory, ports, certificates) is left to those
who use it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
from msgspec import NODEFAULT

from .addresses import Address, parse_address, parse_base, parse_network, parse_prefix
from .errors import ConfigError
from .settings import (
    LISTS,
    SECTIONS,
    Config,
    Console,
    Data,
    Exclude,
    Fingerprint,
    Identity,
    Ingest,
    Journal,
    Limits,
    Log,
    Price,
    Project,
    Relay,
    Retention,
    Retrieval,
    Section,
    Setting,
    Store,
    Upstream,
    default_data_dir,
    settings,
    settings_of,
)
from .sources import Given, Values, default_config_file, expand, from_environment, from_file

__all__ = [
    "Config",
    "Console",
    "Data",
    "Exclude",
    "Fingerprint",
    "Identity",
    "Ingest",
    "Journal",
    "Limits",
    "Log",
    "Price",
    "Project",
    "Relay",
    "Retention",
    "Retrieval",
    "Section",
    "Setting",
    "Store",
    "Upstream",
    "default_config_file",
    "default_data_dir",
    "load",
    "settings",
]

#: Headers that carry secrets by definition; no setting may have them recorded.
KEPT_AS_FINGERPRINTS = {
    "api-key",
    "authorization",
    "cookie",
    "proxy-authorization",
    "sec-websocket-protocol",
    "set-cookie",
    "x-api-key",
    "x-goog-api-key",
}


_DOLLARS = ("input", "output", "cached", "cache_write", "cache_write_1h", "input_audio", "output_audio", "request")
_MOST_DAYS = 36_500  #: as in [retention]
_HIGHEST_PRICE = 1_000_000  #: US dollars for a million tokens: beyond it is a slip


def load(
    path: Path | None = None,
    environment: Mapping[str, str] | None = None,
    flags: Mapping[tuple[str, str], Any] | None = None,
) -> Config:
    """Read all sources into one frozen ``Config``, whose ``data.dir`` is absolute.

    ``path``: a TOML file that must exist; None means ``$LLMTAP_CONFIG``, or the default file if there is one.
    ``flags``: (section, name) → value; None values were not given.
    Raises ``ConfigError`` with a sentence that names the setting and its source.
    """
    env = os.environ if environment is None else environment
    values, lists = from_file(path, env)
    values |= from_environment(env)
    values |= {key: Given(value, "command line") for key, value in (flags or {}).items() if value is not None}
    sections = {name: section(**_fitted(name, section, values)) for name, section in SECTIONS.items()}
    tables = {name: tuple(_row(name, place, row) for place, row in enumerate(rows, 1)) for name, rows in lists.items()}
    config = Config(**sections, **tables)  # type: ignore[arg-type]
    _check(config, lambda section, name: _label(section, name, values))
    return msgspec.structs.replace(config, data=Data(dir=str(_data_dir(config, env))))


def _data_dir(config: Config, env: Mapping[str, str]) -> Path:
    return expand(config.data.dir, "data.dir").absolute() if config.data.dir else default_data_dir(env)


# --- one value against the table ----------------------------------------------------------------


def _fitted(name: str, section: type[Section], values: Values) -> dict[str, Any]:
    """The given values of one section, each of the type and within the limits that the table says."""
    rows = [row for row in settings_of(name, section) if (name, row.name) in values]
    return {row.name: _fit(row, values[name, row.name]) for row in rows}


def _fit(row: Setting, given: Given) -> Any:
    raw = os.fspath(given.value) if isinstance(given.value, Path) else given.value
    if isinstance(raw, date) and row.kind is str:
        raw = raw.isoformat()  # TOML has dates of its own
    try:
        value = msgspec.convert(raw, row.hint)
    except (msgspec.ValidationError, UnicodeEncodeError):
        shown = "" if row.secret else f", not {_shown(raw)}"
        raise ConfigError(f"{given.source}: {row.section}.{row.name} must be {row.expects}{shown}") from None
    if not all(text.isprintable() for text in _texts(value)):
        raise ConfigError(f"{given.source}: {row.section}.{row.name} holds a character that cannot be printed")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    return value if isinstance(value, tuple) else (value,) if isinstance(value, str) else ()


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:  # Python does not write out an integer of thousands of digits
        return "such a number"
    return text if len(text) <= 80 else f"{text[:79]}…"


def _row(name: str, place: int, values: Values) -> Section:
    section = f"{name}[{place}]"
    required = [row.name for row in settings_of(section, LISTS[name]) if row.default is NODEFAULT]
    for missing in (each for each in required if (section, each) not in values):
        raise ConfigError(f"{section} has no {missing}: each [[{name}]] needs a {' and a '.join(required)}")
    return LISTS[name](**_fitted(section, LISTS[name], values))


# --- values against each other ------------------------------------------------------------------

_Label = Callable[[str, str], str]


def _label(section: str, name: str, values: Values) -> str:
    source = values[section, name].source if (section, name) in values else "default"
    return f"{source}: {section}.{name}"


def _check(config: Config, label: _Label) -> None:
    _check_ports(config, label)
    _check_token(config.console.token, label("console", "token"))
    _check_record_headers(config.relay.record_headers, label("relay", "record_headers"))
    if config.relay.upstream:
        parse_base(config.relay.upstream, label("relay", "upstream"))
    _check_upstreams(config.upstreams)
    _check_exclude(config.exclude)
    _check_prices(config.prices)
    _check_retrieval(config.retrieval, label)
    _check_projects(config.projects)


def _check_ports(config: Config, label: _Label) -> None:
    relay = parse_address(config.relay.listen, label("relay", "listen"))
    console = parse_address(config.console.listen, label("console", "listen"))
    for network in config.relay.allow_networks:
        parse_network(network, label("relay", "allow_networks"))
    if relay.clashes(console):
        raise ConfigError(f"{label('console', 'listen')} = {config.console.listen!r} is the relay's: choose another")
    if not relay.loopback and not config.relay.allow_networks:
        raise ConfigError(
            f"{label('relay', 'listen')} = {config.relay.listen!r} can be reached from other machines: "
            'say which clients may use it, e.g. allow_networks = ["10.0.0.0/8"] under [relay], '
            "or LLMTAP_RELAY_ALLOW_NETWORKS=10.0.0.0/8"
        )
    _check_login(config, console, label)


def _check_login(config: Config, console: Address, label: _Label) -> None:
    locked = config.console.token or config.console.login == "always"
    if not console.loopback and not locked:
        raise ConfigError(
            f"{label('console', 'listen')} = {config.console.listen!r} can be reached from other machines: "
            "set a token first, e.g. export LLMTAP_TOKEN=$(openssl rand -hex 32), "
            'or let people log in: llmtap user add NAME, and login = "always" under [console]'
        )
    for name in config.console.hosts:
        if not re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?", name):
            raise ConfigError(f"{label('console', 'hosts')}: {name!r} must be a name alone, e.g. logs.example.com")


def _check_token(token: str, label: str) -> None:
    if token and not re.fullmatch(r"[!-~]+", token):
        raise ConfigError(f"{label} must be of ASCII characters without spaces, so that a header can carry it")


def _check_record_headers(names: tuple[str, ...], label: str) -> None:
    for name in names:
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
            raise ConfigError(f"{label}: {name!r} is not the name of a header")
        if name.lower() in KEPT_AS_FINGERPRINTS:
            raise ConfigError(f"{label}: {name} carries keys, which are never recorded in clear; leave it out")


def _check_upstreams(upstreams: tuple[Upstream, ...]) -> None:
    seen: dict[str, str] = {}
    for upstream in upstreams:
        label = f"upstreams.{upstream.name}"
        parse_base(upstream.base, f"{label}.base")
        prefix = parse_prefix(upstream.prefix or f"/{upstream.name}", f"{label}.prefix")
        for key in (f"name {upstream.name!r}", f"prefix {prefix!r}"):
            if key in seen:
                raise ConfigError(f"{label}: the {key} stands twice, see also upstreams.{seen[key]}; change one")
            seen[key] = upstream.name


def _check_exclude(rules: tuple[Exclude, ...]) -> None:
    for place, rule in enumerate(rules, 1):
        label = f"exclude[{place}] ({rule.name})"
        if not (rule.path or rule.header or rule.key or rule.user_agent):
            raise ConfigError(f"{label} has no pattern: give it a path, a header, a key or a user_agent")
        if rule.key and not rule.key.startswith(("fp:", "*", "?")):
            raise ConfigError(f"{label}: key is the fingerprint that llmtap shows (fp:…), never the key itself")
        name = rule.header.partition(":")[0].strip().lower()
        if name in KEPT_AS_FINGERPRINTS:
            raise ConfigError(f'{label}: {name} is only kept as a fingerprint; use key = "fp:…" for it')
        if rule.header and not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+:.*", rule.header):
            raise ConfigError(f"{label}: header must be written as name: pattern, e.g. x-debug: *")


def _check_prices(prices: tuple[Price, ...]) -> None:
    for place, price in enumerate(prices, 1):
        label = f"prices[{place}] ({price.model})"
        if price.request is None and (price.input is None or price.output is None):
            raise ConfigError(f"{label}: give it input and output, or request, in US dollars; 0 is free")
        for name in _DOLLARS:
            dollars = getattr(price, name)
            if dollars is not None and not 0 <= dollars <= _HIGHEST_PRICE:
                raise ConfigError(f"{label}: {name} must be US dollars from 0 to {_HIGHEST_PRICE:,}, not {dollars}")
        try:
            if price.since:
                date.fromisoformat(price.since)
        except ValueError:
            raise ConfigError(f"{label}: since must be a date such as 2026-01-31, not {_shown(price.since)}") from None


def _check_retrieval(retrieval: Retrieval, label: _Label) -> None:
    for tag in retrieval.tags:
        if not re.fullmatch(r"[A-Za-z_][\w.-]{0,63}", tag):
            raise ConfigError(f"{label('retrieval', 'tags')}: {tag!r} is not the name of a tag; write document")
    for path in retrieval.paths:
        if not path.startswith("$"):
            raise ConfigError(f"{label('retrieval', 'paths')}: {path!r} is not a JSONPath; it begins with $")


def _check_projects(projects: tuple[Project, ...]) -> None:
    names = [project.name for project in projects]
    for place, project in enumerate(projects, 1):
        label = f"projects[{place}] ({project.name})"
        if project.name in names[: place - 1]:
            raise ConfigError(f"{label}: this project stands twice; leave one out")
        if project.body_days is None and project.row_days is None:
            raise ConfigError(f"{label} says nothing: give it body_days or row_days")
        for name in ("body_days", "row_days"):
            if not 0 <= (getattr(project, name) or 0) <= _MOST_DAYS:
                raise ConfigError(f"{label}: {name} must be a whole number from 0 to {_MOST_DAYS:,}")
