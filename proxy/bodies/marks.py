"""Anthropic's ``cache_control``: marks that move to other messages with each turn, taken out of a body.

A message that is marked in one call and not in the next would be two messages, and a body would not
begin as the one before it. So marks are kept apart, with the places where they stood.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Struct

_NAME = b'"cache_control"'
_MEMBER = re.compile(rb'"cache_control"[ \t\r\n]*:[ \t\r\n]*\{[^{}"\\]{0,64}(?:"[^"\\]{0,64}"[^{}"\\]{0,64}){0,8}\}')
_COMMA = re.compile(rb"[ \t\r\n]{0,64},[ \t\r\n]{0,64}")
_BLANKS = b" \t\r\n"
_MOST = 64  # the API takes four; what has more is left as it is
_LONGEST_BYTES = 200


class Mark(Struct, frozen=True, array_like=True):
    """``data`` stood at ``at``, an offset in the body without marks."""

    at: int
    data: bytes


def without_marks(body: bytes) -> tuple[bytes, tuple[Mark, ...]]:
    """The body without its marks, and these; as it is when there are none, or more than anybody sends."""
    at = body.find(_NAME)
    marks: list[Mark] = []
    pieces: list[bytes] = []
    end = size = 0
    while at >= 0:
        found = _mark_at(body, at, end)
        if found is not None:
            start, stop = found
            if len(marks) == _MOST:
                return body, ()
            pieces.append(body[end:start])
            size += start - end
            marks.append(Mark(size, body[start:stop]))
            end = stop
        at = body.find(_NAME, max(end, at + 1))
    return (b"".join((*pieces, body[end:])), tuple(marks)) if marks else (body, ())


def _mark_at(body: bytes, at: int, after: int) -> tuple[int, int] | None:
    """Where a mark begins and ends with the comma that goes with it; ``at``: its name, ``after``: the one before."""
    member = _MEMBER.match(body, at, at + _LONGEST_BYTES)
    if member is None:
        return None
    before = body[max(after, at - _LONGEST_BYTES) : at].rstrip(_BLANKS)
    if before.endswith(b","):
        start = max(after, at - _LONGEST_BYTES) + len(before[:-1].rstrip(_BLANKS))
        return start, member.end()
    comma = _COMMA.match(body, member.end())
    return (at, comma.end()) if comma else None


def with_marks(body: bytes, marks: Sequence[Mark]) -> bytes:
    """The body as it was. Places beyond its end are its end."""
    pieces: list[bytes] = []
    end = 0
    for mark in marks:
        pieces += (body[end : mark.at], mark.data)
        end = max(end, mark.at)
    return b"".join((*pieces, body[end:]))
