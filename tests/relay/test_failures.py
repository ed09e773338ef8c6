"""Calls that reach no upstream, or a bad one: a clear answer to the client, and a row that says why."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from tests.fakes.scripts import Script, Send, Stall, head, json_answer
from tests.fakes.upstream import FakeUpstream
from tests.harness.client import Answer, request
from tests.harness.server import LlmtapServer

ASK = request("POST", "/v1/chat/completions", [("Content-Type", "application/json")], b'{"messages":[]}')


def refusal(answer: Answer, status: int) -> str:
    """The message of our own error body, after checking its shape and status."""
    assert answer.status == status, bytes(answer.body)
    assert (answer.value("content-type") or b"").startswith(b"application/json")
    error = json.loads(answer.body)["error"]
    assert {"message", "type", "code"} <= set(error)
    return str(error["message"])


def test_connection_refused(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with LlmtapServer(tmp_path, url) as server:
            answer = server.ask(ASK)
            assert "refused" in refusal(answer, 502).lower()
            row = server.row(answer.call_id or "")
    assert (row["status"], row["http_status"]) == ("error", 502)
    assert row["error_type"]
    assert "refused" in row["error_message"].lower()
    assert row["request_bytes"] == len(b'{"messages":[]}'), "the row says what was asked"


def test_name_that_does_not_exist(tmp_path: Path) -> None:
    with LlmtapServer(tmp_path, "http://no-such-host.invalid") as server:
        answer = server.ask(ASK)
        assert "no-such-host.invalid" in refusal(answer, 502)
        row = server.row(answer.call_id or "")
    assert (row["status"], row["http_status"]) == ("error", 502)
    assert "no-such-host.invalid" in row["error_message"]


def test_upstream_that_speaks_no_tls(tmp_path: Path, own_upstream: FakeUpstream) -> None:
    with LlmtapServer(tmp_path, own_upstream.url.replace("http:", "https:")) as server:
        answer = server.ask(ASK)
        assert "tls" in refusal(answer, 502).lower()
        row = server.row(answer.call_id or "")
    assert row["status"] == "error"
    assert own_upstream.requests == []


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command to make a certificate")
def test_certificates_are_checked_and_an_authority_can_be_added(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*make.split(), *names], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with FakeUpstream(tls=context) as upstream:
        (tmp_path / "a").mkdir()
        with LlmtapServer(tmp_path / "a", upstream.url) as server:
            assert "certificate" in refusal(server.ask(ASK), 502).lower()
        assert upstream.requests == []
        (tmp_path / "b").mkdir()
        with LlmtapServer(tmp_path / "b", upstream.url, config=f'[relay]\nca_file = "{certificate}"\n') as server:
            assert server.ask(ASK).status == 200


def test_time_limits_are_settings_and_rows_name_them(tmp_path: Path, own_upstream: FakeUpstream) -> None:
    own_upstream.script("/silent", Script((Stall(),)))
    own_upstream.script("/stops", Script((Send(head(200, [("Content-Length", "10")]) + b"abc"), Stall())))
    limits = "[limits]\nanswer_timeout_s = 0.3\nbody_idle_timeout_s = 0.3\n"
    with LlmtapServer(tmp_path, own_upstream.url, config=limits) as server:
        silent = server.ask(request("POST", "/silent", (), b"{}"))
        assert "answer_timeout" in refusal(silent, 504)
        stops = server.ask(request("POST", "/stops", (), b"{}"))
        assert (stops.status, stops.body, stops.whole) == (200, b"abc", False)
        rows = [server.row(answer.call_id or "") for answer in (silent, stops)]
    assert [row["status"] for row in rows] == ["error", "truncated"]
    assert "answer_timeout" in rows[0]["error_message"]
    assert "body_idle_timeout" in rows[1]["error_message"]
    assert all(seen.closed_at for seen in own_upstream.requests)


def test_a_client_that_stops_sending_is_let_go(tmp_path: Path, own_upstream: FakeUpstream) -> None:
    limits = "[limits]\nclient_body_idle_timeout_s = 0.3\nclient_head_timeout_s = 0.3\nclient_keep_alive_s = 0.3\n"
    with LlmtapServer(tmp_path, own_upstream.url, config=limits) as server:
        chunked = request("POST", "/t", [("Transfer-Encoding", "chunked")]) + b"5\r\nhello\r\n"
        for beginning in (b"", b"POST /t HTTP/1.1\r\nHos", ASK[:-5], chunked):
            with server.connect() as client:
                client.send(beginning)
                answer = client.answer("POST")
                assert answer.status in (0, 400, 408)
                assert answer.ending != "whole" or answer.value("connection") == b"close"
        with server.connect() as client:
            assert client.ask(ASK).status == 200
            assert client.at_end() == "eof"  # kept, then idle for too long
    assert len([seen for seen in own_upstream.requests if seen.whole]) == 1


def test_a_loop_is_refused(tmp_path: Path) -> None:
    """An upstream that is llmtap itself, by the address of its own listening socket."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with LlmtapServer(tmp_path, f"http://localhost:{port}", flags=["--listen", f"127.0.0.1:{port}"]) as server:
        answer = server.ask(ASK)
        assert refusal(answer, 508)
        assert server.row(answer.call_id or "")["http_status"] == 508
        assert len(server.calls()) == 1


def test_every_answer_has_a_row(server: LlmtapServer, upstream: FakeUpstream) -> None:
    """As many rows as answers, whatever the ids that the provider gives."""
    upstream.script(
        "/v1/chat/completions",
        json_answer({"id": None, "choices": []}),
        json_answer({"id": ""}),
        json_answer({"id": "same"}),
    )
    ids = [server.ask(ASK).call_id for _ in range(12)]
    ids += [server.ask(request("GET", "/nothing/here")).call_id for _ in range(3)]
    rows = server.rows(15, lambda row: row["id"] in ids)
    assert sorted(row["id"] for row in rows) == sorted(str(each) for each in ids)
