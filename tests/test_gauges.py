"""Counters that other processes read, and that outlive their owner's kill -9."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from proxy.gauges import VITALS, Gauges

NAMES = ("one", "two", "three")

OWNER = """
import sys
from pathlib import Path
from proxy.gauges import Gauges
gauges = Gauges.create(Path(sys.argv[1]), ("one", "two", "three"))
gauges["one"] = 7
gauges.add("two", 5)
gauges.add("two")
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "relay-0.gauges"


def test_what_is_set_is_read_by_another_view_at_once(path: Path) -> None:
    owner = Gauges.create(path, NAMES)
    reader = Gauges.open(path, NAMES)
    assert [reader[name] for name in NAMES] == [0, 0, 0]
    owner["one"] = 2**64 - 1
    owner.add("three", 3)
    assert [reader[name] for name in NAMES] == [2**64 - 1, 0, 3]
    owner.close()
    assert reader["three"] == 3
    reader.close()


def test_the_file_is_the_owners_alone_and_has_no_holes(path: Path) -> None:
    Gauges.create(path, NAMES).close()
    found = path.stat()
    assert stat.S_IMODE(found.st_mode) == 0o600
    assert found.st_blocks * 512 >= found.st_size
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_counters_outlive_a_kill_and_the_reader_sees_that_the_owner_is_gone(path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"ready\n"
        reader = Gauges.open(path, NAMES)
        assert reader.owner_alive()
        os.kill(owner.pid, signal.SIGKILL)
        owner.wait()
        assert not reader.owner_alive()
        assert [reader[name] for name in NAMES] == [7, 6, 0]
        reader.close()


def test_asking_twice_whether_the_owner_lives_does_not_lock_it_out(path: Path) -> None:
    Gauges.create(path, NAMES).close()
    reader, another = Gauges.open(path, NAMES), Gauges.open(path, NAMES)
    assert not reader.owner_alive()
    assert not another.owner_alive()
    reader.close()
    another.close()


def test_a_new_owner_takes_the_place_of_a_dead_one(path: Path) -> None:
    first = Gauges.create(path, NAMES)
    first["one"] = 9
    second = Gauges.create(path, NAMES)
    reader = Gauges.open(path, NAMES)
    assert reader["one"] == 0
    assert reader.owner_alive()
    for gauges in (first, second, reader):
        gauges.close()


def test_a_reader_of_more_names_sees_zero_for_those_an_older_owner_did_not_have(path: Path) -> None:
    owner = Gauges.create(path, NAMES)
    owner["three"] = 3
    reader = Gauges.open(path, (*NAMES, "four"))
    assert (reader["three"], reader["four"]) == (3, 0)
    owner.close()
    reader.close()


def test_a_reader_cannot_write_unless_it_asked_to(path: Path) -> None:
    owner = Gauges.create(path, NAMES)
    reader, writer = Gauges.open(path, NAMES), Gauges.open(path, NAMES, writable=True)
    with pytest.raises(TypeError):
        reader["one"] = 1
    writer["one"] = 4
    assert owner["one"] == 4
    for gauges in (owner, reader, writer):
        gauges.close()


@pytest.mark.parametrize(
    "content", [b"", b"llmtapG1", b"\0" * 4096, b"llmtapG2".ljust(4096, b"\0"), b"llmtapG1" * 1024]
)
def test_what_is_not_ours_is_refused_and_not_left_open(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    open_before = len(list(Path("/dev/fd").iterdir()))
    with pytest.raises(ValueError, match="holds no gauges"):
        Gauges.open(path, NAMES)
    assert len(list(Path("/dev/fd").iterdir())) == open_before


def test_a_missing_file_or_folder_is_an_oserror(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Gauges.open(path, NAMES)
    with pytest.raises(FileNotFoundError):
        Gauges.create(path / "x" / "y", NAMES)


@given(values=st.lists(st.integers(0, 2**64 - 1), min_size=len(VITALS), max_size=len(VITALS)))
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
def test_every_vital_sign_has_a_place_of_its_own(path: Path, values: list[int]) -> None:
    owner = Gauges.create(path, VITALS)
    for name, value in zip(VITALS, values, strict=True):
        owner[name] = value
    assert [owner[name] for name in VITALS] == values
    owner.close()
