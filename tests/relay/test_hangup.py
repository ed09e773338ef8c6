"""A client that hangs up is gone for the upstream too, at once and in every phase; the row says so."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from tests.fakes.scripts import LAST_CHUNK, Await, Pause, ReadBody, Script, Send, Stall, chat_chunks, chunk, head, sse
from tests.fakes.upstream import FakeUpstream
from tests.harness.client import RawClient, chunked_request, request
from tests.harness.eventually import eventually
from tests.harness.server import LlmtapServer

Pairs = Sequence[tuple[str, str]]
BODY = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'
LENGTH_10 = head(200, [("Content-Length", "10")])
PHASES = {
    "before the first byte": Script((Stall(),)),
    "before the request's end": Script((ReadBody(5), Stall()), read_first=False),
    "before the end of a chunked request": Script((ReadBody(5), Stall()), read_first=False),
    "after the head": Script((Send(LENGTH_10), Stall())),
    "in a body with a length": Script((Send(LENGTH_10 + b"abc"), Stall())),
    "in a stream": sse([b"1", b"2"], done=False, cut=Stall()),
}


def cut_short(method: str, path: str, headers: Pairs, body: bytes) -> bytes:
    return request(method, path, headers, body)[:-20]


def cut_chunk(method: str, path: str, headers: Pairs, body: bytes) -> bytes:
    return chunked_request(method, path, headers, [body])[:-5]  # all but the last chunk


RAW = {"before the request's end": cut_short, "before the end of a chunked request": cut_chunk}


@pytest.mark.parametrize("leave", ["fin", "reset"])
@pytest.mark.parametrize("phase", PHASES)
def test_hangup_closes_the_upstream(phase: str, leave: str, server: LlmtapServer, upstream: FakeUpstream) -> None:
    path = f"/hangup/{list(PHASES).index(phase)}/{leave}"
    upstream.script(path, PHASES[phase])
    client = server.connect()
    client.send(RAW.get(phase, request)("POST", path, (), BODY))
    eventually(lambda: upstream.requests, "the upstream has the request")
    seen = upstream.requests[-1]
    if phase.startswith("before"):
        eventually(lambda: seen.whole or seen.body, "the upstream reads")
    else:
        answer = client.head("POST")
        if phase != "after the head":
            assert client.body_piece(answer)
    hang_up(client, leave)
    eventually(lambda: seen.closed_at, "the upstream connection closes", timeout_s=5)
    assert seen.finished_at is None
    assert not seen.whole or phase not in RAW, "half a request became a whole one"
    row = server.rows(1, lambda row: row["path"].startswith(path))[0]
    assert row["status"] == "client_closed"


def hang_up(client: RawClient, leave: str) -> None:
    client.close() if leave == "fin" else client.reset()


def test_a_hangup_harms_nobody_else(server: LlmtapServer, upstream: FakeUpstream) -> None:
    upstream.script("/stay", sse([b"1", b"2"], gates=True))
    upstream.script("/go", Script((Stall(),)))
    with server.connect() as stays:
        stays.send(request("POST", "/stay", (), BODY))
        answer = stays.head("POST")
        upstream.open("event-0")
        assert stays.body_piece(answer)
        goes = server.connect()
        goes.send(request("POST", "/go", (), BODY))
        eventually(lambda: [seen for seen in upstream.requests if seen.path == "/go"], "the second call is upstream")
        goes.reset()
        gone = next(seen for seen in upstream.requests if seen.path == "/go")
        eventually(lambda: gone.closed_at, "its connection closes")
        upstream.open("event-1")
        upstream.open("event-2")
        while stays.body_piece(answer):
            pass
        assert answer.whole


@pytest.mark.parametrize("split", [None, 6, 1], ids=["in one read", "marker split", "byte by byte"])
def test_a_client_that_leaves_right_after_done_is_served(
    split: int | None, server: LlmtapServer, upstream: FakeUpstream
) -> None:
    """The official SDKs close as soon as they have read ``[DONE]``, before the last chunk."""
    asked = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    stream = b"".join(b"data: " + event + b"\n\n" for event in [*chat_chunks(asked, ["Hel", "lo"]), b"[DONE]"])
    head_ = head(200, [("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked")])
    done_at = stream.index(b"[DONE]")
    parts = [stream] if split is None else [stream[:done_at], *split_every(stream[done_at:], split)]
    sends = tuple(step for part in parts for step in (Send(chunk(part)), Pause(0.005)))
    upstream.script("/v1/chat/completions", Script((Send(head_), *sends, Await("never"), Send(LAST_CHUNK))))
    with server.connect() as client:
        client.send(request("POST", "/v1/chat/completions", (), json.dumps(asked).encode()))
        answer = client.head("POST")
        while b"[DONE]" not in answer.body:
            assert client.body_piece(answer)
    row = server.row(answer.call_id or "")
    assert (row["status"], row["output"], row["finish_reason"]) == ("ok", "Hello", "stop")


def split_every(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def test_a_half_closed_client_is_gone(server: LlmtapServer, upstream: FakeUpstream) -> None:
    """A client that sends FIN after its request counts as one that left: the upstream is told, the row says so."""
    upstream.script("/half", sse([b"1"], done=False, cut=Stall()))
    with server.connect() as client:
        client.send(request("POST", "/half", (), BODY))
        eventually(lambda: upstream.requests, "the upstream has the request")
        client.finish()
        seen = upstream.requests[-1]
        eventually(lambda: seen.closed_at, "the upstream is told")
        assert not client.answer("POST").whole
    row = server.rows(1, lambda row: row["path"].startswith("/half"))[0]
    assert row["status"] == "client_closed"
