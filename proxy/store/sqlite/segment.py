"""Writing a body segment: every piece once, as far as memory remembers it.

Deduplication is kept in bounded memory, never looked up on disk: a piece that was forgotten
is stored again and costs its bytes, nothing else.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from ...bodies.cut import Cut, cut, uncut
from ...bodies.digests import NOTHING, chained, digest, salt_of
from ...errors import StoreError
from ...records import Exchange
from .blob import LARGEST_BYTES, RAW, TEMPLATE, Packer, trained
from .excerpts import Excerpts
from .files import connect_writer, schema_version, sync_directory, transaction
from .inlay import Inlay
from .layout import (
    Body,
    CutBody,
    Layout,
    Names,
    Preview,
    envelope_bytes,
    layout_bytes,
    names_of,
    numbers_of,
    record_bytes,
    run_bytes,
    sealed,
)
from .lines import Lines
from .mediatypes import is_dense
from .previews import Span, span_of
from .queries import QUERIES
from .recent import Recent
from .template import Part, inlays_of, template_bytes

VERSION = 3
_SCHEMA = Path(__file__).with_name("segment.sql")
MEMORY_BYTES = 64 << 20  #: for the four dicts, both generations
_ENTRY_BYTES = 240  # of one entry, key and value, measured
_PENDING_BYTES = 8 << 20  # rows waiting for their insert
_SAMPLES_BYTES = (1 << 20, 4 << 20)  # that a first dictionary is trained on, and a second one
_SAMPLE_BYTES = 32 << 10  # of one piece
_PAGE_BYTES = 16384  # less is lost at the ends of pages
_SEARCHED = 4  # last messages, for the first words of what was asked


class OlderSegment(Exception):
    """A segment of an earlier llmtap: it is read, but nothing is added to it."""


class Entry(Struct, frozen=True):
    """A call's bodies, about to be stored."""

    row_id: int
    uuid: bytes
    exchange: Exchange
    request: Cut | None = None  #: its request's body, when that was cut already
    previews: tuple[str | None, str | None] = (None, None)  #: first words of what was asked and answered


