"""Pictures, sounds and files that stand inside a body as base64: found, joined to parts of messages, decoded.

Dialects measure such media and leave them where they are. Here they are looked for without regard to the
dialect, in the order in which they stand, and a part is joined to the next one of its size. Only types that
a browser shows without running anything are shown; all else, SVG above all, is a file to save.
"""

from __future__ import annotations

import base64
import binascii
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import Struct

from ...dialects.base import is_event_stream
from ...dialects.json_values import Notes, loads
from ...dialects.media import base64_size
from ...records import ContentPart, Exchange
from ...wire.encoding import decode
from ...wire.headers import header_maps
from ...wire.sse import Decoder

MOST = 2_000  #: of a body
MOST_BYTES = 64 << 20  #: of one that is served

#: What its first bytes say: nothing else is shown in a page.
_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF8", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (4, b"ftypavif", "image/avif"),
    (8, b"WAVE", "audio/wav"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"\xff\xf3", "audio/mpeg"),
    (0, b"OggS", "audio/ogg"),
    (0, b"fLaC", "audio/flac"),
    (4, b"ftypM4A", "audio/mp4"),
    (4, b"ftyp", "video/mp4"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
)
_HEAD = 64  # characters of base64 that tell the type
_TYPE_NAMES = ("media_type", "mimeType", "mime_type", "format")
_BARE = ("b64_json", "result", "file_data")  # fields whose value may be base64 without a word
_SHORTEST = 16  # characters


class Inline(Struct, frozen=True):
    """A piece of media as it stands in a body."""

    data: str  #: base64
    size: int  #: bytes

    @property
    def shown_as(self) -> str:
        """Its type, by its first bytes, when a page may show it; else empty."""
        head = _decoded(self.data[:_HEAD])
        return next((name for at, sign, name in _SIGNATURES if head[at : at + len(sign)] == sign), "")

    def bytes(self) -> bytes:
        """Decoded; what is no base64 is left out."""
        return _decoded(self.data[: MOST_BYTES * 4 // 3])


def _decoded(data: str) -> bytes:
    try:
        return base64.b64decode(data + "=" * (-len(data) % 4), altchars=b"-_" if "-" in data or "_" in data else None)
    except (binascii.Error, ValueError):
        return b""


def media_of(exchange: Exchange, limit_bytes: int) -> list[Inline]:
    """All of a call, the request's first; a number of this list is stable."""
    headers = header_maps(exchange)
    request = decode(exchange.request_body, headers.request.get("content-encoding", ""), limit_bytes).data
    response = decode(exchange.response_body, headers.response.get("content-encoding", ""), limit_bytes).data
    found = [*_inline(request)]
    for document in _documents(response, headers.response):
        found += _inline(document)
    return found[:MOST]


def _documents(body: bytes, headers: Any) -> Iterator[bytes]:
    if not is_event_stream(headers):
        yield body
        return
    decoder = Decoder()
    yield from (event.data for event in (*decoder.feed(body), *decoder.finish()))


def joined(parts: Iterable[ContentPart], media: list[Inline]) -> dict[int, int]:
    """For parts with media in them, by ``id()`` of the part: which of ``media`` it is."""
    waiting: dict[int, deque[int]] = defaultdict(deque)
    for number, each in enumerate(media):
        waiting[each.size].append(number)
    found = {}
    for part in parts:
        if part.size is not None and waiting.get(part.size):
            found[id(part)] = waiting[part.size].popleft()
    return found


def _inline(body: bytes) -> Iterator[Inline]:
    value = loads(body, "the body", Notes()) if body else None
    waiting: list[tuple[str, Any]] = [("", value)]
    while waiting:
        key, value = waiting.pop()
        if isinstance(value, str):
            yield from _of_text(key, value)
        elif isinstance(value, list):
            waiting += ((key, each) for each in reversed(value))
        elif isinstance(value, dict):
            typed = any(name in value for name in _TYPE_NAMES) or key == "audio"
            waiting += (
                ("data" if name == "data" and typed else "" if name == "data" else name, each)
                for name, each in reversed(value.items())
            )


def _of_text(key: str, text: str) -> Iterator[Inline]:
    if text.startswith("data:"):
        head, comma, _ = text[:200].partition(";base64,")
        if comma:
            data = text[len(head) + len(comma) :]
            yield Inline(data, base64_size(data) or 0)
    elif len(text) >= _SHORTEST and (key == "data" or key == "images" or key in _BARE) and " " not in text[:_HEAD]:
        yield Inline(text, base64_size(text) or 0)
