"""Which calls have ended by what journals hold now, and whether they are stored: for those who wait for it.

Looks at journals beside the ingest that reads them, and changes nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from ..journal.frame import Frame, Kind, parse_segment_name
from ..journal.reader import SegmentFile
from ..store.base import Reader

JOURNALS = "journal"


class Awaited(Struct, frozen=True):
    """The ends that one journal held when it was looked at."""

    path: Path
    seqs: frozenset[int]


def ended(data_dir: Path) -> list[Awaited]:
    """The ends in all journals, stored or not."""
    with contextlib.suppress(FileNotFoundError):
        return [
            Awaited(path, frozenset(_ends(path)))
            for path in sorted((data_dir / JOURNALS).iterdir())
            if path.is_dir() and not path.name.startswith(".")
        ]
    return []


async def unstored(reader: Reader, awaited: list[Awaited]) -> int:
    """How many of these ends are not stored yet."""
    positions = await reader.positions()
    missing = 0
    for each in awaited:
        position = positions.get(each.path.name)
        low_seq = position.low_seq if position else 0
        left = {seq for seq in each.seqs if seq >= low_seq}
        if left and each.path.exists():  # a journal that is stored to its end is removed
            missing += len(left - await reader.stored_seqs(each.path.name, min(left)))
    return missing


def _ends(directory: Path) -> Iterator[int]:
    for path in sorted(directory.glob("*.seg")):
        named = parse_segment_name(path.name)
        if named is None:
            continue
        with contextlib.suppress(FileNotFoundError):  # stored and removed meanwhile
            segment = SegmentFile(path, *named)
            try:
                yield from _ends_of(segment)
            finally:
                segment.close()


def _ends_of(segment: SegmentFile) -> Iterator[int]:
    before = -1
    while segment.offset > before:
        before = segment.offset
        for item in segment.scan(sealed=False):
            if isinstance(item, Frame) and item.kind == Kind.END:
                yield item.seq
