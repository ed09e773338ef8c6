"""Base64 that stands in a text: found, decoded, and written again exactly as it stood.

Both alphabets, with and without padding, in one run, in lines as MIME breaks them, and with
``\\/`` for a slash, as PHP writes JSON. A run that would be written differently stays text: what is
kept is what rebuilds. So does a run without upper case, lower case and digits that does not begin
as a known type does: hexadecimal and long words are of the alphabet, too.
"""

from __future__ import annotations

import re
from binascii import Error, a2b_base64, b2a_base64
from typing import Annotated

from msgspec import Meta, Struct

from .inlay import Inlay
from .mediatypes import CONTEXT_BYTES, MAGIC_BYTES, UNKNOWN, declared_type, type_by_beginning

WORTH_BYTES = 1024  #: shorter runs stay text
ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_\\"

_MOST_FAILURES = 4  # in a stretch of the alphabet's characters, before it is left alone
_STRETCH = re.compile(rb"[A-Za-z0-9+/_\\-]*+={0,2}")
_ESCAPES = re.compile(rb"(?:\\(?:u[0-9a-fA-F]{4}|[^/u]))*+")  # JSON's, whose letters are of the alphabet
_MIXED = re.compile(rb"(?=[^A-Z]*[A-Z])(?=[^a-z]*[a-z])[^0-9]*[0-9]")
_TO_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_TO_STANDARD = bytes.maketrans(b"-_", b"+/")


class _Layout(Struct, frozen=True):
    """What stands in a run beside base64's own characters."""

    pattern: re.Pattern[bytes]
    added: bytes = b""  #: what JSON adds
    bare: bytes = b""  #: what that stands for
    line: int = 0  #: characters between line breaks

    def laid_out(self, text: bytes) -> bytes:
        if self.line:
            return self.added.join(text[at : at + self.line] for at in range(0, len(text), self.line))
        return text.replace(self.bare, self.added) if self.added else text


def _lines(length: int, newline: bytes) -> _Layout:
    whole, last = b"[A-Za-z0-9+/]{%d}" % length, b"[A-Za-z0-9+/]{0,%d}" % length
    pattern = b"(?:%b%b)*+%b={0,2}" % (whole, re.escape(newline), last)
    return _Layout(re.compile(pattern), added=newline, line=length)


# Their places are stored: append only.
_LAYOUTS = (
    _Layout(re.compile(rb"[A-Za-z0-9+/_-]*+={0,2}")),
    _Layout(re.compile(rb"(?:[A-Za-z0-9+]++|\\/)*+={0,2}"), added=b"\\/", bare=b"/"),
    _lines(76, b"\\n"),
    _lines(76, b"\\r\\n"),
    _lines(64, b"\\n"),
    _lines(64, b"\\r\\n"),
)


class Base64(Struct, frozen=True, array_like=True, tag=1):
    """How bytes were written."""

    layout: Annotated[int, Meta(ge=0, lt=len(_LAYOUTS))]
    url_safe: bool
    padded: bool

    def written(self, data: bytes) -> bytes:
        """The text that stood for the bytes."""
        text = b2a_base64(data, newline=False)
        if not self.padded:
            text = text.rstrip(b"=")
        if self.url_safe:
            text = text.translate(_TO_URL_SAFE)
        return _LAYOUTS[self.layout].laid_out(text)


def base64_from(piece: bytes, start: int) -> tuple[list[Inlay], int]:
    """Base64 in the characters of the alphabet that begin at ``start``, and where to look on."""
    found: list[Inlay] = []
    failures = 0
    while start < len(piece) and piece[start] in ALPHABET:
        if failures == _MOST_FAILURES:
            return found, _end(_STRETCH, piece, start)
        start = _end(_ESCAPES, piece, start)
        layout, stop = _longest(piece, start)
        if inlay := _inlay_or_shorter(piece, start, stop, layout):
            found.append(inlay)
            start = inlay.stop
        else:
            failures += 1
            start = stop
    return found, start


def _end(pattern: re.Pattern[bytes], piece: bytes, start: int) -> int:
    match = pattern.match(piece, start)
    return match.end() if match else start


def _longest(piece: bytes, start: int) -> tuple[int, int]:
    """The layout that explains most of what stands there, and where that ends."""
    stop = _end(_LAYOUTS[0].pattern, piece, start)
    if not piece.startswith(b"\\", stop):
        return 0, stop
    stops = [stop, *(_end(layout.pattern, piece, start) for layout in _LAYOUTS[1:])]
    stop = max(stops)
    layout = stops.index(stop)
    if _LAYOUTS[layout].line and piece.endswith(_LAYOUTS[layout].added, start, stop):
        stop -= len(_LAYOUTS[layout].added)
    return layout, stop


def _inlay_or_shorter(piece: bytes, start: int, stop: int, layout: int) -> Inlay | None:
    if stop - start < WORTH_BYTES:
        return None
    inlay = _inlay(piece, start, stop, layout)
    if inlay is None and layout == 0:  # cut off within a group of four
        inlay = _inlay(piece, start, stop - ((stop - start) % 4 or 4), layout)
    return inlay


def _inlay(piece: bytes, start: int, stop: int, layout: int) -> Inlay | None:
    text = piece[start:stop]
    if added := _LAYOUTS[layout].added:
        text = text.replace(added, _LAYOUTS[layout].bare)
    url_safe = b"-" in text or b"_" in text
    if url_safe:
        text = text.translate(_TO_STANDARD)
    media_type = _media_type(piece[max(0, start - CONTEXT_BYTES) : start], text)
    if media_type is None:
        return None
    missing = -len(text) % 4
    try:
        data = a2b_base64(text + b"=" * missing if missing else text)
    except Error:
        return None
    spelling = Base64(layout, url_safe, not missing)
    return Inlay(start, stop, media_type, data, spelling) if _rebuilds(piece, start, stop, spelling, data) else None


def _media_type(before: bytes, text: bytes) -> str | None:
    """None for what is of the alphabet by chance."""
    media_type = declared_type(before) or type_by_beginning(a2b_base64(text[: MAGIC_BYTES * 4 // 3]))
    if media_type is None and _MIXED.match(text, 0, WORTH_BYTES):
        return UNKNOWN
    return media_type


def _rebuilds(piece: bytes, start: int, stop: int, spelling: Base64, data: bytes) -> bool:
    text = spelling.written(data)
    return len(text) == stop - start and piece.startswith(text, start)
