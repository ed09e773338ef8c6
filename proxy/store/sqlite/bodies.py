"""Exchanges out of a body segment: byte for byte as they were written, or not at all.

Every piece that is read is hashed again, and so are their order and the record of the call: what
comes back is what went in, else ``DamagedError``.
"""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path

from msgspec import Struct

from ...bodies.digests import NOTHING, chained, digest, salt_of
from ...bodies.marks import Mark, with_marks
from ...records import Exchange
from .blob import LARGEST_BYTES, TEMPLATE, DamagedError, Unpacker
from .files import connect_reader, schema_version
from .layout import Body, CutBody, Names, exchange_of, layout_of, numbers_of, record_of, sealed, slices_of
from .lines import together
from .previews import Span, preview_of
from .queries import QUERIES
from .template import rebuilt

#: What reading a damaged file can raise; Python cannot even decode some of SQLite's messages about it.
UNREADABLE = (sqlite3.Error, DamagedError, OSError, TypeError, ValueError)
_VERSION = 3
_KEPT_BYTES = 4 << 20  #: of pieces that were read: the calls of a conversation have nearly all of theirs in common
_SOURCES = 7  # kept for the next parts; a piece with parts in it has at most 4 MB


class SegmentReader:
    """A body segment, open for reading. Methods raise one of ``UNREADABLE`` when it is damaged."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        version = schema_version(connection)
        if version != _VERSION:
            raise DamagedError(f"the segment has schema {version}, this llmtap reads {_VERSION}")
        row = connection.execute("SELECT secret FROM about").fetchone()
        if row is None:
            raise DamagedError("the segment has no secret")
        self._secret: bytes = row[0]
        self._unpacker = Unpacker(self._dictionary)
        self._read = _Read(connection)

    def close(self) -> None:
        """Close the file."""
        self.connection.close()

    def _dictionary(self, number: int) -> bytes:
        row = self.connection.execute(QUERIES["dictionary"], (number,)).fetchone()
        if row is None:
            raise DamagedError(f"dictionary {number} is missing")
        return bytes(row[0])

    def exchange(self, row_id: int, uuid: bytes) -> Exchange | None:
        """What was stored for a call; None when the segment does not hold it."""
        row = self.connection.execute(QUERIES["exchange"], (row_id,)).fetchone()
        if row is None:
            return None
        seal, enc, size, stored, placed = row
        packed = self._unpacker.unpack(enc, size, stored)
        record, layout = record_of(packed), layout_of(placed)
        salt = salt_of(self._secret, record.begin.project)
        pieces = _Pieces(self, self._unpacker, salt, self._read.of(salt))
        request, request_names = pieces.body(layout.request)
        response, response_names = pieces.body(layout.response)
        asked, answered = pieces.piece(layout.asked), pieces.piece(layout.answered)
        names, lines = (request_names, response_names), (asked.name, answered.name)
        if sealed(salt, uuid, packed, names, lines) != seal:
            raise DamagedError("its pieces do not belong together")
        headers = together(asked.data, record.asked), together(answered.data, record.answered)
        return exchange_of(record, uuid, (request, response), headers)

    def previews(self, row_id: int) -> tuple[str | None, str | None]:
        """First words of what was asked and answered; None where nothing was, or where they cannot be read."""
        row = self.connection.execute(QUERIES["exchange"], (row_id,)).fetchone()
        if row is None:
            return None, None
        _, enc, size, stored, placed = row
        spans = layout_of(placed).previews
        written: tuple[str | None, str | None] = (None, None)
        if True in spans:
            written = record_of(self._unpacker.unpack(enc, size, stored)).previews
        pieces = _Pieces(self, self._unpacker, None, self._read.of(b""))
        first, last = (
            pieces.text(span) if isinstance(span, Span) else text for span, text in zip(spans, written, strict=True)
        )
        return first, last


class _Kept:
    """Pieces of one project that were read before, as many as a bound allows."""

    def __init__(self) -> None:
        self._pieces: dict[int, _Piece] = {}
        self._room = _KEPT_BYTES

    def get(self, number: int) -> _Piece | None:
        """None when it was not read, or is not kept any more."""
        return self._pieces.get(number)

    def put(self, number: int, piece: _Piece) -> None:
        """Keep it; when there is no room, all others go."""
        size = len(piece.data) + _PIECE_BYTES
        if size > _KEPT_BYTES // 8:
            return
        if size > self._room:
            self._pieces.clear()
            self._room = _KEPT_BYTES
        self._pieces[number] = piece
        self._room -= size


class _Read:
    """What was read of a segment, until somebody writes to it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._version = 0
        self._salt: bytes | None = None
        self._kept = _Kept()

    def of(self, salt: bytes) -> _Kept:
        """That of the project which was asked for last."""
        version = self._connection.execute("PRAGMA data_version").fetchone()[0]
        if (version, salt) != (self._version, self._salt):
            self._version, self._salt, self._kept = version, salt, _Kept()
        return self._kept


