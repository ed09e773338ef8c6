"""A stream that comes as one JSON array: its elements, as far as it has come.

An array that is whole is read in one go. Of any other, brackets and strings are followed, so that the end
of an element is known before that of the array: quickly by a pattern for elements that are whole
themselves, and for the others bracket by bracket, in pieces of any size. All ways give the same
elements, and none says what they mean. Elements that are no objects or lists are left
out; one larger than a limit is dropped and counted.
"""

from __future__ import annotations

import re

import msgspec
from msgspec import Raw, Struct

MAX_ELEMENT_BYTES = 64 << 20

_READ_BYTES = 65_536
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_PLAIN = rb'[^"{}\[\]]*+(?:' + _STRING + rb'[^"{}\[\]]*+)*+'
_TO_BRACKET = re.compile(_PLAIN, re.DOTALL)
_TO_QUOTE = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_OPENING, _QUOTE, _BACKSLASH = b"[{", b'"', b"\\"
_USUAL_DEPTH = 12
_decode = msgspec.json.Decoder(list[Raw]).decode


def _element() -> re.Pattern[bytes]:
    """What lies before an element, and the element, when it is whole and not nested unusually deep."""
    nested = rb"[{\[]" + _PLAIN + rb"[}\]]"
    for _ in range(_USUAL_DEPTH):
        nested = rb"[{\[]" + _PLAIN + rb"(?:" + nested + _PLAIN + rb")*+[}\]]"
    return re.compile(_PLAIN + rb"(" + nested + rb")", re.DOTALL)


_ELEMENT = _element()


class Element(Struct, frozen=True, gc=False):
    """One element. The read that brought the byte before ``end`` brought the element."""

    data: bytes
    end: int  #: stream offset just after it


class Elements(Struct, frozen=True):
    """The elements of an array, and whether its closing bracket came."""

    found: list[Element]
    closed: bool
    oversized: int = 0


def elements(body: bytes) -> Elements:
    """Those of an array that is whole or cut."""
    if len(body) <= MAX_ELEMENT_BYTES:
        try:
            return Elements(_placed(body, _decode(body)), closed=True)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
    decoder = Decoder()
    found = [each for at in range(0, len(body), _READ_BYTES) for each in decoder.feed(body[at : at + _READ_BYTES])]
    return Elements(found, closed=decoder.closed, oversized=decoder.oversized)


def _placed(body: bytes, raws: list[Raw]) -> list[Element]:
    """Between elements there is nothing but commas and spaces, so that each begins where its first byte is next."""
    found: list[Element] = []
    end = body.index(b"[") + 1
    for raw in raws:
        data = bytes(raw)
        end = body.index(data[:1], end) + len(data)
        if data[0] in _OPENING:
            found.append(Element(data, end))
    return found


class Decoder:
    """The elements of one array. Takes time linear in the bytes, however they are cut.

    Holds no more than ``max_element_bytes`` of an element that is not complete.
    """

    def __init__(self, max_element_bytes: int = MAX_ELEMENT_BYTES) -> None:
        self.closed = False  #: the array's closing bracket came; what follows it is ignored
        self.oversized = 0  #: elements dropped because they were too large
        self._max = max_element_bytes
        self._fed = 0
        self._depth = 0  # 1 within the array, more within an element
        self._in_string = False
        self._escaped = False  # the next byte is the second of an escape
        self._held = bytearray()  # the beginning of an element
        self._size = 0  # of that element so far

    def feed(self, data: bytes) -> list[Element]:
        """Take the next bytes; the elements that they complete."""
        found: list[Element] = []
        start = at = 0
        while not self.closed and (at := self._next(data, self._usual(data, at, found))) <= len(data):
            opening = data[at - 1] in _OPENING
            self._depth += 1 if opening else -1
            if opening and self._depth == 2:
                start = at - 1
            elif not opening and self._depth == 1:
                self._complete(data[start:at], self._fed + at, found)
            self.closed = self._depth < 1
        if self._depth > 1:
            self._hold(data[start:])
        self._fed += len(data)
        return found

    def finish(self) -> list[Element]:
        """The stream is over: nothing more, because what its end cut short is no element."""
        return []

    def _usual(self, data: bytes, at: int, found: list[Element]) -> int:
        """Take the whole elements that come next; the place after them."""
        while self._depth == 1 and not self._in_string and (match := _ELEMENT.match(data, at)):
            at = match.end()
            if at - match.start(1) > self._max:
                self.oversized += 1
            else:
                found.append(Element(match[1], self._fed + at))
        return at

    def _next(self, data: bytes, at: int) -> int:
        """The place after the next bracket outside strings; beyond the data when there is none."""
        while at < len(data):
            if self._escaped:
                self._escaped = False
                at += 1
                continue
            pattern = _TO_QUOTE if self._in_string else _TO_BRACKET
            at = pattern.match(data, at).end() + 1  # type: ignore[union-attr]  # they match the empty text too
            met = data[at - 1 : at]
            if met == _QUOTE:
                self._in_string = not self._in_string
            elif met == _BACKSLASH:
                self._escaped = True
            elif met:
                return at
        return len(data) + 1

    def _complete(self, rest: bytes, end: int, found: list[Element]) -> None:
        self._hold(rest)
        if self._size > self._max:
            self.oversized += 1
        else:
            found.append(Element(bytes(self._held), end))
        self._held.clear()
        self._size = 0

    def _hold(self, piece: bytes) -> None:
        """Keep the beginning of an element whose end has not come, unless it is too large already."""
        self._size += len(piece)
        if self._size > self._max:
            self._held.clear()
        else:
            self._held += piece