class SegmentWriter:
    """The segment that bodies are being added to. After an exception it is of no more use: close it.

    ``secret`` goes into every digest. Dictionaries are of a segment's own traffic: one that was handed on would
    keep words of bodies that are gone.
    """

    def __init__(self, path: Path, secret: bytes, memory_bytes: int = MEMORY_BYTES) -> None:
        self.path = path
        self._most = memory_bytes // _ENTRY_BYTES // 8
        self._connection = connect_writer(path, _PAGE_BYTES)
        try:
            self._prepare(secret)
            self._inode = path.stat().st_ino
            last: tuple[int, int, int] = self._connection.execute(QUERIES["last_ids"]).fetchone()
            self._msg, self._run, self._blob = last
            self._messages: Recent[bytes, int] = Recent(self._most)
            self._runs: Recent[bytes, tuple[int, int]] = Recent(self._most)  # of lists of messages: run and place
            self._blobs: Recent[bytes, int] = Recent(self._most)
            self._excerpts = Excerpts(self._most)
            self._lines = Lines()
            self._remember()
            self._load_dictionary()
        except BaseException:
            self._connection.close()
            raise
        self._secret = secret
        self._salts: dict[str, bytes] = {}
        self._pending: dict[str, list[tuple[Any, ...]]] = {
            "add_blob": [],
            "add_message": [],
            "add_run": [],
            "add_exchange": [],
        }
        self._pending_bytes = 0

    # --- the file ---------------------------------------------------------------------------------

    def _prepare(self, secret: bytes) -> None:
        version = schema_version(self._connection)
        if version > VERSION:
            raise StoreError(f"{self.path} was written by a newer llmtap (schema {version}): upgrade llmtap")
        if 0 < version < VERSION:
            raise OlderSegment(f"{self.path} has schema {version}")
        if version == 0:
            script = f"BEGIN IMMEDIATE;{_SCHEMA.read_text('utf-8')}"
            self._connection.executescript(script)
            self._connection.execute("INSERT INTO about (one, secret) VALUES (1, ?)", (secret,))
            self._connection.execute("COMMIT")
            sync_directory(self.path.parent)
        if self._connection.execute("SELECT secret FROM about").fetchone()[0] != secret:
            raise OlderSegment(f"{self.path} is of another store")

    def _load_dictionary(self) -> None:
        number, data = self._connection.execute(QUERIES["last_dictionary"]).fetchone() or (0, b"")
        self._packer = Packer(number, data)
        self._samples: list[bytes] = []
        self._samples_bytes = 0
        self._wanted_bytes = _SAMPLES_BYTES[number] if number < len(_SAMPLES_BYTES) else 0

    def _remember(self) -> None:
        names: dict[int, bytes] = {}
        for statement, memory in (("newest_blobs", self._blobs), ("newest_messages", self._messages)):
            newest = self._connection.execute(QUERIES[statement], (self._most,)).fetchall()
            names = {number: name for name, number in reversed(newest)}
            for number, name in names.items():
                memory[name] = number
        lists: dict[tuple[int, int], bytes] = {(0, 0): NOTHING}
        runs = self._connection.execute(QUERIES["newest_runs"], (self._most,)).fetchall()
        for run, parent, place, msgs in reversed(runs):
            numbers = numbers_of(msgs)
            before = lists.get((parent, place))
            if before is not None and all(number in names for number in numbers):  # else they are too old
                for count, chain in enumerate(chained(before, [names[number] for number in numbers]), 1):
                    lists[run, count] = chain
                    self._runs[chain] = run, count

    def in_place(self) -> bool:
        """Whether the file is still the one at its path: it may have been deleted under us."""
        try:
            return self.path.stat().st_ino == self._inode
        except OSError:
            return False

    def size(self) -> int:
        """Bytes of the file, without its WAL."""
        return self.path.stat().st_size

    def close(self) -> None:
        """Close the file; its WAL is folded in."""
        self._connection.close()

    # --- exchanges --------------------------------------------------------------------------------

    def write(self, entries: Sequence[Entry]) -> None:
        """Add exchanges, durably and all or nothing."""
        with transaction(self._connection):
            for entry in entries:
                self._add(entry)
            self._flush()
            if self._samples_bytes > self._wanted_bytes > 0:
                self._train()

    def _train(self) -> None:
        """Pack with what has come so far from now on."""
        if dictionary := trained(self._samples):
            self._connection.execute(QUERIES["add_dictionary"], (dictionary,))
            self._load_dictionary()
        else:
            self._samples, self._wanted_bytes = [], 0

    def _add(self, entry: Entry) -> None:
        exchange = entry.exchange
        salt = self._salt(exchange.begin.project)
        asking = self._known(salt, entry)
        request, request_names = self._placed(salt, asking)
        response, response_names = self._placed(salt, uncut(exchange.response_body, salt))
        asked, values = self._lines.parted(exchange.begin.headers)
        answered, answer_values = self._lines.parted(exchange.head.headers if exchange.head else ())
        lines = self._piece(salt, asked), self._piece(salt, answered)
        spans = self._spans(entry, asking, response)
        record = record_bytes(exchange, values, answer_values, _left(entry.previews, spans))
        self._sample(record)
        bodies = request_names, response_names
        seal = sealed(salt, entry.uuid, record, bodies, (lines[0][1], lines[1][1]))
        layout = layout_bytes(Layout(request, response, lines[0][0], lines[1][0], spans, self._msg))
        row = (entry.row_id, seal, *self._packed(record), layout)
        self._queue("add_exchange", row, len(row[4]))

    def _spans(self, entry: Entry, asking: Cut, response: Body) -> tuple[Preview, Preview]:
        """Where the first words of a call stand in its pieces."""
        first, last = entry.previews
        answer = entry.exchange.response_body
        return (
            None if first is None else self._span_in(first, asking) or True,
            None if last is None else (isinstance(response, int) and span_of(last, response, answer)) or True,
        )

    def _span_in(self, preview: str, asking: Cut) -> Span | None:
        parts = asking.slices
        if not parts.values:
            number = self._messages.get(asking.whole)
            return None if number is None else span_of(preview, number, parts.literals[0])
        pieces = zip(asking.names[-_SEARCHED:], parts.messages[-_SEARCHED:], strict=True)
        for name, message in reversed(list(pieces)):
            number = self._messages.get(name)
            if number is not None and (span := span_of(preview, number, message)):
                return span
        return None

    def _salt(self, project: str) -> bytes:
        salt = self._salts.get(project)
        if salt is None:
            self._salts = {**dict(list(self._salts.items())[-1000:]), project: salt_of(self._secret, project)}
            salt = self._salts[project]
        return salt

    def _known(self, salt: bytes, entry: Entry) -> Cut:
        """The request's pieces; all of them when those that it leaves out are not in this segment."""
        found = entry.request
        if found is None or (found.known and self._runs.get(found.history) is None):
            return cut(entry.exchange.request_body, salt)
        return found

    def _placed(self, salt: bytes, body: Cut) -> tuple[Body, Names]:
        """Where the pieces of a body lie now, and what its seal covers."""
        parts = body.slices
        if not parts.values:
            data = parts.literals[0]
            return self._message(salt, body.whole, data) if data else 0, names_of(body, body.whole)
        envelope, name = self._piece(salt, envelope_bytes(parts))
        datas = (value.data for value in parts.values if value)
        values = tuple([self._message(salt, *value) for value in zip(body.values, datas, strict=True)])
        marks = tuple([(mark.at, self._piece(salt, mark.data)[0]) for mark in body.marks])
        return CutBody(envelope, *self._list(salt, body), values, marks), names_of(body, name)

    def _piece(self, salt: bytes, data: bytes) -> tuple[int, bytes]:
        """Number and digest of bytes that are stored now; 0 for nothing."""
        if not data:
            return 0, b""
        name = digest(salt, data)
        return self._message(salt, name, data), name

    def _list(self, salt: bytes, body: Cut) -> tuple[int, int]:
        """The run of a body's last message, and its place there."""
        at, new = self._runs.get(body.history) or (0, 0), 0
        for new, chain in enumerate(body.chain):  # noqa: B007
            known = self._runs.get(chain)
            if known is None:
                break
            at = known
        else:
            return at
        pieces = zip(body.names[new:], body.slices.messages[new:], strict=True)
        msgs = [self._message(salt, name, message) for name, message in pieces]
        self._run += 1
        for place, chain in enumerate(body.chain[new:], 1):
            self._runs[chain] = self._run, place
        packed = run_bytes(msgs)
        self._queue("add_run", (self._run, *at, packed), len(packed))
        return self._run, len(msgs)

    # --- pieces -----------------------------------------------------------------------------------

    def _message(self, salt: bytes, name: bytes, data: bytes) -> int:
        """Number of a piece that is stored now."""
        known = self._messages.get(name)
        if known is not None:
            return known
        if len(data) > LARGEST_BYTES:
            raise ValueError(f"a piece of {len(data)} bytes is too large to be stored")
        self._msg += 1
        self._messages[name] = number = self._msg
        self._sample(data)
        row = (number, name, *self._without_parts(salt, number, data))
        self._queue("add_message", row, len(row[4]))
        return number

    def _without_parts(self, salt: bytes, number: int, data: bytes) -> tuple[int, int, bytes]:
        """Encoding, size and stored bytes of a piece: what stands elsewhere, or is stored as a blob, is left out."""
        found = self._excerpts.of(number, data, lambda text: digest(salt, text))
        excerpts = [Part(each.start, each.stop, each.place.piece, each.excerpt) for each in found]
        inlays = [inlay for inlay in inlays_of(data) if not _within(inlay, excerpts)]
        blobs = [Part(each.start, each.stop, self._stored_blob(salt, each), each.spelling) for each in inlays]  # type: ignore[arg-type]
        parts = sorted((*excerpts, *blobs), key=lambda part: part.start)
        if not parts:
            return self._packed(data)
        enc, _, stored = self._packed(template_bytes(data, parts))
        return enc + TEMPLATE, len(data), stored

    def _packed(self, data: bytes) -> tuple[int, int, bytes]:
        enc, stored = self._packer.pack(data)
        return enc, len(data), stored

    def _sample(self, data: bytes) -> None:
        if self._wanted_bytes:
            self._samples.append(data[:_SAMPLE_BYTES])
            self._samples_bytes += len(self._samples[-1])

    def _stored_blob(self, salt: bytes, inlay: Inlay) -> int:
        """Number of a blob that is stored now."""
        name = digest(salt, inlay.data)
        known = self._blobs.get(name)
        if known is not None:
            return known
        self._blob += 1
        self._blobs[name] = self._blob
        packed = (RAW, len(inlay.data), inlay.data) if is_dense(inlay.media_type) else self._packed(inlay.data)
        self._queue("add_blob", (self._blob, name, inlay.media_type, *packed), len(packed[2]))
        return self._blob

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


def _left(previews: tuple[str | None, str | None], spans: tuple[Preview, Preview]) -> tuple[str | None, str | None]:
    """First words that have to be written down."""
    first, last = (preview if span is True else None for preview, span in zip(previews, spans, strict=True))
    return first, last


def _within(inlay: Inlay, parts: Sequence[Part]) -> bool:
    return any(part.start < inlay.stop and inlay.start < part.stop for part in parts)


def is_damage(error: BaseException) -> bool:
    """Whether the file itself is bad, so that trying again cannot help."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return isinstance(error, UnicodeDecodeError) or code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
