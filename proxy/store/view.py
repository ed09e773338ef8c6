"""A call as JSON: the one shape that ``--json``, the API and exports show.

Rows hold integers (µs, nano-dollars); people get milliseconds and dollars. Unknown is null,
never 0 or an empty text. What was said (``BODY_KEYS``) comes from a dialect's ``Parsed``; a call
whose bodies are gone, were not to be kept, or are still coming shows null there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import msgspec

from ..clock import rfc3339
from ..records import Call, Exchange, Parsed, ToolSpan
from .base import JSON


def call_json(call: Call, parsed: Parsed | None, exchange: Exchange | None, tools: Sequence[ToolSpan] = ()) -> JSON:
    """All of a call, every key present, in the order of ``KEYS``.

    ``parsed``: what a dialect read out of ``exchange``; both None when there are no bodies.
    ``tools``: what became of the tools that its answer asked for.
    """
    said = parsed if exchange is not None and not exchange.begin.no_log else None
    shown = {key: _BODIES[key](said) if key in _BODIES else _ROW[key](call) for key in KEYS}
    spans = {tool.place: tool for tool in tools}
    for place, tool in enumerate(shown["tool_calls"] or ()):
        tool |= _span(spans.get(place))
    return shown


def summary_json(call: Call) -> JSON:
    """A call without what was said: for lists, from the row alone."""
    return {key: show(call) for key, show in _ROW.items()}


def selected(shown: JSON, fields: Collection[str]) -> JSON:
    """The named keys of what ``call_json`` gave, in its order; names that are no keys are not shown."""
    return {key: value for key, value in shown.items() if key in fields}


def _column(name: str) -> Callable[[Call], Any]:
    return lambda call: getattr(call, name)


def _milliseconds(us: int | None) -> float | None:
    return None if us is None else us / 1000


def _duration(column: str) -> Callable[[Call], Any]:
    return lambda call: _milliseconds(getattr(call, column))


def _dollars(nano_usd: int | None) -> float | None:
    return None if nano_usd is None else nano_usd / 1_000_000_000


def _input(said: Parsed | None) -> list[JSON] | None:
    if said is None:
        return None
    return [
        {"role": message.role, "parts": [msgspec.to_builtins(part) for part in message.parts]} for message in said.input
    ]


def _tool_calls(said: Parsed | None) -> list[JSON] | None:
    if said is None:
        return None
    return [
        {"id": tool.id, "name": tool.name, "arguments": tool.arguments, "server": tool.server}
        for tool in said.tool_calls
    ]


def _span(tool: ToolSpan | None) -> JSON:
    """What became of a tool call; nothing is known as long as no request has brought its result."""
    return {
        "result_call": tool.result_call if tool else None,
        "result_bytes": tool.result_bytes if tool else None,
        "duration_ms": _milliseconds(tool.duration_us) if tool else None,
        "failed": tool.failed if tool else None,
    }


def _retrieved(said: Parsed | None) -> list[JSON] | None:
    return None if said is None else [msgspec.to_builtins(document) for document in said.documents]


#: Every key, in order. Later keys are appended, none is ever taken away.
KEYS = (
    "id", "started_at", "updated_at", "project", "upstream", "dialect", "endpoint", "method", "path", "stream",
    "status", "http_status", "error_type", "error_message", "model_requested", "model", "latency_ms", "ttft_ms",
    "input_tokens", "output_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens", "tokens_source",
    "cost_usd", "cost_source", "finish_reason", "user", "session", "conversation", "key", "client",
    "system_prompt", "input", "output", "tool_calls", "metadata", "tags", "request_id", "response_id",
    "request_bytes", "response_bytes",
    "reasoning", "refusal", "retrieved", "trace", "parent", "prompt", "prompt_version", "agent", "program", "cwd",
    "branch", "excluded", "retry", "retry_of", "service_tier", "system_fingerprint", "filtered", "documents",
    "upstream_ms", "chunks", "longest_gap_ms", "tokens_per_s", "limit_requests", "remaining_requests",
    "reset_requests_ms", "limit_tokens", "remaining_tokens", "reset_tokens_ms", "retry_after_ms", "background", "notes",
    "follows", "follows_by", "system_version",
)  # fmt: skip

_BODIES: dict[str, Callable[[Parsed | None], Any]] = {
    "system_prompt": lambda said: said.system_prompt if said else None,
    "input": _input,
    "output": lambda said: said.output if said else None,
    "tool_calls": _tool_calls,
    "reasoning": lambda said: said.reasoning if said else None,
    "refusal": lambda said: said.refusal if said else None,
    "retrieved": _retrieved,
}
BODY_KEYS = tuple(_BODIES)

_CONVERTED: dict[str, Callable[[Call], Any]] = {
    "started_at": lambda call: rfc3339(call.started_at_us),
    "updated_at": lambda call: rfc3339(call.updated_at_us),
    "status": lambda call: str(call.status),
    "latency_ms": lambda call: _milliseconds(call.latency_us),
    "ttft_ms": lambda call: _milliseconds(call.ttft_us),
    "cost_usd": lambda call: _dollars(call.cost_nano_usd),
    "metadata": lambda call: dict(call.metadata),
    "tags": lambda call: list(call.tags),
    "notes": lambda call: list(call.notes),
    **{
        f"{name}_ms": _duration(f"{name}_us")
        for name in ("upstream", "longest_gap", "reset_requests", "reset_tokens", "retry_after")
    },
}
_ROW: dict[str, Callable[[Call], Any]] = {
    key: _CONVERTED.get(key) or _column(key) for key in KEYS if key not in _BODIES
}
