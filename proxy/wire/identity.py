"""What is already on the wire to say who asks: one row a header, one row a field of a body. No I/O.

Applications that came from other gateways keep sending those gateways' headers, and coding agents
send their own; all of them are understood together. The relay takes from here what it may record
in clear, what it must not send on, and whose bodies it may not keep; ingest takes what it means.
No row ever chooses an upstream: headers that would (``Helicone-Target-URL``) are recorded, no more.

Order is precedence: of two rows that name the same thing, the first that is there counts. For
sessions that is LiteLLM's order, behind our own header.
"""

from __future__ import annotations

import re
from functools import lru_cache

from msgspec import Struct

from .remembered import Remembered

#: What a value can be. ``extra`` becomes metadata under the header's own name; ``none`` is only recorded.
MEANINGS = (
    "user", "session", "trace", "parent", "tags", "metadata", "project", "prompt", "prompt_version", "agent",
    "request", "excluded", "extra", "none",
)  # fmt: skip


class Row(Struct, frozen=True):
    """One header, or all that begin with ``name`` when it ends in ``*``.

    ``means``: out of ``MEANINGS``. ``reads``: how the value is written: text, csv, json (an object of
    metadata), pair (the rest of the header's name is a key of metadata), baggage, traceparent.
    ``clear``: recorded as sent, else as fingerprint, which can still group calls.
    ``private``: made for a gateway; not sent on to a provider. ``only_for``: found in the User-Agent.
    """

    name: str
    means: tuple[str, ...]
    reads: str = "text"
    clear: bool = True
    private: bool = False
    only_for: str = ""


OURS = "x-llmtap-"  #: begins the names of llmtap's own headers


def _ours(name: str, *means: str, reads: str = "text") -> Row:
    return Row(OURS + name, means, reads)


def _gateway(name: str, *means: str, reads: str = "text") -> Row:
    return Row(name, means or ("extra",), reads, private=True)


def _secret(name: str) -> Row:
    return Row(name, ("none",), clear=False, private=True)


def _client(name: str, *means: str, reads: str = "text", only_for: str = "") -> Row:
    return Row(name, means, reads, only_for=only_for)


