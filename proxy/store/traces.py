"""Conversations as they are read: calls that continue each other, their trees, and the prompts that calls share.

Values only: how calls come to be tied is ``ingest.linking``'s matter, and how they are found a store's.
"""

from __future__ import annotations

from msgspec import Struct

from ..records import Call, ToolSpan


class Conversation(Struct, frozen=True, kw_only=True):
    """Calls whose texts continue each other, summed up; excluded calls are left out.

    Unlike sums of a report, they are held in bounds: 10^12 tokens of a call.
    """

    id: str  #: of its first call
    last: str  #: id of its newest call
    project: str
    user: str | None
    session: str | None  #: as the first call names it
    trace: str | None
    started_at_us: int
    ended_at_us: int  #: of the newest call: its last byte, or its accept while it runs
    calls: int
    tools: int  #: that answers asked for
    errors: int  #: status error, truncated or interrupted
    input_tokens: int
    output_tokens: int
    cost_nano_usd: int
    outcome: str  #: status of the newest call
    preview: str | None  #: first words of the first call
    started_by: str | None = None  #: id of the call whose answer had a tool begin this one, by a sub-agent


class Step(Struct, frozen=True, kw_only=True):
    """A call in its conversation."""

    call: Call
    depth: int  #: 0 on the first branch; a branch beside another is one deeper
    tools: tuple[ToolSpan, ...] = ()
    begun: tuple[Trace, ...] = ()  #: conversations of sub-agents that its tools began


class Trace(Struct, frozen=True, kw_only=True):
    """A conversation with all that belongs to it."""

    conversation: Conversation
    steps: tuple[Step, ...]  #: a call before those that continue it, the oldest branch first
    missing: int = 0  #: calls that there was no room for: the newest are here
    beside: tuple[Conversation, ...] = ()  #: others of the session, or else the trace, that the client named


class PromptVersion(Struct, frozen=True, kw_only=True):
    """A system prompt of a project; places in it that vary are ``…``."""

    project: str
    number: int  #: from 1
    line: int  #: number of the first version of the same prompt
    predecessor: int | None
    first_us: int  #: when the first call with it was accepted
    last_us: int
    text: str
    segments: tuple[str, ...] = ()  #: of ``text``, what stands between the places that vary
