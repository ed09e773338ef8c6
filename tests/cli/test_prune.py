"""``llmtap prune``, ``pin`` and ``hold``."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from proxy.clock import wall_us
from proxy.records import Call
from proxy.store.policy import DAY_US
from tests.cli.recorded import exchanged, llmtap, new_call, record
from tests.fakes.upstream import FakeUpstream
from tests.harness.server import LlmtapServer

MONTH = {"LLMTAP_RETENTION_BODY_DAYS": "30", "LLMTAP_RETENTION_ROW_DAYS": "60"}


def days_ago(days: int, **fields: object) -> Call:
    """A call of then."""
    return new_call(started_at_us=wall_us() - days * DAY_US, **fields)


@pytest.fixture
def calls() -> list[Call]:
    return [days_ago(70, user="ada"), days_ago(70, user="bob"), days_ago(70, user="bob")]


@pytest.fixture
def data(tmp_path: Path, calls: list[Call]) -> Path:
    """Three old calls, and a new one."""
    path = tmp_path / "data"
    record(path, *(exchanged(call) for call in calls))
    return path


def receipt(data: Path, *arguments: str) -> dict[str, int]:
    done = llmtap(data, "prune", "--json", *arguments, env=MONTH)
    assert done.stderr == b""
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def stored(data: Path) -> set[str]:
    done = llmtap(data, "tail", "--json", "--no-follow")
    return {json.loads(line)["id"] for line in done.stdout.splitlines()}


def test_without_limits_nothing_goes(data: Path) -> None:
    shown = llmtap(data, "prune", "--dry-run").stdout.decode()
    assert shown == "everything is kept\nnothing would go\n"
    assert "bodies of 0 calls and 0 rows deleted" in llmtap(data, "prune").stdout.decode()


def test_a_dry_run_says_what_would_go_and_deletes_nothing(data: Path, calls: list[Call]) -> None:
    llmtap(data, "pin", calls[0].id)
    shown = llmtap(data, "prune", "--dry-run", env=MONTH).stdout.decode()
    assert "bodies 30 days, rows 60 days" in shown
    assert "bodies of 2 calls" in shown
    assert "1 rows would go; 1 call past the limit stay" in shown
    assert stored(data) == {call.id for call in calls}
    assert llmtap(data, "show", calls[1].id, "--raw", "request").returncode == 0


def test_what_is_past_its_limit_goes_and_the_receipt_says_so(data: Path, calls: list[Call]) -> None:
    llmtap(data, "pin", calls[0].id)
    shown = llmtap(data, "prune", env=MONTH).stdout.decode()
    assert "bodies of 2 calls and 1 rows deleted" in shown
    assert "bodies of 1 call copied first" in shown
    assert stored(data) == {calls[0].id, calls[2].id}  # the last row stays
    assert llmtap(data, "show", calls[0].id, "--raw", "request").returncode == 0
    gone = llmtap(data, "show", calls[2].id, "--raw", "request")
    assert gone.returncode == 1
    assert b"bodies expired on" in gone.stderr
    assert receipt(data)["rows"] == 0


def test_pins_by_filter_and_away_again(data: Path, calls: list[Call]) -> None:
    assert llmtap(data, "pin", "--filter", "user = 'bob'").stdout == b"2 calls pinned; 2 calls pinned in all\n"
    assert llmtap(data, "pin", calls[1].id).stdout == b"0 calls pinned; 2 calls pinned in all\n"
    assert llmtap(data, "pin", "--remove", calls[1].id).stdout == b"1 call no longer pinned; 1 call pinned in all\n"
    assert llmtap(data, "pin").stdout == b"1 call pinned in all\n"
    assert llmtap(data, "pin", "--remove").returncode == 2
    assert llmtap(data, "pin", "nonsense").returncode == 2


def test_a_hold_stands_until_it_is_released(data: Path, calls: list[Call]) -> None:
    assert llmtap(data, "hold").stdout == b"nothing is on hold\n"
    said = llmtap(data, "hold", "case 7", "--filter", "user = 'bob'").stdout.decode()
    assert "case 7 stands" in said
    assert "case 7" in llmtap(data, "hold").stdout.decode()
    assert json.loads(llmtap(data, "hold", "--json").stdout)["name"] == "case 7"
    assert receipt(data)["bodies"] == 1
    assert stored(data) == {calls[1].id, calls[2].id}
    assert llmtap(data, "hold", "--release", "case 8").returncode == 2
    assert b"released" in llmtap(data, "hold", "--release", "case 7").stdout
    assert receipt(data)["bodies"] == 2


@pytest.mark.parametrize("arguments", [("x",), ("--filter", "user = 'a'"), ("x", "--release", "y")])
def test_half_a_hold_is_none(data: Path, arguments: tuple[str, ...]) -> None:
    assert llmtap(data, "hold", *arguments).returncode == 2


def test_the_limits_of_one_project(tmp_path: Path) -> None:
    data = tmp_path / "data"
    kept, short = days_ago(20), days_ago(20, project="shop")
    record(data, exchanged(kept), exchanged(short))
    settings = tmp_path / "settings.toml"
    settings.write_text('[[projects]]\nname = "shop"\nbody_days = 7\n')
    shown = llmtap(data, "prune", "--config", str(settings)).stdout.decode()
    assert "shop: bodies 7 days, rows for good" in shown
    assert llmtap(data, "show", kept.id, "--raw", "request").returncode == 0
    assert llmtap(data, "show", short.id, "--raw", "request").returncode == 1


def test_a_file_that_does_not_shrink_by_itself_is_compacted(data: Path) -> None:
    with sqlite3.connect(data / "store" / "main.db", isolation_level=None) as main:
        main.execute("PRAGMA journal_mode = DELETE")
        main.execute("PRAGMA auto_vacuum = NONE")
        main.execute("VACUUM")
        main.execute("CREATE TABLE waste (x)")
        main.execute("INSERT INTO waste VALUES (randomblob(1000000))")
        main.execute("DROP TABLE waste")
    main.close()
    assert receipt(data, "--compact")["compacted_bytes"] > 900_000
    connection = sqlite3.connect(data / "store" / "main.db")
    assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)
    connection.close()


def test_beside_a_serve_its_ingest_does_the_work(data: Path, calls: list[Call], tmp_path: Path) -> None:
    (tmp_path / "serve").mkdir()
    with FakeUpstream() as upstream, LlmtapServer(tmp_path / "serve", upstream.url, data=data):
        assert llmtap(data, "pin", calls[0].id).stdout == b"1 call pinned; 1 call pinned in all\n"
        assert receipt(data)["bodies"] == 2
        refused = llmtap(data, "prune", "--compact", env=MONTH)
        assert b"stop llmtap serve first" in refused.stderr
        assert stored(data) == {calls[0].id, calls[2].id}


def test_a_clock_that_may_be_wrong_is_asked_about(tmp_path: Path) -> None:
    data, old = tmp_path / "data", days_ago(800)
    record(data, exchanged(old))
    refused = llmtap(data, "prune", env=MONTH)
    assert refused.returncode == 1
    assert b"is the clock right?" in refused.stdout
    assert llmtap(data, "show", old.id, "--raw", "request").returncode == 0
    assert receipt(data, "--yes")["bodies"] == 1
