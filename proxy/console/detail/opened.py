"""A call with all that its pages show, loaded and understood; bodies are parsed on a thread."""

from __future__ import annotations

import asyncio

from msgspec import Struct

from ...config import Config
from ...errors import CallNotFound
from ...records import Call, ContentPart, Exchange, Parsed, Status, ToolSpan
from ...store.policy import Absence
from ..documents import understood
from ..figures import local
from ..permissions import Permission
from ..scoped import ScopedReader

_MOST_RESULT_CALLS = 2  # later calls that are read for the results of tools
_MOST_RESULT_BYTES = 4 << 20  # of such a call's request: larger ones are linked only


class Opened(Struct, frozen=True, kw_only=True):
    """A call. ``parsed`` is empty where there is nothing to read, or nobody asked for it."""

    call: Call
    readable: bool  #: the visitor may read what was said
    exchange: Exchange | None = None
    parsed: Parsed = Parsed()
    tools: tuple[ToolSpan, ...] = ()
    results: dict[str, ContentPart] = {}  #: tool call id → what a later request brought for it
    absence: Absence | None = None

    @property
    def missing(self) -> str:
        """Why there are no bodies to show; empty when there are."""
        if self.exchange is not None:
            return "The caller asked that no content be kept." if self.exchange.begin.no_log else ""
        if not self.readable:
            return "What was said in this call is shown to those who may read it."
        if self.call.status == Status.RUNNING:
            return "This call is still running: what is said is shown when it has ended."
        if self.absence is not None and self.absence.since_us is not None:
            return f"The bodies of this call are gone: they expired on {local(self.absence.since_us):%Y-%m-%d}."
        if self.absence is not None and self.absence.reason == "damaged":
            return "The bodies of this call are gone: the file that held them is damaged or missing."
        return "The bodies of this call are gone."


async def opened(reader: ScopedReader, ref: str, config: Config, *, parse: bool = True) -> Opened:
    """A call by its id or a part of it. Raises ``CallNotFound``."""
    call = await reader.call(await reader.resolve(ref))
    readable = await reader.may(Permission.CONTENT, call.id)
    exchange = await reader.exchange(call.id) if readable else None
    if exchange is None:
        over = readable and call.status != Status.RUNNING
        return Opened(call=call, readable=readable, absence=await reader.absence(call.id) if over else None)
    if not parse:
        return Opened(call=call, readable=readable, exchange=exchange)
    parsed = await asyncio.to_thread(understood, exchange, config)
    tools = tuple(await reader.tools(call.id)) if parsed.tool_calls else ()
    results = await _results(reader, tools, config)
    return Opened(call=call, readable=readable, exchange=exchange, parsed=parsed, tools=tools, results=results)


async def _results(reader: ScopedReader, tools: tuple[ToolSpan, ...], config: Config) -> dict[str, ContentPart]:
    """What the tools brought, out of the requests that came after."""
    found: dict[str, ContentPart] = {}
    later = dict.fromkeys(tool.result_call for tool in tools if tool.result_call)
    for call_id in list(later)[:_MOST_RESULT_CALLS]:
        try:
            exchange = await reader.exchange(call_id)
        except CallNotFound:
            continue
        if exchange is not None and len(exchange.request_body) <= _MOST_RESULT_BYTES:
            parsed = await asyncio.to_thread(understood, exchange, config)
            parts = (part for message in parsed.input for part in message.parts)
            found |= {part.tool_call_id: part for part in parts if part.type == "tool_result" and part.tool_call_id}
    return found
