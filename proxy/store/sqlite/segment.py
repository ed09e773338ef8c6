"""Writing a body segment: every message once, as far as memory remembers it.

Deduplication is kept in bounded memory, never looked up on disk: a message that was forgotten
is stored again and costs its bytes, nothing else.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...errors import StoreError
from ...records import Exchange
from .blob import RAW, TEMPLATE, pack
from .bodies import Layout, record_bytes, salted_hash, seal
from .files import connect_writer, schema_version, sync_directory, transaction
from .inlay import Inlay
from .mediatypes import is_dense
from .queries import QUERIES
from .recent import Recent
from .slices import Slices, cut, whole
from .template import inlays_of, template_bytes

VERSION = 2
_SCHEMA = Path(__file__).with_name("segment.sql")
_MEMORY_BYTES = 48 << 20  # for the three dicts, both generations
_ENTRY_BYTES = 240  # of one entry, key and value, measured
_REMEMBERED = _MEMORY_BYTES // _ENTRY_BYTES // 6
_PENDING_BYTES = 8 << 20  # rows waiting for their insert


class OlderSegment(Exception):
    """A segment of an earlier llmtap: it is read, but nothing is added to it."""


class SegmentWriter:
    """The segment that bodies are being added to. After an exception it is of no more use: close it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection = connect_writer(path)
        try:
            self._salt = self._prepared()
            self._inode = path.stat().st_ino
            last: tuple[int, int, int, int] = self._connection.execute(QUERIES["last_ids"]).fetchone()
            self._msg, self._node, self._exchange, self._blob = last
            self._messages: Recent[bytes, int] = Recent(_REMEMBERED)
            self._nodes: Recent[int, int] = Recent(_REMEMBERED)
            self._blobs: Recent[bytes, int] = Recent(_REMEMBERED)
            self._remember()
        except BaseException:
            self._connection.close()
            raise
        self._pending: dict[str, list[tuple[Any, ...]]] = {
            "add_blob": [],
            "add_message": [],
            "add_node": [],
            "add_exchange": [],
        }
        self._pending_bytes = 0

    def _prepared(self) -> bytes:
        version = schema_version(self._connection)
        if version > VERSION:
            raise StoreError(f"{self.path} was written by a newer llmtap (schema {version}): upgrade llmtap")
        if 0 < version < VERSION:
            raise OlderSegment(f"{self.path} has schema {version}")
        if version == 0:
            script = f"BEGIN IMMEDIATE;{_SCHEMA.read_text('utf-8')}"
            self._connection.executescript(script)
            self._connection.execute("INSERT INTO about (one, salt) VALUES (1, ?)", (os.urandom(16),))
            self._connection.execute("COMMIT")
            sync_directory(self.path.parent)
        salt: bytes = self._connection.execute("SELECT salt FROM about").fetchone()[0]
        return salt

    def _remember(self) -> None:
        for statement, memory in (("newest_messages", self._messages), ("newest_blobs", self._blobs)):
            newest = self._connection.execute(QUERIES[statement], (_REMEMBERED,)).fetchall()
            for digest, number in reversed(newest):
                memory[digest] = number
        nodes = self._connection.execute(QUERIES["newest_nodes"], (_REMEMBERED,)).fetchall()
        for parent, msg, node in reversed(nodes):
            self._nodes[parent << 40 | msg] = node

    def in_place(self) -> bool:
        """Whether the file is still the one at its path: it may have been deleted under us."""
        try:
            return self.path.stat().st_ino == self._inode
        except OSError:
            return False

    def close(self) -> None:
        """Close the file; its WAL is folded in."""
        self._connection.close()

    def write(self, entries: Sequence[tuple[bytes, Exchange]]) -> list[int]:
        """Add (uuid, exchange) pairs, durably and all or nothing; their row ids."""
        with transaction(self._connection):
            ids = [self._add(uuid, exchange) for uuid, exchange in entries]
            self._flush()
        return ids

    def _add(self, uuid: bytes, exchange: Exchange) -> int:
        request, request_hashes = self._placed(cut(exchange.request_body))
        response, response_hashes = self._placed(whole(exchange.response_body))
        record = record_bytes(exchange)
        sealed = seal(self._salt, uuid, record, request_hashes, response_hashes)
        enc, stored = pack(record)
        self._exchange += 1
        places = (*_columns(request), *_columns(response))
        self._queue("add_exchange", (self._exchange, uuid, sealed, enc, len(record), stored, *places), len(stored))
        return self._exchange

    def _placed(self, slices: Slices) -> tuple[Layout, tuple[bytes, list[bytes]]]:
        """Where the pieces of a body lie now, and what its seal covers."""
        head, *items, tail = (self._message(data) for data in (slices.head, *slices.items, slices.tail))
        node = 0
        for msg, _ in items:
            node = self._child(node, msg)
        hashes = [digest for _, digest in (head, *items, tail)]
        return Layout(head[0], node, tail[0], slices.separator or None), (slices.separator, hashes)

    def _message(self, data: bytes) -> tuple[int, bytes]:
        """Number and hash of a message that is stored now; 0 for nothing."""
        if not data:
            return 0, b""
        digest = salted_hash(self._salt, data)
        known = self._messages.get(digest)
        if known is not None:
            return known, digest
        self._msg += 1
        self._messages[digest] = self._msg
        enc, stored = self._without_inlays(data)
        self._queue("add_message", (self._msg, digest, enc, len(data), stored), len(stored))
        return self._msg, digest

    def _without_inlays(self, data: bytes) -> tuple[int, bytes]:
        """Encoding and bytes of a message whose media and vectors are stored as blobs."""
        inlays = inlays_of(data)
        if not inlays:
            return pack(data)
        enc, stored = pack(template_bytes(data, inlays, [self._stored_blob(inlay) for inlay in inlays]))
        return enc + TEMPLATE, stored

    def _stored_blob(self, inlay: Inlay) -> int:
        """Number of a blob that is stored now."""
        digest = salted_hash(self._salt, inlay.data)
        known = self._blobs.get(digest)
        if known is not None:
            return known
        self._blob += 1
        self._blobs[digest] = self._blob
        enc, stored = (RAW, inlay.data) if is_dense(inlay.media_type) else pack(inlay.data)
        row = (self._blob, digest, inlay.media_type, enc, len(inlay.data), stored)
        self._queue("add_blob", row, len(stored))
        return self._blob

    def _child(self, parent: int, msg: int) -> int:
        key = parent << 40 | msg
        known = self._nodes.get(key)
        if known is not None:
            return known
        self._node += 1
        self._nodes[key] = self._node
        self._queue("add_node", (self._node, parent, msg), 0)
        return self._node

    def _queue(self, statement: str, row: tuple[Any, ...], size: int) -> None:
        self._pending[statement].append(row)
        self._pending_bytes += size + 200
        if self._pending_bytes > _PENDING_BYTES:
            self._flush()

    def _flush(self) -> None:
        for statement, rows in self._pending.items():
            self._connection.executemany(QUERIES[statement], rows)
            rows.clear()
        self._pending_bytes = 0


def _columns(layout: Layout) -> tuple[int, int, int, bytes | None]:
    return layout.head, layout.node, layout.tail, layout.separator


def is_damage(error: BaseException) -> bool:
    """Whether the file itself is bad, so that trying again cannot help."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return isinstance(error, UnicodeDecodeError) or code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
