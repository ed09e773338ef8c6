"""Segments: what goes in comes out, byte for byte, and what repeats is there once."""

from __future__ import annotations

import json
import sqlite3
from itertools import zip_longest
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.bodies import cut
from proxy.bodies.digests import salt_of
from proxy.bodies.prefixes import Prefixes
from proxy.bodies.slices import Slices
from proxy.records import evolve
from proxy.store.sqlite.blob import LARGEST_BYTES
from proxy.store.sqlite.bodies import DamagedError, open_segment
from proxy.store.sqlite.segment import Entry, SegmentWriter
from proxy.store.sqlite.segments import Segments
from tests.bodies.dialogues import a_dialogue, dialogues
from tests.bodies.test_slices import bodies
from tests.store.samples import NOON_US, an_exchange

SECRET = b"of a store"
EMPTY_BYTES = 150_000  # of a segment without calls


def an_entry(number: int, request: bytes, response: bytes = b"", marks: tuple[tuple[int, int], ...] = ()) -> Entry:
    uuid = number.to_bytes(16)
    return Entry(number, uuid, an_exchange(uuid, request, response, marks=marks))


def assert_given_back(path: Path, entries: list[Entry]) -> None:
    reader = open_segment(path)
    try:
        for entry in entries:
            assert reader.exchange(entry.row_id, entry.uuid) == entry.exchange
    finally:
        reader.close()


def counts(path: Path) -> tuple[int, int]:
    """Pieces, and runs of messages."""
    connection = sqlite3.connect(path)
    try:
        found: tuple[int, int] = connection.execute(
            "SELECT (SELECT count(*) FROM msg), (SELECT count(*) FROM run)"
        ).fetchone()
        return found
    finally:
        connection.close()


@given(
    st.lists(
        st.tuples(bodies, bodies, st.lists(st.tuples(st.integers(0, 1 << 40), st.integers(0, 1 << 40)), max_size=5)),
        min_size=1,
        max_size=5,
    ),
)
@settings(max_examples=40, deadline=None)
def test_a_segment_gives_back_what_it_got(
    tmp_path_factory: pytest.TempPathFactory, written: list[tuple[bytes, bytes, list[tuple[int, int]]]]
) -> None:
    path = tmp_path_factory.mktemp("segment") / "body.db"
    entries = [an_entry(number, *some, tuple(marks)) for number, (*some, marks) in enumerate(written, 1)]
    writer = SegmentWriter(path, SECRET)
    writer.write(entries[:2])
    writer.write(entries[2:])
    writer.close()
    assert_given_back(path, entries)
    reader = open_segment(path)
    with pytest.raises(DamagedError, match="do not belong together"):
        reader.exchange(1, b"someone else's id")
    assert reader.exchange(1000, entries[0].uuid) is None
    reader.close()


