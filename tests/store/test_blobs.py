"""Media and vectors in a segment: each stored once, given back exactly, and missed when they are damaged."""

from __future__ import annotations

import base64
import json
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.store.sqlite.bodies import UNREADABLE, open_segment
from proxy.store.sqlite.segment import Entry, OlderSegment, SegmentWriter
from proxy.store.sqlite.segments import Segments
from proxy.store.sqlite.store import SqliteStore
from tests.store.samples import NOON_US, an_exchange, chat_request, collected, ended, write
from tests.store.test_media import pieces
from tests.store.test_segments import EMPTY_BYTES, SECRET
from tests.store.test_vectors import WRITERS, answer, unit_vector

TODAY = "body-forever-20261121.db"


def exchanges(*bodies: tuple[bytes, bytes]) -> list[Entry]:
    uuids = [os.urandom(16) for _ in bodies]
    return [
        Entry(int.from_bytes(uuid[:6]), uuid, an_exchange(uuid, *body))
        for uuid, body in zip(uuids, bodies, strict=True)
    ]


def store_in(path: Path, *batches: list[Entry]) -> None:
    """Each batch by a writer of its own."""
    for batch in batches:
        writer = SegmentWriter(path, SECRET)
        writer.write(batch)
        writer.close()


def assert_given_back(path: Path, entries: list[Entry]) -> None:
    reader = open_segment(path)
    try:
        for entry in entries:
            assert reader.exchange(entry.row_id, entry.uuid) == entry.exchange
    finally:
        reader.close()


def blobs(path: Path) -> list[tuple[str, int, bytes]]:
    """Type, encoding and bytes as they are stored."""
    connection = sqlite3.connect(path)
    try:
        return connection.execute("SELECT type, enc, body FROM blob ORDER BY id").fetchall()
    finally:
        connection.close()


def image_message(image: bytes, text: str = "What is it?") -> dict[str, Any]:
    url = "data:image/png;base64," + base64.b64encode(image).decode()
    return {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}, {"text": text}]}


def test_a_chat_that_resends_an_image(tmp_path: Path) -> None:
    image = b"\x89PNG\r\n\x1a\n" + os.urandom(200_000)
    messages = [image_message(image)]
    bodies = []
    for turn in range(20):
        request = json.dumps({"model": "m", "messages": messages}, separators=(",", ":")).encode()
        bodies.append((request, f"Answer {turn}".encode()))
        messages += [{"role": "assistant", "content": f"Answer {turn}"}, {"role": "user", "content": "And now?"}]
    entries = exchanges(*bodies)
    path = tmp_path / "body.db"
    store_in(path, entries)
    assert path.stat().st_size < 1.3 * len(image) + EMPTY_BYTES
    assert blobs(path) == [("image/png", 0, image)]
    assert_given_back(path, entries)


def test_an_image_is_stored_once_whatever_stands_around_it(tmp_path: Path) -> None:
    image = b"\x89PNG\r\n\x1a\n" + os.urandom(50_000)
    text = base64.b64encode(image).decode()
    first = exchanges(
        (json.dumps({"messages": [image_message(image), image_message(image, "Again")]}).encode(), b"{}"),
        (json.dumps({"prompt": "p", "images": [text]}).encode(), b'data: {"b64_json":"%b"}\n\n' % text.encode()),
    )
    second = exchanges((chat_request(f"![]({text})", "more"), b""), (base64.encodebytes(image), b""))
    path = tmp_path / "body.db"
    store_in(path, first, second)
    assert [body for _, _, body in blobs(path) if body == image] == [image]
    assert path.stat().st_size < 3 * len(image) + EMPTY_BYTES
    assert_given_back(path, first + second)


def test_only_what_gains_is_compressed(tmp_path: Path) -> None:
    wav = b"RIFF\x24\x10\0\0WAVEfmt " + b"\0\x01\x02\x03" * 2000
    gif = b"GIF89a" + b"\0\x01\x02\x03" * 2000
    request = json.dumps({"x": base64.b64encode(wav).decode(), "y": base64.b64encode(gif).decode()}).encode()
    path = tmp_path / "body.db"
    entries = exchanges((request, b""))
    store_in(path, entries)
    assert [(kind, enc) for kind, enc, _ in blobs(path)] == [("audio/wav", 1), ("image/gif", 0)]
    assert_given_back(path, entries)


def test_vectors_are_floats(tmp_path: Path) -> None:
    body = answer(WRITERS["openai: doubles, indented"](unit_vector()))
    entries = exchanges((b'{"input":"a"}', body), (b'{"input":"b"}', body.replace(b'"index":0', b'"index":1')))
    path = tmp_path / "body.db"
    store_in(path, entries)
    (blob,) = blobs(path)
    assert blob[0] == "vector/float32"
    assert_given_back(path, entries)


