"""A body in named pieces: what a store needs to keep each piece once, and a reader to see what is new."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from . import slices
from .digests import NOTHING, chained, digest
from .marks import Mark, with_marks, without_marks
from .slices import Slices, Value

_NONE_OFFERED = Value("tools", b"[]")
_OFFERED = frozenset({"tools", "functions"})


class Cut(Struct, frozen=True, kw_only=True):
    """A body in named pieces, of which the first messages may be those of an earlier body."""

    slices: Slices  #: ``messages``: those that follow the known ones
    values: tuple[bytes, ...] = ()  #: digests of its long values
    names: tuple[bytes, ...] = ()  #: digests of its messages
    chain: tuple[bytes, ...] = ()  #: of the lists that end with them
    known: int = 0  #: messages before them, which an earlier body had
    history: bytes = NOTHING  #: digest of the list of these
    shown: tuple[bytes, ...] = ()  #: some of these: instructions at the very beginning, and the last answers
    plain: bool = False  #: the known messages say nothing that has to be read again
    marks: tuple[Mark, ...] = ()
    whole: bytes = b""  #: digest of a body in one piece

    @property
    def last(self) -> bytes:
        """The digest of all messages."""
        return self.chain[-1] if self.chain else self.history

    @property
    def digest(self) -> int:
        """64 bits of the digest of the whole body, as SQL has integers."""
        marks = (piece for mark in self.marks for piece in (mark.at.to_bytes(8), mark.data))
        envelope = (self.whole,) if self.whole else self.slices.literals
        return int.from_bytes(digest(self.last, *envelope, *self.values, *marks)[:8], signed=True)

    def rest(self) -> bytes | None:
        """A body that says what is new in this one, and little else; None when there is no shorter one."""
        if not self.plain or self.known <= len(self.shown):
            return None
        parts = self.slices
        values = tuple([_NONE_OFFERED if value and value.name in _OFFERED else value for value in parts.values])
        return Slices(parts.literals, values, (*self.shown, *parts.messages), parts.separator).joined()


def cut(body: bytes, salt: bytes) -> Cut:
    """All of a body, nothing of it known."""
    bare, marks = without_marks(body)
    parts = slices.cut(bare)
    return named(parts, salt, marks) if parts.values else uncut(body, salt)


def uncut(body: bytes, salt: bytes) -> Cut:
    """A body that is not looked into."""
    return named(slices.whole(body), salt)


def named(parts: Slices, salt: bytes, marks: tuple[Mark, ...] = ()) -> Cut:
    """The pieces with their names."""
    if not parts.values:
        return Cut(slices=parts, whole=digest(salt, parts.literals[0]) if parts.literals[0] else b"")
    names = tuple([digest(salt, message) for message in parts.messages])
    values = tuple([digest(salt, value.data) for value in parts.values if value])
    return Cut(slices=parts, values=values, names=names, chain=tuple(chained(NOTHING, names)), marks=marks)


def body_of(found: Cut, known: Iterable[bytes] = ()) -> bytes:
    """The body; ``known``: the messages that an earlier one had."""
    everything = msgspec.structs.replace(found.slices, messages=(*known, *found.slices.messages))
    return with_marks(everything.joined(), found.marks)
