"""One chunk of a streamed chat completion, read from an event's data.

Nearly every chunk has the same simple shape and is read by a typed decoder, which is quicker than
making dictionaries and passes over what nobody asked for. What it refuses is read leniently, field
by field, into the same shape. What a chunk says of the whole answer (its id, its model) is read
apart, because one or two chunks tell it for all.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from ..json_values import Notes, count, items, kind, loads, mapping, name

_DONE = b"[DONE]"


class Called(Struct, gc=False):
    """What a chunk says of a tool to call: ``function`` has arguments, ``custom`` has input."""

    name: Any = None
    arguments: Any = None
    input: Any = None


class CallDelta(Struct, gc=False):
    """What a chunk adds to a tool call."""

    index: Any = None
    id: Any = None
    function: Called | None = None
    custom: Called | None = None


class Delta(Struct, gc=False):
    """What a chunk adds to a message. Where the type is left open, vendors differ in it."""

    content: Any = None
    tool_calls: list[CallDelta] | None = None
    reasoning_content: Any = None
    reasoning: Any = None
    role: Any = None
    refusal: Any = None
    function_call: Called | None = None
    audio: Any = None
    images: Any = None  # OpenRouter
    annotations: Any = None
    context: Any = None  # Azure, of its own searches


class ChoiceDelta(Struct, gc=False):
    """What a chunk adds to one of n answers."""

    index: Annotated[int, Meta(ge=0, lt=1 << 53)] = 0
    delta: Delta | None = None
    finish_reason: str | None = None
    logprobs: dict[str, Any] | None = None
    content_filter_results: Any = None  # Azure
    usage: Any = None  # Moonshot
    error: Any = None  # OpenRouter


class Chunk(Struct, gc=False):
    """One event's worth."""

    choices: list[ChoiceDelta] | None = None
    usage: Any = None
    error: Any = None
    x_groq: Any = None


END = Chunk()  #: stands for the ``[DONE]`` that ends a stream
LATER = ("service_tier", "x_groq", "timings", "citations", "search_results", "prompt_filter_results")
HEAD = (
    "id",
    "model",
    "system_fingerprint",
    *LATER,
)  #: of what is said more than once, the first holds; of LATER, the last
REFUSALS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)  #: by ``read_typed``

read_typed = msgspec.json.Decoder(Chunk).decode


def read_head(data: bytes) -> dict[str, Any]:
    """What the chunk in an event's data says of the whole answer, as far as it says it."""
    fields = mapping(loads(data, "an event", Notes()))
    return {key: fields[key] for key in HEAD if fields.get(key)}


def read_lenient(data: bytes, notes: Notes) -> Chunk:
    """The chunk in an event's data, as far as it is one; an empty one and a note when there is none."""
    if not data:
        return Chunk()
    if data.strip() == _DONE:
        return END
    value = loads(data, "an event", notes)
    if value is not None and not isinstance(value, dict):
        notes.add(f"an event holds {kind(value)}, not a chunk")
    fields = mapping(value)
    return Chunk(
        choices=[_choice(mapping(choice), notes) for choice in items(fields.get("choices"), "choices", notes)],
        usage=fields.get("usage"),
        error=fields.get("error"),
        x_groq=fields.get("x_groq"),
    )


def _choice(fields: dict[str, Any], notes: Notes) -> ChoiceDelta:
    return ChoiceDelta(
        index=count(fields.get("index"), "choice index", notes) or 0,
        delta=_delta(mapping(fields.get("delta")), notes),
        finish_reason=name(fields.get("finish_reason"), "finish_reason", notes),
        logprobs=mapping(fields.get("logprobs")),
        **{key: fields.get(key) for key in ("content_filter_results", "usage", "error")},
    )


def _delta(fields: dict[str, Any], notes: Notes) -> Delta:
    known = {key: value for key, value in fields.items() if key in Delta.__struct_fields__}
    calls = items(known.pop("tool_calls", None), "tool_calls", notes)
    function_call = _called(known.pop("function_call", None))
    tool_calls = [_call(call) for call in calls if isinstance(call, dict)]
    return Delta(**known, tool_calls=tool_calls or None, function_call=function_call)


def _call(fields: dict[str, Any]) -> CallDelta:
    return CallDelta(
        index=fields.get("index"),
        id=fields.get("id"),
        function=_called(fields.get("function")),
        custom=_called(fields.get("custom")),
    )


def _called(value: Any) -> Called | None:
    if not isinstance(value, dict):
        return None
    return Called(name=value.get("name"), arguments=value.get("arguments"), input=value.get("input"))
