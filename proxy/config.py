"""Settings: one table, read from TOML, then environment, then flags; the result is frozen.

The table is the sections below: a field is a setting, its annotation holds the limits and the
one sentence that help and ``config.example.toml`` show. ``LLMTAP_<SECTION>_<NAME>`` overrides
TOML; flags override both. An unknown key is an error that names the nearest known one.
"""

from __future__ import annotations

import difflib
import os
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct

from .errors import ConfigError





class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of settings."""


class Data(Section):
    """Where everything is kept."""

    dir: Annotated[str, Meta(description="Directory of journal, store and secrets; empty means the XDG data home.")] = ""


class Relay(Section):
    """The port that applications talk to."""

    listen: Annotated[str, Meta(description="Address of the relay; localhost means both loopbacks.")] = "localhost:8800"
    workers: Annotated[int, Meta(ge=1, le=256, description="Relay processes; they share one listening socket.")] = 1
    upstream: Annotated[
        str, Meta(description="When set, the only upstream: every target goes there as sent, routes are off.")
    ] = ""
    allow_networks: Annotated[
        tuple[str, ...],
        Meta(description="Client networks (CIDR) let in; required to listen on anything but loopback."),
    ] = ()
    call_id_header: Annotated[bool, Meta(description="Add x-llmtap-call-id to answers.")] = True
    record_headers: Annotated[
        tuple[str, ...],
        Meta(description="Headers recorded in clear besides the built-in list; all others are kept as fingerprints."),
    ] = ()
    use_env_proxy: Annotated[
        bool, Meta(description="Reach upstreams through HTTPS_PROXY, HTTP_PROXY and NO_PROXY.")
    ] = False
    ca_file: Annotated[str, Meta(description="PEM file of further authorities to trust for upstreams.")] = ""


class Limits(Section):
    """What the relay waits for, and how much it takes."""

    header_bytes: Annotated[
        int, Meta(ge=1024, le=16 << 20, description="Longest request line or header line, on both sides, in bytes.")
    ] = 65_536
    header_count: Annotated[int, Meta(ge=16, le=10_000, description="Most header lines of a message.")] = 512
    connect_timeout_s: Annotated[float, Meta(gt=0, le=3600, description="To reach an upstream, name and TLS included.")] = 30.0
    answer_timeout_s: Annotated[
        float, Meta(gt=0, le=604_800, description="From the end of a request to the head of its answer.")
    ] = 3600.0
    body_idle_timeout_s: Annotated[
        float, Meta(gt=0, le=604_800, description="Between two reads of an upstream's body.")
    ] = 900.0
    client_head_timeout_s: Annotated[
        float, Meta(gt=0, le=3600, description="From a client's connection to its first request.")
    ] = 60.0
    client_body_idle_timeout_s: Annotated[
        float, Meta(gt=0, le=86_400, description="Between two reads of a client's body.")
    ] = 120.0
    client_keep_alive_s: Annotated[
        float, Meta(gt=0, le=86_400, description="How long a client's idle connection is kept.")
    ] = 90.0
    upstream_keep_alive_s: Annotated[
        float, Meta(gt=0, le=86_400, description="How long an idle connection to an upstream is kept.")
    ] = 15.0
    drain_timeout_s: Annotated[
        float, Meta(ge=0, le=86_400, description="How long running calls may finish after a stop was asked for.")
    ] = 30.0


class Journal(Section):
    """The append-only files between relay and store."""

    segment_bytes: Annotated[int, Meta(ge=4096, le=1 << 32, description="A segment is rotated at this size.")] = 64 << 20
    max_bytes: Annotated[
        int, Meta(ge=65_536, le=1 << 44, description="A worker's journal on disk is capped here; calls beyond it are counted as gaps.")
    ] = 8 << 30
    part_bytes: Annotated[
        int, Meta(ge=1024, le=1 << 24, description="Body bytes are written when this many are waiting.")
    ] = 16_384
    part_delay_ms: Annotated[
        int, Meta(ge=1, le=60_000, description="Body bytes are written this long after the first waiting one.")
    ] = 250
    slow_write_ms: Annotated[
        int, Meta(ge=1, le=60_000, description="After a write as slow as this, writes move to a thread until the disk is quick again.")
    ] = 50
    max_wait_ms: Annotated[
        int, Meta(ge=0, le=600_000, description="Longest a call waits for its record on a slow disk; then traffic goes on.")
    ] = 1000
    buffer_bytes: Annotated[
        int, Meta(ge=65_536, le=1 << 34, description="Records waiting for a slow disk, per worker; beyond it they are gaps.")
    ] = 64 << 20
    on_capture_failure: Annotated[
        Literal["continue", "refuse"],
        Meta(description="What to do with calls that cannot be recorded: continue and count them, or refuse them with 503."),
    ] = "continue"


class Ingest(Section):
    """The process that turns journals into rows."""

    batch_calls: Annotated[int, Meta(ge=1, le=10_000, description="Most calls in one commit.")] = 500
    batch_ms: Annotated[int, Meta(ge=1, le=10_000, description="Longest that a finished call waits for its commit.")] = 100
    body_bytes: Annotated[
        int, Meta(ge=65_536, le=1 << 32, description="Bodies larger than this are kept but not parsed.")
    ] = 128 << 20
    quarantine_days: Annotated[
        int, Meta(ge=1, le=3650, description="Records that could not be processed are kept this long.")
    ] = 30


class Console(Section):
    """The port that people look at."""

    listen: Annotated[str, Meta(description="Address of the console; localhost means both loopbacks.")] = "localhost:8801"
    token: Annotated[
        str, Meta(description="Required to listen on anything but loopback; better given as LLMTAP_TOKEN.")
    ] = ""


class Fingerprint(Section):
    """How secrets are told apart without being kept."""

    secret: Annotated[
        str,
        Meta(description="Key of the fingerprints, for a fleet that shares one; empty means one per data directory."),
    ] = ""


class Log(Section):
    """llmtap's own log, on stderr."""

    level: Annotated[Literal["debug", "info", "warning", "error"], Meta(description="Least severity shown.")] = "info"
    format: Annotated[Literal["text", "json"], Meta(description="Lines for people or for machines.")] = "text"


