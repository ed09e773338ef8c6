"""The table of settings: each section is a struct, each field a setting.

A field's annotation holds its limits and the one sentence that help and ``config.example.toml``
show; nothing else describes it a second time. Where values come from, and what to say when one
cannot be used, is ``config.py``'s.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct

from .errors import ConfigError

SECRETS = frozenset({("console", "token"), ("fingerprint", "secret")})  #: never shown, never in a readable file
_SECRET_NAMES = frozenset(name for _, name in SECRETS)


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of settings. Its ``repr`` leaves secrets out, so that a log line may hold it."""

    def __repr__(self) -> str:
        values = ((name, getattr(self, name)) for name in self.__struct_fields__)
        shown = (f"{name}={'…' if name in _SECRET_NAMES and value else repr(value)}" for name, value in values)
        return f"{type(self).__name__}({', '.join(shown)})"


class Data(Section, frozen=True):
    """Where everything is kept."""

    dir: Annotated[
        str, Meta(description="Directory of journal, store and secrets; empty means llmtap in the XDG data home.")
    ] = ""


class Relay(Section, frozen=True):
    """The port that applications talk to."""

    listen: Annotated[str, Meta(description="Address of the relay; localhost means both loopbacks.")] = "localhost:8800"
    workers: Annotated[int, Meta(ge=1, le=256, description="Relay processes; they share one listening socket.")] = 1
    engine: Annotated[
        Literal["fast", "aiohttp"],
        Meta(
            description="What relays usual requests: fast, our own protocols; or aiohttp, which relays all others in "
            "any case."
        ),
    ] = "aiohttp"
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
    gateway_headers: Annotated[
        Literal["auto", "consume", "pass"],
        Meta(
            description="Headers made for other gateways (Helicone-*, x-portkey-*, …): auto keeps them from built-in "
            "upstreams and passes them on to your own."
        ),
    ] = "auto"
    use_env_proxy: Annotated[
        bool, Meta(description="Reach upstreams through HTTPS_PROXY, HTTP_PROXY and NO_PROXY.")
    ] = False
    ca_file: Annotated[str, Meta(description="PEM file of further authorities to trust for upstreams.")] = ""


