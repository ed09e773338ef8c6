"""Long strings that come again are referred to, however often, and come back."""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path

import pytest

from proxy.store.sqlite.bodies import UNREADABLE, open_segment
from proxy.store.sqlite.segment import SegmentWriter
from tests.store.test_segments import EMPTY_BYTES, SECRET, an_entry, assert_given_back


def noise(size: int) -> str:
    return os.urandom(size // 2).hex()


def test_an_answer_that_comes_back_is_there_once(tmp_path: Path) -> None:
    said = [noise(50_000) for _ in range(4)]
    answers = [json.dumps({"id": "1", "choices": [{"message": {"content": text, "refusal": None}}]}) for text in said]
    echoes = [json.dumps({"messages": [{"role": "assistant", "content": text}, {"pad": "p" * 1000}]}) for text in said]
    path = tmp_path / "body.db"
    entries = [an_entry(1, b"{}", answers[0].encode())]
    for number, (echo, answer) in enumerate(zip(echoes, [*answers[1:], "{}"], strict=True), 2):
        entries.append(an_entry(number, echo.encode(), answer.encode()))
    for entry in entries:  # each by a writer that remembers nothing of the strings, and then by one
        writer = SegmentWriter(path, SECRET)
        writer.write([entry])
        writer.close()
    assert_given_back(path, entries)
    together = tmp_path / "together.db"
    writer = SegmentWriter(together, SECRET)
    writer.write(entries)
    writer.close()
    assert_given_back(together, entries)
    assert together.stat().st_size < path.stat().st_size * 0.7
    assert together.stat().st_size < sum(map(len, said)) * 0.7 + EMPTY_BYTES


def test_excerpts_of_excerpts_end(tmp_path: Path) -> None:
    said = [noise(400) for _ in range(40)]
    entries = [an_entry(number, b"{}", json.dumps(said[number : number + 2]).encode()) for number in range(1, 39)]
    writer = SegmentWriter(tmp_path / "body.db", SECRET)
    writer.write(entries)
    writer.close()
    assert_given_back(tmp_path / "body.db", entries)


def test_pieces_that_are_said_to_be_parts_of_each_other_are_damage(tmp_path: Path) -> None:
    path = tmp_path / "body.db"
    text = noise(2000)
    entries = [
        an_entry(1, b"{}", json.dumps({"a": text}).encode()),
        an_entry(2, b"{}", json.dumps({"b": text}).encode()),
    ]
    writer = SegmentWriter(path, SECRET)
    writer.write(entries)
    writer.close()
    connection = sqlite3.connect(path)
    whole, part = (
        connection.execute(f"SELECT id FROM msg WHERE enc & 2 {sign} 0 ORDER BY size DESC").fetchone()[0]
        for sign in "=>"
    )
    connection.execute("UPDATE msg SET (enc, size, body) = (SELECT enc, size, body FROM msg WHERE id = ?)", (part,))
    connection.commit()
    connection.close()
    assert whole != part
    reader = open_segment(path)
    try:
        with pytest.raises(UNREADABLE):
            reader.exchange(2, entries[1].uuid)
    finally:
        reader.close()


def test_pieces_with_many_long_strings_are_read_as_quickly(tmp_path: Path) -> None:
    strings = [noise(100) for _ in range(4000)]
    entries = [an_entry(number, b"{}", json.dumps([*strings, number]).encode()) for number in (1, 2)]
    cut_off = b'{"code":"' + b'\\"twenty four letters and more ' * 20_000
    entries.append(an_entry(3, cut_off, b""))
    writer = SegmentWriter(tmp_path / "body.db", SECRET)
    writer.write(entries)
    writer.close()
    assert_given_back(tmp_path / "body.db", entries)
