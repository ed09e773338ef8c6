"""Freeing a segment that one slow call pins: its frames move to a small copy, the rest goes.

The copy has the same first sequence and a salt of its own. It is complete and durable under its
final name before the original is removed; after a crash both may be there, and the reader takes
each sequence once. A disk that has no room for the copy keeps the original.
"""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from ..clock import wall_us
from ..journal.frame import (
    COMPACTED,
    FRAME_HEADER_SIZE,
    SEGMENT_HEADER_SIZE,
    SegmentHeader,
    encode_frame,
    encode_segment_header,
    segment_name,
)
from ..journal.reader import JournalReader, SegmentFile
from .assembly import OpenCall, Piece

log = logging.getLogger(__name__)
_WORTH_BYTES = 1 << 20  #: smaller segments are left alone
_WORTH_SHARE = 2  #: and those of which more than 1/2 is still needed


def compact(reader: JournalReader, segment: SegmentFile, open_calls: Iterable[OpenCall]) -> bool:
    """Replace ``segment`` by a copy that holds only what open calls need; False when it stays as it is.

    It stays when a copy is not worth it, and when the disk fails.
    """
    pieces = sorted((p for call in open_calls for p in call.pieces if p.segment is segment), key=lambda p: p.seq)
    needed = sum(piece.length + FRAME_HEADER_SIZE for piece in pieces)
    if segment.size < _WORTH_BYTES or needed * _WORTH_SHARE > segment.size:
        return False
    header = SegmentHeader(secrets.randbits(32), segment.first_seq, COMPACTED)
    path = segment.path.with_name(segment_name(header.first_seq, header.salt))
    temporary = path.with_suffix(".new")
    try:
        _write(temporary, header, pieces)
        temporary.rename(path)
    except OSError as error:
        log.warning("journal segment %s keeps its size: %s", segment.path.name, error.strerror)
        temporary.unlink(missing_ok=True)
        return False
    _repoint(pieces, reader.replace(segment, path, header.salt))
    return True


def _write(path: Path, header: SegmentHeader, pieces: Iterable[Piece]) -> None:
    """Raises OSError."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(encode_segment_header(header, wall_us()))
        file.writelines(encode_frame(header.salt, piece.seq, piece.kind, piece.read()) for piece in pieces)
        file.flush()
        os.fsync(file.fileno())


def _repoint(pieces: list[Piece], segment: SegmentFile) -> None:
    offset = SEGMENT_HEADER_SIZE
    for piece in pieces:
        piece.segment = segment
        piece.offset = offset + FRAME_HEADER_SIZE
        offset = piece.offset + piece.length