class Upstream(Section):
    """One row of the route table: targets below ``prefix`` go to ``base``, the rest of the path as sent."""

    name: Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._-]+$", description="Shown in rows.")]
    base: Annotated[str, Meta(description="URL of the API, without a trailing /v1.")]
    prefix: Annotated[str, Meta(description="Path prefix that selects it; default is /<name>.")] = ""


class Config(Section):
    """All settings."""

    data: Data = Data()
    relay: Relay = Relay()
    limits: Limits = Limits()
    journal: Journal = Journal()
    ingest: Ingest = Ingest()
    console: Console = Console()
    fingerprint: Fingerprint = Fingerprint()
    log: Log = Log()
    upstreams: tuple[Upstream, ...] = ()

    @property
    def data_dir(self) -> Path:
        """The data directory, absolute."""
        return Path(self.data.dir).expanduser().absolute() if self.data.dir else default_data_dir(os.environ)


SECTIONS: dict[str, type[Section]] = {
    "data": Data,
    "relay": Relay,
    "limits": Limits,
    "journal": Journal,
    "ingest": Ingest,
    "console": Console,
    "fingerprint": Fingerprint,
    "log": Log,
}
SHORT_NAMES = {"LLMTAP_TOKEN": ("console", "token")}  #: environment names that break the rule, for brevity
SECRETS = {("console", "token"), ("fingerprint", "secret")}
NOT_SETTINGS = {"LLMTAP_CONFIG"}  #: LLMTAP_* names that are read elsewhere


class Setting(Struct, frozen=True):
    """One row of the table."""

    section: str
    name: str
    default: Any
    help: str

    @property
    def environment_name(self) -> str:
        """``LLMTAP_RELAY_LISTEN``."""
        return f"LLMTAP_{self.section}_{self.name}".upper()


def settings() -> list[Setting]:
    """Every setting but ``[[upstreams]]``, in the order of the sections."""
    return [
        Setting(name, field.name, field.default, _description(section, field.name))
        for name, section in SECTIONS.items()
        for field in msgspec.structs.fields(section)
    ]


def _description(section: type[Section], name: str) -> str:
    hint = get_type_hints(section, include_extras=True)[name]
    return next(meta.description or "" for meta in get_args(hint)[1:] if isinstance(meta, Meta))


def load(
    path: Path | None = None,
    environment: Mapping[str, str] | None = None,
    flags: Mapping[tuple[str, str], Any] | None = None,
) -> Config:
    """Read all sources into one frozen ``Config``.

    ``path``: a TOML file that must exist; None means the default file, if there is one.
    ``flags``: (section, name) → value; None values were not given.
    Raises ``ConfigError`` with a sentence that names the setting and its source.
    """
    env = os.environ if environment is None else environment
    tables = _read_toml(path, env)
    for (section, name), value in _from_environment(env).items():
        tables.setdefault(section, {})[name] = value
    for (section, name), value in (flags or {}).items():
        if value is not None:
            tables.setdefault(section, {})[name] = value
    config = _convert(tables)
    _check(config)
    return config


def default_config_file(env: Mapping[str, str]) -> Path:
    """``$LLMTAP_CONFIG``, or ``config.toml`` in the XDG config home."""
    if named := env.get("LLMTAP_CONFIG"):
        return Path(named).expanduser()
    home = env.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(home).expanduser() / "llmtap" / "config.toml"


def default_data_dir(env: Mapping[str, str]) -> Path:
    """``llmtap`` in the XDG data home."""
    home = env.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(home).expanduser() / "llmtap"


