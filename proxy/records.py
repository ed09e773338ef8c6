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


DEFAULT_PROJECT = "default"

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
    project: str = DEFAULT_PROJECT
    upstream: str = ""  #: name of the route's upstream
    base: str = ""  #: its URL
    endpoint: str = ""  #: path at the upstream, without query
    headers: tuple[Header, ...] = ()
    no_log: bool = False  #: the caller asked that no content be kept
    omit_request: bool = False  #: …none of the request
    omit_response: bool = False  #: …none of the answer


class Head(Struct, frozen=True, array_like=True, kw_only=True):
    """Status line and headers of an answer."""

    id: bytes
    offset_us: int
    status: int
    reason: str = ""
    http_version: str = "1.1"
    headers: tuple[Header, ...] = ()
    ours: bool = False  #: made by llmtap, not by the upstream
    usage_injected: bool = False  #: llmtap asked for the stream's usage; the client did not see that chunk


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


class Job(Struct, frozen=True, array_like=True, kw_only=True):
    """Work that a command asks the store's writer to do."""

    id: bytes  #: UUIDv7
    kind: str  #: one of ``ingest.jobs.KINDS``
    asked_at_us: int
    request: dict[str, Any] = field(default_factory=dict)


class EventKind(enum.StrEnum):
    """What people, and programs of theirs, say of calls; and what was looked at."""

    FEEDBACK = "feedback"  #: scores, a comment, a correction, tags, metadata of a call or a part of it
    NOTE = "note"  #: an internal note on a conversation
    TAGS = "tags"  #: tags put on a conversation, or taken off it
    TAG = "tag"  #: what a tag is: its colour and description
    VIEW = "view"  #: a saved view of a page, or a queue of calls to review
    AUDIT = "audit"  #: somebody looked at contents, searched, or took something away


class Event(Struct, frozen=True, array_like=True, kw_only=True):
    """Something that is to be stored beside calls; the store's writer reads it out of a journal."""

    id: bytes  #: UUIDv7; the same one is stored once
    kind: str  #: an ``EventKind``
    at_us: int  #: wall time
    author: str  #: who said or did it
    said: dict[str, Any] = field(default_factory=dict)  #: by ``kind``, see ``store.judgements``


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

    type: str  #: text image audio video file refusal reasoning tool_call tool_result document other
    text: str | None = None
    media_type: str | None = None
    size: int | None = None  #: bytes of inline media, decoded
    url: str | None = None  #: where media lies, when not inline
    name: str | None = None  #: file or tool name
    tool_call_id: str | None = None
    arguments: str | None = None  #: of a tool call, as sent
    server: bool | None = None  #: True for a tool call, and its result, that the provider itself ran
    failed: bool | None = None  #: of a tool result: whether it says that it is an error


class Message(Struct, frozen=True, kw_only=True):
    """One message of a prompt or an answer."""

    role: str
    parts: tuple[ContentPart, ...] = ()


class ToolCall(Struct, frozen=True, kw_only=True):
    """A tool that the model asked for."""

    id: str | None
    name: str | None
    arguments: str  #: the string as sent, valid JSON or not
    server: bool = False  #: run by the provider itself: its result is in the same answer, or never seen


class Tool(Struct, frozen=True, kw_only=True):
    """A tool that the model was offered."""

    name: str | None
    description: str | None = None
    parameters: Any = None  #: JSON schema, or what a custom tool has in its place


