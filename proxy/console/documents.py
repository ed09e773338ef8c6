"""A call as the JSON that programs get, bodies included: the row, and what the dialect reads out of the bytes."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import orjson

from ..dialects.table import parse
from ..records import Call
from ..store.base import JSON, Reader
from ..store.view import call_json


async def document(reader: Reader, call: Call, body_bytes: int) -> JSON:
    """All of a call. Parsing runs on a thread; bodies larger than ``body_bytes`` are not parsed."""
    exchange = await reader.exchange(call.id)
    parsed = None if exchange is None else await asyncio.to_thread(parse, exchange, body_bytes)
    return call_json(call, parsed, exchange)


def encoded(value: Any) -> bytes:
    """Compact JSON. Text that UTF-8 cannot carry (halves of surrogate pairs) is written as escapes."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, separators=(",", ":")).encode()
