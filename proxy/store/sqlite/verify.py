"""Proof that the store holds together: pages, pointers, hashes. Finds; does not mend."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from ..base import Watch, unwatched
from . import names
from .bodies import UNREADABLE, SegmentReader, open_segment
from .files import MAIN, connect_reader
from .fulltext.files import text_files
from .queries import QUERIES
from .rollups.recount import unequal
from .rows import uuid_text

_PAGE_PROBLEMS = 20  # of one file; more of them say nothing new

Check = Callable[[sqlite3.Connection], Iterator[str]]


def problems(main: sqlite3.Connection, directory: Path, watch: Watch = unwatched) -> Iterator[str]:
    """One sentence for each problem, as it is found; what cannot be looked at is one, and ends nothing else."""
    for what, check in CHECKS:
        watch(what, 0, 0)
        yield from guarded(f"{MAIN}: {what} cannot be checked", check(main))
    segments: list[tuple[int, str]] = []
    try:
        segments = main.execute(QUERIES["segments"]).fetchall()
    except UNREADABLE as error:
        yield f"{MAIN}: the list of body files cannot be read: {error}"
    for place, (segment_id, name) in enumerate(segments):
        watch(name, place, len(segments))
        yield from guarded(f"{name} cannot be checked", _segment_of(main, directory, segment_id, name))
    for path in text_files(directory):
        watch(path.name, 0, 0)
        yield from guarded(f"{path.name} cannot be checked", _text(path))


def guarded(what: str, found: Iterator[str]) -> Iterator[str]:
    """The problems that a check finds, and that it could not go on."""
    try:
        yield from found
    except UNREADABLE as error:
        yield f"{what}: {error}"


def _loose(query: str, sentence: str) -> Check:
    """A check that counts what points at nothing."""

    def check(main: sqlite3.Connection) -> Iterator[str]:
        (loose,) = main.execute(QUERIES[query]).fetchone()
        if loose:
            yield f"{MAIN}: {sentence.format(loose)}"

    return check


def _pages_of_main(main: sqlite3.Connection) -> Iterator[str]:
    yield from _pages(main, MAIN)


#: What is checked of the rows, by name. Each gives its problems, one sentence each.
CHECKS: tuple[tuple[str, Check], ...] = (
    ("pages", _pages_of_main),
    ("postings", _loose("loose_postings", "{} postings point at calls or texts that do not exist")),
    ("tools", _loose("loose_tools", "{} tool calls belong to calls that do not exist")),
    ("conversations", _loose("wrong_conversations", "{} conversations are not what their calls sum up to")),
    ("pins", _loose("loose_pins", "{} pins are of calls that do not exist")),
    ("tags", _loose("unequal_tags", "{} tags of calls are not found by them, or are found by calls without them")),
    ("ids of others", names.problems),
    ("judgements", _loose("loose_words", "{} scores, remarks, notes or events are of calls that do not exist")),
    ("scores", _loose("unequal_scores", "{} scores are not the means of what was said")),
    ("roll-ups", unequal),
    ("body files", _loose("loose_segments", "{} calls have bodies in files that the list of them does not have")),
)


def _pages(connection: sqlite3.Connection, name: str) -> Iterator[str]:
    for (line,) in connection.execute(f"PRAGMA integrity_check({_PAGE_PROBLEMS})"):
        if line != "ok":
            yield f"{name}: {line}"


def _text(path: Path) -> Iterator[str]:
    connection = connect_reader(path)
    try:
        yield from _pages(connection, path.name)
    finally:
        connection.close()


def _segment_of(main: sqlite3.Connection, directory: Path, segment_id: int, name: str) -> Iterator[str]:
    calls = main.execute(QUERIES["bodies_of_segment"], (segment_id,)).fetchall()
    yield from _segment(directory / name, calls)


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
