"""A call as the JSON that programs get, bodies included: the row, and what the dialect reads out of the bytes."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Protocol

import orjson

from ..config import Config
from ..dialects.table import parse
from ..records import Call, Exchange, Parsed, ToolSpan
from ..store.base import JSON
from ..store.view import call_json


class Bodies(Protocol):
    """What is asked of a reader, one of all calls or one of a visitor's."""

    async def exchange(self, call_id: str) -> Exchange | None:
        """The raw bytes of a call, where there are any that may be read."""
        ...

    async def tools(self, call_id: str) -> list[ToolSpan]:
        """What became of the tools that its answer asked for."""
        ...


def understood(exchange: Exchange, config: Config) -> Parsed:
    """What a call's bytes mean, by the user's settings."""
    return parse(exchange, config.ingest.body_bytes, config.retrieval)


async def document(reader: Bodies, call: Call, config: Config) -> JSON:
    """All of a call. Parsing runs on a thread."""
    exchange = await reader.exchange(call.id)
    parsed = None if exchange is None else await asyncio.to_thread(understood, exchange, config)
    tools = await reader.tools(call.id) if parsed and parsed.tool_calls else []
    return call_json(call, parsed, exchange, tools)


def encoded(value: Any) -> bytes:
    """Compact JSON. Text that UTF-8 cannot carry (halves of surrogate pairs) is written as escapes."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, separators=(",", ":")).encode()
