"""One event of a streamed response, and where what it brings belongs.

Nearly every event adds a piece of text, and is read by a typed decoder, which is quicker than making
dictionaries. What that refuses, and every other event, is read as JSON. Types are OpenAI's; a few
older ones, which servers still send, stand beside them.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from ..json_values import Notes, kind, loads, text


class Delta(Struct, gc=False):
    """A piece of text, and the place it belongs to."""

    type: str = ""
    delta: str | None = None
    item_id: str | None = None
    output_index: int | None = None
    content_index: int | None = None
    summary_index: int | None = None
    logprobs: list[Any] | None = None


class Place(Struct, frozen=True):
    """Where in an item a text belongs: ``item[key]``, or ``item[parts][n][key]``."""

    item: str  #: type of item that has such texts
    key: str
    parts: str | None = None
    part: str = ""  #: type of part
    index: str = "content_index"  #: the field that tells which part


NO_DELTA = Delta()
DONE = "[DONE]"  #: what some servers end a stream with; stands as the type of an event
ERROR = "error"
TERMINAL = frozenset(f"response.{status}" for status in ("completed", "incomplete", "failed", "cancelled", "done"))
RESPONSE = TERMINAL | {"response.created", "response.queued", "response.in_progress"}

#: How types of events end that tell how far a built-in tool is.
STATUSES = frozenset({"in_progress", "searching", "interpreting", "generating", "completed", "incomplete", "failed"})

_OUTPUT_TEXT = Place("message", "text", "content", "output_text")
_SOUND = Place("message", "data", "content", "output_audio")
_TRANSCRIPT = Place("message", "transcript", "content", "output_audio")
_THOUGHT = Place("reasoning", "text", "content", "reasoning_text")
_SUMMARY = Place("reasoning", "text", "summary", "summary_text", "summary_index")
#: By what stands before ``.delta`` and ``.done``.
TEXTS = {
    "response.output_text": _OUTPUT_TEXT,
    "response.refusal": Place("message", "refusal", "content", "refusal"),
    "response.audio": _SOUND,
    "response.output_audio": _SOUND,
    "response.audio.transcript": _TRANSCRIPT,
    "response.output_audio_transcript": _TRANSCRIPT,
    "response.reasoning_text": _THOUGHT,
    "response.reasoning": _THOUGHT,
    "response.reasoning_summary_text": _SUMMARY,
    "response.reasoning_summary": _SUMMARY,
    "response.function_call_arguments": Place("function_call", "arguments"),
    "response.custom_tool_call_input": Place("custom_tool_call", "input"),
    "response.mcp_call_arguments": Place("mcp_call", "arguments"),
    "response.mcp_call.arguments": Place("mcp_call", "arguments"),
    "response.code_interpreter_call_code": Place("code_interpreter_call", "code"),
    "response.code_interpreter_call.code": Place("code_interpreter_call", "code"),
    "response.shell_call_command": Place("shell_call", "command", "commands", "command", "command_index"),
}
#: By what stands before ``.added`` and ``.done``: where the parts of an item are, and which field counts them.
PARTS = {
    "response.content_part": ("content", "content_index"),
    "response.reasoning_summary_part": ("summary", "summary_index"),
}

_typed = msgspec.json.Decoder(Delta).decode
_REFUSALS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def read_delta(data: bytes) -> Delta:
    """An event's data as a piece of text; ``NO_DELTA`` when it must be read with care."""
    try:
        return _typed(data)
    except _REFUSALS:
        return NO_DELTA


def read_event(data: bytes, type_of_event: str, notes: Notes) -> dict[str, Any]:
    """An event's data, with its ``type``, whichever of both places told it.

    Data that is no object has no type, be it said or not: an event that was cut has not come. But
    an error is one, whatever it holds.
    """
    if data.strip() == DONE.encode():
        return {"type": DONE}
    value = loads(data, "an event", notes)
    if isinstance(value, dict):
        said = text(value.get("type")) or (ERROR if value.get("error") else type_of_event)
        return {**value, "type": said}
    if value is not None:
        notes.add(f"an event holds {kind(value)}, not an object")
    return {"type": ERROR, "message": data.decode("utf-8", "replace")} if type_of_event == ERROR else {"type": ""}
