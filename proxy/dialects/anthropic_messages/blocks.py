"""Messages and their content blocks: the same shapes in a prompt and in an answer.

Signatures, cache breakpoints, citations and what a block of an unknown type holds are left to the raw
bytes; citations are read as documents elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ...records import ContentPart, Message, Tool, ToolCall
from ..json_values import Notes, compact, items, kind, listed, mapping, name, text, writable
from .results import result_failed, result_text
from .sources import joined_text, place, source, title, url

_SERVER_RESULT = "_tool_result"  #: ends the types of all results of tools that the provider runs


def message(value: Any, default_role: str, notes: Notes) -> Message:
    """One message, whatever its JSON value is."""
    fields = mapping(value)
    if not isinstance(value, dict):
        notes.add(f"a message is {kind(value)}, not an object")
    role = name(fields.get("role"), "role", notes) or default_role
    return Message(role=role, parts=content_parts(fields.get("content"), notes))


def content_parts(content: Any, notes: Notes) -> tuple[ContentPart, ...]:
    """Content is a string or a list of blocks."""
    if isinstance(content, str):
        return (ContentPart(type="text", text=content),) if content else ()
    return tuple(part for block in items(content, "content", notes) for part in _parts(block, notes))


def reasoning_of(answer: Message) -> str | None:
    """The text of its thinking, a blank line between the blocks."""
    return "\n\n".join(part.text for part in answer.parts if part.type == "reasoning" and part.text) or None


def tool_calls_of(answer: Message) -> tuple[ToolCall, ...]:
    """The tools that a message asks for, and those that the provider ran for it."""
    return tuple(
        ToolCall(id=part.tool_call_id, name=part.name, arguments=part.arguments or "", server=bool(part.server))
        for part in answer.parts
        if part.type == "tool_call"
    )


def tools(offered: Any, notes: Notes) -> tuple[Tool, ...]:
    """The tools that a request offers; those that the provider knows have no schema, and may have but a type."""
    return tuple(
        Tool(
            name=name(tool.get("name") or tool.get("type"), "tool name", notes),
            description=text(tool.get("description")),
            parameters=writable(tool.get("input_schema"), "tool parameters", notes),
        )
        for tool in map(mapping, items(offered, "tools", notes))
    )


# --- blocks ---------------------------------------------------------------------------------------


def _parts(value: Any, notes: Notes) -> Iterator[ContentPart]:
    """A block is one part; the media in a tool's result are parts of their own, after it."""
    if isinstance(value, str):
        yield ContentPart(type="text", text=value)
        return
    block = mapping(value)
    type_of_block = name(block.get("type"), "block type", notes) or ""
    if read := _CONTENT.get(type_of_block):
        yield read(block)
    else:
        yield _tool_reader(type_of_block)(block, notes)
    if type_of_block == "tool_result" and isinstance(block.get("content"), list):
        yield from _media(block["content"])


def _tool_reader(type_of_block: str) -> Callable[[dict[str, Any], Notes], ContentPart]:
    return _TOOLS.get(type_of_block) or (_server_result if type_of_block.endswith(_SERVER_RESULT) else _other)


def _media(blocks: list[Any]) -> Iterator[ContentPart]:
    for block in map(mapping, listed(blocks)):
        read = _MEDIA.get(text(block.get("type")) or "")
        if read:
            yield read(block)


def _text(block: dict[str, Any]) -> ContentPart:
    return ContentPart(type="text", text=text(block.get("text")) or "")


def _thinking(block: dict[str, Any]) -> ContentPart:
    """Of redacted thinking there is no text."""
    return ContentPart(type="reasoning", text=text(block.get("thinking")))


def _image(block: dict[str, Any]) -> ContentPart:
    lies = source(block.get("source"))
    return ContentPart(type="image", media_type=lies.media_type, size=lies.size, url=lies.url, name=lies.file)


def _document(block: dict[str, Any]) -> ContentPart:
    """What is said about a document stands before what it says."""
    lies = source(block.get("source"))
    return ContentPart(
        type="document",
        text="\n\n".join(filter(None, (text(block.get("context")), lies.text))) or None,
        media_type=lies.media_type,
        size=lies.size,
        url=lies.url,
        name=title(block.get("title")) or lies.file,
    )


def _search_result(block: dict[str, Any]) -> ContentPart:
    return ContentPart(
        type="document",
        text=joined_text(block.get("content")),
        url=place(block.get("source"))[0],
        name=title(block.get("title")),
    )


def _compaction(block: dict[str, Any]) -> ContentPart:
    """A summary in place of what was said before."""
    return ContentPart(type="other", name="compaction", text=text(block.get("content")))


# --- tools ----------------------------------------------------------------------------------------


def _tool_use(block: dict[str, Any], notes: Notes) -> ContentPart:
    return _call(block, None, notes)


def _server_tool_use(block: dict[str, Any], notes: Notes) -> ContentPart:
    return _call(block, True, notes)


def _call(block: dict[str, Any], server: bool | None, notes: Notes) -> ContentPart:
    """Input is an object; a string, which a stream leaves, is kept as it is."""
    arguments = writable(block.get("input"), "tool input", notes)
    return ContentPart(
        type="tool_call",
        tool_call_id=name(block.get("id"), "tool call id", notes),
        name=name(block.get("name"), "tool name", notes),
        arguments=None if arguments is None else compact(arguments),
        server=server,
    )


def _tool_result(block: dict[str, Any], notes: Notes) -> ContentPart:
    failed = block.get("is_error")
    return ContentPart(
        type="tool_result",
        text=joined_text(block.get("content")),
        tool_call_id=name(block.get("tool_use_id"), "tool_use_id", notes),
        failed=failed if isinstance(failed, bool) else None,
        server=True if block.get("type") == "mcp_tool_result" else None,
    )


def _server_result(block: dict[str, Any], notes: Notes) -> ContentPart:
    content = block.get("content")
    type_of_block = name(block.get("type"), "block type", notes) or ""
    return ContentPart(
        type="tool_result",
        text=result_text(content),
        url=url(mapping(content).get("url")),
        tool_call_id=name(block.get("tool_use_id"), "tool_use_id", notes),
        name=type_of_block.removesuffix(_SERVER_RESULT),
        failed=result_failed(content),
        server=True,
    )


def _upload(block: dict[str, Any], notes: Notes) -> ContentPart:
    return ContentPart(type="file", name=name(block.get("file_id"), "file id", notes))


def _other(block: dict[str, Any], notes: Notes) -> ContentPart:
    return ContentPart(
        type="other",
        name=name(block.get("type"), "block type", notes),
        text=text(block.get("text")),
    )


_MEDIA: dict[str, Callable[[dict[str, Any]], ContentPart]] = {
    "image": _image,
    "document": _document,
    "search_result": _search_result,
}
_CONTENT: dict[str, Callable[[dict[str, Any]], ContentPart]] = _MEDIA | {
    "text": _text,
    "thinking": _thinking,
    "redacted_thinking": _thinking,
    "compaction": _compaction,
}
_TOOLS: dict[str, Callable[[dict[str, Any], Notes], ContentPart]] = {
    "tool_use": _tool_use,
    "server_tool_use": _server_tool_use,
    "mcp_tool_use": _server_tool_use,
    "tool_result": _tool_result,
    "mcp_tool_result": _tool_result,
    "container_upload": _upload,
}
