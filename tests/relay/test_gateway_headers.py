"""Headers made for other gateways: recorded always, sent on only to who can use them, obeyed never."""

from __future__ import annotations

import socket
from pathlib import Path
from threading import Thread

import pytest

from proxy.config import Config, Relay, Upstream
from proxy.records import Header
from proxy.relay.routes import BUILT_IN, Routes
from proxy.wire.identity import HEADERS
from tests.fakes.upstream import FakeUpstream
from tests.harness.client import request
from tests.harness.records import read_journals
from tests.harness.worker import RelayWorker

KEY = b"sk-canary-3f9a17c2"
PRIVATE = (
    (b"Helicone-Auth", b"Bearer " + KEY, False),
    (b"helicone-user-id", b"ada", True),
    (b"Helicone-Property-App", b"shop", True),
    (b"X-Portkey-Api-Key", KEY, False),
    (b"x-portkey-trace-id", b"trace-1", True),
    (b"x-litellm-session-id", b"session-1", True),
    (b"x-litellm-new-thing", KEY, False),
    (b"langfuse_secret_key", KEY, False),
    (b"x-bt-project-id", b"p", True),
    (b"x-bf-eh-x-api-key", KEY, False),
    (b"helicone-property-" + b"p" * 300, KEY, False),
)
OURS = ((b"X-Llmtap-User", b"ada", True), (b"x-llmtap-meta-team", b"blue", True), (b"X-Llmtap-Odd", KEY, False))
STANDARD = (
    (b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", True),
    (b"Tracestate", b"rojo=00f067aa0ba902b7", True),
    (b"baggage", b"session.id=s1,user.id=%C3%A9", True),
    (b"x-claude-code-session-id", b"c0ffee", True),
)
ALL = (*PRIVATE, *OURS, *STANDARD)
LINES = [(name, value) for name, value, _ in ALL]


def assert_recorded(headers: tuple[Header, ...]) -> None:
    """Every line in its place: what is no secret as sent, the rest as fingerprint."""
    lines = headers[1 : 1 + len(ALL)]  # behind Host
    assert [line.name for line in lines] == [name for name, _, _ in ALL]
    for line, (_, value, clear) in zip(lines, ALL, strict=True):
        assert (line.hidden, line.value == value) == (not clear, clear)
        assert KEY not in line.value


@pytest.mark.parametrize(("setting", "passed"), [("auto", True), ("pass", True), ("consume", False)])
def test_an_upstream_of_the_users_own_gets_them_unless_told_otherwise(
    setting: str, passed: bool, tmp_path: Path, own_upstream: FakeUpstream
) -> None:
    with RelayWorker(tmp_path, own_upstream.url, config=f'[relay]\ngateway_headers = "{setting}"\n') as relay:
        got = relay.ask(request("POST", "/v1/x", LINES, b"{}"))
    sent = [pair for pair in own_upstream.requests[0].headers if pair in LINES]
    assert sent == [(name, value) for name, value, _ in ((*PRIVATE, *STANDARD) if passed else STANDARD)]
    begin = read_journals(relay.data).calls[got.call_id or ""].begin
    assert begin is not None
    assert_recorded(begin.headers)


def test_a_built_in_provider_does_not_get_them(tmp_path: Path) -> None:
    """The provider is a socket that stands for the proxy on the way to it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        seen: list[bytes] = []
        answering = Thread(target=lambda: seen.append(answer_once(listening)), daemon=True)
        answering.start()
        proxy = {"HTTP_PROXY": f"http://127.0.0.1:{listening.getsockname()[1]}"}
        with RelayWorker(tmp_path, "", config="[relay]\nuse_env_proxy = true\n", env=proxy) as relay:
            got = relay.ask(request("GET", "/ollama/api/tags", LINES))
        answering.join(10)
    assert got.status == 200, got.body
    lines = seen[0].split(b"\r\n")
    assert lines[0] == b"GET http://127.0.0.1:11434/api/tags HTTP/1.1"
    assert [line for line in lines if line.partition(b": ")[::2] in LINES] == [
        b": ".join(each[:2]) for each in STANDARD
    ]
    begin = read_journals(relay.data).calls[got.call_id or ""].begin
    assert begin is not None
    assert_recorded(begin.headers)


def answer_once(listening: socket.socket) -> bytes:
    """Answer one request without a body; its head."""
    connection, _ = listening.accept()
    with connection:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    return head


def test_nothing_in_a_header_chooses_the_upstream(tmp_path: Path, own_upstream: FakeUpstream) -> None:
    """Whatever header holds another server's address, that server never hears of the call."""
    names = [row.name.replace("*", "x") for row in HEADERS]
    names += ["x-forwarded-host", "forwarded", "x-original-url", "x-rewrite-url", "x-host", "location", "referer"]
    with FakeUpstream() as elsewhere:
        values = [elsewhere.url, f"127.0.0.1:{elsewhere.port}", f'{{"custom_host":"{elsewhere.url}/v1"}}']
        with RelayWorker(tmp_path, own_upstream.url) as relay:
            for value in values:
                assert relay.ask(request("POST", "/v1/x", [(name, value) for name in names], b"{}")).status == 200
                for name in ("Helicone-Target-URL", "Helicone-OpenAI-Api-Base", "X-Portkey-Custom-Host"):
                    assert relay.ask(request("POST", f"/{name}", [(name, value)], b"{}")).status == 200
        assert (elsewhere.connections, elsewhere.requests) == (0, [])
    assert len(own_upstream.requests) == 12


def test_which_routes_consume() -> None:
    def consuming(config: Config) -> dict[str, bool]:
        return {row.upstream: row.consumes for row in Routes(config).rows}

    assert consuming(Config()) == dict.fromkeys((name for name, _, _ in BUILT_IN), True)
    own = Upstream(name="groq", base="http://10.0.0.1:9000")
    gateway = Upstream(name="gateway", base="https://gw.example")
    found = consuming(Config(upstreams=(own, gateway)))
    assert {name for name, consumes in found.items() if not consumes} == {"groq", "gateway"}
    assert consuming(Config(relay=Relay(upstream="https://gw.example"))) == {"gw.example": False}
    assert set(consuming(Config(relay=Relay(gateway_headers="pass"))).values()) == {False}
    assert all(consuming(Config(relay=Relay(gateway_headers="consume"), upstreams=(own, gateway))).values())


@pytest.mark.parametrize("base", ["https://api.openai.com/v1", "https://API.OpenAI.com:443", "https://api.groq.com/x"])
def test_a_provider_is_one_under_any_name(base: str) -> None:
    """To set ``inject_usage`` for a provider takes a row of one's own; that shall not send it other gateways' keys."""
    routes = Routes(Config(upstreams=(Upstream(name="mine", base=base, inject_usage=True),)))
    row = routes.resolve("/mine/v1/x").route
    assert (row.consumes, row.inject_usage) == (True, True)
    assert not routes.resolve("/v1/x").route.inject_usage


def test_a_root_of_the_users_own_that_is_openai_still_knows_anthropic() -> None:
    root = Upstream(name="openai", base="https://api.openai.com", prefix="/", inject_usage=True)
    routes = Routes(Config(upstreams=(root,)))
    assert routes.resolve("/v1/messages", anthropic_version=True).route.upstream == "anthropic"
