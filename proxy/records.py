"""The values that travel through llmtap. No I/O, no behaviour beyond reading themselves.

Two families. What the relay writes into the journal: ``Begin``, ``Part``, ``Head``, ``End``
(array-like: fields are only ever appended, with defaults, so older journals stay readable).
What ingest makes of them: an ``Exchange`` (raw bytes of one call), a ``Parsed`` (what a dialect
understood), a ``Call`` (the row).

Times are µs. ``*_us`` fields named ``started_at_us`` are wall time since 1970; all others are
durations since the call was accepted.
"""

from __future__ import annotations

import enum
from typing import Any, TypeVar

import msgspec
from msgspec import Struct, field

S = TypeVar("S", bound=Struct)


class Header(Struct, frozen=True, array_like=True):
    """One header line. ``hidden``: ``value`` is a fingerprint in place of what was sent."""

    name: bytes
    value: bytes
    hidden: bool = False


# --- journal records -----------------------------------------------------------------------


class Side(enum.IntEnum):
    """Whose bytes a part carries."""

    REQUEST = 0
    RESPONSE = 1


class Outcome(enum.StrEnum):
    """How the relay saw a call end."""

    COMPLETE = "complete"  #: the answer's HTTP message is whole
    CLIENT_CLOSED = "client_closed"  #: the client hung up first
    CUT = "cut"  #: the upstream broke off after its answer had begun
    FAILED = "failed"  #: no answer from upstream: name, connection, TLS, timeout
    REFUSED = "refused"  #: llmtap answered by itself, nothing went upstream
    STOPPED = "stopped"  #: llmtap was stopped and could wait no longer


class Begin(Struct, frozen=True, array_like=True, kw_only=True):
    """A call was accepted; written before anything goes upstream."""

    id: bytes
    started_at_us: int  #: wall clock, read once
    accepted_us: int  #: monotonic clock of the machine; all offsets count from here
    method: str
    target: str  #: as the client sent it, secrets in it replaced by fingerprints
    http_version: str = "1.1"
    client: str = ""  #: ``host:port`` of the peer
    project: str = "default"
    upstream: str = ""  #: name of the route's upstream
    base: str = ""  #: its URL
    endpoint: str = ""  #: path at the upstream, without query
    headers: tuple[Header, ...] = ()
    no_log: bool = False  #: the caller asked that no content be kept


class Head(Struct, frozen=True, array_like=True, kw_only=True):
    """Status line and headers of an answer."""

    id: bytes
    offset_us: int
    status: int
    reason: str = ""
    http_version: str = "1.1"
    headers: tuple[Header, ...] = ()
    ours: bool = False  #: made by llmtap, not by the upstream


class Part(Struct, frozen=True, kw_only=True):
    """Consecutive body bytes, with the reads that brought them."""

    id: bytes
    side: Side
    offset: int  #: of the first byte, in the body
    data: bytes
    marks: tuple[tuple[int, int], ...] = ()  #: (offset just after a read, µs since accept)


class End(Struct, frozen=True, array_like=True, kw_only=True):
    """The call is over."""

    id: bytes
    ended_us: int  #: monotonic clock of the machine: orders ends across relays
    offset_us: int  #: µs since accept, at the last byte
    outcome: str  #: an ``Outcome``
    request_bytes: int = 0
    response_bytes: int = 0
    request_complete: bool = False
    response_complete: bool = False
    status: int | None = None  #: HTTP status the client saw
    error_type: str | None = None
    error_message: str | None = None
    lost_parts: int = 0  #: parts that could not be journaled: bodies have holes


# --- one call, reassembled ------------------------------------------------------------------


class Exchange(Struct, frozen=True, kw_only=True):
    """The raw bytes of one call, as they crossed the relay."""

    begin: Begin
    head: Head | None = None
    end: End | None = None  #: None while running, or when the relay died before the end
    request_body: bytes = b""
    response_body: bytes = b""
    marks: tuple[tuple[int, int], ...] = ()  #: of the response: (offset after a read, µs since accept)
    holes: bool = False  #: bytes are missing from a body: it cannot be given back exactly


# --- what a dialect understood --------------------------------------------------------------


