"""A stream's parts move on when they come, and a reader that stalls costs no memory."""

from __future__ import annotations

from contextlib import ExitStack

from tests.fakes.scripts import LAST_CHUNK, Await, Fill, ReadBody, Script, Send, chunk, head, sse
from tests.fakes.upstream import FakeUpstream, split_pattern
from tests.harness.client import request
from tests.harness.eventually import eventually
from tests.harness.worker import RelayWorker

MB = 1 << 20
CHUNKED = ("Transfer-Encoding", "chunked")


def test_each_event_is_forwarded_before_the_next_exists(relay: RelayWorker, upstream: FakeUpstream) -> None:
    upstream.script("/gated", sse([b"1", b"2", b"3"], gates=True))
    with relay.connect() as client:
        client.send(request("POST", "/gated", (), b"{}"))
        answer = client.head("POST")
        for index, data in enumerate([b"1", b"2", b"3", b"[DONE]"]):
            upstream.open(f"event-{index}")
            assert client.body_piece(answer) == b"data: " + data + b"\n\n"
        assert client.body_piece(answer) == b""
        assert answer.whole


def test_many_streams_at_once_are_not_mixed_up(relay: RelayWorker, upstream: FakeUpstream) -> None:
    for number in range(60):
        upstream.script(f"/many/{number}", sse([b"%d-%d" % (number, event) for event in range(5)], gates=True))
    with ExitStack() as stack:
        clients = [stack.enter_context(relay.connect()) for _ in range(60)]
        for number, client in enumerate(clients):
            client.send(request("POST", f"/many/{number}", (), b"%d" % number))
        answers = [client.head("POST") for client in clients]
        for event in range(6):
            upstream.open(f"event-{event}")
            for client, answer in zip(clients, answers, strict=True):
                assert client.body_piece(answer)
        assert [client.body_piece(answer) for client, answer in zip(clients, answers, strict=True)] == [b""] * 60
    for number, answer in enumerate(answers):
        events = [b"data: %d-%d\n\n" % (number, event) for event in range(5)]
        assert (answer.whole, answer.body) == (True, b"".join(events) + b"data: [DONE]\n\n")
    assert sorted(bytes(seen.body) for seen in upstream.requests) == sorted(b"%d" % number for number in range(60))


def test_the_head_is_forwarded_before_the_body_exists(relay: RelayWorker, upstream: FakeUpstream) -> None:
    steps = (Send(head(200, [("Content-Length", "2")])), Await("body"), Send(b"ok"))
    upstream.script("/head-first", Script(steps))
    with relay.connect() as client:
        client.send(request("GET", "/head-first"))
        answer = client.head()
        assert answer.status == 200
        upstream.open("body")
        assert client.body_piece(answer) == b"ok"


def test_a_part_of_a_chunk_is_forwarded_before_the_rest(relay: RelayWorker, upstream: FakeUpstream) -> None:
    steps = (Send(head(200, [CHUNKED]) + b"a\r\nhello"), Await("rest"), Send(b"world\r\n" + LAST_CHUNK))
    upstream.script("/half-chunk", Script(steps))
    with relay.connect() as client:
        client.send(request("GET", "/half-chunk"))
        answer = client.head()
        assert client.body_piece(answer) == b"hello"
        upstream.open("rest")
        assert client.body_piece(answer) == b"world"


def test_a_request_body_is_forwarded_as_it_comes(relay: RelayWorker, upstream: FakeUpstream) -> None:
    upstream.script(
        "/upload", Script((ReadBody(), *Script((Send(head(200, [("Content-Length", "0")])),)).steps), read_first=False)
    )
    with relay.connect() as client:
        client.send(request("POST", "/upload", [CHUNKED]) + chunk(b"first"))
        eventually(lambda: upstream.requests and upstream.requests[-1].body == b"first", "the first chunk is upstream")
        client.send(chunk(b"second") + LAST_CHUNK)
        assert client.answer("POST").status == 200
    assert upstream.requests[-1].body == b"firstsecond"


def test_a_client_that_stops_reading_costs_no_memory(relay: RelayWorker, upstream: FakeUpstream) -> None:
    size = 60 * MB
    upstream.script("/long", Script((Send(head(200, [CHUNKED])), Fill(size, chunked=True), Send(LAST_CHUNK))))
    relay.ask(request("GET", "/warm"))
    before = relay.rss_bytes("relay-0")
    with relay.connect(receive_bytes=65_536, timeout_s=60) as client:
        client.send(request("GET", "/long"))
        answer = client.head()
        still(lambda: upstream.requests[-1].sent)
        held = upstream.requests[-1].sent
        grown = relay.rss_bytes("relay-0") - before
        assert held < size / 2, "nothing pushed back on the upstream"
        assert grown < 5 * MB, f"{grown / MB:.1f} MB for one stalled reader"
        while client.body_piece(answer):
            pass
        assert answer.whole
    assert answer.body == b"".join(split_pattern(size))


def test_an_upstream_that_stops_reading_pushes_back_on_the_client(relay: RelayWorker, upstream: FakeUpstream) -> None:
    size = 60 * MB
    steps = (Await("read"), ReadBody(), Send(head(200, [("Content-Length", "0")])))
    upstream.script("/slow-upload", Script(steps, read_first=False))
    relay.ask(request("GET", "/warm"))
    before = relay.rss_bytes("relay-0")
    with relay.connect(timeout_s=60) as client:
        client.send(request("POST", "/slow-upload", [("Content-Length", str(size))]))
        client.socket.setblocking(False)
        pieces, sent = split_pattern(size), 0
        body = b"".join(pieces)

        def push() -> int:
            nonlocal sent
            try:
                while True:
                    sent += client.socket.send(body[sent : sent + MB])
            except BlockingIOError:
                return sent

        still(push)
        grown = relay.rss_bytes("relay-0") - before
        assert sent < size / 2, "nothing pushed back on the client"
        assert grown < 5 * MB, f"{grown / MB:.1f} MB for one stalled upload"
        client.socket.settimeout(60)
        upstream.open("read")
        client.send(body[sent:])
        assert client.answer("POST").status == 200
    assert upstream.requests[-1].body == body


def still(measure: object, times: int = 8) -> None:
    """Wait until a figure has stopped growing."""
    seen: list[object] = []

    def settled() -> bool:
        seen.append(measure())  # type: ignore[operator]
        return len(seen) > times and bool(seen[-1]) and len(set(map(str, seen[-times:]))) == 1

    eventually(settled, "the figure settles", timeout_s=30, every_s=0.05)
