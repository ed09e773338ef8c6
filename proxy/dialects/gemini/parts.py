"""Contents of the Gemini format: the same shapes in a prompt and in an answer.

Names are read in camelCase and in snake_case, because the API takes both. Inline media is measured,
never decoded; signatures of thoughts are passed over. What a part of an unknown kind holds is left
to the raw bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any

from ...records import ContentPart, Message, Tool, ToolCall
from ..json_values import Notes, compact, items, kind, mapping, name, text, writable
from ..media import base64_size, part_type

_LONGEST_URL = 4096
_ROLES = {"model": "assistant", "function": "tool"}
_CODE = "code_execution"
_DECLARATIONS = ("functionDeclarations", "function_declarations")


def either(fields: dict[str, Any], key: str) -> Any:
    """The value of a camelCase name, or of the same name in snake_case."""
    value = fields.get(key)
    return fields.get(_snake(key)) if value is None else value


@cache
def _snake(key: str) -> str:
    return re.sub(r"[A-Z]", lambda letter: f"_{letter[0].lower()}", key)


def message(value: Any, default_role: str, notes: Notes) -> Message:
    """One content, whatever its JSON value is."""
    if isinstance(value, str):
        return Message(role=default_role, parts=_text(value))
    fields = mapping(value)
    if not isinstance(value, dict):
        notes.add(f"a content is {kind(value)}, not an object")
    role = name(fields.get("role"), "role", notes) or default_role
    parts = [part for item in _listed(fields.get("parts"), "parts", notes) for part in _parts(item, notes)]
    return Message(role=_ROLES.get(role, role), parts=tuple(parts))


def messages(contents: Any, notes: Notes) -> tuple[Message, ...]:
    """The contents of a request: a list, or one alone."""
    listed = [contents] if isinstance(contents, str) else _listed(contents, "contents", notes)
    return tuple(message(content, "user", notes) for content in listed)


def tool_calls_of(answer: Message) -> tuple[ToolCall, ...]:
    """The tools that a message asks for, and those that the provider ran for it."""
    return tuple(
        ToolCall(id=part.tool_call_id, name=part.name, arguments=part.arguments or "", server=bool(part.server))
        for part in answer.parts
        if part.type == "tool_call"
    )


def tools(request: dict[str, Any], notes: Notes) -> tuple[Tool, ...]:
    """The functions that a request declares, and the provider's own tools that it allows."""
    return tuple(
        tool for item in _listed(request.get("tools"), "tools", notes) for tool in _offered(mapping(item), notes)
    )


def _offered(tool: dict[str, Any], notes: Notes) -> list[Tool]:
    declared = _listed(either(tool, _DECLARATIONS[0]), "functionDeclarations", notes)
    own = [(key, settings) for key, settings in tool.items() if key not in _DECLARATIONS and settings is not None]
    return [
        *(_declared(mapping(function), notes) for function in declared),
        *(Tool(name=name(key, "tool name", notes), parameters=writable(each or None, key, notes)) for key, each in own),
    ]


def _declared(function: dict[str, Any], notes: Notes) -> Tool:
    schema = either(function, "parameters") or either(function, "parametersJsonSchema")
    return Tool(
        name=name(function.get("name"), "tool name", notes),
        description=text(function.get("description")),
        parameters=writable(schema, "tool parameters", notes),
    )


def _listed(value: Any, what: str, notes: Notes) -> list[Any]:
    """A list; one object stands for a list of it."""
    return [value] if isinstance(value, dict) else items(value, what, notes)


# --- parts ----------------------------------------------------------------------------------------


def _parts(value: Any, notes: Notes) -> tuple[ContentPart, ...]:
    if isinstance(value, str):
        return _text(value)
    fields = mapping(value)
    if (said := fields.get("text")) is not None:
        return _text(said, "reasoning" if fields.get("thought") is True else "text")
    for key, read in _READERS.items():
        if (held := either(fields, key)) is not None:
            return read(mapping(held), notes)
    known = next((key for key in fields if not key.startswith("thought")), None)
    return (ContentPart(type="other", name=name(known, "part", notes)),) if known else ()


