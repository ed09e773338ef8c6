"""kill -9 of any process under load: no completed call is lost or doubled, nothing is unaccounted for.

The seeded slice; ``make soak`` runs the full counts.
"""

from __future__ import annotations

import contextlib
import random
from pathlib import Path

from tests.fakes.upstream import FakeUpstream
from tests.harness.eventually import eventually
from tests.harness.load import Load, Outcome, Verdict, judge, markers_seen, paced_chat
from tests.harness.server import LlmtapServer


def settled(server: LlmtapServer, outcomes: list[Outcome], upstream: FakeUpstream, timeout_s: float = 60) -> Verdict:
    """The verdict once every expected row is there and none is running."""
    seen = markers_seen(upstream.requests)
    expected = {outcome.marker for outcome in outcomes if outcome.complete} | set(seen)
    with contextlib.suppress(AssertionError):  # rows are asked for only then: ingest waits for who asks
        eventually(lambda: not server.running or all_read(server), "all is read", timeout_s * 3, every_s=0.1)
    try:
        rows = server.rows(len(expected), lambda row: row["metadata"].get("marker") in expected, timeout_s)
    except AssertionError:
        rows = server.calls()
    return judge(outcomes, seen, rows)


def all_read(server: LlmtapServer) -> bool:
    """Whether ingest lives and has read the journals to their end."""
    return server.gauges("ingest").get("journal_lag_bytes") == 0


def kill_under_load(server: LlmtapServer, upstream: FakeUpstream, role: str, rounds: int, seed: int) -> list[Outcome]:
    """``rounds`` kills at random instants, traffic all the while."""
    rng = random.Random(seed)
    with Load(server.port, seed=seed) as load:
        for _ in range(rounds):
            load.await_calls(rng.randint(1, 30))
            pid = server.kill(role)
            server.await_restart(role, pid)
        load.await_calls(20)
    return load.outcomes


def test_relay_killed_under_load(tmp_path: Path, own_upstream: FakeUpstream) -> None:
    own_upstream.otherwise(paced_chat)
    with LlmtapServer(tmp_path, own_upstream.url) as server:
        outcomes = kill_under_load(server, own_upstream, "relay-0", rounds=20, seed=1)
        verdict = settled(server, outcomes, own_upstream)
    assert verdict.clean, verdict
    assert verdict.complete > 50, verdict
    assert verdict.calls > verdict.complete, "no kill met a running call"


def test_ingest_killed_under_load(tmp_path: Path, own_upstream: FakeUpstream) -> None:
    own_upstream.otherwise(paced_chat)
    with LlmtapServer(tmp_path, own_upstream.url) as server:
        outcomes = kill_under_load(server, own_upstream, "ingest", rounds=10, seed=2)
        verdict = settled(server, outcomes, own_upstream)
    assert [outcome for outcome in outcomes if not outcome.complete] == [], "a client noticed"
    assert verdict.clean, verdict


def test_console_killed_under_load(tmp_path: Path, own_upstream: FakeUpstream) -> None:
    own_upstream.otherwise(paced_chat)
    with LlmtapServer(tmp_path, own_upstream.url) as server:
        outcomes = kill_under_load(server, own_upstream, "console", rounds=3, seed=3)
        verdict = settled(server, outcomes, own_upstream)
    assert [outcome for outcome in outcomes if not outcome.complete] == [], "a client noticed"
    assert verdict.clean, verdict


def test_everything_killed_at_once(tmp_path: Path, own_upstream: FakeUpstream) -> None:
    """Supervisor and all children die; the next ``serve`` finds everything."""
    own_upstream.otherwise(paced_chat)
    outcomes: list[Outcome] = []
    for seed in range(4, 7):
        server = LlmtapServer(tmp_path, own_upstream.url).start()
        with Load(server.port, seed=seed) as load:
            load.await_calls(40)
            server.kill_all()
        outcomes += load.outcomes
    with LlmtapServer(tmp_path, own_upstream.url) as server:
        verdict = settled(server, outcomes, own_upstream)
        statuses = {row["status"] for row in server.calls()}
    assert verdict.clean, verdict
    assert "interrupted" in statuses
    assert "running" not in statuses


def test_one_of_two_workers_killed(tmp_path: Path, own_upstream: FakeUpstream) -> None:
    own_upstream.otherwise(paced_chat)
    with LlmtapServer(tmp_path, own_upstream.url, workers=2) as server:
        with Load(server.port, clients=6, seed=7) as load:
            load.await_calls(60)
            accepted = [server.gauges(f"relay-{number}")["calls_accepted"] for number in range(2)]
            server.kill("relay-1")
            load.await_calls(60)
        verdict = settled(server, load.outcomes, own_upstream)
    assert verdict.clean, verdict
    assert sum(accepted) >= 60