HEADERS = (
    _ours("user", "user"),
    _ours("session", "session"),
    _ours("project", "project"),
    _ours("tag", "tags", reads="csv"),
    _ours("meta-*", "metadata", reads="pair"),
    _ours("trace", "trace"),
    _ours("parent", "parent"),
    _ours("exclude", "excluded"),
    _ours("no-log", "none"),
    _ours("call-id", "none"),
    # Keys to gateways.
    _secret("helicone-auth"),
    _secret("helicone-jwt"),
    _secret("helicone-manual-access-key"),
    _secret("x-portkey-api-key"),
    _secret("x-portkey-virtual-key"),
    _secret("x-portkey-config"),  # may be JSON with keys in it
    _secret("x-litellm-api-key"),
    _secret("x-bf-vk"),
    _secret("x-bf-eh-*"),  # headers for somebody else, of any kind
    # LiteLLM, and its order of sessions.
    _gateway("x-litellm-trace-id", "session", "trace"),
    _gateway("x-litellm-session-id", "session"),
    _gateway("x-litellm-tags", "tags", reads="csv"),
    _gateway("x-litellm-spend-logs-metadata", "metadata", reads="json"),
    _gateway("x-litellm-customer-id", "user"),
    _gateway("x-litellm-end-user-id", "user"),
    _gateway("x-litellm-agent-id", "agent"),
    *map(_gateway, (
        "x-litellm-enable-message-redaction", "x-litellm-timeout", "x-litellm-stream-timeout",
        "x-litellm-num-retries", "x-litellm-keepalive-seconds", "x-litellm-disable-callbacks", "x-litellm-call-id",
        "x-litellm-response-cost*", "x-litellm-model-*", "x-litellm-overhead-duration-ms", "x-litellm-version",
    )),
    _secret("x-litellm-*"),
    # Helicone.
    _gateway("helicone-user-id", "user"),
    _gateway("helicone-session-id", "session"),
    _gateway("helicone-property-*", "metadata", reads="pair"),
    _gateway("helicone-prompt-id", "prompt"),
    _gateway("helicone-prompt-name", "prompt"),
    _gateway("helicone-prompt-version", "prompt_version"),
    _gateway("helicone-request-id", "request"),
    *map(_gateway, (
        "helicone-session-path", "helicone-session-name", "helicone-prompt-mode", "helicone-prompt-format",
        "helicone-experiment-*", "helicone-omit-request", "helicone-omit-response", "helicone-target-url",
        "helicone-openai-api-base", "helicone-model-override", "helicone-stream-*", "helicone-increase-timeout",
        "helicone-moderations-enabled", "helicone-llm-security-*", "helicone-cache*", "helicone-retry-*",
        "helicone-fallback-index", "helicone-ratelimit-*", "helicone-id",
    )),
    _secret("helicone-*"),  # such as Helicone-Fallbacks: JSON with keys of all its targets
    # Portkey.
    _gateway("x-portkey-trace-id", "trace"),
    _gateway("x-portkey-span-id", "extra"),
    _gateway("x-portkey-parent-span-id", "parent"),
    _gateway("x-portkey-metadata", "metadata", reads="json"),
    *map(_gateway, (
        "x-portkey-provider", "x-portkey-span-name", "x-portkey-mode", "x-portkey-custom-host",
        "x-portkey-forward-headers", "x-portkey-cache*", "x-portkey-retry-*", "x-portkey-request-timeout",
        "x-portkey-strict-open-ai-compliance", "x-portkey-default-input-guardrails",
        "x-portkey-default-output-guardrails", "x-portkey-last-used-option-index",
    )),
    _secret("x-portkey-*"),  # such as x-portkey-aws-secret-access-key
    _gateway("langfuse_trace_id", "trace"),
    _gateway("langfuse_session_id", "session"),
    _gateway("langfuse_trace_user_id", "user"),
    _gateway("langfuse_user_id", "user"),
    _gateway("langfuse_tags", "tags", reads="csv"),
    *map(_gateway, ("langfuse_trace_name", "langfuse_generation_name", "langfuse_environment")),
    _secret("langfuse_*"),  # such as langfuse_secret_key
    # Braintrust, Bifrost.
    _gateway("x-bt-project-id", "project"),
    _gateway("x-bt-span-id", "parent"),
    *map(_gateway, ("x-bt-org-name", "x-bt-endpoint-name", "x-bt-use-cache", "x-bt-cache-ttl", "x-bt-span-export")),
    _secret("x-bt-*"),
    _gateway("x-bf-session-id", "session"),
    _gateway("x-bf-dim-*", "metadata", reads="pair"),
    _gateway("x-bf-prom-*", "metadata", reads="pair"),
    _secret("x-bf-*"),
    # Coding agents.
    _client("x-claude-code-session-id", "session"),
    _client("x-claude-code-agent-id", "agent"),
    _client("x-opencode-session", "session"),
    _client("x-opencode-request", "extra"),
    _client("x-parent-session-id", "parent"),
    Row("x-*-session-id", ("session",), clear=False),  # any vendor's; see VENDOR_SESSION
    _client("x-amp-thread-id", "session"),
    _client("session-id", "session", only_for="codex"),
    _client("session_id", "session", only_for="codex"),
    _client("thread-id", "session", only_for="codex"),
    _client("conversation_id", "session", only_for="codex"),
    Row("x-codex-turn-metadata", ("none",), clear=False),  # may hold the address of a repository, key and all
    Row("chatgpt-account-id", ("extra",), clear=False),
    _client("x-session-id", "session"),
    _client("x-session-affinity", "session"),
    # Standards.
    _client("traceparent", "trace", "parent", reads="traceparent"),
    _client("tracestate", "none"),
    _client("baggage", "session", "user", reads="baggage"),
    _client("x-request-id", "request"),
    _client("x-client-request-id", "request"),
)  # fmt: skip

