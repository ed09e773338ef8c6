"""``llmtap status``, judged from gauges that really are held."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from proxy.clock import monotonic_us, wall_us
from proxy.datadir import prepare
from proxy.gauges import STALE_US, VITALS, Gauges
from tests.cli.recorded import exchanged, llmtap, new_call, record

ALL = ("supervisor", "relay-0", "ingest", "console")


@contextmanager
def running(data: Path, *names: str, **vitals: int) -> Iterator[None]:
    """These processes' gauges, held as they would hold them."""
    usual = {"pid": 4711, "started_at_us": wall_us() - 125_000_000, "heartbeat_us": monotonic_us(), "ready": 1}
    with ExitStack() as stack:
        for name in names:
            gauges = Gauges.create(data / "run" / f"{name}.gauges", VITALS)
            stack.callback(gauges.close)
            for vital, value in {**usual, **vitals}.items():
                gauges[vital] = value
        yield


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return prepare(tmp_path / "data")


def states(data: Path, *arguments: str) -> dict[str, str]:
    found = json.loads(llmtap(data, "status", "--json", *arguments).stdout)
    return {process["name"]: process["state"] for process in found["processes"]}


def test_all_is_well(data: Path) -> None:
    record(data, exchanged(new_call()))
    with running(data, *ALL, calls_accepted=7, calls_stored=6, journal_lag_bytes=2048, journal_worst_write_us=4200):
        done = llmtap(data, "status")
        found = json.loads(llmtap(data, "status", "--json").stdout)
    assert done.returncode == 0
    text = done.stdout.decode()
    for piece in (
        "relay-0     up",
        "pid 4711, up 2m05s",
        "7 calls",
        "6 calls stored",
        "2.0 kB behind",
        "worst write 4.2ms",
    ):
        assert piece in text
    assert found["ok"] is True
    assert found["journal"]["lag_bytes"] == 2048
    assert found["store"]["calls"] == 1
    assert found["store"]["bytes"]["main.db"] > 0


def test_just_started_it_says_so_and_contradicts_nothing(data: Path) -> None:
    record(data, exchanged(new_call()))
    with running(data, *ALL, started_at_us=wall_us() + 1_000_000, last_commit_us=monotonic_us()):
        text = llmtap(data, "status").stdout.decode()
    assert "pid 4711, just started" in text
    assert "0 calls stored since its start\n" in text


def test_no_worst_write_without_a_relay(data: Path) -> None:
    with running(data, "relay-0", journal_worst_write_us=4200):
        pass
    assert b"worst write" not in llmtap(data, "status").stdout


def test_what_sqlite_keeps_beside_a_database_counts_with_it(data: Path) -> None:
    record(data, exchanged(new_call()))
    (data / "store" / "2020-01.db").write_bytes(b"x" * 100)
    (data / "store" / "2020-01.db-wal").write_bytes(b"x" * 20)
    (data / "store" / "2020-01.db-shm").write_bytes(b"x" * 3)
    found = json.loads(llmtap(data, "status", "--json").stdout)["store"]["bytes"]
    assert found["2020-01.db"] == 123
    assert not [name for name in found if not name.endswith(".db")]


def test_nothing_runs(tmp_path: Path) -> None:
    done = llmtap(tmp_path / "data", "status")
    assert done.returncode == 1
    assert b"llmtap does not run; start it with: llmtap serve" in done.stdout
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("missing", ALL)
def test_one_that_is_down_is_named(data: Path, missing: str) -> None:
    with running(data, *(name for name in ALL if name != missing)):
        done = llmtap(data, "status", "--json")
    assert done.returncode == 1
    found = {process["name"]: process["state"] for process in json.loads(done.stdout)["processes"]}
    assert found == {name: "down" if name == missing else "up" for name in ALL}


def test_one_that_hangs_or_waits_is_told_apart(data: Path) -> None:
    with running(data, "supervisor", "ingest", "console"):
        with running(data, "relay-0", heartbeat_us=monotonic_us() - STALE_US - 1_000_000):
            assert states(data)["relay-0"] == "hung"
        with running(data, "relay-0", ready=0):
            assert states(data)["relay-0"] == "waiting"


def test_relays_are_counted_by_what_runs_not_by_the_settings(data: Path) -> None:
    with running(data, "relay-1", started_at_us=wall_us() - 999_000_000):
        pass  # left behind by an earlier run
    with running(data, "relay-2", started_at_us=wall_us()):
        pass  # died in this one
    with running(data, *ALL, "relay-3"):
        assert states(data) == {**dict.fromkeys(ALL, "up"), "relay-2": "down", "relay-3": "up"}


def test_a_damaged_store_and_damaged_gauges_are_told(data: Path) -> None:
    (data / "store" / "main.db").write_bytes(b"x" * 5000)
    (data / "run" / "ingest.gauges").write_bytes(b"?")
    done = llmtap(data, "status")
    assert done.returncode == 1
    assert b"main.db" in done.stdout
    assert b"ingest      down" in done.stdout
    assert done.stderr == b""