class ContentPart(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A piece of a message."""

    type: str  #: text image audio file refusal reasoning tool_call tool_result other
    text: str | None = None
    media_type: str | None = None
    size: int | None = None  #: bytes of inline media, decoded
    url: str | None = None  #: where media lies, when not inline
    name: str | None = None  #: file or tool name
    tool_call_id: str | None = None
    arguments: str | None = None  #: of a tool call, as sent


class Message(Struct, frozen=True, kw_only=True):
    """One message of a prompt or an answer."""

    role: str
    parts: tuple[ContentPart, ...] = ()


class ToolCall(Struct, frozen=True, kw_only=True):
    """A tool that the model asked for."""

    id: str | None
    name: str | None
    arguments: str  #: the string as sent, valid JSON or not


class Tool(Struct, frozen=True, kw_only=True):
    """A tool that the model was offered."""

    name: str | None
    description: str | None = None
    parameters: Any = None  #: JSON schema, or what a custom tool has in its place


class Usage(Struct, frozen=True, kw_only=True):
    """Tokens in the OpenTelemetry GenAI sense: input includes cached, output includes reasoning."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    input_audio_tokens: int | None = None
    output_audio_tokens: int | None = None


class Choice(Struct, frozen=True, kw_only=True):
    """One of n answers."""

    index: int
    message: Message
    finish_reason: str | None = None
    logprobs: Any = None


class Parsed(Struct, frozen=True, kw_only=True):
    """What a dialect read out of an exchange. Unknown is None, never 0 or ''."""

    stream: bool | None = None
    model_requested: str | None = None
    model: str | None = None  #: as served
    system_prompt: str | None = None
    input: tuple[Message, ...] = ()
    tools: tuple[Tool, ...] = ()
    output: str | None = None  #: text of the first choice
    choices: tuple[Choice, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str | None = None
    usage: Usage | None = None
    usage_raw: Any = None  #: the provider's own object
    response_id: str | None = None
    service_tier: str | None = None
    system_fingerprint: str | None = None
    user: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    error_type: str | None = None
    error_message: str | None = None
    terminal: bool | None = False  #: the answer says of itself that it is whole; None: its format cannot say
    first_content_offset: int | None = None  #: offset in the body as sent, just after the first content token's event
    notes: tuple[str, ...] = ()  #: what could not be understood


# --- the row ---------------------------------------------------------------------------------


class Status(enum.StrEnum):
    """What became of a call."""

    OK = "ok"
    ERROR = "error"
    CLIENT_CLOSED = "client_closed"
    TRUNCATED = "truncated"
    INTERRUPTED = "interrupted"
    RUNNING = "running"
    BLOCKED = "blocked"


class Call(Struct, frozen=True, kw_only=True):
    """One call as it is listed, filtered and summed. Bodies lie beside it, in the store."""

    id: str  #: UUIDv7, canonical text
    started_at_us: int
    updated_at_us: int = 0  #: wall time of the write that brought this version; the store sets it
    project: str = "default"
    upstream: str | None = None
    dialect: str | None = None
    endpoint: str | None = None
    method: str = ""
    path: str = ""
    stream: bool | None = None
    status: str = Status.RUNNING
    http_status: int | None = None
    error_type: str | None = None
    error_message: str | None = None
    model_requested: str | None = None
    model: str | None = None
    latency_us: int | None = None
    ttft_us: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    tokens_source: str | None = None
    cost_nano_usd: int | None = None
    cost_source: str | None = None  #: price table and its version
    finish_reason: str | None = None
    user: str | None = None
    session: str | None = None
    conversation: str | None = None
    key: str | None = None  #: fingerprint of the provider key
    client: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    request_id: str | None = None
    response_id: str | None = None
    request_bytes: int | None = None
    response_bytes: int | None = None
    preview_input: str | None = None  #: first words of the last user message, one line
    preview_output: str | None = None  #: first words of the answer, one line
    notes: tuple[str, ...] = ()
    rev: int = 0  #: grows with each insert and update; the store sets it


Record = TypeVar("Record", bound=Struct)


def evolve(value: Record, **changes: Any) -> Record:
    """A copy of a frozen record with some fields changed."""
    return msgspec.structs.replace(value, **changes)
