"""``llmtap reprice`` and ``rederive``: with nobody else writing, and beside a serve that does."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.ingest.worker import WriterLock
from tests.cli.recorded import exchanged, llmtap, new_call, record
from tests.fakes.upstream import FakeUpstream
from tests.harness.eventually import eventually
from tests.harness.server import LlmtapServer
from tests.harness.watched import ROOT, clean_environment

PRICES = '[[prices]]\nmodel = "gpt-5-mini*"\ninput = 1000.0\noutput = 2000.0\n'
EXACT_NANO_USD = 1234 * 1_000_000 + 87 * 2_000_000


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three calls."""
    path = tmp_path / "data"
    calls = [new_call(cached_tokens=None) for _ in range(3)]
    record(path, exchanged(calls[0]), exchanged(calls[1]))
    record(path, exchanged(calls[2]))
    return path


@pytest.fixture
def dear(tmp_path: Path) -> Path:
    """Settings with a price of one's own."""
    path = tmp_path / "dear.toml"
    path.write_text(PRICES)
    return path


def receipt(data: Path, *arguments: str) -> dict[str, object]:
    found = json.loads(llmtap(data, *arguments, "--json").stdout)
    assert isinstance(found, dict)
    return found


def costs(data: Path) -> set[float]:
    lines = llmtap(data, "tail", "--json", "--no-follow").stdout.splitlines()
    return {json.loads(line)["cost_usd"] for line in lines}


def test_prices_of_ones_own_are_applied_to_what_is_stored(data: Path, dear: Path) -> None:
    done = receipt(data, "reprice", "--config", str(dear))
    assert (done["looked"], done["changed"], done["priced_after"]) == (3, 3, 3)
    assert done["cost_after_nano_usd"] == 3 * EXACT_NANO_USD
    assert costs(data) == {EXACT_NANO_USD / 1e9}
    again = receipt(data, "reprice", "--config", str(dear))
    assert (again["looked"], again["changed"]) == (3, 0)


def test_a_dry_run_changes_nothing(data: Path, dear: Path) -> None:
    before = costs(data)
    shown = llmtap(data, "reprice", "--config", str(dear), "--dry-run").stdout.decode()
    assert "3 calls looked at, 3 would change" in shown
    assert costs(data) == before


def test_the_receipt_for_people(data: Path, dear: Path) -> None:
    shown = llmtap(data, "reprice", "--config", str(dear)).stdout.decode()
    assert "3 calls looked at, 3 changed" in shown
    assert "cost_nano_usd" in shown
    assert f"→ ${3 * EXACT_NANO_USD / 1e9:g}" in shown


def test_what_cannot_be_priced_again_is_said(data: Path, dear: Path) -> None:
    before = costs(data)
    for path in data.rglob("*.db*"):
        if not path.name.startswith("main."):
            path.unlink()
    shown = llmtap(data, "reprice", "--config", str(dear)).stdout.decode()
    assert "3 calls looked at, 0 changed" in shown
    assert "the cost of 3 calls" in shown
    assert costs(data) == before


def test_an_interrupted_command_says_what_becomes_of_its_job(data: Path) -> None:
    command = [sys.executable, "-m", "proxy", "reprice", "--data-dir", str(data)]
    with (
        WriterLock(data),
        subprocess.Popen(command, cwd=ROOT, env=clean_environment(), stderr=subprocess.PIPE) as running,
    ):
        eventually(lambda: list((data / "journal").glob("command-*")), "the job is in a journal")
        running.send_signal(signal.SIGINT)
        assert running.stderr is not None
        assert b"goes on where llmtap serve runs" in running.stderr.read()
        assert running.wait(20) == 130


def test_rederive_reads_the_bytes_again(data: Path) -> None:
    done = receipt(data, "rederive", "--filter", "model = 'gpt-5-mini'")
    assert done["looked"] == 3
    assert "reasoning_tokens" not in done["fields"]  # type: ignore[operator]


def test_a_filter_that_is_none_is_said_before_anything_is_done(data: Path) -> None:
    done = llmtap(data, "reprice", "--filter", "modell = 'x'")
    assert done.returncode == 2
    assert b"did you mean model" in done.stderr


def test_an_empty_store_says_how_to_begin(tmp_path: Path) -> None:
    done = llmtap(tmp_path, "reprice")
    assert done.returncode == 1
    assert b"No calls are recorded" in done.stderr


def test_beside_a_serve_its_ingest_does_the_work_with_the_prices_of_who_asks(
    data: Path, dear: Path, tmp_path: Path
) -> None:
    (tmp_path / "serve").mkdir()
    with FakeUpstream() as upstream, LlmtapServer(tmp_path / "serve", upstream.url, data=data) as server:
        assert server.data == data
        done = receipt(data, "reprice", "--config", str(dear))
        assert (done["looked"], done["changed"]) == (3, 3)
        assert costs(data) == {EXACT_NANO_USD / 1e9}
