"""Stopping: calls that run may finish, new ones are not begun, and nothing is lost on the way."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.fakes.scripts import sse
from tests.fakes.upstream import FakeUpstream
from tests.harness.client import Answer, RawClient, request
from tests.harness.eventually import eventually
from tests.harness.load import Load, paced_chat
from tests.harness.server import LlmtapServer

from .test_kill import settled

EVENTS = [b'{"choices":[{"index":0,"delta":{"content":"a"}}]}', b'{"choices":[{"index":0,"delta":{"content":"b"}}]}']
BODY = b'{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}'
PATH = "/v1/chat/completions"


def half_way(server: LlmtapServer, upstream: FakeUpstream) -> tuple[RawClient, Answer]:
    """A client in the middle of a stream; the rest comes when the gates are opened."""
    upstream.script(PATH, sse(EVENTS, gates=True))
    client = server.connect()
    client.send(request("POST", PATH, [("Content-Type", "application/json")], BODY))
    answer = client.head("POST")
    upstream.open("event-0")
    assert client.body_piece(answer)
    return client, answer


def finish(client: RawClient, answer: Answer, upstream: FakeUpstream) -> None:
    upstream.open("event-1")
    upstream.open("event-2")
    while client.body_piece(answer):
        pass
    client.close()
    assert answer.whole


def test_sigterm_lets_streams_finish(tmp_path: Path, own_upstream: FakeUpstream) -> None:
    server = LlmtapServer(tmp_path, own_upstream.url).start()
    client, answer = half_way(server, own_upstream)
    assert server.process is not None
    server.process.send_signal(signal.SIGTERM)
    eventually(lambda: not server.ready("relay-0"), "the relay drains")
    finish(client, answer, own_upstream)
    assert server.stop() == 0
    row = server.row(answer.call_id or "")
    assert (row["status"], row["output"]) == ("ok", "ab")
    assert list((server.data / "journal").iterdir()) == [], "journals are empty after a stop"


def test_drain_timeout_cuts_what_does_not_finish(tmp_path: Path, own_upstream: FakeUpstream) -> None:
    server = LlmtapServer(tmp_path, own_upstream.url, config="[limits]\ndrain_timeout_s = 0.2\n").start()
    client, answer = half_way(server, own_upstream)
    assert server.stop() == 0
    while client.body_piece(answer):
        pass
    assert not answer.whole
    client.close()
    row = server.row(answer.call_id or "")
    assert (row["status"], row["output"]) == ("interrupted", "a")


def test_sigterm_under_load_loses_nothing(tmp_path: Path, own_upstream: FakeUpstream) -> None:
    own_upstream.otherwise(paced_chat)
    server = LlmtapServer(tmp_path, own_upstream.url).start()
    with Load(server.port, seed=11) as load:
        load.await_calls(50)
        assert server.stop() == 0
    cut = [outcome for outcome in load.outcomes if outcome.status and not outcome.complete]
    assert cut == [], "an answer that had begun was cut"
    verdict = settled(server, load.outcomes, own_upstream)
    assert verdict.clean, verdict


def test_children_drain_when_the_supervisor_is_killed(tmp_path: Path, own_upstream: FakeUpstream) -> None:
    server = LlmtapServer(tmp_path, own_upstream.url).start()
    client, answer = half_way(server, own_upstream)
    assert server.process is not None
    server.process.kill()
    server.process.wait()
    eventually(lambda: not server.ready("relay-0"), "the relay drains")
    finish(client, answer, own_upstream)
    for role in ("relay-0", "ingest", "console"):
        eventually(lambda role=role: not server.alive(role), f"{role} ends", timeout_s=30)
    with LlmtapServer(tmp_path, own_upstream.url) as again:
        row = again.row(answer.call_id or "")
    assert (row["status"], row["output"]) == ("ok", "ab")


def test_a_second_serve_on_the_same_data_is_refused(tmp_path: Path, own_upstream: FakeUpstream) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with LlmtapServer(tmp_path / "a", own_upstream.url) as first:
        second = LlmtapServer(tmp_path / "b", own_upstream.url, data=first.data)
        done = second.command("serve", "--listen", "127.0.0.1:0", "--console", "127.0.0.1:0")
        assert done.returncode != 0
        assert b"Traceback" not in done.stderr
        assert str(first.process.pid if first.process else "").encode() in done.stderr or b"another" in done.stderr
        assert first.ask(request("GET", "/still-there")).status == 200