class Limits(Section, frozen=True):
    """What the relay waits for, and how much it takes."""

    header_bytes: Annotated[
        int, Meta(ge=1024, le=16 << 20, description="Longest request line or header line, on both sides, in bytes.")
    ] = 65_536
    header_count: Annotated[int, Meta(ge=16, le=10_000, description="Most header lines of a message.")] = 512
    connect_timeout_s: Annotated[
        float, Meta(gt=0, le=3600, description="To reach an upstream, name and TLS included.")
    ] = 30.0
    answer_timeout_s: Annotated[
        float, Meta(gt=0, le=604_800, description="From the end of a request to the head of its answer.")
    ] = 3600.0
    body_idle_timeout_s: Annotated[
        float,
        Meta(
            gt=0, le=604_800, description="How long an upstream may send nothing of its body, or read nothing of ours."
        ),
    ] = 900.0
    client_head_timeout_s: Annotated[
        float, Meta(gt=0, le=3600, description="From a client's connection to its first request.")
    ] = 60.0
    client_body_idle_timeout_s: Annotated[
        float,
        Meta(
            gt=0,
            le=86_400,
            description="How long a client may send nothing of its body, or read nothing of its answer.",
        ),
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


class Journal(Section, frozen=True):
    """The append-only files between relay and store."""

    segment_bytes: Annotated[int, Meta(ge=4096, le=1 << 32, description="A segment is rotated at this size.")] = (
        64 << 20
    )
    max_bytes: Annotated[
        int,
        Meta(
            ge=65_536,
            le=1 << 44,
            description="A worker's journal on disk is capped here; calls beyond it are counted as gaps.",
        ),
    ] = 8 << 30
    part_bytes: Annotated[
        int, Meta(ge=1024, le=1 << 24, description="Body bytes are written when this many are waiting.")
    ] = 16_384
    part_delay_ms: Annotated[
        int, Meta(ge=1, le=60_000, description="Body bytes are written this long after the first waiting one.")
    ] = 250
    slow_write_ms: Annotated[
        int,
        Meta(
            ge=1,
            le=60_000,
            description="After a write as slow as this, writes move to a thread until the disk is quick again.",
        ),
    ] = 50
    max_wait_ms: Annotated[
        int,
        Meta(ge=0, le=600_000, description="Longest a call waits for its record on a slow disk; then traffic goes on."),
    ] = 1000
    buffer_bytes: Annotated[
        int,
        Meta(
            ge=65_536, le=1 << 34, description="Records waiting for a slow disk, per worker; beyond it they are gaps."
        ),
    ] = 64 << 20
    on_capture_failure: Annotated[
        Literal["continue", "refuse"],
        Meta(description="Calls that cannot be recorded: continue and count them, or refuse them with 503."),
    ] = "continue"


class Ingest(Section, frozen=True):
    """The process that turns journals into rows."""

    batch_calls: Annotated[int, Meta(ge=1, le=10_000, description="Most calls in one commit.")] = 500
    batch_ms: Annotated[
        int, Meta(ge=1, le=10_000, description="Longest that calls are gathered before they are committed.")
    ] = 100
    body_bytes: Annotated[
        int, Meta(ge=65_536, le=1 << 32, description="Bodies larger than this are kept but not parsed.")
    ] = 128 << 20
    memory_mb: Annotated[
        int,
        Meta(
            ge=160,
            le=1 << 20,
            description="Memory of the process, about; with more of it, less is stored twice and more is linked.",
        ),
    ] = 256
    quarantine_days: Annotated[
        int, Meta(ge=1, le=3650, description="Records that could not be processed are kept this long.")
    ] = 30


class Store(Section, frozen=True):
    """The files that calls are kept in."""

    full_text: Annotated[
        bool, Meta(description="Make prompts, answers and tool calls searchable by their words; costs about a third.")
    ] = True
    full_text_chars: Annotated[
        int, Meta(ge=1000, le=1 << 26, description="Most characters of one call that can be searched.")
    ] = 262_144


class Retention(Section, frozen=True):
    """How long calls are kept; their sums in reports, pinned calls and those that are on hold stay."""

    enabled: Annotated[bool, Meta(description="Whether anything is ever deleted; off, all limits are overlooked.")] = (
        True
    )
    body_days: Annotated[
        int, Meta(ge=0, le=36_500, description="Bodies and previews are kept so many days; 0: for good.")
    ] = 0
    row_days: Annotated[
        int,
        Meta(ge=0, le=36_500, description="Rows are kept so many days, and no bodies longer than them; 0: for good."),
    ] = 0
    max_bytes: Annotated[
        int,
        Meta(ge=0, le=1 << 50, description="When the store is larger, the oldest bodies go first; 0: without a cap."),
    ] = 0
    batch_rows: Annotated[
        int, Meta(ge=1, le=100_000, description="Most rows deleted in one step, between which calls are stored.")
    ] = 1000


class Identity(Section, frozen=True):
    """Who asks, beyond what headers say."""

    programs: Annotated[
        bool,
        Meta(description="Of clients on this machine, note the program, its working directory and its git branch."),
    ] = True


class Retrieval(Section, frozen=True):
    """Retrieved context (RAG) in requests that carry it in a form of their own."""

    paths: Annotated[
        tuple[str, ...],
        Meta(description="JSONPaths in the request's body whose values are documents, such as $.extra.chunks[*]."),
    ] = ()
    tags: Annotated[
        tuple[str, ...],
        Meta(description="Tags in prompts around each document: document for <document>…</document>."),
    ] = ()


class Console(Section, frozen=True):
    """The port that people look at."""

    listen: Annotated[str, Meta(description="Address of the console; localhost means both loopbacks.")] = (
        "localhost:8801"
    )
    token: Annotated[
        str, Meta(description="The owner's key to the console, who may do everything; better given as LLMTAP_TOKEN.")
    ] = ""
    login: Annotated[
        Literal["auto", "always"],
        Meta(
            description="Whether people must log in: auto asks nobody on loopback while there is no token, "
            "no name in hosts and nobody of llmtap user."
        ),
    ] = "auto"
    hosts: Annotated[
        tuple[str, ...],
        Meta(description="Further names that the console is reached by, such as that of a proxy with TLS before it."),
    ] = ()


class Fingerprint(Section, frozen=True):
    """How secrets are told apart without being kept."""

    secret: Annotated[
        str,
        Meta(description="Key of the fingerprints, for a fleet that shares one; empty means one per data directory."),
    ] = ""


class Log(Section, frozen=True):
    """llmtap's own log, on stderr."""

    level: Annotated[Literal["debug", "info", "warning", "error"], Meta(description="Least severity shown.")] = "info"
    format: Annotated[Literal["text", "json"], Meta(description="Lines for people or for machines.")] = "text"


class Upstream(Section, frozen=True):
    """One row of the route table: targets below ``prefix`` go to ``base``, the rest of the path as sent."""

    name: Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._-]+$", description="Shown in rows.")]
    base: Annotated[str, Meta(description="URL of the API, without a trailing /v1.")]
    prefix: Annotated[str, Meta(description="Path prefix that selects it; default is /<name>.")] = ""
    inject_usage: Annotated[
        bool,
        Meta(
            description="Ask for usage in streams of chat and text completions when the client did not; the extra "
            "chunk is taken out again. Requests over 2 MB, compressed or signed ones are left alone."
        ),
    ] = False
    api_key_env: Annotated[
        str,
        Meta(description="Environment variable of the console with a key for calls that are sent again from there."),
    ] = ""


