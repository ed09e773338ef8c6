"""Content codings undone: gzip, deflate, br, zstd, and stacks of them. No I/O.

Works on copies of bodies that have long been forwarded, so nothing here may fail a call: a body
that is cut, corrupt, too large or of an unknown coding yields what could be decoded and a note.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import brotli
import zstandard
from msgspec import Struct

_MOST_CODINGS = 4
_FORMAT_BYTES = 2  #: tell the two formats of deflate apart
_LARGEST_WINDOW = 32 << 20  # RFC 9659 asks zstd senders to stay within 8 MB


class Decoded(Struct, frozen=True, kw_only=True):
    """A body without its content codings."""

    data: bytes
    notes: tuple[str, ...] = ()
    complete: bool = True  #: nothing is missing at the end


def decode(body: bytes, content_encoding: str, limit_bytes: int) -> Decoded:
    """Undo the codings that a Content-Encoding header lists, last one first.

    ``limit_bytes`` bounds what each of them may expand to. Never raises on content.
    """
    codings = _listed(content_encoding)
    if len(codings) > _MOST_CODINGS:
        return Decoded(
            data=body, notes=(f"content-encoding: {len(codings)} codings, left as they are",), complete=False
        )
    notes: tuple[str, ...] = ()
    complete = True
    for name in reversed(codings) if body else ():
        if name not in _CODINGS:
            return Decoded(data=body, notes=(*notes, f"content-encoding: {name[:40]!r} is unknown"), complete=False)
        body, trouble = _expand(_CODINGS[name], body, limit_bytes)
        if trouble:
            notes = (*notes, f"{name}: {trouble}")
            complete = False
    return Decoded(data=body, notes=notes, complete=complete)


def encoded_offset(body: bytes, content_encoding: str, decoded_offset: int) -> int | None:
    """Where in the encoded ``body`` the first ``decoded_offset`` decoded bytes are at hand.

    None when it cannot be told: a stack of codings, an unknown one, a body that ends before.
    """
    codings = _listed(content_encoding)
    if not codings:
        return decoded_offset
    if len(codings) > 1 or codings[0] not in _CODINGS:
        return None
    coding = _CODINGS[codings[0]]
    expanded = before = good = 0
    try:
        for at, piece in _steps(coding.start(body), body, coding.step):
            if at > good:
                good, before = at, expanded
            expanded += len(piece)
            if expanded >= decoded_offset:
                break
    except _CORRUPT:
        pass  # what is wanted may still lie before the place that broke
    expanded = before
    for at, piece in _byte_by_byte(coding, body, good):
        expanded += len(piece)
        if expanded >= decoded_offset:
            return at + 1
    return None


def can_undo(content_encoding: str) -> bool:
    """Whether ``Undoing`` knows it: no coding, or a single one of ours."""
    codings = _listed(content_encoding)
    return not codings or (len(codings) == 1 and codings[0] in _CODINGS)


class Undoing:
    """A body that loses its content coding as it comes; for those that ``can_undo`` accepts."""

    def __init__(self, content_encoding: str) -> None:
        codings = _listed(content_encoding)
        self._coding = _CODINGS[codings[0]] if codings else _PLAIN
        self._stage: _Stage | None = None if codings else _Plain()
        self._begin = b""  #: what came, while it is too little to tell the format by

    @property
    def finished(self) -> bool:
        """Whether nothing is missing behind what came; a body without a byte misses nothing."""
        return not self._begin if self._stage is None else self._stage.finished

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take the next bytes; pieces of what they give, below 8 MB. Raises ValueError where the body is corrupt."""
        if self._stage is None:
            data, self._begin = self._begin + data, b""
            if len(data) < _FORMAT_BYTES:
                self._begin = data
                return
            self._stage = self._coding.start(data)
        try:
            for _, piece in _steps(self._stage, data, self._coding.step):
                yield piece
        except _CORRUPT as error:
            raise ValueError(str(error)) from error


def _listed(content_encoding: str) -> list[str]:
    names = (name.strip().lower() for name in content_encoding.split(","))
    return [name for name in names if name not in ("", "identity")]


# --- one coding ---------------------------------------------------------------------------------


