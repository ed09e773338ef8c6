"""How a body is cut into pieces that come again in later bodies. No I/O, no meaning.

Clients resend the whole history with each call, so the array of messages is cut into its
messages, byte for byte as they were sent; what stands before and after the array (model,
parameters, tools) is a piece each. JSON is never written again: ``1e5``, ``\\u00e9``, duplicate
keys and odd spacing would not survive it. A body that does not rebuild from its slices, or is
not worth slicing, is one piece.
"""

from __future__ import annotations

import re

import msgspec
from msgspec import Raw, Struct

WORTH_BYTES = 1024  #: below this the rows cost more than the pieces save
PIECE_BYTES = 64 << 20  #: no piece is larger: SQLite's limit is 1 GB, and a piece is compressed at once

_ARRAYS = ("messages", "input", "contents")  # of the known wire formats, in order of use
_COLON = re.compile(rb"[ \t\r\n]*:[ \t\r\n]*")
_COMMA = re.compile(rb"[ \t\r\n]*,[ \t\r\n]*")
_SPACE = b" \t\r\n"
_TRIES = 64  # places to look for the array; a hostile body could name it a million times
_fields = msgspec.json.Decoder(dict[str, Raw])
_items = msgspec.json.Decoder(list[Raw])


class Slices(Struct, frozen=True):
    """``head + separator.join(items) + tail`` is the body."""

    head: bytes = b""
    items: tuple[bytes, ...] = ()
    separator: bytes = b""
    tail: bytes = b""

    def joined(self) -> bytes:
        """The body."""
        return self.head + self.separator.join(self.items) + self.tail


def cut(body: bytes, piece_bytes: int = PIECE_BYTES) -> Slices:
    """The pieces of a request's body."""
    if len(body) >= WORTH_BYTES:
        slices = _messages(body)
        if slices and max(len(slices.head), len(slices.tail), *map(len, slices.items)) <= piece_bytes:
            return slices
    return whole(body, piece_bytes)


def whole(body: bytes, piece_bytes: int = PIECE_BYTES) -> Slices:
    """A body as one piece, or as many as its size asks for."""
    if len(body) <= piece_bytes:
        return Slices(head=body)
    return Slices(items=tuple(body[start : start + piece_bytes] for start in range(0, len(body), piece_bytes)))


def _messages(body: bytes) -> Slices | None:
    try:
        fields = _fields.decode(body)
        key = next((name for name in _ARRAYS if name in fields), None)
        array = bytes(fields[key]) if key else b""
        items = [bytes(item) for item in _items.decode(array)] if array.startswith(b"[") else []
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
    start = _array_start(body, key, array) if key and items else None
    return None if start is None else _slices(body, start, array, items)


def _array_start(body: bytes, key: str, array: bytes) -> int | None:
    # Any place where these bytes stand behind the key will do: only bytes have to agree.
    needle = f'"{key}"'.encode()
    at = -1
    for _ in range(_TRIES):
        at = body.find(needle, at + 1)
        if at < 0:
            return None
        colon = _COLON.match(body, at + len(needle))
        if colon and body.startswith(array, colon.end()):
            return colon.end()
    return None


def _slices(body: bytes, start: int, array: bytes, items: list[bytes]) -> Slices | None:
    inner = array[1:].lstrip(_SPACE)
    comma = _COMMA.match(inner, len(items[0])) if len(items) > 1 else None
    separator = comma.group() if comma else b""
    text = separator.join(items)
    if not inner.startswith(text):
        return None
    first = start + len(array) - len(inner)
    return Slices(body[:first], tuple(items), separator, body[first + len(text) :])
