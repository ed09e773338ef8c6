"""Conversations, traces and prompt versions as JSON: the shape that ``--json`` and the API show.

Units as in ``view``: milliseconds and dollars; unknown is null.
"""

from __future__ import annotations

from ..clock import rfc3339
from ..records import ToolSpan
from .base import JSON, ReportRow
from .traces import Conversation, PromptVersion, Step, Trace
from .view import summary_json

_NANO = 1_000_000_000


def conversation_json(conversation: Conversation) -> JSON:
    """A line of a list."""
    return {
        "id": conversation.id,
        "last": conversation.last,
        "started_at": rfc3339(conversation.started_at_us),
        "ended_at": rfc3339(conversation.ended_at_us),
        "duration_ms": (conversation.ended_at_us - conversation.started_at_us) / 1000,
        "project": conversation.project,
        "user": conversation.user,
        "session": conversation.session,
        "trace": conversation.trace,
        "calls": conversation.calls,
        "tools": conversation.tools,
        "errors": conversation.errors,
        "input_tokens": conversation.input_tokens,
        "output_tokens": conversation.output_tokens,
        "cost_usd": conversation.cost_nano_usd / _NANO,
        "outcome": conversation.outcome,
        "preview": conversation.preview,
        "started_by": conversation.started_by,
    }


def trace_json(trace: Trace) -> JSON:
    """A conversation, its calls in the order of the tree, and what belongs to it."""
    return conversation_json(trace.conversation) | {
        "steps": [_step(step) for step in trace.steps],
        "missing": trace.missing,
        "beside": [conversation_json(other) for other in trace.beside],
    }


def _step(step: Step) -> JSON:
    return {
        "depth": step.depth,
        "call": summary_json(step.call),
        "tools": [_tool(tool) for tool in step.tools],
        "begun": [trace_json(begun) for begun in step.begun],
    }


def _tool(tool: ToolSpan) -> JSON:
    return {
        "id": tool.id,
        "name": tool.name,
        "server": tool.server,
        "result_call": tool.result_call,
        "result_bytes": tool.result_bytes,
        "duration_ms": None if tool.duration_us is None else tool.duration_us / 1000,
        "failed": tool.failed,
    }


def prompt_json(version: PromptVersion, figures: ReportRow | None) -> JSON:
    """A version of a system prompt, and what its calls came to; null figures are of no calls."""
    return {
        "project": version.project,
        "number": version.number,
        "line": version.line,
        "predecessor": version.predecessor,
        "first_seen": rfc3339(version.first_us),
        "last_seen": rfc3339(version.last_us),
        "calls": figures.calls if figures else 0,
        "errors": figures.errors if figures else 0,
        "cost_usd": figures.cost_nano_usd / _NANO if figures else None,
        "latency_p50_ms": None if figures is None or figures.latency_p50_us is None else figures.latency_p50_us / 1000,
        "text": version.text,
    }