class _Stage(Protocol):
    """An incremental decoder. Whoever takes its pieces stops when they are too many."""

    finished: bool

    def feed(self, data: bytes) -> Iterator[bytes]: ...


class _Plain:
    """No coding: every end is a regular one."""

    finished = True

    def feed(self, data: bytes) -> Iterator[bytes]:
        yield data


class _Coding(Struct, frozen=True):
    start: Callable[[bytes], _Stage]  #: makes a decoder for a body
    step: int  #: encoded bytes fed at once; bounds the size of a piece


class _Members:
    """A coding whose streams may follow one another: gzip members, zstd frames."""

    def __init__(self, new: Callable[[], Any]) -> None:
        self._new = new
        self._member = new()
        self.finished = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._member.eof:
                self._member = self._new()
            yield self._member.decompress(data)
            data = self._member.unused_data
        self.finished = self._member.eof


class _Brotli:
    def __init__(self) -> None:
        self._stream = brotli.Decompressor()
        self.finished = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        yield (piece := self._stream.process(data, output_buffer_limit=_BROTLI_PIECE))
        # All input can be taken while output still waits: only an empty piece says that none does.
        while piece or not self._stream.can_accept_more_data():
            yield (piece := self._stream.process(b"", output_buffer_limit=_BROTLI_PIECE))
        self.finished = self._stream.is_finished()


_BROTLI_PIECE = 1 << 20


def _gzip(_body: bytes) -> _Stage:
    return _Members(lambda: zlib.decompressobj(16 + zlib.MAX_WBITS))


def _deflate(body: bytes) -> _Stage:
    """RFC 9110 means zlib's format by deflate; some servers send the bare stream."""
    zlib_header = len(body) >= _FORMAT_BYTES and body[0] & 15 == 8 and int.from_bytes(body[:2], "big") % 31 == 0
    return _Members(lambda: zlib.decompressobj(zlib.MAX_WBITS if zlib_header else -zlib.MAX_WBITS))


def _brotli(_body: bytes) -> _Stage:
    return _Brotli()


def _zstd(_body: bytes) -> _Stage:
    return _Members(zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW).decompressobj)


# A byte of deflate can make 1 KB, four of zstd 128 KB: a piece stays below 8 MB.
_CODINGS = {
    "gzip": _Coding(_gzip, step=4096),
    "x-gzip": _Coding(_gzip, step=4096),
    "deflate": _Coding(_deflate, step=4096),
    "br": _Coding(_brotli, step=65_536),
    "zstd": _Coding(_zstd, step=256),
}
_PLAIN = _Coding(lambda _body: _Plain(), step=1 << 20)
_CORRUPT = (zlib.error, brotli.error, zstandard.ZstdError)


# --- running one coding ---------------------------------------------------------------------------


def _expand(coding: _Coding, body: bytes, limit: int) -> tuple[bytes, str | None]:
    """What ``body`` decodes to, and what was wrong with it."""
    stage = coding.start(body)
    pieces: list[bytes] = []
    size = good = kept = 0
    trouble = None
    try:
        for at, piece in _steps(stage, body, coding.step):
            if at > good:
                good, kept = at, len(pieces)
            pieces.append(piece)
            size += len(piece)
            if size > limit:
                return b"".join(pieces)[:limit], f"expands to more than {limit} bytes, the rest was left out"
        if not stage.finished:
            trouble = "cut short"
    except _CORRUPT as error:
        pieces[kept:] = [piece for _, piece in _byte_by_byte(coding, body, good)]
        trouble = f"corrupt: {error}"
    return b"".join(pieces)[:limit], trouble


def _steps(stage: _Stage, body: bytes, step: int, start: int = 0) -> Iterator[tuple[int, bytes]]:
    """Decode ``body`` from ``start`` on: (where a step began, a piece of what it gave)."""
    for at in range(start, len(body), step):
        for piece in stage.feed(body[at : at + step]):
            yield at, piece


def _byte_by_byte(coding: _Coding, body: bytes, start: int) -> Iterator[tuple[int, bytes]]:
    """The pieces from ``start`` on, a step's edge that is known to be reached; ends where decoding breaks."""
    stage = coding.start(body)
    for _ in _steps(stage, body[:start], coding.step):
        pass
    try:
        yield from _steps(stage, body, 1, start)
    except _CORRUPT:
        return
