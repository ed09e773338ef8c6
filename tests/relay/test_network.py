"""A bad network between llmtap and the upstream: slow is passed on whole, broken is passed on broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes.scripts import answer
from tests.fakes.toxic import Toxic, Toxics
from tests.fakes.upstream import FakeUpstream
from tests.harness.client import request
from tests.harness.eventually import eventually
from tests.harness.worker import RelayWorker

BODY = bytes(range(256)) * 40
SLOW = {
    "latency": Toxics(latency_s=0.02),
    "bandwidth": Toxics(bytes_per_s=200_000, slice_bytes=2_000),
    "slices": Toxics(slice_bytes=11),
}
BROKEN = {
    "closed": Toxics(limit_bytes=5_000),
    "reset": Toxics(limit_bytes=5_000, reset=True),
    "closed in the head": Toxics(limit_bytes=20),
    "reset in the head": Toxics(limit_bytes=20, reset=True),
}


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("name", SLOW)
def test_slow_is_whole(name: str, framing: str, tmp_path: Path, own_upstream: FakeUpstream) -> None:
    own_upstream.script("/t", answer(200, body=BODY, framing=framing, sizes=(999,)))  # type: ignore[arg-type]
    with Toxic(own_upstream.port, up=SLOW[name], down=SLOW[name]) as toxic, RelayWorker(tmp_path, toxic.url) as relay:
        got = relay.ask(request("POST", "/t", (), BODY))
    assert (got.status, got.body, got.whole) == (200, BODY, True)
    assert [bytes(seen.body) for seen in own_upstream.requests] == [BODY]
    assert own_upstream.violations == []


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("name", BROKEN)
def test_broken_is_broken(name: str, framing: str, tmp_path: Path, own_upstream: FakeUpstream) -> None:
    own_upstream.script("/t", answer(200, body=BODY, framing=framing, sizes=(999,)))  # type: ignore[arg-type]
    with Toxic(own_upstream.port, down=BROKEN[name]) as toxic, RelayWorker(tmp_path, toxic.url) as relay:
        got = relay.ask(request("POST", "/t", (), b"x"))
    if "head" in name:
        assert got.status == 502
    else:
        assert (got.status, got.whole) == (200, False)
        assert BODY.startswith(got.body)
    assert len(own_upstream.requests) == 1


def test_a_connection_that_falls_silent_can_be_left(tmp_path: Path, own_upstream: FakeUpstream) -> None:
    own_upstream.script("/t", answer(200, body=BODY))
    silent = Toxics(limit_bytes=5_000, stall=True)
    with Toxic(own_upstream.port, down=silent) as toxic, RelayWorker(tmp_path, toxic.url) as relay:
        with relay.connect() as client:
            client.send(request("POST", "/t", (), b"x"))
            answer_ = client.head("POST")
            assert client.body_piece(answer_)
            assert relay.gauges("relay-0")["calls_running"] == 1
        eventually(lambda: relay.gauges("relay-0")["calls_running"] == 0, "the call is over")
