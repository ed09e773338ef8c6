"""Proof that the store holds together: pages, pointers, hashes. Finds; does not mend."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from .bodies import UNREADABLE, SegmentReader, open_segment
from .queries import QUERIES
from .rows import uuid_text

_PAGE_PROBLEMS = 20  # of one file; more of them say nothing new


def problems(main: sqlite3.Connection, directory: Path) -> Iterator[str]:
    """One sentence for each problem, as it is found."""
    yield from _pages(main, "main.db")
    (loose,) = main.execute(QUERIES["loose_postings"]).fetchone()
    if loose:
        yield f"main.db: {loose} postings point at calls or texts that do not exist"
    (loose,) = main.execute(QUERIES["loose_tools"]).fetchone()
    if loose:
        yield f"main.db: {loose} tool calls belong to calls that do not exist"
    for segment_id, name in main.execute(QUERIES["segments"]).fetchall():
        calls = main.execute(QUERIES["bodies_of_segment"], (segment_id,)).fetchall()
        yield from _segment(directory / name, calls)


def _pages(connection: sqlite3.Connection, name: str) -> Iterator[str]:
    for (line,) in connection.execute(f"PRAGMA integrity_check({_PAGE_PROBLEMS})"):
        if line != "ok":
            yield f"{name}: {line}"


def _segment(path: Path, calls: list[tuple[bytes, int]]) -> Iterator[str]:
    if not calls:
        return
    if not path.exists():
        yield f"{path.name} is missing: the bodies of {len(calls)} calls are gone"
        return
    try:
        segment = open_segment(path)
    except UNREADABLE as error:
        yield f"{path.name} cannot be read: {error}: the bodies of {len(calls)} calls are gone"
        return
    try:
        yield from _pages(segment.connection, path.name)
        for problem in segment.damaged_blobs():
            yield f"{path.name}: {problem}"
        yield from _calls(segment, path.name, calls)
    except UNREADABLE as error:
        yield f"{path.name}: {error}"
    finally:
        segment.close()


def _calls(segment: SegmentReader, name: str, calls: list[tuple[bytes, int]]) -> Iterator[str]:
    for uuid, body in calls:
        try:
            if segment.exchange(body, uuid) is None:
                yield f"{name}: the bodies of call {uuid_text(uuid)} are not where its row says"
        except UNREADABLE as error:
            yield f"{name}: the bodies of call {uuid_text(uuid)} cannot be given back: {error}"