class Document(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A piece of retrieved context: what a retriever, a search or the application put before the model."""

    source: str  #: where it was recognised: documents search_results file_search citation web_search path tag
    id: str | None = None
    title: str | None = None
    url: str | None = None
    text: str | None = None
    score: float | None = None


class Usage(Struct, frozen=True, kw_only=True):
    """Tokens in the OpenTelemetry GenAI sense: input includes cached, output includes reasoning.

    Each ``cache_write_1h_tokens`` is one of ``cache_write_tokens``; audio and image tokens are parts of
    their side. ``requests`` counts what is paid per use: ``{"web_search": 2}``.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    input_audio_tokens: int | None = None
    output_audio_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    input_image_tokens: int | None = None
    output_image_tokens: int | None = None
    requests: dict[str, int] = field(default_factory=dict)


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
    identity: dict[str, str] = field(default_factory=dict)  #: body fields that say who asks, see dialects/identity.py
    reasoning: str | None = None  #: text of the first choice's reasoning
    refusal: str | None = None  #: what the model said in place of an answer
    content_filter: str | None = None  #: what a filter found: ``output: violence``; of both sides, by ``, ``
    documents: tuple[Document, ...] = ()  #: retrieved context, of the request and of the answer
    results: int | None = None  #: embeddings, verdicts, ranked documents or models in the answer
    background: bool = False  #: the answer comes later, by another call that retrieves it
    retrieved: bool = False  #: the answer is that of an earlier call, fetched again: its usage is that call's
    upstream_us: int | None = None  #: how long the upstream itself says it took
    cost_nano_usd: int | None = None  #: what the upstream itself says it charges
    speed: str | None = None  #: price modifier: Anthropic's ``fast``
    region: str | None = None  #: price modifier: where inference ran, such as ``us``
    error_type: str | None = None
    error_message: str | None = None
    terminal: bool | None = False  #: the answer says of itself that it is whole; None: its format cannot say
    first_content_offset: int | None = None  #: offset in the body as sent, just after the first content token's event
    notes: tuple[str, ...] = ()  #: what could not be understood


# --- tools as spans --------------------------------------------------------------------------


class ToolSpan(Struct, frozen=True, kw_only=True):
    """A tool call, from the answer that asked for it to the request that brought its result."""

    place: int  #: in its answer
    id: str | None
    name: str | None
    arguments_bytes: int
    digest: int  #: 64 bits of id, name and arguments: the next request repeats them
    server: bool = False
    result_call: str | None = None  #: id of the call whose request brought the result
    result_bytes: int | None = None
    duration_us: int | None = None  #: from the end of the answer to the accept of that request
    failed: bool | None = None


class ToolResult(Struct, frozen=True, kw_only=True):
    """What came back for a tool call, found in a request; ``digest`` names the span."""

    digest: int
    bytes: int
    failed: bool | None = None


# --- what ties calls together ----------------------------------------------------------------


class FollowsBy(enum.StrEnum):
    """How it was found which answer a request continues, the most trusted first."""

    RESPONSE_ID = "response_id"  #: it names the answer, as ``previous_response_id``
    CONVERSATION_ID = "conversation_id"  #: it names a conversation that the provider keeps
    TOOL_CALL = "tool_call"  #: it repeats the id of a tool that the answer asked for
    ANSWER = "answer"  #: it repeats the answer
    RETRY = "retry"  #: it repeats a request that failed
    REGENERATION = "regeneration"  #: it repeats a request that was answered


class Ties(Struct, frozen=True, kw_only=True):
    """What ties a call to others, see ``ingest.linking``. Digests are 16 bytes, of canonical forms.

    All empty: a call that may have a conversation, but whose bodies say nothing of it.
    """

    previous_response: str | None = None  #: id of the answer that the request names
    conversation_id: str | None = None  #: of the provider's own conversation
    tool_ids: tuple[str, ...] = ()  #: of the last answer in the request, those that nobody else has
    echoes: tuple[bytes, ...] = ()  #: digests of the last answer in the request, the likeliest first
    answers: tuple[bytes, ...] = ()  #: digests of what a later request would repeat of this answer
    tasks: tuple[bytes, ...] = ()  #: digests of texts that the answer hands to tools
    begins: tuple[bytes, ...] = ()  #: digests of the first user's words, of a request without an answer in it


# --- scores ----------------------------------------------------------------------------------


class Score(Struct, frozen=True, kw_only=True):
    """What somebody thinks of a call, as a number."""

    call: str  #: its id
    name: str  #: of what is judged: ``factuality``
    author: str  #: who judged: a user, a reviewer, an evaluator, a guard
    value: float
    at_us: int  #: wall time


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


PREVIEW_CHARACTERS = 160


class Call(Struct, frozen=True, kw_only=True):
    """One call as it is listed, filtered and summed. Bodies lie beside it, in the store."""

    id: str  #: UUIDv7, canonical text
    started_at_us: int
    updated_at_us: int = 0  #: wall time of the write that brought this version; the store sets it
    project: str = DEFAULT_PROJECT
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
    conversation: str | None = None  #: id of the first call of its conversation; the store finds it
    key: str | None = None  #: fingerprint of the provider key
    client: str | None = None  #: User-Agent
    metadata: dict[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    request_id: str | None = None
    response_id: str | None = None
    request_bytes: int | None = None
    response_bytes: int | None = None
    preview_input: str | None = None  #: first words of the last user message, one line
    preview_output: str | None = None  #: first words of the answer, one line
    notes: tuple[str, ...] = ()
    trace: str | None = None  #: id of the trace that the client named
    parent: str | None = None  #: id of the span that the call was made in
    prompt: str | None = None  #: id or name of the prompt template that the client named
    prompt_version: str | None = None
    agent: str | None = None
    program: str | None = None  #: of the client, when it runs on this machine
    cwd: str | None = None  #: its working directory
    branch: str | None = None  #: git branch checked out there
    excluded: str | None = None  #: why the call is out of lists and sums; None for one that counts
    retry: int | None = None  #: how many times the client had tried before, as it says
    retry_of: str | None = None  #: id of the call that this one repeats
    service_tier: str | None = None
    system_fingerprint: str | None = None
    filtered: str | None = None  #: ``refusal``, or ``content_filter`` and what it found
    documents: int | None = None  #: pieces of retrieved context
    upstream_us: int | None = None  #: the upstream's own processing time, as it says
    chunks: int | None = None  #: reads that brought the answer
    longest_gap_us: int | None = None  #: between two of them, from the first token on
    tokens_per_s: float | None = None  #: output tokens over the time from the first token to the end
    limit_requests: int | None = None  #: quotas, as the upstream says in headers
    remaining_requests: int | None = None
    reset_requests_us: int | None = None  #: from the answer on
    limit_tokens: int | None = None
    remaining_tokens: int | None = None
    reset_tokens_us: int | None = None
    retry_after_us: int | None = None
    request_digest: int | None = None  #: 64 bits of a salted hash of the request's body
    background: bool | None = None
    follows: str | None = None  #: id of the call whose answer the request continues; the store finds it
    follows_by: str | None = None  #: how: a ``FollowsBy``
    system_version: int | None = None  #: number of its system prompt in its project; the store gives it
    rev: int = 0  #: grows with each insert and update; the store sets it


evolve = msgspec.structs.replace  #: ``evolve(record, name=value…)``: a copy of a frozen record, some fields changed
