"""How a body is cut into pieces that come again in later bodies. No meaning, only bytes.

Clients resend the whole history with each call, so the array of messages is cut into its messages,
byte for byte as they were sent. Of the other members of the object, long ones (tools, a system
prompt) are pieces too; what is left is the envelope, which is mostly the same from call to call.
JSON is never written again: ``1e5``, ``\\u00e9``, duplicate keys and odd spacing would not survive
it. A body that does not rebuild from its slices, or is not worth slicing, is one piece.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec
from msgspec import Raw, Struct

WORTH_BYTES = 1024  #: below this the rows cost more than the pieces save
PIECE_BYTES = 64 << 20  #: no piece is larger: a database has its limit, and a piece is compressed at once
LONG_BYTES = 256  #: a member of this length is a piece of its own

ARRAYS = ("messages", "input", "contents")  #: of the known wire formats, in order of use
_COLON = re.compile(rb"[ \t\r\n]*:[ \t\r\n]*")
_COMMA = re.compile(rb"[ \t\r\n]*,[ \t\r\n]*")
_BLANK = re.compile(rb"[ \t\r\n]*")
_TRIES = 64  # places to look for a member; a hostile body could name it a million times
_MOST_VALUES = 64  # further long members stay in the envelope
_MOST_MESSAGES = 50_000  # a longer list is not looked into
_ENVELOPE_BYTES = 600  # that an envelope has besides, for a value and its name
_fields = msgspec.json.Decoder(dict[str, Raw])
_items = msgspec.json.Decoder(list[Raw])


class Value(Struct, frozen=True):
    """A long member of the object, as it was sent."""

    name: str
    data: bytes


class Slices(Struct, frozen=True):
    """``literals[0] + values[0] + literals[1] + … + literals[-1]``; None stands for the messages."""

    literals: tuple[bytes, ...]
    values: tuple[Value | None, ...] = ()
    messages: tuple[bytes, ...] = ()
    separator: bytes = b""

    def joined(self) -> bytes:
        """The body."""
        return b"".join(self.pieces())

    def pieces(self) -> Iterator[bytes]:
        """Its pieces, the messages as one."""
        for literal, value in zip(self.literals, self.values, strict=False):
            yield literal
            yield value.data if value else self.separator.join(self.messages)
        yield self.literals[-1]


def cut(body: bytes, piece_bytes: int = PIECE_BYTES) -> Slices:
    """The pieces of a request's body."""
    if len(body) >= WORTH_BYTES:
        slices = members(body)
        if slices and fits(slices, len(body), piece_bytes):
            return slices
    return whole(body, piece_bytes)


def fits(parts: Slices, body_bytes: int, piece_bytes: int = PIECE_BYTES) -> bool:
    """Whether no piece of such a body is too large; what stands around the others is one piece."""
    names = _ENVELOPE_BYTES * len(parts.literals)
    if body_bytes + names <= piece_bytes:
        return True
    values = (len(value.data) for value in parts.values if value)
    envelope = sum(map(len, parts.literals)) + names
    return max(envelope, *values, *map(len, parts.messages), 0) <= piece_bytes


def whole(body: bytes, piece_bytes: int = PIECE_BYTES) -> Slices:
    """A body as one piece, or as many as its size asks for."""
    if len(body) <= piece_bytes:
        return Slices((body,))
    parts = tuple(body[start : start + piece_bytes] for start in range(0, len(body), piece_bytes))
    return Slices((b"", b""), (None,), parts)


def members(body: bytes) -> Slices | None:
    """The pieces of a JSON object that holds an array of messages; None of anything else."""
    try:
        fields = _fields.decode(body)
        key = next((name for name in ARRAYS if name in fields), None)
        array = bytes(fields[key]) if key else b""
        messages = tuple(map(bytes, _items.decode(array))) if array.startswith(b"[") else ()
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
    return _cut_at(body, fields, key, array, messages) if key and len(messages) <= _MOST_MESSAGES else None


def items(array: bytes) -> tuple[bytes, ...]:
    """The elements of a JSON array, as they were sent; none of what is no array."""
    try:
        return tuple([bytes(item) for item in _items.decode(array)])
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return ()


def listed(text: bytes, separator: bytes) -> tuple[bytes, ...]:
    """The messages in ``separator + message + separator + message…``; none when it is something else."""
    messages = items(b"[%b]" % text[len(separator) :])
    if not 0 < len(messages) <= _MOST_MESSAGES or _length(messages, separator) + len(separator) != len(text):
        return ()
    return messages if _stand(text, len(separator), messages, separator) and text.startswith(separator) else ()


def _cut_at(body: bytes, fields: dict[str, Raw], key: str, array: bytes, messages: tuple[bytes, ...]) -> Slices | None:
    """Cut at the long members, in their order: any place where their bytes stand behind their names will do."""
    literals: list[bytes] = []
    values: list[Value | None] = []
    separator, end = b"", 0
    for name, raw in fields.items():
        data = array if name == key else bytes(raw)
        if name != key and (len(data) < LONG_BYTES or len(values) >= _MOST_VALUES or len(name) > LONG_BYTES):
            continue
        start = _start_of(body, name, data, end)
        if start is None:
            return None
        if name == key:
            found = _separator(body, start, messages)
            if found is None:
                return None
            first, separator, last = found
            literals.append(body[end:first])
            values.append(None)
            end = last
        else:
            literals.append(body[end:start])
            values.append(Value(name, data))
            end = start + len(data)
    return Slices((*literals, body[end:]), tuple(values), messages, separator)


def _start_of(body: bytes, name: str, data: bytes, start: int) -> int | None:
    needle = b'"%b"' % name.encode("utf-8", "surrogatepass")
    at = start - 1
    for _ in range(_TRIES):
        at = body.find(needle, at + 1)
        if at < 0:
            return None
        colon = _COLON.match(body, at + len(needle))
        if colon and body.startswith(data, colon.end()):
            return colon.end()
    return None


def _separator(body: bytes, start: int, messages: tuple[bytes, ...]) -> tuple[int, bytes, int] | None:
    """Where the first message begins, what stands between messages, and where the last one ends."""
    blank = _BLANK.match(body, start + 1)
    first = blank.end() if blank else start + 1
    if not messages:
        return first, b"", first
    comma = _COMMA.match(body, first + len(messages[0])) if len(messages) > 1 else None
    separator = comma.group() if comma else b""
    end = first + _length(messages, separator)
    return (first, separator, end) if end <= len(body) and _stand(body, first, messages, separator) else None


def _length(messages: tuple[bytes, ...], separator: bytes) -> int:
    return sum(map(len, messages)) + len(separator) * (len(messages) - 1)


def _stand(body: bytes, first: int, messages: tuple[bytes, ...], separator: bytes) -> bool:
    """Whether the messages stand there, so parted; they are no longer than the body."""
    return body.startswith(separator.join(messages), first)
