"""Long strings of JSON that a segment holds already: the answer that a client sends back with its next request,
a document that is shown twice. A piece that repeats one refers to where it stands, byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated

from msgspec import Meta, Struct

from .recent import Recent

WORTH_BYTES = 64  #: shorter strings stay
MOST = 64  #: of one piece: reading it reads as many others
_LONGEST_SEARCHED_BYTES = 4 << 20
# What stands between two quotes: mostly a string. Where it is what stands between two strings, it is as good.
_STRING = re.compile(rb'"(?=[^"]{24})([^"\\]*+(?:\\.[^"\\]*+)*+)"?', re.DOTALL)


class Excerpt(Struct, frozen=True, array_like=True, tag=3):
    """A part of another piece."""

    at: Annotated[int, Meta(ge=0)]
    length: Annotated[int, Meta(ge=0)]

    def written(self, piece: bytes) -> bytes:
        """The part."""
        return piece[self.at : self.at + self.length]


class Place(Struct, frozen=True):
    """Where a string stands: in a piece without excerpts, so that no chain of them has to be followed."""

    piece: int
    at: int


class Found(Struct, frozen=True):
    """``piece[start:stop]`` stands elsewhere, too."""

    start: int
    stop: int
    place: Place

    @property
    def excerpt(self) -> Excerpt:
        """What stands for it."""
        return Excerpt(self.place.at, self.stop - self.start)


class Excerpts:
    """The long strings of recent pieces; ``limit`` of them, and as many older ones."""

    def __init__(self, limit: int) -> None:
        self._places: Recent[bytes, Place] = Recent(limit)

    def of(self, number: int, data: bytes, named: Callable[[bytes], bytes]) -> list[Found]:
        """Strings of a new piece that others hold; its own are remembered. ``named`` gives a string's digest."""
        if len(data) < WORTH_BYTES or len(data) > _LONGEST_SEARCHED_BYTES or data[:1] not in (b"{", b"["):
            return []
        found: list[Found] = []
        own: list[tuple[bytes, int]] = []
        for match in _STRING.finditer(data):
            start, stop = match.span(1)
            if stop - start >= WORTH_BYTES:
                name = named(match[1])
                place = self._places.get(name)
                if place is None:
                    own.append((name, start))
                elif len(found) < MOST:
                    found.append(Found(start, stop, place))
        for name, start in own if not found else ():
            self._places[name] = Place(number, start)
        return found
