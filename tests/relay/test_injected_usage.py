"""``inject_usage``, over real sockets: what the upstream gets, what the client gets, what is recorded."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import brotli
import pytest

from proxy.records import Outcome, Side
from proxy.relay.upload import MOST_HELD_BYTES
from proxy.relay.usage_injection import MOST_REQUEST_BYTES
from tests.fakes.scripts import (
    LAST_CHUNK,
    Await,
    Close,
    ReadBody,
    Reset,
    Script,
    Send,
    answer,
    chat,
    chat_chunks,
    chunk,
    head,
    sse,
)
from tests.fakes.toxic import Toxic, Toxics
from tests.fakes.upstream import FakeUpstream
from tests.harness.client import Answer, RawClient, chunked_request, request
from tests.harness.eventually import eventually
from tests.harness.records import Recorded, read_journals
from tests.harness.server import LlmtapServer
from tests.harness.worker import RelayWorker

JSON = ("Content-Type", "application/json")
EVENTS = ("Content-Type", "text/event-stream")
CHUNKED = ("Transfer-Encoding", "chunked")
CHAT = "/v1/chat/completions"
WORDS = ("Hel", "lo")
ASKING = {"model": "m", "messages": [{"role": "user", "content": "say hello"}], "stream": True}
BODY = json.dumps(ASKING).encode()
ASKED = BODY.replace(b"{", b'{"stream_options":{"include_usage":true},', 1)
PLAIN = b"".join(b"data: " + each + b"\n\n" for each in (*chat_chunks(ASKING, WORDS), b"[DONE]"))
USAGE = b'{"id":"c","choices":[],"usage":{"prompt_tokens":2,"completion_tokens":2,"total_tokens":4}}'


def settings(upstream: str, inject: str = "true") -> str:
    return f'[[upstreams]]\nname = "up"\nbase = "{upstream}"\ninject_usage = {inject}\n'


@pytest.fixture(scope="module")
def injecting(shared_upstream: FakeUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RelayWorker]:
    with RelayWorker(tmp_path_factory.mktemp("inject"), "", config=settings(shared_upstream.url)) as relay:
        yield relay


@pytest.fixture
def relay(injecting: RelayWorker, upstream: FakeUpstream) -> RelayWorker:
    """A relay that injects, in front of ``upstream`` at ``/up``."""
    return injecting


def ask(relay: RelayWorker, body: bytes = BODY, *lines: tuple[str, str], path: str = CHAT) -> Answer:
    return relay.ask(request("POST", f"/up{path}", [JSON, *lines], body))


def answered(body: bytes) -> bytes:
    """What the fake model says to a request, without framing."""
    said = b"".join(step.data for step in chat(body, WORDS).steps if isinstance(step, Send))
    return b"".join(piece.partition(b"\r\n")[0] for piece in said.split(b"\r\n\r\n", 1)[1].split(b"\r\n")[1::2])


def test_the_upstream_is_asked_and_the_client_sees_a_stream_without_usage(
    relay: RelayWorker, upstream: FakeUpstream
) -> None:
    upstream.script(CHAT, lambda seen: chat(bytes(seen.body), WORDS))
    got = ask(relay, BODY, ("Accept-Encoding", "gzip, br"), ("X-A", "1"))
    assert (got.status, bytes(got.body), got.whole) == (200, PLAIN, True)
    seen = upstream.requests[0]
    assert (bytes(seen.body), seen.framing) == (ASKED, "length")
    assert [pair for pair in seen.headers if pair[0] != b"Host"] == [
        (b"Content-Type", b"application/json"),
        (b"Accept-Encoding", b"identity"),
        (b"X-A", b"1"),
        (b"Content-Length", b"%d" % len(ASKED)),
    ]
    assert upstream.violations == []


def test_a_chunked_request_stays_chunked(relay: RelayWorker, upstream: FakeUpstream) -> None:
    upstream.script(CHAT, lambda seen: chat(bytes(seen.body), WORDS))
    pieces = [BODY[:5], BODY[5:30], BODY[30:]]
    got = relay.ask(chunked_request("POST", f"/up{CHAT}", [JSON], pieces))
    assert bytes(got.body) == PLAIN
    assert (bytes(upstream.requests[0].body), upstream.requests[0].framing) == (ASKED, "chunked")


def test_a_client_that_expects_100_gets_it_before_its_body_is_read(relay: RelayWorker, upstream: FakeUpstream) -> None:
    upstream.script(CHAT, lambda seen: chat(bytes(seen.body), WORDS))
    whole = request("POST", f"/up{CHAT}", [JSON, ("Expect", "100-continue")], BODY)
    with relay.connect() as client:
        client.send(whole[: -len(BODY)])
        assert client._until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(BODY)
        assert bytes(client.answer("POST").body) == PLAIN
    assert bytes(upstream.requests[0].body) == ASKED


UNTOUCHED = {
    "asks itself": (json.dumps(ASKING | {"stream_options": {"include_usage": True}}).encode(), (JSON,), CHAT),
    "no stream": (json.dumps(ASKING | {"stream": False}).encode(), (JSON,), CHAT),
    "other endpoint": (BODY, (JSON,), "/v1/responses"),
    "not JSON": (b"stream=true", (JSON,), CHAT),
    "cut JSON": (BODY[:-1], (JSON,), CHAT),
    "another type": (BODY, (("Content-Type", "text/plain"),), CHAT),
    "compressed": (gzip.compress(BODY, mtime=0), (JSON, ("Content-Encoding", "gzip")), CHAT),
    "signed": (BODY, (JSON, ("Content-Digest", "sha-256=:x:")), CHAT),
    "signed by AWS": (BODY, (JSON, ("Authorization", "AWS4-HMAC-SHA256 Credential=x, Signature=y")), CHAT),
    "too large": (BODY[:-1] + b',"pad":"' + b"x" * MOST_REQUEST_BYTES + b'"}', (JSON,), CHAT),
    "nothing": (b"", (JSON,), CHAT),
}


@pytest.mark.parametrize("name", UNTOUCHED)
def test_what_is_not_asked_is_sent_and_answered_as_ever(name: str, relay: RelayWorker, upstream: FakeUpstream) -> None:
    body, lines, path = UNTOUCHED[name]
    lines = (*lines, ("Accept-Encoding", "gzip"))
    script = sse([b'{"choices":[]}', USAGE])
    upstream.script(path, script)
    got = relay.ask(request("POST", f"/up{path}", lines, body))
    assert bytes(got.body) == b'data: {"choices":[]}\n\ndata: ' + USAGE + b"\n\ndata: [DONE]\n\n"
    seen = upstream.requests[0]
    assert seen.body == body
    wanted = [(key.encode(), value.encode()) for key, value in (*lines, ("Content-Length", str(len(body))))]
    assert [pair for pair in seen.headers if pair[0] != b"Host"] == wanted


def test_a_chunked_request_that_is_too_large_is_streamed_from_there_on(
    relay: RelayWorker, upstream: FakeUpstream
) -> None:
    """What was held comes first, and the rest as it comes: the upstream has it before the client is done."""
    upstream.script("/v1/completions", Script((ReadBody(), *answer(200, body=b"ok").steps), read_first=False))
    large, rest = b'{"stream":true,"pad":"' + b"x" * MOST_REQUEST_BYTES, b'y"}'
    with relay.connect() as client:
        client.send(request("POST", "/up/v1/completions", [JSON, CHUNKED]) + chunk(large))
        eventually(lambda: upstream.requests and len(upstream.requests[-1].body) == len(large), "all of it is upstream")
        client.send(chunk(rest) + LAST_CHUNK)
        assert client.answer("POST").body == b"ok"
    assert upstream.requests[-1].body == large + rest


@pytest.mark.parametrize("inject", ["false", ""])
def test_off_by_default(inject: str, tmp_path: Path, own_upstream: FakeUpstream) -> None:
    config = settings(own_upstream.url, inject) if inject else settings(own_upstream.url).rsplit("\n", 2)[0] + "\n"
    with RelayWorker(tmp_path, "", config=config) as relay:
        own_upstream.script(CHAT, sse([USAGE]))
        got = ask(relay)
    assert bytes(own_upstream.requests[0].body) == BODY
    assert bytes(got.body) == b"data: " + USAGE + b"\n\ndata: [DONE]\n\n"
    found = read_journals(relay.data).calls[got.call_id or ""].head
    assert found
    assert not found.usage_injected


STREAM = b'data: {"choices":[{"delta":{"content":"hi"}}],"usage":null}\n\ndata: ' + USAGE + b"\n\ndata: [DONE]\n\n"
FILTERED = STREAM.replace(b"data: " + USAGE + b"\n\n", b"")
ANSWERS = {
    "chunked": (answer(200, [EVENTS], STREAM, framing="chunked", sizes=(7,)), FILTERED, "chunked"),
    "with a length": (answer(200, [EVENTS], STREAM), FILTERED, "chunked"),
    "with a length of nothing": (answer(200, [EVENTS], b""), b"", "length"),
    "ended by close": (answer(200, [EVENTS], STREAM, framing="close"), FILTERED, "chunked"),
    "CRLF": (answer(200, [EVENTS], STREAM.replace(b"\n", b"\r\n")), FILTERED.replace(b"\n", b"\r\n"), "chunked"),
    "nothing but usage": (answer(200, [EVENTS], b"data: " + USAGE + b"\n\n"), b"", "chunked"),
    "without a last blank line": (answer(200, [EVENTS], STREAM[:-2]), FILTERED[:-2], "chunked"),
    "of an unknown coding": (answer(200, [EVENTS, ("Content-Encoding", "compress")], STREAM), STREAM, "length"),
    "no stream": (answer(200, [JSON], USAGE), USAGE, "length"),
    "an error": (answer(400, [EVENTS], STREAM), STREAM, "length"),
    "no content": (answer(204), b"", "none"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_is_filtered_or_not_touched(name: str, relay: RelayWorker, upstream: FakeUpstream) -> None:
    script, wanted, framing = ANSWERS[name]
    upstream.script(CHAT, script)
    got = ask(relay)
    assert bytes(upstream.requests[0].body) == ASKED
    assert (bytes(got.body), got.framing, got.whole) == (wanted, framing, True)
    with relay.connect() as client:
        assert client.ask(request("GET", "/up/next")).status == 200


PACKED = {"gzip": gzip.compress(STREAM, mtime=0), "deflate": zlib.compress(STREAM), "br": brotli.compress(STREAM)}


@pytest.mark.parametrize("coding", PACKED)
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_an_answer_that_is_compressed_all_the_same_is_passed_on_without(
    coding: str, framing: Literal["length", "chunked"], tmp_path: Path, own_upstream: FakeUpstream
) -> None:
    """The client did not ask for the chunk that is inside; the record has what the upstream sent."""
    lines = [EVENTS, ("Content-Encoding", coding), ("X-B", "2")]
    own_upstream.script(CHAT, answer(200, lines, PACKED[coding], framing=framing, sizes=(5,)))
    with RelayWorker(tmp_path, "", config=settings(own_upstream.url)) as relay:
        got = ask(relay)
    assert (bytes(got.body), got.framing, got.whole) == (FILTERED, "chunked", True)
    assert (got.value("content-encoding"), got.value("x-b")) == (None, b"2")
    call = recorded(relay, got)
    assert call.head
    assert bytes(call.bodies[Side.RESPONSE]) == PACKED[coding]
    assert (b"Content-Encoding", coding.encode()) in [(line.name, line.value) for line in call.head.headers]


@pytest.mark.parametrize("body", [PACKED["gzip"][:-9], PACKED["gzip"][:-8] + bytes(8)], ids=["cut", "damaged"])
def test_an_answer_whose_compression_breaks_is_cut_there(
    body: bytes, tmp_path: Path, own_upstream: FakeUpstream
) -> None:
    own_upstream.script(CHAT, answer(200, [EVENTS, ("Content-Encoding", "gzip")], body))
    with RelayWorker(tmp_path, "", config=settings(own_upstream.url)) as relay:
        got = ask(relay)
    assert not got.whole
    assert FILTERED.startswith(got.body)
    end = recorded(relay, got).end
    assert end
    assert (end.outcome, end.error_type) == (Outcome.CUT, "upstream_encoding")


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*.*"))


def test_what_all_calls_hold_together_is_bounded_and_given_back(tmp_path: Path, own_upstream: FakeUpstream) -> None:
    """One upload too many is streamed; when those that were held are gone, the next is asked again."""
    own_upstream.script(CHAT, Script((ReadBody(), *answer(200, body=b"ok").steps), read_first=False))
    start = BODY[:-1] + b',"pad":"'
    start += b"x" * (MOST_REQUEST_BYTES - 1000 - len(start))
    fitting = MOST_HELD_BYTES // len(start)
    unfinished = request("POST", f"/up{CHAT}", [JSON, CHUNKED]) + chunk(start)

    with RelayWorker(tmp_path, "", config=settings(own_upstream.url)) as relay:
        with ExitStack() as open_clients:
            for _ in range(fitting):
                open_clients.enter_context(relay.connect()).send(unfinished)
            journals = relay.data / "journal"
            eventually(lambda: _size(journals) > fitting * len(start), "all of them are held")
            assert own_upstream.requests == []
            with relay.connect() as client:
                client.send(unfinished)
                eventually(lambda: own_upstream.requests and own_upstream.requests[0].body == start, "it is streamed")
                client.send(chunk(b'"}') + LAST_CHUNK)
                assert client.answer("POST").body == b"ok"
        eventually(lambda: relay.gauges("relay-0")["calls_running"] == 0, "all have hung up")
        assert ask(relay, start + b'"}').body == b"ok"
    streamed, asked = own_upstream.requests
    assert bytes(streamed.body) == start + b'"}'
    assert bytes(asked.body) == ASKED[:-1] + (start + b'"}')[len(BODY) - 1 :]


def test_http_1_0_gets_a_filtered_stream_that_ends_with_its_connection(
    relay: RelayWorker, upstream: FakeUpstream
) -> None:
    upstream.script(CHAT, answer(200, [EVENTS], STREAM))
    with relay.connect() as client:
        got = client.ask(request("POST", f"/up{CHAT}", [JSON], BODY).replace(b"HTTP/1.1", b"HTTP/1.0", 1))
    assert (bytes(got.body), got.framing) == (FILTERED, "close")


def test_bytes_that_dribble_make_the_same_stream(tmp_path: Path, own_upstream: FakeUpstream) -> None:
    own_upstream.script(CHAT, lambda seen: chat(bytes(seen.body), WORDS))
    with (
        Toxic(own_upstream.port, down=Toxics(slice_bytes=3)) as toxic,
        RelayWorker(tmp_path, "", config=settings(toxic.url)) as relay,
        Toxic(relay.port, up=Toxics(slice_bytes=7)) as client_side,
        RawClient(client_side.port) as client,
    ):
        assert bytes(client.ask(request("POST", f"/up{CHAT}", [JSON], BODY)).body) == PLAIN
    assert bytes(own_upstream.requests[0].body) == ASKED


def test_each_event_is_passed_on_when_it_is_whole(relay: RelayWorker, upstream: FakeUpstream) -> None:
    steps = (
        Send(head(200, [EVENTS, CHUNKED]) + chunk(b"data: 1\n\ndata: 2")),
        Await("two"),
        Send(chunk(b"\n\n: ping\n")),
        Await("usage"),
        Send(chunk(b"data: " + USAGE + b"\n\n")),
        Send(chunk(b"data: [DONE]\n\n") + LAST_CHUNK),
    )
    upstream.script(CHAT, Script(steps))
    with relay.connect() as client:
        client.send(request("POST", f"/up{CHAT}", [JSON], BODY))
        got = client.head("POST")
        assert client.body_piece(got) == b"data: 1\n\n"
        upstream.open("two")
        assert client.body_piece(got) == b"data: 2\n\n: ping\n"
        upstream.open("usage")
        assert client.body_piece(got) == b"data: [DONE]\n\n"


@pytest.mark.parametrize("cut", [Close(), Reset()], ids=["closed", "reset"])
def test_a_cut_stream_is_cut_behind_all_that_came(
    cut: Close | Reset, tmp_path: Path, own_upstream: FakeUpstream
) -> None:
    came = b"data: 1\n\ndata: " + USAGE + b"\n\ndata: " + USAGE[:20]
    steps = (Send(head(200, [EVENTS, CHUNKED]) + chunk(came)), Await("cut"), cut)
    own_upstream.script(CHAT, Script(steps))
    with RelayWorker(tmp_path, "", config=settings(own_upstream.url)) as relay, relay.connect() as client:
        client.send(request("POST", f"/up{CHAT}", [JSON], BODY))
        got = client.head("POST")
        assert client.body_piece(got) == b"data: 1\n\n"
        own_upstream.open("cut")
        while client.body_piece(got):
            pass
    assert (bytes(got.body), got.whole) == (b"data: 1\n\ndata: " + USAGE[:20], False)
    call = recorded(relay, got)
    assert call.end
    assert (call.end.outcome, bytes(call.bodies[Side.RESPONSE])) == (Outcome.CUT, came)


def recorded(relay: RelayWorker, got: Answer) -> Recorded:
    return read_journals(relay.data).calls[got.call_id or ""]


def test_both_sides_are_recorded_as_client_and_upstream_sent_them(tmp_path: Path, own_upstream: FakeUpstream) -> None:
    own_upstream.script(CHAT, answer(200, [EVENTS], STREAM))
    with RelayWorker(tmp_path, "", config=settings(own_upstream.url)) as relay:
        got = ask(relay, BODY, ("Accept-Encoding", "gzip"))
        refused = ask(relay, json.dumps(ASKING | {"stream": False}).encode())
    call = recorded(relay, got)
    assert call.begin
    assert call.head
    assert call.whole
    assert bytes(call.bodies[Side.REQUEST]) == BODY
    assert bytes(call.bodies[Side.RESPONSE]) == STREAM
    assert call.head.usage_injected
    assert (b"Accept-Encoding", b"gzip") in [(line.name, line.value) for line in call.begin.headers]
    assert (b"Content-Length", b"%d" % len(STREAM)) in [(line.name, line.value) for line in call.head.headers]
    other = recorded(relay, refused).head
    assert other
    assert not other.usage_injected


def test_a_client_that_stalls_in_its_body_is_told_and_nothing_goes_upstream(
    tmp_path: Path, own_upstream: FakeUpstream
) -> None:
    config = settings(own_upstream.url) + "[limits]\nclient_body_idle_timeout_s = 0.2\n"
    with RelayWorker(tmp_path, "", config=config) as relay, relay.connect() as client:
        got = client.ask(request("POST", f"/up{CHAT}", [JSON], BODY)[:-5])
    assert (got.status, json.loads(got.body)["error"]["code"]) == (408, "client_idle_timeout")
    assert own_upstream.requests == []
    call = recorded(relay, got)
    assert call.end
    assert (call.end.outcome, call.end.request_complete) == (Outcome.REFUSED, False)


def test_a_client_that_hangs_up_in_its_body_sent_nothing_upstream(tmp_path: Path, own_upstream: FakeUpstream) -> None:
    with RelayWorker(tmp_path, "", config=settings(own_upstream.url)) as relay:
        with relay.connect() as client:
            client.send(request("POST", f"/up{CHAT}", [JSON, CHUNKED]) + chunk(BODY))
            eventually(lambda: relay.gauges("relay-0")["calls_running"] == 1, "the call runs")
        eventually(lambda: relay.gauges("relay-0")["calls_running"] == 0, "the call is over")
    assert own_upstream.requests == []
    (call,) = read_journals(relay.data).calls.values()
    assert call.end
    assert (call.end.outcome, call.end.request_complete) == (Outcome.CLIENT_CLOSED, False)
    assert BODY.startswith(call.bodies[Side.REQUEST])


def test_the_row_has_the_usage_that_the_client_did_not_see(tmp_path: Path, own_upstream: FakeUpstream) -> None:
    with LlmtapServer(tmp_path, config=settings(own_upstream.url)) as server:
        own_upstream.script(CHAT, lambda seen: chat(bytes(seen.body), WORDS))
        got = server.ask(request("POST", f"/up{CHAT}", [JSON], BODY))
        row = server.row(str(got.call_id))
        assert server.raw(str(got.call_id), "request") == BODY
    assert bytes(got.body) == PLAIN
    assert (row["status"], row["input_tokens"], row["output_tokens"]) == ("ok", 2, 2)
    assert (row["request_bytes"], row["upstream"]) == (len(BODY), "up")
