"""A peer that takes nothing of what waits for it is let go; the row says who it was."""

from __future__ import annotations

import json
from pathlib import Path

from tests.fakes.scripts import Await, Fill, ReadBody, Script, Send, Stall, answer, head
from tests.fakes.upstream import FakeUpstream
from tests.harness.client import RawClient, request
from tests.harness.eventually import eventually
from tests.harness.server import LlmtapServer
from tests.harness.worker import RelayWorker

LIMITS = "[limits]\nbody_idle_timeout_s = 0.5\nclient_body_idle_timeout_s = 0.5\n"
MORE_THAN_FITS = 40 << 20  #: into the buffers of two kernels and of the relay


def test_an_upload_that_the_upstream_does_not_read(tmp_path: Path, own_upstream: FakeUpstream) -> None:
    own_upstream.script("/unread", Script((Await("read on"), ReadBody(), Stall()), read_first=False))
    with LlmtapServer(tmp_path, own_upstream.url, config=LIMITS) as server:
        got = server.ask(request("POST", "/unread", (), bytes(MORE_THAN_FITS)))
        assert got.status == 504
        assert json.loads(got.body)["error"]["code"] == "upstream_idle_timeout"
        row = server.row(got.call_id or "")
        own_upstream.open("read on")
        seen = own_upstream.requests[0]
        eventually(lambda: seen.closed_at, "the upstream sees that the call is over")
    assert (row["status"], row["http_status"]) == ("error", 504)
    assert "body_idle_timeout" in row["error_message"]
    assert 0 < len(seen.body) < MORE_THAN_FITS
    assert not seen.whole


def test_an_upload_that_is_read_slowly_is_no_stall(tmp_path: Path, own_upstream: FakeUpstream) -> None:
    steps = (ReadBody(1), Await("read on"), ReadBody(), *answer(200, body=b"ok").steps)
    own_upstream.script("/slow", Script(steps, read_first=False))
    with RelayWorker(tmp_path, own_upstream.url) as relay, relay.connect() as client:
        client.send(request("POST", "/slow", (), bytes(1 << 20)))
        own_upstream.open("read on")
        assert client.answer("POST").body == b"ok"
    assert own_upstream.requests[0].whole


def test_a_client_that_does_not_read_its_answer(tmp_path: Path, own_upstream: FakeUpstream) -> None:
    steps = (Send(head(200, [("Content-Length", str(MORE_THAN_FITS))])), Fill(MORE_THAN_FITS))
    own_upstream.script("/large", Script(steps))
    with LlmtapServer(tmp_path, own_upstream.url, config=LIMITS) as server:
        with server.connect(receive_bytes=4096) as client:
            client.send(request("GET", "/large"))
            call_id = client.head("GET").call_id
            row = server.row(call_id or "")
        assert server.ask(request("GET", "/next")).status == 200
    assert (row["status"], row["http_status"]) == ("client_closed", 200)
    assert row["response_bytes"] < MORE_THAN_FITS
    assert own_upstream.requests[0].left_early


def test_a_client_that_reads_on_gets_all(tmp_path: Path, own_upstream: FakeUpstream) -> None:
    """Reading a little at a time is not stalling: each read starts the clock anew."""
    own_upstream.script("/large", Script((Send(head(200, [("Content-Length", str(8 << 20))])), Fill(8 << 20))))
    with RelayWorker(tmp_path, own_upstream.url, config=LIMITS) as relay, relay.connect(receive_bytes=65_536) as client:
        client.send(request("GET", "/large"))
        got = client.answer("GET")
    assert (len(got.body), got.whole) == (8 << 20, True)


def test_http_0_9_is_answered_in_a_version_with_a_status_line(relay: RelayWorker, upstream: FakeUpstream) -> None:
    with RawClient(relay.port) as client:
        got = client.ask(b"GET /t\r\n\r\n", "GET")
        assert got.head.startswith(b"HTTP/1.1 505 ")
        assert (got.whole, got.value("connection")) == (True, b"close")
        assert client.at_end() == "eof"
    assert upstream.requests == []
