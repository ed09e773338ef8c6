"""Chunks that differ in nothing but a text, and perhaps one value more: nearly all of a stream, read together.

The first of a run is read in the ordinary way, and its form is learned from it: the bytes around what
may differ. A form holds only if the dialect's own reader finds other values in their places, so that no
name that stands twice, and no text that looks like one, can mislead. Of the chunks that follow in the
same form, only these places are decoded, each by itself. Where one is not a single value of its type
the run is over, and that chunk is read in the ordinary way again: a run is read quicker, never otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Protocol, TypeVar

import msgspec
from msgspec import Struct

Read = TypeVar("Read")

PROBE = "\0"  #: what stands for a text while a form is tried
PROBE_OBJECT = {PROBE: 0}  #: and for an object
_PROBE_JSON, _PROBE_OBJECT_JSON = b'"\\u0000"', b'{"\\u0000":0}'

_STRING = re.compile(rb'\s*+:\s*+("[^"\\]*+(?:\\.[^"\\]*+)*+")', re.DOTALL)
_CLOSING = b"} "
_PATIENCE = 16  # lessons that did not pay, until no more is learned from a stream
_PAYING = 8  # chunks read together
_GROUP = 64  # chunks compared in one go; the last of a run are compared one by one

_REFUSALS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_read_text = msgspec.json.Decoder(str).decode
_read_object = msgspec.json.Decoder(dict[str, Any]).decode


class Piece(Protocol):
    """What a stream is cut into: an event, a line, an element."""

    @property
    def data(self) -> bytes:
        """A JSON text."""
        ...


class Form(Struct, frozen=True):
    """The bytes that the chunks of a run have in common."""

    before: bytes  #: the text
    between: bytes  #: it and an object; empty where only the text differs
    after: bytes  #: never empty, and without blanks among the braces at its end

    def trial(self) -> bytes:
        """A chunk of this form."""
        return self.before + _PROBE_JSON + (self.between and self.between + _PROBE_OBJECT_JSON) + self.after

    def read(self, pieces: Sequence[Piece], start: int) -> tuple[list[str], list[dict[str, Any]]]:
        """The texts, and the objects if there are any, of the chunks from ``start`` on, as far as they are a run."""
        inner = self._inner(pieces, start)
        if not self.between:
            return _decoded(_read_text, inner), []
        between = self.between
        cut = [each.partition(between) for each in inner]  # where it is missing, the object's place is empty
        texts = _decoded(_read_text, [text for text, _, _ in cut])
        objects = _decoded(_read_object, [value for _, _, value in cut[: len(texts)]])
        return texts[: len(objects)], objects

    def _inner(self, pieces: Sequence[Piece], start: int) -> list[bytes]:
        """What lies between ``before`` and ``after``. This is done for every token of every stream."""
        found: list[bytes] = []
        padded = False
        for at in range(start, len(pieces), _GROUP):
            datas = [piece.data for piece in pieces[at : at + _GROUP]]
            inner = [] if padded else self._of_all(datas, self.after)
            if not inner and (inner := self._of_padded(datas)):
                padded = True
            found += inner or self._of_each(datas)
            if not inner:
                break
        return found

    def _of_all(self, datas: Sequence[bytes], after: bytes) -> list[bytes]:
        """The same for chunks that are compared in one go; nothing when one of them has another form."""
        before = self.before
        begin, end = len(before), -len(after) or None
        inner = [data[begin:end] for data in datas]
        return inner if before + (after + before).join(inner) + after == b"".join(datas) else []

    def _of_padded(self, datas: Sequence[bytes]) -> list[bytes]:
        """The same where blanks stand among the closing braces."""
        after = self.after.rstrip(_CLOSING)
        closing = self.after[len(after) :]
        said = [data.rstrip(_CLOSING) for data in datas]
        ends = [data[len(part) :] for data, part in zip(datas, said, strict=True)]
        is_closed = b",".join(ends).replace(b" ", b"") == b",".join([closing] * len(ends))
        return self._of_all(said, after) if is_closed else []

    def _of_each(self, datas: Sequence[bytes]) -> list[bytes]:
        """The same one by one, up to the first of another form."""
        before, after = self.before, self.after
        begin, end = len(before), -len(after)
        found = []
        for data in map(_unpadded, datas):
            if not (data.startswith(before) and data.endswith(after)):
                break
            found.append(data[begin:end])
        return found


def form_around(data: bytes, key: str, value: bytes = b"") -> Form | None:
    """What may be the form of a chunk: around the first text that is called so, and ``value`` behind it."""
    data = _unpadded(data)
    name = f'"{key}"'.encode()
    found = _STRING.match(data, at + len(name)) if (at := data.find(name)) >= 0 else None
    if found is None:
        return None
    begin, end = found.span(1)
    place = data.rfind(value, end) if value else end
    between, after = data[end:place], data[place + len(value) :]
    if place < 0 or not after:
        return None
    return Form(data[:begin], between, after)


class Runs:
    """Reads the runs of one stream, as long as that pays."""

    def __init__(self) -> None:
        self._patience = _PATIENCE

    def after(
        self, pieces: Sequence[Piece], place: int, form_of: Callable[[bytes], Form | None]
    ) -> tuple[list[str], list[dict[str, Any]]]:
        """The run that the chunk at ``place`` begins, without that chunk; ``form_of`` gives a form that holds."""
        if not self._patience or place + 1 == len(pieces):
            return [], []
        form = form_of(pieces[place].data)
        texts, objects = form.read(pieces, place + 1) if form else ([], [])
        self._patience -= len(texts) < _PAYING
        return texts, objects


def _unpadded(data: bytes) -> bytes:
    """Without blanks among the closing braces: some servers hide the length of a text by them."""
    said = data.rstrip(_CLOSING)
    return said + data[len(said) :].replace(b" ", b"")


def _decoded(decode: Callable[[bytes], Read], texts: Iterable[bytes]) -> list[Read]:
    """The values up to the first text that is not a single one."""
    values: list[Read] = []
    with suppress(*_REFUSALS):
        values.extend(map(decode, texts))  # what came before the one that is refused stays
    return values
