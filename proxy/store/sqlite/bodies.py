"""Exchanges in a body segment: written once, read back byte for byte, or not at all.

Every message read is hashed again, and so are their order and the record of the call: what
comes back is what went in, else ``DamagedError``.
"""

from __future__ import annotations

import hashlib
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from ...records import Begin, End, Exchange, Head
from .blob import TEMPLATE, DamagedError, unpack, unpack_within
from .files import connect_reader, schema_version
from .queries import QUERIES
from .slices import Slices
from .template import rebuilt

#: What reading a damaged file can raise; Python cannot even decode some of SQLite's messages about it.
UNREADABLE = (sqlite3.Error, DamagedError, OSError, TypeError, ValueError)
_BLOBS_SINCE = 2  # version of a segment
HASH_BYTES = 16
SEAL_BYTES = 8
Marks = tuple[tuple[int, int], ...]


class Record(Struct, frozen=True, array_like=True):
    """All of an exchange but its bodies. Fields are only ever appended, with defaults."""

    begin: Begin
    head: Head | None
    end: End | None
    marks: tuple[int, ...]  #: offset, time, offset, time…, each less the one before: small numbers pack well
    holes: bool


class Layout(Struct, frozen=True):
    """Where the pieces of one body lie; 0 means that there is none. The order is that of the columns."""

    head: int
    node: int
    tail: int
    separator: bytes | None


_to_bytes = msgspec.msgpack.Encoder()
_to_record = msgspec.msgpack.Decoder(Record)


def record_bytes(exchange: Exchange) -> bytes:
    """All of an exchange but its bodies, for ``exchange.record``."""
    return _to_bytes.encode(
        Record(exchange.begin, exchange.head, exchange.end, _differences(exchange.marks), exchange.holes)
    )


def _differences(marks: Marks) -> tuple[int, ...]:
    flat: list[int] = []
    before = (0, 0)
    for mark in marks:
        flat += (mark[0] - before[0], mark[1] - before[1])
        before = mark
    return tuple(flat)


def _marks(flat: tuple[int, ...]) -> Marks:
    marks: list[tuple[int, int]] = []
    offset = time = 0
    for index in range(0, len(flat) - 1, 2):
        offset, time = offset + flat[index], time + flat[index + 1]
        marks.append((offset, time))
    return tuple(marks)


def salted_hash(salt: bytes, data: bytes) -> bytes:
    """The name of a message within its segment."""
    digest = hashlib.sha256(salt)
    digest.update(data)
    return digest.digest()[:HASH_BYTES]


def seal(salt: bytes, uuid: bytes, record: bytes, *bodies: tuple[bytes, list[bytes]]) -> bytes:
    """Shows whether an exchange was put together wrongly: covers the separator and the hashes of each body."""
    return salted_hash(salt, _to_bytes.encode((uuid, record, bodies)))[:SEAL_BYTES]


class SegmentReader:
    """A body segment, open for reading. Methods raise one of ``UNREADABLE`` when it is damaged."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        row = connection.execute("SELECT salt FROM about").fetchone()
        if row is None:
            raise DamagedError("the segment has no salt")
        self._salt: bytes = row[0]

    def close(self) -> None:
        """Close the file."""
        self.connection.close()

    def damaged_blobs(self) -> Iterator[str]:
        """One sentence for each blob that cannot be given back."""
        try:
            blobs = self._blobs()
        except UNREADABLE as error:
            yield f"its blobs cannot be listed: {error}"
            return
        for blob in blobs:
            try:
                self._blob(blob)
            except DamagedError as error:
                yield str(error)
            except UNREADABLE as error:
                yield f"blob {blob} cannot be read: {error}"

    def _blobs(self) -> list[int]:
        if schema_version(self.connection) < _BLOBS_SINCE:
            return []
        return [blob for (blob,) in self.connection.execute(QUERIES["blob_ids"])]

    def exchange(self, row_id: int, uuid: bytes) -> Exchange | None:
        """What was stored for a call; None when the segment does not hold it."""
        row = self.connection.execute(QUERIES["exchange"], (row_id, uuid)).fetchone()
        if row is None:
            return None
        record = unpack(*row[1:4])
        request = self._body(Layout(*row[4:8]))
        response = self._body(Layout(*row[8:12]))
        if seal(self._salt, uuid, record, request.hashes, response.hashes) != row[0]:
            raise DamagedError("its pieces do not belong together")
        return _exchange(record, request.slices.joined(), response.slices.joined())

    def _body(self, layout: Layout) -> _Body:
        head, tail = self._message(layout.head), self._message(layout.tail)
        items = [self._message(msg) for msg in self._chain(layout.node)]
        separator = layout.separator or b""
        return _Body(
            Slices(head[0], tuple(data for data, _ in items), separator, tail[0]),
            (separator, [digest for _, digest in (head, *items, tail)]),
        )

    def _chain(self, node: int) -> list[int]:
        if not node:
            return []
        chain = self.connection.execute(QUERIES["chain"], (node,)).fetchall()
        if not chain or chain[-1][0]:
            raise DamagedError(f"the messages before node {node} are incomplete")
        return [msg for _, msg in reversed(chain)]

    def _message(self, msg: int) -> tuple[bytes, bytes]:
        """Bytes and hash of a message; nothing for 0."""
        if not msg:
            return b"", b""
        row = self.connection.execute(QUERIES["message"], (msg,)).fetchone()
        if row is None:
            raise DamagedError(f"message {msg} is missing")
        digest, enc, size, stored = row
        data = self._rebuilt(enc, size, stored) if enc & TEMPLATE else unpack(enc, size, stored)
        if salted_hash(self._salt, data) != digest:
            raise DamagedError(f"message {msg} has changed since it was stored")
        return data, digest

    def _rebuilt(self, enc: int, size: int, stored: bytes) -> bytes:
        return rebuilt(unpack_within(enc - TEMPLATE, size, stored), lambda blob: self._blob(blob, size))

    def _blob(self, blob: int, most: int = sys.maxsize) -> bytes:
        row = self.connection.execute(QUERIES["blob"], (blob,)).fetchone()
        if row is None:
            raise DamagedError(f"blob {blob} is missing")
        digest, enc, size, stored = row
        if size > most:
            raise DamagedError(f"blob {blob} is larger than what it is a part of")
        try:
            data = unpack(enc, size, stored)
        except DamagedError as error:
            raise DamagedError(f"blob {blob}: {error}") from error
        if salted_hash(self._salt, data) != digest:
            raise DamagedError(f"blob {blob} has changed since it was stored")
        return data


class _Body(Struct, frozen=True):
    """One body as it was found, and what its seal covers."""

    slices: Slices
    hashes: tuple[bytes, list[bytes]]


def _exchange(packed: bytes, request_body: bytes, response_body: bytes) -> Exchange:
    try:
        record = _to_record.decode(packed)
    except msgspec.MsgspecError as error:
        raise DamagedError(f"its record cannot be read: {error}") from error
    return Exchange(
        begin=record.begin,
        head=record.head,
        end=record.end,
        request_body=request_body,
        response_body=response_body,
        marks=_marks(record.marks),
        holes=record.holes,
    )


def open_segment(path: Path) -> SegmentReader:
    """Open a segment for reading. Raises one of ``UNREADABLE``."""
    connection = connect_reader(path)
    try:
        return SegmentReader(connection)
    except BaseException:
        connection.close()
        raise
