"""Parts of messages in the Responses format: those of chat completions under other names, and a few more.

What differs is put into the chat format's words and read by its reader, so that media is measured
in one way. Annotations are no content: see ``documents``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...records import ContentPart, evolve
from ..json_values import Notes, items, mapping, text
from ..openai_chat.parts import content_parts

_LONGEST = 4096


def content(value: Any, notes: Notes) -> tuple[ContentPart, ...]:
    """The parts of a content, which is a text or a list; of anything else none, with a note."""
    if not isinstance(value, list):
        return content_parts(value, notes)
    return tuple(part for each in items(value, "content", notes) for part in _parts(each, notes))


def _parts(value: Any, notes: Notes) -> tuple[ContentPart, ...]:
    read = _PARTS.get(text(mapping(value).get("type")) or "")
    return (read(value),) if read else content_parts([value], notes)


def image(part: dict[str, Any]) -> ContentPart:
    """A picture, inline, by its URL or by the id of a file."""
    read = _as_chat({"type": "image_url", "image_url": part.get("image_url")})
    return evolve(read, name=_short(part.get("file_id")))


def reasoning(part: dict[str, Any]) -> ContentPart:
    """A thought, or a summary of some."""
    return ContentPart(type="reasoning", text=text(part.get("text")))


def _text(part: dict[str, Any]) -> ContentPart:
    return ContentPart(type="text", text=text(part.get("text")) or "")


def _file(part: dict[str, Any]) -> ContentPart:
    return evolve(_as_chat({"type": "file", "file": part}), url=_short(part.get("file_url")))


def _sound(part: dict[str, Any]) -> ContentPart:
    """Spoken output has a transcript."""
    read = _as_chat({"type": "input_audio", "input_audio": mapping(part.get("input_audio")) or part})
    return evolve(read, text=text(part.get("transcript")))


def _as_chat(part: dict[str, Any]) -> ContentPart:
    return content_parts([part], Notes())[0]


def _short(value: Any) -> str | None:
    found = text(value)
    return found if found and len(found) <= _LONGEST else None


_PARTS: dict[str, Callable[[dict[str, Any]], ContentPart]] = {
    "input_text": _text,
    "output_text": _text,
    "input_image": image,
    "computer_screenshot": image,
    "input_file": _file,
    "input_audio": _sound,
    "output_audio": _sound,
    "reasoning_text": reasoning,
    "summary_text": reasoning,
}
