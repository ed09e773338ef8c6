"""A call as the JSON that programs get, bodies included: the row, and what the dialect reads out of the bytes."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import orjson

from ..config import Config
from ..dialects.table import parse
from ..records import Call, Exchange, Parsed
from ..store.base import JSON, Reader
from ..store.view import call_json


def understood(exchange: Exchange, config: Config) -> Parsed:
    """What a call's bytes mean, by the user's settings."""
    return parse(exchange, config.ingest.body_bytes, config.retrieval)


async def document(reader: Reader, call: Call, config: Config) -> JSON:
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
