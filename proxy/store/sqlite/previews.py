"""First words of what was asked and answered: where they stand in the pieces of a call, so that they are not
stored twice, and go when the bodies go.
"""

from __future__ import annotations

import re

import orjson
from msgspec import Struct

from ...records import PREVIEW_CHARACTERS

_MOST_BYTES = 64 << 10  # of a piece: a list of calls reads one for each
_SPAN_BYTES = 1200  # of a text, as JSON has it, that its first words are made of
_TRIES = 8
_STRING = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
_CUT_ESCAPE = re.compile(rb"\\(?:u(?:[0-9a-fA-F]{0,3}|[dD][89abAB][0-9a-fA-F]{2}))?\Z")
_CUT_CHARACTER = re.compile(rb"(?:[\xc0-\xff]|[\xe0-\xff][\x80-\xbf]|[\xf0-\xff][\x80-\xbf]{2})\Z")
_CUTS = ((_CUT_CHARACTER, 3), (_CUT_ESCAPE, 6))  #: and their most bytes
_WORD = re.compile(r'[^\s"\\/\x00-\x1f\x7f]{1,16}')
_BLANKS = re.compile(rb"(?: |\\[nrt])*+\Z")


class Span(Struct, frozen=True, array_like=True):
    """A part of a piece: of a JSON string, without its quotes."""

    piece: int
    at: int
    length: int


def span_of(preview: str, number: int, piece: bytes) -> Span | None:
    """Where a preview's text stands in a piece; None where it does not, or not in one string."""
    word = _WORD.match(preview)
    if word is None or len(piece) > _MOST_BYTES:
        return None
    first, at = word[0].encode(), -1
    for _ in range(_TRIES):
        at = piece.find(first, at + 1)
        if at < 0:
            return None
        start = piece.rfind(b'"', 0, at) + 1
        if start and _BLANKS.match(piece, start, at):
            for most in (2 * len(preview), _SPAN_BYTES):  # most texts are little longer than their words
                raw = _text_at(piece, start, most)
                if preview_of(raw) == preview:
                    return Span(number, start, len(raw))
    return None


def _text_at(piece: bytes, start: int, most: int) -> bytes:
    """A string's beginning, cut between its characters."""
    match = _STRING.match(piece, start, start + most)
    raw = match[0] if match else b""
    if piece.startswith(b'"', start + len(raw)):
        return raw
    for cut, longest in _CUTS:
        found = cut.search(raw, max(0, len(raw) - longest))
        raw = raw if found is None else raw[: found.start()]
    return raw


def preview_of(raw: bytes) -> str | None:
    """First words of a string as JSON has it, in one line; None of what is none."""
    try:
        text = orjson.loads(b'"%b"' % raw)
    except ValueError:
        return None
    return " ".join(text.split(None, PREVIEW_CHARACTERS // 2 + 1))[:PREVIEW_CHARACTERS]
