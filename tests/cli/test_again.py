"""``llmtap reprice`` and ``rederive``: with nobody else writing, and beside a serve that does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.recorded import exchanged, llmtap, new_call, record
from tests.fakes.upstream import FakeUpstream
from tests.harness.server import LlmtapServer

PRICES = '[[prices]]\nmodel = "gpt-5-mini*"\ninput = 1000.0\noutput = 2000.0\n'
EXACT_NANO_USD = 1234 * 1_000_000 + 87 * 2_000_000


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three calls; of the last the bytes are gone."""
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


def test_beside_a_serve_its_ingest_does_the_work(data: Path, tmp_path: Path) -> None:
    (tmp_path / "serve").mkdir()
    with FakeUpstream() as upstream, LlmtapServer(tmp_path / "serve", upstream.url, config=PRICES, data=data) as server:
        assert server.data == data
        done = receipt(data, "reprice")
        assert (done["looked"], done["changed"]) == (3, 3)
        assert costs(data) == {EXACT_NANO_USD / 1e9}
