"""``llmtap rebuild --rollups``: with nobody else writing, and beside a serve that does."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.recorded import exchanged, llmtap, new_call, record
from tests.fakes.upstream import FakeUpstream
from tests.harness.server import LlmtapServer


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three calls."""
    path = tmp_path / "data"
    record(path, *(exchanged(new_call()) for _ in range(3)))
    return path


def damage(data: Path) -> None:
    with closing(sqlite3.connect(data / "store" / "main.db", isolation_level=None)) as main:
        assert main.execute("UPDATE rollup SET calls = calls + 2 WHERE level = 1").rowcount


def test_nothing_differs(data: Path) -> None:
    shown = llmtap(data, "rebuild", "--rollups").stdout
    assert shown == b"roll-ups: 3 calls counted, of 1 days; sums that differed: 0\n"


def test_what_differs_is_said_and_mended(data: Path) -> None:
    damage(data)
    found = llmtap(data, "verify")
    assert found.returncode == 1
    assert b"calls 5, by the rows 3" in found.stdout + found.stderr
    shown = llmtap(data, "rebuild", "--rollups").stdout
    assert b"sums that differed: 1" in shown
    assert b"calls 5, by the rows 3" in shown
    assert b"sums that differed: 0" in llmtap(data, "rebuild", "--rollups").stdout
    assert llmtap(data, "verify").returncode == 0


def test_nothing_is_stored_yet(tmp_path: Path) -> None:
    done = llmtap(tmp_path / "nowhere", "rebuild", "--rollups")
    assert done.returncode != 0
    assert b"Traceback" not in done.stderr


def test_beside_a_serve_its_ingest_does_it(data: Path, tmp_path: Path) -> None:
    damage(data)
    (tmp_path / "serve").mkdir()
    with FakeUpstream() as upstream, LlmtapServer(tmp_path / "serve", upstream.url, data=data):
        assert b"sums that differed: 1" in llmtap(data, "rebuild", "--rollups").stdout
        assert b"sums that differed: 0" in llmtap(data, "rebuild", "--rollups").stdout
