"""A provider key, sent in every place where keys travel, is in no file, no log and no reply; and it still arrives."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.fakes.scripts import Script, Send, Stall, head
from tests.fakes.upstream import FakeUpstream
from tests.harness.client import Answer, RawClient, request
from tests.harness.eventually import eventually
from tests.harness.server import LlmtapServer
from tests.harness.watched import Watched, files_with
from tests.harness.worker import RelayWorker

KEY = "sk-canary-8c2e6b1d4f907a35"
BODY = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'
HEADERS = {
    "authorization": ("Authorization", f"Bearer {KEY}"),
    "authorization, odd scheme": ("authorization", f"x {KEY} y"),
    "basic": ("Authorization", KEY),
    "x-api-key": ("x-api-key", KEY),
    "api-key": ("Api-Key", KEY),
    "x-goog-api-key": ("X-Goog-Api-Key", KEY),
    "cookie": ("Cookie", f"a=b; session={KEY}"),
    "websocket protocol": ("Sec-WebSocket-Protocol", f"realtime, openai-insecure-api-key.{KEY}"),
    "proxy-authorization": ("Proxy-Authorization", f"Bearer {KEY}"),
    "unknown header": ("X-Somebody-Elses-Token", KEY),
    "two at once": ("Authorization", f"Bearer {KEY}\r\nx-api-key: {KEY}"),
}
TARGETS = {
    "?key=": f"/v1/t?key={KEY}&a=1",
    "?api_key=": f"/v1/t?a=1&api_key={KEY}",
    "?access_token=": f"/v1/t?access_token={KEY}",
    "?api-key= escaped": "/v1/t?api-key=" + "".join(f"%{ord(c):02x}" for c in KEY),
    "?KEY=": f"/v1/t?KEY={KEY}",
    "userinfo": f"http://user:{KEY}@host.example/v1/t",
    "userinfo, key as name": f"http://{KEY}@host.example/v1/t",
}
POST = b"POST /v1/t HTTP/1.1\r\nHost: r\r\n"
BEARER = POST + b"Authorization: Bearer %b"
MALFORMED = {
    "header name": POST + b"Bad Name: 1\r\nAuthorization: Bearer %b\r\n\r\n",
    "no colon": POST + b"Authorization Bearer %b\r\n\r\n",
    "folded": POST + b"Authorization: Bearer\r\n %b\r\n\r\n",
    "NUL": BEARER + b"\x00\r\n\r\n",
    "bare LF": b"POST /v1/t HTTP/1.1\nHost: r\nAuthorization: Bearer %b\n\n",
    "as the method": b"%b /v1/t HTTP/1.1\r\nHost: r\r\n\r\n",
    "as the version": b"POST /v1/t %b\r\nHost: r\r\n\r\n",
    "as the whole line": b"%b\r\n\r\n",
    "length": POST + b"Content-Length: %b\r\n\r\n",
    "transfer-encoding": POST + b"Transfer-Encoding: %b\r\n\r\n",
    "expect": POST + b"Content-Length: 0\r\nExpect: %b\r\n\r\n",
    "connect": b"CONNECT user:%b@h:1 HTTP/1.1\r\nHost: r\r\n\r\n",
    "fragment": b"POST /v1/t#%b HTTP/1.1\r\nHost: r\r\nContent-Length: 0\r\n\r\n",
    "two lengths": BEARER + b"\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "too large": POST + b"Authorization: Bearer " + b"%b" * 5_000 + b"\r\n\r\n",
    "bad chunk": BEARER + b"\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "not UTF-8": BEARER + b"\xff\r\nContent-Length: 0\r\n\r\n",
}


def send_everywhere(target: Watched, upstream: FakeUpstream) -> list[Answer]:
    """The key in every place, each followed by what the upstream does: answer, error, break, silence."""
    upstream.otherwise(Script((Send(head(401, [("Content-Length", "2")]) + b"no"),)))
    answers = [target.ask(request("POST", "/v1/chat/completions", [pair], BODY)) for pair in HEADERS.values()]
    answers += [target.ask(request("POST", each, (), BODY)) for each in TARGETS.values()]
    for raw in MALFORMED.values():
        with target.connect() as client:
            answers.append(client.ask(raw.replace(b"%b", KEY.encode()), "POST"))
    upstream.script("/cut", Script((Send(head(200, [("Content-Length", "9")]) + b"ab"),), keep=False))
    upstream.script("/nothing", Script((), keep=False))
    bearer = HEADERS["authorization"]
    answers += [target.ask(request("POST", f"{path}?key={KEY}", [bearer], BODY)) for path in ("/cut", "/nothing")]
    upstream.script("/silent", Script((Stall(),)))
    with target.connect() as client:
        client.send(request("POST", f"/silent?key={KEY}", [bearer], BODY))
        eventually(lambda: [seen for seen in upstream.requests if seen.path == "/silent"], "the call is upstream")
    return answers


def assert_nowhere(target: Watched, answers: list[Answer]) -> None:
    for answer in answers:
        assert KEY.encode() not in answer.head + answer.body
    assert files_with(KEY.encode(), target.data, target.stderr) == []
    assert files_with(KEY.lower().encode()[10:], target.data, target.stderr) == []


def test_the_relay_keeps_no_key(tmp_path: Path, own_upstream: FakeUpstream) -> None:
    with RelayWorker(tmp_path, own_upstream.url, config='[log]\nlevel = "debug"\n') as relay:
        answers = send_everywhere(relay, own_upstream)
        assert list((relay.data / "journal").rglob("*")), "nothing was recorded"
        assert_nowhere(relay, answers)
    assert_nowhere(relay, answers)


def test_a_whole_server_keeps_no_key(tmp_path: Path, own_upstream: FakeUpstream) -> None:
    with LlmtapServer(tmp_path, own_upstream.url, config='[log]\nlevel = "debug"\n') as server:
        answers = send_everywhere(server, own_upstream)
        rows = server.rows(len(HEADERS) + len(TARGETS) + 3)
        assert KEY not in str(rows)
        keys = {row["key"] for row in rows if row["key"]}
        assert keys, "no row has a key's fingerprint"
        assert_nowhere(server, answers)
        server.ask(request("POST", "/last", [HEADERS["authorization"]], BODY))
        server.kill("relay-0")
        server.kill("ingest")
    assert_nowhere(server, answers)
    assert server.command("tail", "--no-follow").returncode == 0
    assert_nowhere(server, answers)


@pytest.mark.parametrize("place", [*HEADERS, *TARGETS])
def test_the_key_still_arrives(place: str, relay: RelayWorker, upstream: FakeUpstream) -> None:
    headers = [HEADERS[place]] if place in HEADERS and place != "proxy-authorization" else []
    target = TARGETS.get(place, "/v1/t")
    relay.ask(request("POST", target, headers, BODY))
    seen = upstream.requests[-1]
    for name, value in headers:
        assert seen.value(name.encode()) == value.split("\r\n")[0].encode()
    if place in TARGETS and not place.startswith("userinfo"):
        assert seen.target == target.encode()


def test_files_are_private(relay: RelayWorker, upstream: FakeUpstream) -> None:
    relay.ask(request("POST", "/x", (), BODY))
    for path in [relay.data, *relay.data.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, f"{path} can be read by others: {path.stat().st_mode:o}"


def test_no_log_keeps_no_content(tmp_path: Path, own_upstream: FakeUpstream) -> None:
    """With ``X-Llmtap-No-Log`` the row has route, status, sizes and times; the words are in no file."""
    words = "the-words-of-this-prompt"
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": words}]}).encode()
    with LlmtapServer(tmp_path, own_upstream.url) as server:
        headers = [("X-Llmtap-No-Log", "1"), ("User-Agent", words)]
        got = server.ask(request("POST", f"/v1/chat/completions?q={words}", headers, body))
        row = server.row(str(got.call_id))
        assert files_with(words.encode(), server.data, server.stderr) == []
    assert files_with(words.encode(), server.data, server.stderr) == []
    facts = {name: row[name] for name in ("status", "http_status", "request_bytes", "response_bytes", "endpoint")}
    assert facts == {
        "status": "ok",
        "http_status": 200,
        "request_bytes": len(body),
        "response_bytes": len(got.body),
        "endpoint": "/v1/chat/completions",
    }
    assert (row["output"], row["model"], row["user"], row["input_tokens"]) == (None, None, None, None)
    assert row["latency_ms"] > 0


def test_connections_are_not_mixed_up_after_a_refusal(relay: RelayWorker, upstream: FakeUpstream) -> None:
    """Whatever follows a malformed request on its connection is not answered with another's data."""
    with RawClient(relay.port) as client:
        first = client.ask(MALFORMED["two lengths"].replace(b"%b", KEY.encode()), "POST")
        assert first.status == 400
        assert client.at_end() in ("eof", "reset")