@given(dialogues(), st.integers(1, 4), st.booleans())
@settings(max_examples=40, deadline=None)
def test_dialogues_come_back(
    tmp_path_factory: pytest.TempPathFactory, spoken: list[list[tuple[bytes, bytes]]], lives: int, known: bool
) -> None:
    """Interleaved, over several lives of the writer, with and without what ingest knows of earlier requests."""
    path = tmp_path_factory.mktemp("segment") / "body.db"
    prefixes, salt = Prefixes(), salt_of(SECRET, "default")
    turns = [turn for turns in zip_longest(*spoken) for turn in turns if turn]
    entries = [an_entry(number, *turn) for number, turn in enumerate(turns, 1)]
    if known:
        entries = [evolve(each, request=prefixes.cut(each.exchange.request_body, salt, b"")) for each in entries]
    for life in range(lives):
        writer = SegmentWriter(path, SECRET)
        writer.write(entries[life * len(entries) // lives : (life + 1) * len(entries) // lives])
        writer.close()
    assert_given_back(path, entries)


def test_each_message_is_there_once(tmp_path: Path) -> None:
    turns = a_dialogue(40, tools=20_000)
    writer = SegmentWriter(tmp_path / "body.db", SECRET)
    prefixes, salt = Prefixes(), salt_of(SECRET, "default")
    entries = [an_entry(number, *turn) for number, turn in enumerate(turns, 1)]
    for entry in entries:
        writer.write([evolve(entry, request=prefixes.cut(entry.exchange.request_body, salt, b""))])
    writer.close()
    assert_given_back(tmp_path / "body.db", entries)
    messages = len(json.loads(turns[-1][0])["messages"])
    # Answers, the envelope, the tools, and header lines of requests and answers.
    assert counts(tmp_path / "body.db") == (messages + len(turns) + 4, len(turns))
    raw = sum(map(len, (body for turn in turns for body in turn)))
    assert (tmp_path / "body.db").stat().st_size < raw / 15 + EMPTY_BYTES


def test_another_life_of_the_writer_goes_on_where_the_last_one_ended(tmp_path: Path) -> None:
    path = tmp_path / "body.db"
    entries = [an_entry(number, *turn) for number, turn in enumerate(a_dialogue(10, said=2000), 1)]
    for entry in entries:
        writer = SegmentWriter(path, SECRET)
        writer.write([entry])
        writer.close()
    messages = len(json.loads(entries[-1].exchange.request_body)["messages"])
    assert counts(path) == (messages + 10 + 3, 10)
    assert_given_back(path, entries)


def test_two_projects_share_nothing(tmp_path: Path) -> None:
    path = tmp_path / "body.db"
    one = an_entry(1, *a_dialogue(1)[0])
    exchange = evolve(one.exchange, begin=evolve(one.exchange.begin, project="other"))
    other = Entry(2, one.uuid, exchange)
    writer = SegmentWriter(path, SECRET)
    writer.write([one])
    alone = counts(path)
    writer.write([other])
    writer.close()
    assert counts(path) == (2 * alone[0], 2 * alone[1])
    assert_given_back(path, [one, other])


def test_a_dictionary_is_trained_and_stays_with_its_segment(tmp_path: Path) -> None:
    path = tmp_path / "body.db"
    segment = SegmentWriter(path, SECRET)
    entries = [an_entry(number, *turn) for number, turn in enumerate(a_dialogue(300, said=3000), 1)]
    for start in range(0, 300, 50):
        segment.write(entries[start : start + 50])
    segment.close()
    assert_given_back(path, entries)
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM msg WHERE enc >= 4").fetchone()[0] > 0
    connection.execute("DELETE FROM dictionary")
    connection.commit()
    connection.close()
    reader = open_segment(path)
    with pytest.raises(DamagedError, match="dictionary 1 is missing"):
        reader.exchange(300, entries[-1].uuid)
    reader.close()


def test_a_new_segment_knows_nothing_of_others(tmp_path: Path) -> None:
    segments = Segments(tmp_path, SECRET)
    entries = [an_entry(number, *turn) for number, turn in enumerate(a_dialogue(300, said=3000), 1)]
    first = segments.write("1d", entries, NOON_US)
    names = [
        segments.write("1d", entries[:1], NOON_US + 86_400_000_000),
        segments.write("forever", entries[:1], NOON_US),
    ]
    segments.close()
    assert has_dictionary(tmp_path / first)
    assert not any(has_dictionary(tmp_path / name) for name in names)


def has_dictionary(path: Path) -> bool:
    connection = sqlite3.connect(path)
    try:
        return bool(connection.execute("SELECT count(*) FROM dictionary").fetchone()[0])
    finally:
        connection.close()


def test_what_is_too_large_to_be_read_is_not_written(tmp_path: Path) -> None:
    segment = SegmentWriter(tmp_path / "body.db", SECRET)
    entry = an_entry(1, b"{}")
    large = cut.Cut(slices=Slices((bytes(LARGEST_BYTES + 1),)), whole=b"w" * 16)
    with pytest.raises(ValueError, match="too large"):
        segment.write([evolve(entry, request=large)])
    segment.close()
