"""A piece of a body without what stands elsewhere, and the way back. No I/O: blobs and pieces are known by their
numbers.

A piece that holds none is recognised in passing: windows in it are looked at, so far apart that no
inlay fits between two of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import chain

import msgspec
from msgspec import Struct

from . import media, vectors
from .blob import DamagedError
from .excerpts import Excerpt
from .inlay import Inlay
from .media import Base64
from .vectors import Numbers

WORTH_BYTES = vectors.WORTH_BYTES  #: a smaller piece holds no inlay
_STEP = WORTH_BYTES // 2
_WINDOW = rb"(?P<base64>[A-Za-z0-9+/_\\-]{48})|(?P<numbers>[-+0-9.eE, \t\r\n]{48})"
_window = re.compile(_WINDOW)
_plain = re.compile(rb"(?s:(?!%b).{%d})*+" % (_WINDOW, _STEP))


class Template(Struct, frozen=True, array_like=True):
    """``texts[0] + inlays[0] + texts[1] + …``; of an inlay its blob, or the piece it is from, and its spelling."""

    texts: tuple[bytes, ...]
    inlays: tuple[tuple[int, Base64 | Numbers | Excerpt], ...]


class Part(Struct, frozen=True):
    """``piece[start:stop]`` is what ``spelling`` makes of the blob or piece of this number."""

    start: int
    stop: int
    number: int
    spelling: Base64 | Numbers | Excerpt


_READERS = {"base64": (media.ALPHABET, media.base64_from), "numbers": (vectors.ALPHABET, vectors.numbers_from)}
_to_bytes = msgspec.msgpack.Encoder()
_to_template = msgspec.msgpack.Decoder(Template)


def inlays_of(piece: bytes) -> list[Inlay]:
    """All of a piece, in order."""
    found: list[Inlay] = []
    end = 0
    while window := _window.match(piece, _end_of_plain(piece, end)):
        before = piece[max(end, window.start() - _STEP) : window.start()]
        alphabet, read = _READERS[window.lastgroup or ""]
        inlays, end = read(piece, window.start() - len(before) + len(before.rstrip(alphabet)))
        found += inlays
    return found


def _end_of_plain(piece: bytes, start: int) -> int:
    match = _plain.match(piece, start)
    return match.end() if match else start


def template_bytes(piece: bytes, parts: Sequence[Part]) -> bytes:
    """What is stored for a piece when these parts of it, in their order, are stored elsewhere."""
    stops = [0, *(part.stop for part in parts)]
    starts = [*(part.start for part in parts), len(piece)]
    texts = tuple(piece[stop:start] for stop, start in zip(stops, starts, strict=True))
    return _to_bytes.encode((texts, tuple((part.number, part.spelling) for part in parts)))


def rebuilt(template: bytes, blob: Callable[[int], bytes], piece: Callable[[int], bytes]) -> bytes:
    """The piece. Raises ``DamagedError``, and what ``blob`` and ``piece`` raise."""
    try:
        first, *texts = (found := _to_template.decode(template)).texts
        inlays = (
            spelling.written((piece if isinstance(spelling, Excerpt) else blob)(number))
            for number, spelling in found.inlays
        )
        return b"".join((first, *chain.from_iterable(zip(inlays, texts, strict=True))))
    except (msgspec.MsgspecError, ArithmeticError, LookupError, ValueError) as error:
        raise DamagedError(f"its template cannot be read: {error}") from error
