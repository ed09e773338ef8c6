"""Nothing behind the journal can delay or fail a call: ingest frozen, store locked; rows come when it is over."""

from __future__ import annotations

import signal
import sqlite3
from pathlib import Path

import pytest

from tests.fakes.upstream import FakeUpstream
from tests.harness.client import ask
from tests.harness.eventually import eventually
from tests.harness.load import Load, paced_chat
from tests.harness.server import LlmtapServer

from .test_kill import settled


def test_frozen_ingest_and_console(tmp_path: Path, own_upstream: FakeUpstream) -> None:
    own_upstream.otherwise(paced_chat)
    with LlmtapServer(tmp_path, own_upstream.url) as server:
        frozen = {role: server.kill(role, signal.SIGSTOP) for role in ("ingest", "console")}
        try:
            with Load(server.port, seed=21) as load:
                load.await_calls(150)
        finally:
            for role in frozen:
                server.kill(role, signal.SIGCONT)
        verdict = settled(server, load.outcomes, own_upstream)
    assert [outcome for outcome in load.outcomes if not outcome.complete] == [], "a client noticed"
    assert verdict.clean, verdict


def test_store_locked_by_somebody_else(tmp_path: Path, own_upstream: FakeUpstream) -> None:
    own_upstream.otherwise(paced_chat)
    with LlmtapServer(tmp_path, own_upstream.url) as server:
        with Load(server.port, seed=22) as load:
            load.await_calls(20)
            (database,) = server.data.rglob("main.db")
            other = sqlite3.connect(database, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            load.await_calls(100)
            other.execute("ROLLBACK")
            other.close()
            load.await_calls(20)
        verdict = settled(server, load.outcomes, own_upstream)
    assert [outcome for outcome in load.outcomes if not outcome.complete] == [], "a client noticed"
    assert verdict.clean, verdict


@pytest.mark.parametrize("role", ["relay-0", "ingest"])
def test_healthz_names_what_hangs(role: str, tmp_path: Path, own_upstream: FakeUpstream) -> None:
    with LlmtapServer(tmp_path, own_upstream.url) as server:

        def healthz() -> tuple[int, bytes]:
            port = server.console_port
            got = ask(port, b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % port)
            return got.status, bytes(got.body)

        assert healthz()[0] == 200
        server.kill(role, signal.SIGSTOP)
        try:
            eventually(lambda: healthz()[0] == 503, "the console notices", timeout_s=30, every_s=0.1)
            assert role.split("-")[0].encode() in healthz()[1]
        finally:
            server.kill(role, signal.SIGCONT)
        eventually(lambda: healthz()[0] == 200, "all is well again", every_s=0.1)