class Exclude(Section, frozen=True):
    """A rule: calls that fit all of its patterns are kept, but flagged, and out of lists and sums.

    Patterns are as in file names: ``*`` is any text, ``?`` any character; case does not count.
    """

    name: Annotated[str, Meta(min_length=1, max_length=64, description="Why: shown in rows.")]
    path: Annotated[str, Meta(description="Pattern for the request's path.")] = ""
    header: Annotated[
        str, Meta(description="Name: pattern, for a request header; such a header is then recorded in clear.")
    ] = ""
    key: Annotated[str, Meta(description="Pattern for the fingerprint of the provider key (fp:…).")] = ""
    user_agent: Annotated[str, Meta(description="Pattern for the User-Agent.")] = ""


class Project(Section, frozen=True):
    """What holds for the calls of one project."""

    name: Annotated[str, Meta(min_length=1, max_length=1000, description="As rows show it.")]
    body_days: Annotated[int | None, Meta(description="In place of retention.body_days; 0: for good.")] = None
    row_days: Annotated[int | None, Meta(description="In place of retention.row_days; 0: for good.")] = None


class Price(Section, frozen=True):
    """A price of your own, in US dollars; it wins over the price table, the last row that fits over earlier ones."""

    model: Annotated[str, Meta(min_length=1, description="Name of the served model, or a pattern such as gpt-5*.")]
    upstream: Annotated[str, Meta(description="Only for this upstream; empty means all.")] = ""
    tier: Annotated[
        str, Meta(description="Only for this service tier, such as batch, flex or priority; empty means all.")
    ] = ""
    since: Annotated[str, Meta(description="In force from this date on (UTC), as 2026-01-31; empty means always.")] = ""
    input: Annotated[float | None, Meta(description="For a million input tokens.")] = None
    output: Annotated[float | None, Meta(description="For a million output tokens.")] = None
    cached: Annotated[
        float | None, Meta(description="For a million input tokens read from the cache; else as input.")
    ] = None
    cache_write: Annotated[
        float | None, Meta(description="For a million tokens written to the cache; else as input.")
    ] = None
    cache_write_1h: Annotated[
        float | None, Meta(description="For those written to be kept an hour; else as cache_write.")
    ] = None
    input_audio: Annotated[float | None, Meta(description="For a million tokens of sound sent; else as input.")] = None
    output_audio: Annotated[
        float | None, Meta(description="For a million tokens of sound answered; else as output.")
    ] = None
    request: Annotated[float | None, Meta(description="For each call.")] = None