# --- reading --------------------------------------------------------------------------------


def _read_toml(path: Path | None, env: Mapping[str, str]) -> dict[str, Any]:
    must_exist = path is not None or bool(env.get("LLMTAP_CONFIG"))
    path = path or default_config_file(env)
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        if must_exist:
            raise ConfigError(f"{path}: no such file; copy config.example.toml there, or leave --config away") from None
        return {}
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        tables = tomllib.loads(raw.decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error
    _refuse_unknown(tables, str(path))
    _refuse_exposed_secrets(path, tables)
    return tables


def _refuse_unknown(tables: dict[str, Any], source: str) -> None:
    for name, table in tables.items():
        if name == "upstreams":
            continue
        if name not in SECTIONS:
            raise ConfigError(f"{source}: unknown section [{name}]{_nearest(name, [*SECTIONS, 'upstreams'])}")
        if not isinstance(table, dict):
            raise ConfigError(f"{source}: {name} must be a section: write [{name}]")
        known = [field.name for field in msgspec.structs.fields(SECTIONS[name])]
        for key in table:
            if key not in known:
                raise ConfigError(f"{source}: unknown setting {name}.{key}{_nearest(key, known)}")


def _refuse_exposed_secrets(path: Path, tables: dict[str, Any]) -> None:
    held = [f"{section}.{name}" for section, name in SECRETS if tables.get(section, {}).get(name)]
    if held and stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise ConfigError(f"{path} holds {' and '.join(sorted(held))} but others may read it: chmod 600 {path}")


def _from_environment(env: Mapping[str, str]) -> dict[tuple[str, str], Any]:
    known = {setting.environment_name: (setting.section, setting.name) for setting in settings()} | SHORT_NAMES
    found: dict[tuple[str, str], Any] = {}
    for name, text in env.items():
        if not name.startswith("LLMTAP_") or name in NOT_SETTINGS:
            continue
        if name not in known:
            raise ConfigError(f"environment: unknown setting {name}{_nearest(name, list(known))}")
        section, key = known[name]
        found[section, key] = _from_text(section, key, text, f"environment: {name}")
    return found


def _from_text(section: str, name: str, text: str, source: str) -> Any:
    kind = get_type_hints(SECTIONS[section])[name]
    try:
        if kind is bool:
            return {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}[
                text.strip().lower()
            ]
        if kind in (int, float):
            return kind(text)
        if get_origin(kind) is tuple:
            return [item.strip() for item in text.split(",") if item.strip()]
    except (KeyError, ValueError):
        expected = {bool: "true or false", int: "a whole number", float: "a number"}[kind]
        raise ConfigError(f"{source} must be {expected}, not {text!r}") from None
    return text


def _convert(tables: dict[str, Any]) -> Config:
    try:
        return msgspec.convert(tables, Config)
    except msgspec.ValidationError as error:
        reason, _, where = str(error).partition(" - at ")
        name = where.strip("`").removeprefix("$.") or "configuration"
        raise ConfigError(f"{name}: {reason[:1].lower()}{reason[1:]}") from error


def _nearest(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else f"; known: {', '.join(sorted(known))}"


# --- what a single field cannot tell -----------------------------------------------------------


def _check(config: Config) -> None:
    from .addresses import parse_address, parse_base, parse_network

    relay = parse_address(config.relay.listen, "relay.listen")
    console = parse_address(config.console.listen, "console.listen")
    for network in config.relay.allow_networks:
        parse_network(network, "relay.allow_networks")
    if not relay.loopback and not config.relay.allow_networks:
        raise ConfigError(
            f"relay.listen = {config.relay.listen!r} can be reached from other machines: say which clients may use it, "
            'e.g. allow_networks = ["10.0.0.0/8"] under [relay], or LLMTAP_RELAY_ALLOW_NETWORKS=10.0.0.0/8'
        )
    if not console.loopback and not config.console.token:
        raise ConfigError(
            f"console.listen = {config.console.listen!r} can be reached from other machines: "
            "set a token first, e.g. export LLMTAP_TOKEN=$(openssl rand -hex 32)"
        )
    if config.relay.upstream:
        parse_base(config.relay.upstream, "relay.upstream")
    names: set[str] = set()
    for upstream in config.upstreams:
        parse_base(upstream.base, f"upstreams.{upstream.name}.base")
        if upstream.name in names:
            raise ConfigError(f"upstreams: the name {upstream.name!r} stands twice")
        names.add(upstream.name)
        if upstream.prefix and not upstream.prefix.startswith("/"):
            raise ConfigError(f"upstreams.{upstream.name}.prefix must begin with /, e.g. /{upstream.prefix}")
        if upstream.prefix.startswith("/p/") or upstream.prefix == "/p":
            raise ConfigError(f"upstreams.{upstream.name}.prefix: /p/ is kept for projects; choose another")
