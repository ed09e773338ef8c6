"""Items of the Responses format, the same shapes in a prompt and in an answer, as messages.

Items that a model made one after the other are one message, in a prompt as in an answer: a prompt
that repeats an answer repeats its message. What an item of an unknown type holds, and what is
encrypted, is left to the raw bytes.
"""

from __future__ import annotations

from itertools import groupby
from typing import Any

from ...records import ContentPart, Message, ToolCall, evolve
from ..json_values import Notes, kind, listed, mapping, name, text
from .calls import TOOLS, Parts
from .content import content, reasoning

_ANSWERER = "assistant"
_TOOL = "tool"
_OF_A_TOOL = ("_output", "_response")  # how types of items end that hold what a tool, or a person in its place, said


def messages(items: list[Any], notes: Notes) -> tuple[Message, ...]:
    """The messages of a prompt."""
    read = _with_servers([_message(item, notes) for item in items])
    merged: list[Message] = []
    for role, group in groupby(read, lambda message: message.role):
        same = list(group)
        merged += [_joined(same)] if role == _ANSWERER else same
    return tuple(merged)


def answer(items: list[Any], notes: Notes) -> Message:
    """The one message that the items of an answer are."""
    return _joined(_with_servers([_message(item, notes) for item in items]))


def _joined(read: list[Message]) -> Message:
    return Message(role=_ANSWERER, parts=tuple(part for each in read for part in each.parts))


def _message(item: Any, notes: Notes) -> Message:
    """One item: a tool's, a thought, or a message, which needs no type."""
    if isinstance(item, str):
        return Message(role="user", parts=content(item, notes))
    if not isinstance(item, dict):
        notes.add(f"an item is {kind(item)}, not an object")
    fields = mapping(item)
    type_of_item = name(fields.get("type"), "item type", notes) or ("message" if "content" in fields else "unknown")
    role = name(fields.get("role"), "role", notes)
    if type_of_item == "message":
        return Message(role=role or "user", parts=content(fields.get("content"), notes))
    return Message(
        role=role or (_TOOL if type_of_item.endswith(_OF_A_TOOL) else _ANSWERER),
        parts=_parts(type_of_item, fields, notes),
    )


def _parts(type_of_item: str, fields: dict[str, Any], notes: Notes) -> Parts:
    if read := TOOLS.get(type_of_item):
        return read(fields, notes)
    if type_of_item == "reasoning":
        return _thoughts(fields)
    return (ContentPart(type="other", name=type_of_item),)


def _thoughts(fields: dict[str, Any]) -> Parts:
    """Summaries and thoughts; one without a text tells that there was reasoning, though it cannot be read."""
    told = [fields.get(key) for key in ("summary", "content")]
    thoughts = [reasoning(mapping(part)) for parts in told for part in listed(parts)]
    return tuple(part for part in thoughts if part.text) or (ContentPart(type="reasoning"),)


def _with_servers(read: list[Message]) -> list[Message]:
    """A shell's output does not say where it ran; the call before it does."""
    remote = {part.tool_call_id for each in read for part in each.parts if part.type == "tool_call" and part.server}
    remote.discard(None)
    return [_marked(each, remote) for each in read] if remote else read


def _marked(message: Message, remote: set[str | None]) -> Message:
    return evolve(
        message,
        parts=tuple(
            evolve(part, server=True) if part.type == "tool_result" and part.tool_call_id in remote else part
            for part in message.parts
        ),
    )


def tool_calls_of(message: Message) -> tuple[ToolCall, ...]:
    """The tools that it asks for, and those that the provider ran."""
    return tuple(
        ToolCall(id=part.tool_call_id, name=part.name, arguments=part.arguments or "", server=bool(part.server))
        for part in message.parts
        if part.type == "tool_call"
    )


def reasoning_of(message: Message) -> str | None:
    """The texts of its reasoning, a blank line between them."""
    return "\n\n".join(part.text for part in message.parts if part.type == "reasoning" and part.text) or None


def refusal_of(message: Message) -> str | None:
    """What it says in place of an answer."""
    return "".join(part.text or "" for part in message.parts if part.type == "refusal") or None


def has_content(item: dict[str, Any]) -> bool:
    """Whether an item holds something that its model wrote, be it the name of a tool."""
    return any(_holds_text(item.get(key)) for key in _WRITTEN)


_WRITTEN = (
    "name", "arguments", "input", "code", "queries", "action", "operation", "result", "summary", "content",
)  # fmt: skip
_TELLING = ("text", "refusal", "transcript", "query", "queries", "url", "command", "commands", "path", "diff")


def _holds_text(value: Any) -> bool:
    """A text, a list with some, or an object with one in a place that models write to."""
    parts = listed(value) if isinstance(value, list) else [value]
    return any(
        bool(text(part)) or any(mapping(part).get(key) not in (None, "", [], [""]) for key in _TELLING)
        for part in parts
    )
