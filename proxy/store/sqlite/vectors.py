"""Lists of numbers that stand in a text, kept as the floats that they were made of.

Embeddings are float32, and servers write them in one of two ways: as the shortest decimal of the
float32, or as that of the double it was turned into (Python, Go, JavaScript), which is twice as
long. Both are written again from the float32: the double as it is, the short one rounded to as
many decimals as it had. Numbers that were doubles stay doubles. Single numbers that a server
writes in a way of its own (``1e-05``, ``0``) are kept beside, as long as they are few. What does
not rebuild, and numbers of few digits, stay text.
"""

from __future__ import annotations

import re
import sys
from array import array
from collections.abc import Iterator
from typing import Annotated, Literal

import orjson
from msgspec import Meta, Struct

from .inlay import Inlay
from .mediatypes import FLOAT32, FLOAT64

WORTH_BYTES = 512  #: shorter lists stay text
WORTH_NUMBERS = 64
_WORTH_EACH = 10  # bytes of a number and its comma: fewer digits take less room as packed text
ALPHABET = b"0123456789+-.eE, \t\r\n"

_MOST_BYTES = 2 << 20  # of a list; while it is looked at, its numbers take ten times as much memory
_ODD_SHARE = 8  # at most one in so many may be kept beside
_MOST_SPACE = 64  # bytes between two numbers
_LONG = 16  # characters of a number that was a double
_LIST = re.compile(rb"[-+0-9.eE, \t\r\n]*+")
_COMMA = re.compile(rb"[ \t\r\n]*,[ \t\r\n]*")
_AROUND = b"+.eE, \t\r\n"
_POWERS = [float(10**decimals) for decimals in range(23)]  # those that a double holds exactly
_ROUND = 1.5 * 2**52  # what is added to this and taken away again has been rounded to an integer

Code = Literal["f", "d"]
_TYPES: dict[Code, str] = {"f": FLOAT32, "d": FLOAT64}


class Numbers(Struct, frozen=True, array_like=True, tag=2):
    """How a list was written."""

    code: Code
    separator: Annotated[bytes, Meta(max_length=_MOST_SPACE)]
    decimals: bytes = b""  #: of each number; none when it is the shortest decimal of the double
    odd: tuple[tuple[int, bytes], ...] = ()  #: numbers that are written in no such way, and their places

    def written(self, data: bytes) -> bytes:
        """The text that stood for the floats."""
        text = _text(_little_endian(array(self.code, data)), self.decimals)
        if not self.odd:
            return text.replace(b",", self.separator)
        numbers = text.split(b",")
        for place, number in self.odd:
            numbers[place] = number
        return self.separator.join(numbers)


def numbers_from(piece: bytes, start: int) -> tuple[list[Inlay], int]:
    """The list, if it is one, in the characters of numbers that begin at ``start``, and where they end."""
    match = _LIST.match(piece, start)
    end = match.end() if match else start
    if end - start > _MOST_BYTES:
        return [], end
    text = piece[start:end].lstrip(_AROUND)
    start = end - len(text)
    text = text.rstrip(_AROUND)
    inlay = _inlay(text, start) if len(text) >= WORTH_BYTES else None
    return [inlay] if inlay else [], end


def _inlay(text: bytes, start: int) -> Inlay | None:
    comma = _COMMA.search(text)
    separator = comma.group() if comma else b","
    numbers = text.replace(separator, b",")
    count = numbers.count(b",") + 1
    if count < WORTH_NUMBERS or len(numbers) < count * _WORTH_EACH or len(separator) > _MOST_SPACE:
        return None
    if numbers.replace(b",", separator) != text:
        return None
    try:
        values = array("d", orjson.loads(b"[%b]" % numbers))
    except (orjson.JSONDecodeError, OverflowError):
        return None
    for code, floats, decimals in _ways(values, numbers):
        odd = _odd(_text(floats, decimals), numbers)
        if len(odd) * _ODD_SHARE <= count:
            spelling = Numbers(code, separator, decimals, odd)
            return Inlay(start, start + len(text), _TYPES[code], _little_endian(floats).tobytes(), spelling)
    return None


def _ways(values: array[float], numbers: bytes) -> Iterator[tuple[Code, array[float], bytes]]:
    """Floats, and decimals of each number, that might give back the text; the best first."""
    singles = array("f", values)
    if singles.tolist() == values.tolist():
        yield "f", singles, b""
        return
    if numbers.find(b",") < _LONG:
        yield "f", singles, _decimals(numbers)
    yield "d", values, b""


def _decimals(numbers: bytes) -> bytes:
    found = [len(number.rpartition(b".")[2]) for number in numbers.split(b",")]
    return bytes(found if max(found) < len(_POWERS) else (min(decimals, len(_POWERS) - 1) for decimals in found))


def _odd(ours: bytes, theirs: bytes) -> tuple[tuple[int, bytes], ...]:
    if ours == theirs:
        return ()
    pairs = enumerate(zip(ours.split(b","), theirs.split(b","), strict=True))
    return tuple((place, their) for place, (our, their) in pairs if our != their)


def _text(floats: array[float], decimals: bytes) -> bytes:
    """The numbers in decimal, with nothing but commas between them."""
    values = floats.tolist()
    if decimals:
        powers = map(_POWERS.__getitem__, decimals)
        values = [(value * power + _ROUND - _ROUND) / power for value, power in zip(values, powers, strict=True)]
    return orjson.dumps(values)[1:-1]


def _little_endian(floats: array[float]) -> array[float]:
    """To the order of bytes that is stored, and back."""
    if sys.byteorder == "big":
        floats = floats[:]
        floats.byteswap()
    return floats