def _text(said: Any, type_of_part: str = "text") -> tuple[ContentPart, ...]:
    """Nothing for an empty one: such parts only carry a signature."""
    return (ContentPart(type=type_of_part, text=said),) if text(said) else ()


def _inline(data: dict[str, Any], notes: Notes) -> tuple[ContentPart, ...]:
    media_type = name(either(data, "mimeType"), "mimeType", notes)
    return (
        ContentPart(
            type=part_type(media_type),
            media_type=media_type,
            size=base64_size(text(data.get("data"))),
            name=name(either(data, "displayName"), "displayName", notes),
        ),
    )


def _file(file: dict[str, Any], notes: Notes) -> tuple[ContentPart, ...]:
    media_type = name(either(file, "mimeType"), "mimeType", notes)
    url = text(either(file, "fileUri"))
    return (
        ContentPart(
            type=part_type(media_type),
            media_type=media_type,
            url=url if url and len(url) <= _LONGEST_URL else None,
            name=name(either(file, "displayName"), "displayName", notes),
        ),
    )


def _call(call: dict[str, Any], notes: Notes) -> tuple[ContentPart, ...]:
    return (_called(call, call.get("name"), call.get("args"), notes),)


def _server_call(call: dict[str, Any], notes: Notes) -> tuple[ContentPart, ...]:
    return (_called(call, either(call, "toolType"), call.get("args"), notes, server=True),)


def _code(code: dict[str, Any], notes: Notes) -> tuple[ContentPart, ...]:
    written = {key: value for key, value in code.items() if key != "id"}
    return (_called(code, _CODE, written, notes, server=True),)


def _called(call: dict[str, Any], tool: Any, arguments: Any, notes: Notes, server: bool | None = None) -> ContentPart:
    return ContentPart(
        type="tool_call",
        tool_call_id=name(call.get("id"), "tool call id", notes),
        name=name(tool, "tool name", notes),
        arguments=None if arguments is None else compact(arguments),
        server=server,
    )


def _result(result: dict[str, Any], notes: Notes) -> tuple[ContentPart, ...]:
    media = [part for item in items(result.get("parts"), "parts", notes) for part in _parts(item, notes)]
    return (_given(result, result.get("name"), notes), *media)


def _server_result(result: dict[str, Any], notes: Notes) -> tuple[ContentPart, ...]:
    return (_given(result, either(result, "toolType"), notes, server=True),)


def _given(result: dict[str, Any], tool: Any, notes: Notes, server: bool | None = None) -> ContentPart:
    """By convention a response that failed has an ``error``."""
    response = result.get("response")
    return ContentPart(
        type="tool_result",
        text=None if response is None else compact(response),
        tool_call_id=name(result.get("id"), "tool call id", notes),
        name=name(tool, "tool name", notes),
        server=server,
        failed=True if mapping(response).get("error") else None,
    )


def _code_result(result: dict[str, Any], notes: Notes) -> tuple[ContentPart, ...]:
    outcome = name(result.get("outcome"), "outcome", notes)
    return (
        ContentPart(
            type="tool_result",
            text=text(result.get("output")),
            tool_call_id=name(result.get("id"), "tool call id", notes),
            name=_CODE,
            server=True,
            failed=outcome != "OUTCOME_OK" if outcome else None,
        ),
    )


_READERS: dict[str, Callable[[dict[str, Any], Notes], tuple[ContentPart, ...]]] = {
    "inlineData": _inline,
    "fileData": _file,
    "functionCall": _call,
    "functionResponse": _result,
    "executableCode": _code,
    "codeExecutionResult": _code_result,
    "toolCall": _server_call,
    "toolResponse": _server_result,
}