@given(st.lists(st.lists(pieces, max_size=4).map(b"".join), min_size=2, max_size=6))
@settings(max_examples=40, deadline=None)
def test_any_bodies_come_back(tmp_path_factory: pytest.TempPathFactory, bodies: list[bytes]) -> None:
    path = tmp_path_factory.mktemp("segment") / "body.db"
    requests = (json.dumps({"messages": [body.decode("latin-1"), "x" * 1024]}).encode() for body in bodies)
    entries = exchanges(*zip(requests, bodies, strict=True))
    store_in(path, entries[:1], entries[1:])
    assert_given_back(path, entries)


# --- damage -----------------------------------------------------------------------------------------


def errors_after(statement: str, path: Path) -> dict[int, str]:
    """What reading three exchanges, with an image, a vector and neither, raises after a statement."""
    image = json.dumps({"messages": [image_message(os.urandom(5000)), {"role": "user", "content": "x" * 1000}]})
    vector = answer(json.dumps(unit_vector(200)))
    entries = exchanges((image.encode(), b""), (b"{}", vector), (b"untouched", b""))
    store_in(path, entries)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(statement)
    connection.close()
    errors: dict[int, str] = {}
    reader = open_segment(path)
    for place, entry in enumerate(entries):
        try:
            assert reader.exchange(entry.row_id, entry.uuid) == entry.exchange
        except UNREADABLE as error:
            errors[place] = str(error)
    reader.close()
    return errors


@pytest.mark.parametrize(
    ("statement", "lost", "reason"),
    [
        ("UPDATE blob SET body = zeroblob(length(body)) WHERE id = 1", [0], "blob 1 has changed"),
        ("UPDATE blob SET body = zeroblob(9) WHERE id = 1", [0], "blob 1: 9 bytes instead"),
        ("UPDATE blob SET size = 1 << 40 WHERE id = 1", [0], "blob 1 is larger"),
        ("UPDATE blob SET enc = 9 WHERE id = 1", [0], "blob 1: encoding 9 is unknown"),
        ("UPDATE blob SET hash = zeroblob(16)", [0, 1], "has changed"),
        ("DELETE FROM blob WHERE id = 2", [1], "blob 2 is missing"),
        ("UPDATE blob SET id = -id", [0, 1], "is missing"),
        ("DROP TABLE blob", [0, 1], "no such table"),
        ("UPDATE msg SET enc = enc - 2 WHERE enc > 1", [0, 1], ""),
        ("UPDATE msg SET body = zeroblob(50), enc = 2 WHERE enc > 1", [0, 1], "template cannot be read"),
        ("UPDATE msg SET body = x'929080', enc = 2 WHERE enc > 1", [0, 1], "template cannot be read"),
    ],
)
def test_damage_is_told(tmp_path: Path, statement: str, lost: list[int], reason: str) -> None:
    errors = errors_after(statement, tmp_path / "body.db")
    assert sorted(errors) == lost
    assert all(reason in error for error in errors.values())


async def test_verify_finds_a_blob_that_changed(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path, now_us=lambda: NOON_US)
    try:
        image = json.dumps({"messages": [image_message(os.urandom(5000))]}).encode()
        good, bad = ended(request=b"unchanged"), ended(request=image)
        await write(store, good, bad)
        assert await store.exchange(bad.call.id) == bad.exchange
        assert await collected(store.verify()) == []
        connection = sqlite3.connect(tmp_path / "store" / TODAY)
        connection.execute("UPDATE blob SET body = zeroblob(length(body))")
        connection.commit()
        connection.close()
        problems = await collected(store.verify())
        (problem,) = problems
        assert bad.call.id in problem
        assert "blob 1 has changed since it was stored" in problem
        assert await store.exchange(bad.call.id) is None
        assert await store.exchange(good.call.id) == good.exchange
    finally:
        await store.close()


# --- versions ---------------------------------------------------------------------------------------


def test_what_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    old = tmp_path / TODAY
    entries = exchanges((b"old request", b"old response"))
    store_in(old, entries)
    before = old.read_bytes()
    with pytest.raises(OlderSegment, match="another store"):
        SegmentWriter(old, b"of another store")
    segments = Segments(tmp_path, b"of another store")
    new = exchanges((json.dumps({"x": base64.b64encode(os.urandom(3000)).decode()}).encode(), b""))
    name = segments.write("forever", new, NOON_US)
    segments.close()
    assert name == "body-forever-20261121-2.db"
    assert_given_back(tmp_path / name, new)
    assert_given_back(old, entries)
    assert old.read_bytes() == before


def test_a_full_segment_is_followed_by_another(tmp_path: Path) -> None:
    segments = Segments(tmp_path, SECRET, full_bytes=600_000)
    names = []
    batches = [exchanges((b"q", os.urandom(300_000))) for _ in range(6)]
    for batch in batches:
        names.append(segments.write("30d", batch, NOON_US))
        segments.close()  # what is in the WAL goes into the file
    assert names[0] == "body-30d-20261121.db"
    assert names[-1] == "body-30d-20261121-3.db"
    for name, batch in zip(names, batches, strict=True):
        assert_given_back(tmp_path / name, batch)