class _Pieces:
    """The pieces of one project; without its salt, they are not proven."""

    def __init__(self, segment: SegmentReader, unpacker: Unpacker, salt: bytes | None, kept: _Kept) -> None:
        self.salt = salt
        self._kept = kept
        self._sources: dict[int, bytes] = {}
        self._segment = segment
        self._unpacker = unpacker

    def body(self, place: Body) -> tuple[bytes, Names]:
        """A body, and what its seal covers."""
        if not isinstance(place, CutBody):
            piece = self.piece(place)
            return piece.data, Names(piece.name)
        envelope = self.piece(place.envelope)
        values = [self.piece(number) for number in place.values]
        messages = [self.piece(number) for number in self._list(place.run, place.place)]
        marks = tuple([Mark(at, self.piece(number).data) for at, number in place.marks])
        bare = slices_of(
            envelope.data, [value.data for value in values], tuple([message.data for message in messages])
        ).joined()
        last = chained(NOTHING, [message.name for message in messages])
        names = Names(envelope.name, tuple([value.name for value in values]), last[-1] if last else NOTHING, marks)
        return with_marks(bare, marks), names

    def _list(self, run: int, place: int) -> list[int]:
        if not run:
            return []
        chain = self._segment.connection.execute(QUERIES["chain"], (run, place)).fetchall()
        if not chain or chain[-1][0]:
            raise DamagedError(f"the messages before run {run} are incomplete")
        return [number for _, count, msgs in reversed(chain) for number in numbers_of(msgs)[:count]]

    def text(self, span: Span) -> str | None:
        """First words."""
        data = self.piece(span.piece).data
        return preview_of(data[span.at : span.at + span.length])

    def piece(self, number: int, depth: int = 0) -> _Piece:
        """Bytes and digest of a piece; nothing for 0."""
        if not number:
            return _NOTHING
        known = self._kept.get(number)
        if known is not None:
            return known
        row = self._segment.connection.execute(QUERIES["message"], (number,)).fetchone()
        if row is None:
            raise DamagedError(f"message {number} is missing")
        name, enc, size, stored = row
        data = self._rebuilt(enc, size, stored, depth) if enc & TEMPLATE else self._unpacker.unpack(enc, size, stored)
        if self.salt is not None and digest(self.salt, data) != name:
            raise DamagedError(f"message {number} has changed since it was stored")
        piece = _Piece(data, name)
        self._kept.put(number, piece)
        return piece

    def _rebuilt(self, enc: int, size: int, stored: bytes, depth: int) -> bytes:
        template = self._unpacker.unpack_within(enc - TEMPLATE, min(size + (64 << 10), LARGEST_BYTES), stored)
        return rebuilt(
            template,
            blob=lambda number: self._blob(number, size),
            piece=lambda number: self._source(number, depth),
        )

    def _source(self, number: int, depth: int) -> bytes:
        """A piece that others are made of; several parts of one piece are often of the same."""
        if depth:
            raise DamagedError("a part of it is itself made of parts")
        if number not in self._sources:
            data = self.piece(number, depth + 1).data
            self._sources = {**dict(list(self._sources.items())[-_SOURCES:]), number: data}
        return self._sources[number]

    def _blob(self, blob: int, most: int = sys.maxsize) -> bytes:
        row = self._segment.connection.execute(QUERIES["blob"], (blob,)).fetchone()
        if row is None:
            raise DamagedError(f"blob {blob} is missing")
        name, enc, size, stored = row
        if size > most:
            raise DamagedError(f"blob {blob} is larger than what it is a part of")
        try:
            data = self._unpacker.unpack(enc, size, stored)
        except DamagedError as error:
            raise DamagedError(f"blob {blob}: {error}") from error
        if self.salt is not None and digest(self.salt, data) != name:
            raise DamagedError(f"blob {blob} has changed since it was stored")
        return data


_PIECE_BYTES = 200  #: what it takes besides its contents


class _Piece(Struct, frozen=True):
    """What a number stands for."""

    data: bytes
    name: bytes


_NOTHING = _Piece(b"", b"")


def open_segment(path: Path) -> SegmentReader:
    """Open a segment for reading. Raises one of ``UNREADABLE``."""
    connection = connect_reader(path)
    try:
        return SegmentReader(connection)
    except BaseException:
        connection.close()
        raise
