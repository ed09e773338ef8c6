"""``on_capture_failure = "refuse"``: nothing that a client takes for complete is unrecorded."""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

import pytest

from tests.fakes.scripts import LAST_CHUNK, Await, Script, Send, Stall, chunk, head
from tests.fakes.upstream import FakeUpstream
from tests.harness.client import request
from tests.harness.eventually import eventually
from tests.harness.records import read_journals
from tests.harness.watched import files_with
from tests.harness.worker import RelayWorker

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs prlimit, which only Linux has")

REFUSE = '[journal]\npart_delay_ms = 20\non_capture_failure = "refuse"\n'
EVENT_STREAM = head(200, [("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked")])


def fill_disk(relay: RelayWorker) -> None:
    """No file of the relay may grow beyond ten bytes."""
    resource.prlimit(relay.process.pid, resource.RLIMIT_FSIZE, (10, resource.RLIM_INFINITY))


def free_disk(relay: RelayWorker) -> None:
    resource.prlimit(relay.process.pid, resource.RLIMIT_FSIZE, (-1, resource.RLIM_INFINITY))


def test_the_marker_that_ends_a_stream_is_not_passed_on_unrecorded(tmp_path: Path, own_upstream: FakeUpstream) -> None:
    """SDKs hang up at it, and the stream stays open behind it, so no later check would help."""
    steps = (
        Send(EVENT_STREAM + chunk(b"data: 1\n\n")),
        Await("disk full"),
        Send(chunk(b"data: [DONE]\n\n")),
        Stall(),
    )
    own_upstream.script("/stream", Script(steps))
    with RelayWorker(tmp_path, own_upstream.url, config=REFUSE) as relay, relay.connect() as client:
        client.send(request("POST", "/stream", (), b"x"))
        got = client.head("POST")
        assert client.body_piece(got) == b"data: 1\n\n"
        fill_disk(relay)
        own_upstream.open("disk full")
        while client.body_piece(got):
            pass
        assert (bytes(got.body), got.whole) == (b"data: 1\n\n", False)
        free_disk(relay)
        eventually(lambda: own_upstream.requests[0].closed_at, "the upstream is let go")
        eventually(lambda: files_with(b"not_recorded", relay.data / "journal"), "the disk has the end")
    end = read_journals(relay.data).calls[str(got.call_id)].end
    assert end is not None
    assert (end.outcome, end.error_type) == ("cut", "not_recorded")


def test_a_stream_that_is_recorded_is_passed_on(tmp_path: Path, own_upstream: FakeUpstream) -> None:
    steps = (Send(EVENT_STREAM + chunk(b"data: 1\n\n") + chunk(b"data: [DONE]\n\n") + LAST_CHUNK),)
    own_upstream.script("/stream", Script(steps))
    with RelayWorker(tmp_path, own_upstream.url, config=REFUSE) as relay:
        got = relay.ask(request("POST", "/stream", (), b"x"))
    assert (bytes(got.body), got.whole) == (b"data: 1\n\ndata: [DONE]\n\n", True)
    assert read_journals(relay.data).calls[str(got.call_id)].whole


def test_an_answer_of_ours_is_cut_when_it_cannot_be_recorded(tmp_path: Path, own_upstream: FakeUpstream) -> None:
    steps = (Await("disk full"), Send(b"this is not HTTP\r\n\r\n"))
    own_upstream.script("/bad", Script(steps, keep=False))
    with RelayWorker(tmp_path, own_upstream.url, config=REFUSE) as relay, relay.connect() as client:
        client.send(request("POST", "/bad", (), b"x"))
        eventually(lambda: own_upstream.requests, "the call is upstream")
        fill_disk(relay)
        own_upstream.open("disk full")
        assert not client.answer("POST").whole
        free_disk(relay)


def test_a_refusal_for_another_reason_is_not_given_unrecorded(tmp_path: Path, own_upstream: FakeUpstream) -> None:
    """That the call cannot be recorded comes first."""
    with RelayWorker(tmp_path, own_upstream.url, config=REFUSE) as relay:
        assert relay.ask(b"GET /p//x HTTP/1.1\r\nHost: r\r\n\r\n").status == 400
        fill_disk(relay)
        got = relay.ask(b"GET /p//x HTTP/1.1\r\nHost: r\r\n\r\n")
        assert (got.status, json.loads(got.body)["error"]["code"]) == (503, "not_recorded")
        free_disk(relay)
