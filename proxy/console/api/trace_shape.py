"""JSON schemas of conversations and their trees, as ``store.trace_view`` shows them."""

from __future__ import annotations

from .call_shape import LISTED_CALL
from .shapes import JSON, MOMENT, holding, listing

_TEXT: JSON = {"type": ["string", "null"]}
_COUNT: JSON = {"type": "integer"}
_NUMBER: JSON = {"type": ["number", "null"]}
_FLAG: JSON = {"type": ["boolean", "null"]}

CONVERSATION = holding(
    id={"type": "string", "format": "uuid"},
    last={"type": "string", "format": "uuid"},
    started_at=MOMENT,
    ended_at=MOMENT,
    duration_ms={"type": "number"},
    project={"type": "string"},
    user=_TEXT,
    session=_TEXT,
    trace=_TEXT,
    calls=_COUNT,
    tools=_COUNT,
    errors=_COUNT,
    input_tokens=_COUNT,
    output_tokens=_COUNT,
    cost_usd={"type": "number"},
    outcome={"type": "string"},
    preview=_TEXT,
    started_by=_TEXT,
)
_TOOL = holding(
    id=_TEXT, name=_TEXT, server=_FLAG, result_call=_TEXT, result_bytes=_NUMBER, duration_ms=_NUMBER, failed=_FLAG
)
_STEP = holding(
    depth=_COUNT,
    call=LISTED_CALL,
    tools=listing(_TOOL),
    begun=listing({"type": "object", "description": "a conversation of a sub-agent, with its own steps"}),
)
TRACE = holding(**CONVERSATION["properties"], steps=listing(_STEP), missing=_COUNT, beside=listing(CONVERSATION))