#: A field of a body by its dotted name (``dialects.identity``), and what it means; behind all headers.
#: ``reads`` as above; ``account`` is Anthropic's ``user_id``, which may hold a session as well.
BODY = (
    Row("litellm_trace_id", ("session", "trace")),
    Row("litellm_session_id", ("session",)),
    Row("metadata.trace_id", ("trace",)),
    Row("metadata.session_id", ("session",)),
    Row("metadata.trace_user_id", ("user",)),
    Row("metadata.user_id", ("user", "session"), "account"),
    Row("metadata.tags", ("tags",), "csv"),
    Row("user", ("user",)),
    Row("safety_identifier", ("user",)),
    Row("session_id", ("session",)),
    Row("conversation_id", ("session",)),
    Row("conversation.id", ("session",)),
    Row("conversation", ("session",)),
    Row("tags", ("tags",), "csv"),
    Row("prompt.id", ("prompt",)),
    Row("prompt.version", ("prompt_version",)),
    Row("previous_response_id", ("extra",)),
    Row("prompt_cache_key", ("extra",)),
    Row("store", ("extra",)),
    Row("service_tier", ("none",)),  # the answer says which one it was
    Row("labels.*", ("metadata",), "pair"),
    Row("metadata.*", ("metadata",), "pair"),
)

#: LiteLLM's rule for any vendor's session header.
VENDOR_SESSION = re.compile(r"x-[a-z0-9]+(?:-[a-z0-9]+)*-session-id")
VENDOR_SESSION_VALUE = re.compile(r"[A-Za-z0-9_-]{8,}")

#: Headers that ask for bodies not to be kept: (request's, answer's). ``x-llmtap-no-log`` asks for more.
OMITTING = {
    b"helicone-omit-request": (True, False),
    b"helicone-omit-response": (False, True),
    b"x-litellm-enable-message-redaction": (True, True),
}
#: Values hold a URL, which may hold user info and keys: recorded as request targets are.
URLS = frozenset({b"helicone-target-url", b"helicone-openai-api-base", b"x-portkey-custom-host"})

_EXACT = {row.name: row for row in HEADERS if "*" not in row.name}
_PREFIXES = tuple((row.name[:-1], row) for row in HEADERS if row.name.endswith("*"))
_VENDOR = next(row for row in HEADERS if row.name == "x-*-session-id")


_PRIVATE_PREFIXES = tuple(prefix.encode() for prefix, row in _PREFIXES if row.private)
_LONGEST_NAME = 256  #: what is longer says nothing of who asks, and is not remembered


def row_of(name: str) -> Row | None:
    """The row of a header, by its lower-case name; None for one that says nothing of who asks."""
    return ROWS[name]


def _row_of(name: str) -> Row | None:
    if len(name) > _LONGEST_NAME:
        return None
    if row := _EXACT.get(name):
        return row
    if row := next((row for prefix, row in _PREFIXES if name.startswith(prefix)), None):
        return row
    return _VENDOR if VENDOR_SESSION.fullmatch(name) else None


ROWS = Remembered(_row_of)  #: ``row_of`` for those who ask of every header


def is_clear(name: bytes) -> bool:
    """Whether a header's value (lower-case name) says who asks and may be recorded as sent."""
    return len(name) <= _LONGEST_NAME and _is_clear(name)


def is_private(name: bytes) -> bool:
    """Whether a header (lower-case name) was made for a gateway, and is none of a provider's business."""
    return _is_private(name) if len(name) <= _LONGEST_NAME else name.startswith(_PRIVATE_PREFIXES)


@lru_cache(4096)
def _is_clear(name: bytes) -> bool:
    row = row_of(name.decode("latin-1"))
    return row is not None and row.clear


@lru_cache(4096)
def _is_private(name: bytes) -> bool:
    row = row_of(name.decode("latin-1"))
    return row is not None and row.private
