"""What came back from tools that the provider runs itself, as text for people to read.

Their results have a shape for each tool: found pages, a fetched document, the output of a program, a
file's lines, an error. Encrypted content and the files that a program made are left to the raw bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..json_values import listed, mapping, text
from .sources import source

_WORDS = ("error_code", "error_message", "title", "url", "stdout", "stderr", "text", "tool_name")
_LISTS = ("content", "lines", "tool_references")


def result_text(content: Any) -> str | None:
    """What a result says, a piece a line; None when that is nothing."""
    pieces = listed(content) if isinstance(content, list) else [content]
    return "\n".join(words for piece in pieces for words in _words(piece)) or None


def result_failed(content: Any) -> bool | None:
    """Whether a result is an error, or that of a program which says that it failed; None when it is nothing known."""
    if not isinstance(content, (dict, list)):
        return None
    fields = mapping(content)
    return "error_code" in fields or fields.get("return_code") not in (None, 0)


def _words(piece: Any) -> Iterator[str]:
    if text(piece):
        yield piece
    fields = mapping(piece)
    yield from filter(None, (text(fields.get(key)) for key in _WORDS))
    yield from filter(None, (text(fields.get("content")), _document_text(fields.get("content"))))
    for key in _LISTS:
        inner = fields.get(key)
        yield from _told(listed(inner))


def _told(values: list[Any]) -> Iterator[str]:
    for value in values:
        if text(value):
            yield value
        fields = mapping(value)
        yield from filter(None, (text(fields.get(key)) for key in _WORDS))


def _document_text(value: Any) -> str | None:
    """The text of a document block."""
    return source(mapping(value).get("source")).text
