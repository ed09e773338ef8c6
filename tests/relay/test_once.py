"""The upstream sees each request once: nothing is ever sent a second time."""

from __future__ import annotations

import pytest

from tests.fakes.scripts import Close, ReadBody, Reset, Script, Send, answer, head
from tests.fakes.upstream import FakeUpstream
from tests.harness.client import request
from tests.harness.worker import RelayWorker

BREAKS = {
    "close before the head": Script((Close(),)),
    "reset before the head": Script((Reset(),)),
    "close without reading the body": Script((ReadBody(1), Close()), read_first=False),
    "reset without reading the body": Script((ReadBody(1), Reset()), read_first=False),
    "close in the head": Script((Send(b"HTTP/1.1 200 OK\r\nX-"), Close())),
    "503": answer(503, body=b"later"),
    "500 and close": answer(500, [("Connection", "close")], b"no", keep=False),
    "429 with Retry-After": answer(429, [("Retry-After", "0")]),
    "307": answer(307, [("Location", "/once")]),
    "401": answer(401, [("WWW-Authenticate", "Basic realm=x")]),
}


@pytest.mark.parametrize("fresh", [True, False], ids=["new connection", "pooled connection"])
@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("name", BREAKS)
def test_sent_once(name: str, method: str, fresh: bool, relay: RelayWorker, upstream: FakeUpstream) -> None:
    """``fresh``: the call before it left no connection to use again."""
    upstream.script("/warm", answer(200, [("Connection", "close")] if fresh else [], keep=not fresh))
    assert relay.ask(request("POST", "/warm", (), b"x")).status == 200
    upstream.script("/once", BREAKS[name])
    got = relay.ask(request(method, "/once", (), b"x" * 20_000))
    assert got.status in (502, 503, 500, 429, 307, 401)
    assert len([seen for seen in upstream.requests if seen.path == "/once"]) == 1


def test_a_pooled_connection_that_died_does_not_fail_or_repeat_a_call(
    relay: RelayWorker, upstream: FakeUpstream
) -> None:
    """The upstream closes idle connections; the next calls go out once, and come back."""
    for number in range(20):
        assert relay.ask(request("POST", f"/idle/{number}", (), b"x")).status == 200
        upstream.drop_idle()
        got = relay.ask(request("POST", f"/idle/{number}/again", (), b"y"))
        assert got.status in (200, 502)  # 502 when the close and the request crossed on the wire
    paths = [seen.path for seen in upstream.requests]
    assert len(paths) == len(set(paths))


def test_a_connection_with_surplus_bytes_is_not_used_again(relay: RelayWorker, upstream: FakeUpstream) -> None:
    poison = head(200, [("Content-Length", "2")]) + b"ok" + head(200, [("Content-Length", "4")]) + b"evil"
    upstream.script("/poison", Script((Send(poison),)))
    for _ in range(5):
        assert relay.ask(request("GET", "/poison")).body == b"ok"
        assert relay.ask(request("POST", "/echo", (), b"mine")).body == b"mine"