class Config(Section, frozen=True):
    """All settings."""

    data: Data = Data()
    relay: Relay = Relay()
    limits: Limits = Limits()
    journal: Journal = Journal()
    ingest: Ingest = Ingest()
    store: Store = Store()
    retention: Retention = Retention()
    identity: Identity = Identity()
    retrieval: Retrieval = Retrieval()
    console: Console = Console()
    fingerprint: Fingerprint = Fingerprint()
    log: Log = Log()
    upstreams: tuple[Upstream, ...] = ()
    exclude: tuple[Exclude, ...] = ()
    prices: tuple[Price, ...] = ()
    projects: tuple[Project, ...] = ()

    @property
    def recorded_headers(self) -> tuple[str, ...]:
        """Headers to record in clear besides the built-in ones: rules have to see theirs."""
        named = (rule.header.partition(":")[0].strip() for rule in self.exclude)
        return (*self.relay.record_headers, *filter(None, named))

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
    "store": Store,
    "retention": Retention,
    "identity": Identity,
    "retrieval": Retrieval,
    "console": Console,
    "fingerprint": Fingerprint,
    "log": Log,
}

#: Lists of tables, written as ``[[upstreams]]``, and what each row must have.
LISTS: dict[str, type[Section]] = {"upstreams": Upstream, "exclude": Exclude, "prices": Price, "projects": Project}


class Setting(Struct, frozen=True):
    """One row of the table. ``hint`` is the annotated type, limits and all."""

    section: str
    name: str
    default: Any  #: ``msgspec.NODEFAULT`` when it must be given
    help: str
    hint: Any

    @property
    def environment_name(self) -> str:
        """``LLMTAP_RELAY_LISTEN``."""
        return f"LLMTAP_{self.section}_{self.name}".upper()

    @property
    def secret(self) -> bool:
        """Whether its value may never be shown."""
        return (self.section, self.name) in SECRETS

    @property
    def kind(self) -> Any:
        """The type without its limits, and without None."""
        kind = get_args(self.hint)[0]
        return get_args(kind)[0] if isinstance(kind, UnionType) else kind

    @property
    def expects(self) -> str:
        """What a value must be, in words: ``a whole number from 1 to 256``."""
        if get_origin(self.kind) is Literal:
            return " or ".join(get_args(self.kind))
        words = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
        return words.get(self.kind, "a list of texts") + _range_in_words(_meta(self.hint))


def _meta(hint: Any) -> Meta:
    return next(meta for meta in get_args(hint)[1:] if isinstance(meta, Meta))


def _range_in_words(meta: Meta) -> str:
    if meta.pattern:
        return " of letters, digits, dots, dashes and underscores"
    if meta.gt is not None:
        return f" above {meta.gt} and at most {meta.le:,}"
    return f" from {meta.ge:,} to {meta.le:,}" if meta.ge is not None else ""


@cache
def settings() -> tuple[Setting, ...]:
    """Every setting but ``[[upstreams]]``, in the order of the sections."""
    return tuple(row for name, section in SECTIONS.items() for row in settings_of(name, section))


@cache
def settings_of(name: str, section: type[Section]) -> tuple[Setting, ...]:
    """The rows of one section."""
    hints = get_type_hints(section, include_extras=True)
    return tuple(
        Setting(name, field.name, field.default, _meta(hints[field.name]).description or "", hints[field.name])
        for field in msgspec.structs.fields(section)
    )


def default_data_dir(env: Mapping[str, str]) -> Path:
    """``llmtap`` in the XDG data home."""
    return xdg_home(env, "XDG_DATA_HOME", "~/.local/share") / "llmtap"


def xdg_home(env: Mapping[str, str], name: str, default: str) -> Path:
    """The directory that ``name`` holds; the XDG rules say to overlook a relative one."""
    named = env.get(name, "")
    try:
        return Path(named) if named.startswith("/") else Path(default).expanduser()
    except RuntimeError:
        raise ConfigError(f"this user has no home directory: set {name} or HOME") from None
