"""``llmtap serve``: what it does about signals, beside a ``run``, and with what was left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from proxy.cli.leftovers import clear_leftovers
from proxy.cli.options import hint
from proxy.gauges import VITALS, Gauges
from tests.fakes.upstream import FakeUpstream
from tests.faults.test_stop import finish, half_way
from tests.harness.client import request
from tests.harness.eventually import eventually
from tests.harness.server import LlmtapServer
from tests.harness.watched import ROOT, clean_environment

from .test_supervisor import TrafficOnly


def test_a_closed_terminal_is_a_wish_to_stop(tmp_path: Path, own_upstream: FakeUpstream) -> None:
    server = LlmtapServer(tmp_path, own_upstream.url).start()
    client, answer = half_way(server, own_upstream)
    assert server.process is not None
    for role in ("relay-0", "ingest", "console"):  # the whole group hears of it
        server.kill(role, signal.SIGHUP)
    server.process.send_signal(signal.SIGHUP)
    eventually(lambda: not server.ready("relay-0"), "the relay drains")
    finish(client, answer, own_upstream)
    assert server.stop() == 0
    assert server.row(answer.call_id or "")["output"] == "ab"


def test_nohup_is_heeded(tmp_path: Path, own_upstream: FakeUpstream) -> None:
    with LlmtapServer(tmp_path, own_upstream.url, wrap=["nohup"]) as server:
        pid = server.pid("supervisor")
        os.kill(pid, signal.SIGHUP)
        assert server.ask(request("GET", "/still")).status == 200
        assert server.ready("supervisor")
        assert server.pid("supervisor") == pid


def test_a_second_wish_to_stop_cuts_running_calls(tmp_path: Path, own_upstream: FakeUpstream) -> None:
    server = LlmtapServer(tmp_path, own_upstream.url, config="[limits]\ndrain_timeout_s = 600\n").start()
    client, answer = half_way(server, own_upstream)
    assert server.process is not None
    server.process.send_signal(signal.SIGTERM)
    eventually(lambda: not server.ready("relay-0"), "the relay drains")
    assert server.stop() == 0
    while client.body_piece(answer):
        pass
    client.close()
    assert not answer.whole
    with LlmtapServer(tmp_path, own_upstream.url) as again:
        assert again.row(answer.call_id or "")["status"] == "interrupted"


def test_it_starts_beside_a_run_and_stores_once_that_has_ended(tmp_path: Path, own_upstream: FakeUpstream) -> None:
    data = tmp_path / "data"
    command = [sys.executable, "-m", "proxy", "run", "--data-dir", str(data), "--", "cat"]
    run = subprocess.Popen(
        command, cwd=ROOT, env=clean_environment(), stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    server = TrafficOnly(tmp_path, own_upstream.url)
    server.await_restart("ingest", 0)
    before = server.pid("ingest")
    with server:
        assert "stores the calls until it ends; then this one does" in server.log
        first = server.ask(request("GET", "/first")).call_id
        assert server.row(first or "")["http_status"] == 200
        _, errors = run.communicate("", timeout=20)  # it does not wait for the relay of serve to end
        assert run.returncode == 0, errors
        server.await_restart("ingest", before)
        second = server.ask(request("GET", "/second")).call_id
        assert server.row(second or "")["http_status"] == 200
        assert "ended" not in server.log, "waiting for one's turn is no death"
    assert list((data / "journal").iterdir()) == []


def test_what_killed_processes_left_is_cleared_and_nothing_else(tmp_path: Path) -> None:
    run, journal = tmp_path / "run", tmp_path / "journal"
    for directory in (run, journal, journal / ".run-1.new", journal / ".run-2.new", journal / ".run-3.new"):
        directory.mkdir()
    Gauges.create(run / "run-1-0.gauges", VITALS).close()
    Gauges.create(run / "relay-0.gauges", VITALS).close()
    Gauges.create(journal / ".run-1.new" / "counter", VITALS).close()
    alive = [Gauges.create(path, VITALS) for path in (run / "run-2-0.gauges", journal / ".run-2.new" / "counter")]
    for old in (journal / ".run-1.new", journal / ".run-2.new"):
        os.utime(old, (0, 0))
    clear_leftovers(tmp_path)
    assert {path.name for path in run.iterdir()} == {"run-2-0.gauges", "relay-0.gauges"}
    assert {path.name for path in journal.iterdir()} == {".run-2.new", ".run-3.new"}
    for gauges in alive:
        gauges.close()


def test_a_hint_names_a_directory_that_is_not_the_usual_one() -> None:
    assert hint("tail", Path("/some where")) == "llmtap tail --data-dir '/some where'"
