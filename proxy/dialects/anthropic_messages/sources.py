"""Where an image or a document lies: in the block itself, at an address, in the provider's file store.

Inline media is measured, never decoded.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from ..json_values import LONGEST_NAME, listed, mapping, text

LONGEST_URL = 4096
LONGEST_TITLE = 1024


class Source(Struct, frozen=True, kw_only=True):
    """The ``source`` of a block; unknown is None."""

    text: str | None = None  #: of a document that is sent as text
    media_type: str | None = None
    size: int | None = None  #: bytes of inline media, decoded
    url: str | None = None
    file: str | None = None  #: its id in the file store


def source(value: Any) -> Source:
    """Read one, whatever it is."""
    fields = mapping(value)
    media_type = label(fields.get("media_type"))
    if fields.get("type") == "text":
        return Source(text=text(fields.get("data")), media_type=media_type)
    if fields.get("type") == "content":
        return Source(text=joined_text(fields.get("content")))
    link = text(fields.get("url")) or ""
    if link.startswith("data:"):
        head, _, data = link.partition(",")
        return Source(media_type=label(head[5:].partition(";")[0]), size=_base64_size(data))
    return Source(
        media_type=media_type,
        size=_base64_size(text(fields.get("data"))),
        url=url(link),
        file=label(fields.get("file_id")),
    )


def joined_text(content: Any, between: str = "\n") -> str | None:
    """The text of content that is a string or a list of text blocks."""
    if isinstance(content, list):
        texts = (text(mapping(block).get("text")) for block in listed(content))
        content = between.join(piece for piece in texts if piece)
    return text(content)


def url(value: Any) -> str | None:
    """An address that is not absurdly long."""
    link = text(value)
    return link if link and len(link) <= LONGEST_URL else None


def place(value: Any) -> tuple[str | None, str | None]:
    """(address, None), or (None, the id that the application gave)."""
    said = text(value) or ""
    return (url(said), None) if "://" in said[:32] else (None, label(said))


def label(value: Any) -> str | None:
    """A short name, cut if it is not."""
    said = text(value)
    return said[:LONGEST_NAME] if said else None


def title(value: Any) -> str | None:
    """A title, cut if it is not one."""
    said = text(value)
    return said[:LONGEST_TITLE] if said else None


def _base64_size(data: str | None) -> int | None:
    """Bytes that base64 stands for."""
    return None if data is None else len(data) * 3 // 4 - data.count("=")
