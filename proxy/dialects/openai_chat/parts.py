"""Messages of the chat completions format: the same shapes in a prompt and in an answer.

Reads them as OpenAI documents them and as its many imitators vary them. Inline media is measured,
never decoded. What a part of an unknown type holds is left to the raw bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...records import ContentPart, Message, Tool, ToolCall
from ..json_values import Notes, compact, items, kind, listed, mapping, name, text, writable
from ..media import base64_size

_LONGEST_URL = 4096
_TOOL_ROLES = ("tool", "function")
_PLAIN = frozenset({"role", "content", "name", "annotations"})  # a message of these fields alone is its content
_EMPTY: tuple[Any, ...] = (None, [])
SYSTEM_ROLES = ("system", "developer")


def message(value: Any, default_role: str, notes: Notes) -> Message:
    """One message, whatever its JSON value is."""
    fields = mapping(value)
    if not isinstance(value, dict):
        notes.add(f"a message is {kind(value)}, not an object")
    role = name(fields.get("role"), "role", notes) or default_role
    content = content_parts(fields.get("content"), notes)
    if role in _TOOL_ROLES:
        return Message(role=role, parts=_tool_result(fields, content, notes))
    others = fields.keys() - _PLAIN
    if not others or all(fields[key] in _EMPTY for key in others):  # nearly always
        return Message(role=role, parts=content)
    return Message(
        role=role,
        parts=(
            *_one("reasoning", text(fields.get("reasoning_content")) or text(fields.get("reasoning"))),
            *content,
            *_one("refusal", text(fields.get("refusal"))),
            *content_parts(fields.get("images"), notes),
            *_spoken(fields.get("audio")),
            *_tool_calls(fields, notes),
        ),
    )


def text_of(answer: Message) -> str | None:
    """Its text, and what was spoken, with nothing between the parts; None when there is none."""
    return _of_type(answer, "text", "audio")


def reasoning_of(answer: Message) -> str | None:
    """What was thought aloud."""
    return _of_type(answer, "reasoning")


def refusal_of(answer: Message) -> str | None:
    """What was said in place of an answer."""
    return _of_type(answer, "refusal")


def _of_type(answer: Message, *types: str) -> str | None:
    return "".join([part.text or "" for part in answer.parts if part.type in types]) or None


def tool_calls_of(answer: Message) -> tuple[ToolCall, ...]:
    """The tools that a message asks for."""
    return tuple(
        ToolCall(id=part.tool_call_id, name=part.name, arguments=part.arguments or "")
        for part in answer.parts
        if part.type == "tool_call"
    )


def tools(request: dict[str, Any], notes: Notes) -> tuple[Tool, ...]:
    """The tools that a request offers, with those of the older ``functions``."""
    offered = [_described(value) for value in items(request.get("tools"), "tools", notes)]
    offered += [mapping(value) for value in items(request.get("functions"), "functions", notes)]
    return tuple(
        Tool(
            name=name(tool.get("name") or tool.get("type"), "tool name", notes),
            description=text(tool.get("description")),
            parameters=writable(tool.get("parameters") or tool.get("format"), "tool parameters", notes),
        )
        for tool in offered
    )


def _described(tool: Any) -> dict[str, Any]:
    """The inner object of ``{"type": "function", "function": {…}}``; built-in tools have none."""
    fields = mapping(tool)
    return mapping(fields.get("function") or fields.get("custom")) or fields


# --- content --------------------------------------------------------------------------------------


def content_parts(content: Any, notes: Notes) -> tuple[ContentPart, ...]:
    """Content is a string or a list of parts."""
    if isinstance(content, str):
        return _one("text", content or None)
    return tuple(_part(value, notes) for value in items(content, "content", notes))


def _part(value: Any, notes: Notes) -> ContentPart:
    if isinstance(value, str):
        return ContentPart(type="text", text=value)
    fields = mapping(value)
    kind_of_part = name(fields.get("type"), "part type", notes)
    read = _PARTS.get(kind_of_part or "")
    return read(fields) if read else ContentPart(type="other", name=kind_of_part)


def _one(type_of_part: str, value: str | None) -> tuple[ContentPart, ...]:
    return (ContentPart(type=type_of_part, text=value),) if value else ()


def _text(part: dict[str, Any]) -> ContentPart:
    return ContentPart(type="text", text=text(part.get("text")) or "")


def _refusal(part: dict[str, Any]) -> ContentPart:
    return ContentPart(type="refusal", text=text(part.get("refusal")))


def _thinking(part: dict[str, Any]) -> ContentPart:
    thought = part.get("thinking")
    if isinstance(thought, list):
        thought = "".join(text(mapping(piece).get("text")) or "" for piece in listed(thought))
    return ContentPart(type="reasoning", text=text(thought))


def _image(part: dict[str, Any]) -> ContentPart:
    return _linked("image", part.get("image_url"))


def _video(part: dict[str, Any]) -> ContentPart:
    return _linked("other", part.get("video_url"), "video")


def _linked(type_of_part: str, link: Any, label: str | None = None) -> ContentPart:
    """Media by its URL, which stands alone or in an object."""
    url = text(link) or text(mapping(link).get("url")) or ""
    if url.startswith("data:"):
        media_type, size = _data_url(url)
        return ContentPart(type=type_of_part, media_type=media_type, size=size, name=label)
    return ContentPart(type=type_of_part, url=url if 0 < len(url) <= _LONGEST_URL else None, name=label)


def _audio(part: dict[str, Any]) -> ContentPart:
    sound = mapping(part.get("input_audio"))
    extension = text(sound.get("format"))
    return ContentPart(
        type="audio",
        media_type=f"audio/{extension[:40]}" if extension else None,
        size=base64_size(text(sound.get("data"))),
    )


def _file(part: dict[str, Any]) -> ContentPart:
    file = mapping(part.get("file"))
    media_type, size = _data_url(text(file.get("file_data")) or "")
    label = text(file.get("filename")) or text(file.get("file_id"))
    return ContentPart(type="file", media_type=media_type, size=size, name=label[:_LONGEST_URL] if label else None)


_PARTS: dict[str, Callable[[dict[str, Any]], ContentPart]] = {
    "text": _text,
    "input_text": _text,
    "output_text": _text,
    "refusal": _refusal,
    "thinking": _thinking,
    "image_url": _image,
    "video_url": _video,
    "input_audio": _audio,
    "file": _file,
}


def _data_url(url: str) -> tuple[str | None, int | None]:
    """(media type, decoded size) of ``data:image/png;base64,…``, or of bare base64."""
    if not url:
        return None, None
    head, comma, data = url[:200].partition(",")
    if not url.startswith("data:") or not comma:
        return None, base64_size(url)
    data = url[len(head) + 1 :]
    size = base64_size(data) if head.endswith(";base64") else len(data)
    return head.removeprefix("data:").split(";")[0] or None, size


# --- tools and sound ------------------------------------------------------------------------------


def _tool_result(fields: dict[str, Any], content: tuple[ContentPart, ...], notes: Notes) -> tuple[ContentPart, ...]:
    result = ContentPart(
        type="tool_result",
        text="".join([part.text or "" for part in content if part.type == "text"]) or None,
        tool_call_id=name(fields.get("tool_call_id"), "tool_call_id", notes),
        name=name(fields.get("name"), "tool name", notes),
    )
    return (result, *[part for part in content if part.type != "text"])


def _tool_calls(fields: dict[str, Any], notes: Notes) -> list[ContentPart]:
    calls = [_tool_call(mapping(call), notes) for call in items(fields.get("tool_calls"), "tool_calls", notes)]
    if legacy := mapping(fields.get("function_call")):
        calls.append(_tool_call({"function": legacy}, notes))
    return calls


def _tool_call(call: dict[str, Any], notes: Notes) -> ContentPart:
    """``function`` has arguments, ``custom`` has input; both are kept as the string that was sent."""
    called = _described(call)
    arguments = called.get("arguments", called.get("input"))
    return ContentPart(
        type="tool_call",
        tool_call_id=name(call.get("id"), "tool call id", notes),
        name=name(called.get("name"), "tool name", notes),
        arguments=None if arguments is None else compact(arguments),
    )


def _spoken(audio: Any) -> tuple[ContentPart, ...]:
    fields = mapping(audio)
    if not fields:
        return ()
    return (ContentPart(type="audio", text=text(fields.get("transcript")), size=base64_size(text(fields.get("data")))),)
