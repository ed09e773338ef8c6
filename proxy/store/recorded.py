"""What journals hold now of calls that have ended and of what was said, and whether it is stored: for those who wait.

Looks at journals beside the ingest that reads them, and changes nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from pathlib import Path

from msgspec import Struct

from ..journal.frame import Frame, Kind, parse_segment_name
from ..journal.reader import SegmentFile
from .base import Reader

JOURNALS = "journal"


class Awaited(Struct, frozen=True):
    """The records that one journal held when it was looked at."""

    path: Path
    seqs: frozenset[int]


def ended(data_dir: Path, kinds: Collection[Kind] = (Kind.END,)) -> list[Awaited]:
    """The ends in all journals, stored or not; or other kinds of records."""
    with contextlib.suppress(FileNotFoundError):
        return [
            Awaited(path, frozenset(_seqs(path, kinds)))
            for path in sorted((data_dir / JOURNALS).iterdir())
            if path.is_dir() and not path.name.startswith(".")
        ]
    return []


async def unstored(reader: Reader, awaited: list[Awaited]) -> int:
    """How many of these are not stored yet."""
    positions = await reader.positions()
    missing = 0
    for each in awaited:
        position = positions.get(each.path.name)
        low_seq = position.low_seq if position else 0
        left = {seq for seq in each.seqs if seq >= low_seq}
        if left and each.path.exists():  # a journal that is stored to its end is removed
            missing += len(left - await reader.stored_seqs(each.path.name, min(left)))
    return missing


def _seqs(directory: Path, kinds: Collection[Kind]) -> Iterator[int]:
    for path in sorted(directory.glob("*.seg")):
        named = parse_segment_name(path.name)
        if named is None:
            continue
        with contextlib.suppress(FileNotFoundError):  # stored and removed meanwhile
            segment = SegmentFile(path, *named)
            try:
                yield from _seqs_of(segment, kinds)
            finally:
                segment.close()


def _seqs_of(segment: SegmentFile, kinds: Collection[Kind]) -> Iterator[int]:
    before = -1
    while segment.offset > before:
        before = segment.offset
        for item in segment.scan(sealed=False):
            if isinstance(item, Frame) and item.kind in kinds:
                yield item.seq
