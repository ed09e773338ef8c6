"""One event of a streamed message, read from an event's data.

A typed decoder reads nearly all: it is quicker than making dictionaries and passes over what nobody
asked for. What it refuses is read leniently, field by field, into the same shape.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from ..json_values import Notes, count, kind, loads, mapping, name
from ..runs import PROBE, Form, form_around

_DONE = b"[DONE]"


class Delta(Struct, gc=False):
    """What an event adds: to a block, or (stop_*) to the message. Signatures are passed over."""

    text: str = ""
    partial_json: str = ""
    thinking: str = ""
    content: Any = None  #: of a compaction: a piece of the summary
    citation: Any = None
    stop_reason: Any = None
    stop_details: Any = None


class StreamEvent(Struct, gc=False):
    """An event's data."""

    type: str = ""
    index: int = 0
    delta: Delta | None = None
    content_block: Any = None
    message: Any = None
    usage: Any = None
    error: Any = None


#: Reads an event's data quickly, or raises one of ``REFUSALS``.
typed = msgspec.json.Decoder(StreamEvent).decode
REFUSALS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def form_of(data: bytes, told: StreamEvent, key: str) -> Form | None:
    """The form of an event that brings a text, called ``key``, and nothing else that matters."""
    form = form_around(data, key)
    try:
        tried = typed(form.trial()) if form else None
    except REFUSALS:
        return None
    delta = Delta(**{key: PROBE})
    looked_for = StreamEvent(type=told.type, index=told.index, delta=delta)
    return form if tried == looked_for and told.delta != delta else None


def read_leniently(data: bytes, notes: Notes) -> StreamEvent:
    """The event in an event's data that was refused; an empty one and a note when there is none."""
    if not data:
        return StreamEvent()
    if data.strip() == _DONE:
        return StreamEvent(type="message_stop")
    value = loads(data, "an event", notes)
    if value is not None and not isinstance(value, dict):
        notes.add(f"an event holds {kind(value)}, not an object")
    fields = mapping(value)
    return StreamEvent(
        type=name(fields.get("type"), "event type", notes) or "",
        index=count(fields.get("index"), "block index", notes) or 0,
        delta=_delta(fields["delta"], notes) if isinstance(fields.get("delta"), dict) else None,
        content_block=fields.get("content_block"),
        message=fields.get("message"),
        usage=fields.get("usage"),
        error=fields.get("error"),
    )


def _delta(fields: dict[str, Any], notes: Notes) -> Delta:
    return Delta(
        text=_piece(fields, "text", notes),
        partial_json=_piece(fields, "partial_json", notes),
        thinking=_piece(fields, "thinking", notes),
        content=fields.get("content"),
        citation=fields.get("citation"),
        stop_reason=fields.get("stop_reason"),
        stop_details=fields.get("stop_details"),
    )


def _piece(fields: dict[str, Any], key: str, notes: Notes) -> str:
    piece = fields.get(key)
    if piece is not None and not isinstance(piece, str):
        notes.add(f"{key} of a delta is {kind(piece)}, not a string")
    return piece if isinstance(piece, str) else ""
