"""The console over real sockets, on a real store."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack
from html.parser import HTMLParser
from pathlib import Path

import pytest

from proxy.clock import monotonic_us
from proxy.datadir import prepare
from proxy.gauges import STALE_US, VITALS, Gauges
from proxy.records import Call
from proxy.store.base import StoredCall
from proxy.store.view import BODY_KEYS, KEYS
from tests.cli.recorded import exchanged, new_call
from tests.console.serving import Console

PAYLOADS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "{{ 7*7 }}{% raw %}",
    "javascript:alert(1)",
    "</td></tr></table><iframe src=//example.com>",
]


@pytest.fixture
async def console(tmp_path: Path) -> AsyncIterator[Console]:
    async with Console(tmp_path / "data") as made:
        yield made


def titles(page: str) -> list[str]:
    return re.findall(r"<h[12]>(?:<bdi>)?([^<]*)", page)


# --- pages -----------------------------------------------------------------------------------


async def test_before_the_first_call_the_page_says_what_to_do(console: Console) -> None:
    status, page = await console.get("/")
    assert status == 200
    assert "No calls yet" in page
    assert "export OPENAI_BASE_URL=http://127.0.0.1:8800/v1" in page
    assert not console.data.exists()
    assert (await console.json("/api/calls"))["calls"] == []


async def test_the_export_line_names_the_port_that_is_served(console: Console) -> None:
    gauges = Gauges.create(prepare(console.data) / "run" / "relay-0.gauges", VITALS)
    gauges["heartbeat_us"], gauges["ready"], gauges["port"] = monotonic_us(), 1, 4711
    _, page = await console.get("/")
    gauges.close()
    assert "export OPENAI_BASE_URL=http://127.0.0.1:4711/v1" in page


async def test_the_page_lists_calls_that_come_later_newest_first(console: Console) -> None:
    await console.get("/")
    await console.record(*(exchanged(new_call(preview_input=f"question {number}")) for number in range(3)))
    _, page = await console.get("/")
    assert re.findall(r"question \d", page) == ["question 2", "question 1", "question 0"]
    for piece in ("gpt-5-mini-2025-08-07", "It is 12 degrees.", "812ms", "210ms", "1.2k→87", "$0.000483"):
        assert piece in page


async def test_a_call_has_a_page_with_its_conversation(console: Console) -> None:
    call = new_call(metadata={"team": "a"})
    await console.record(exchanged(call))
    _, page = await console.get(f"/call/{call.id}")
    assert titles(page) == ["user", "assistant", "answer"]  # the result stands with the call of its tool
    for piece in (
        call.id,
        "Be brief.",
        "get_weather",
        "12 degrees",
        "The tool says so.",
        "1,234 (1,024 cached)",
        "team",
    ):
        assert piece in page


@pytest.mark.parametrize("status", ["running", "ok"])
async def test_a_call_without_bodies_has_a_page(console: Console, status: str) -> None:
    call = new_call(status=status)
    await console.record(StoredCall(call=call))
    _, page = await console.get(f"/call/{call.id}")
    assert ("still running" if status == "running" else "bodies of this call are gone") in page


async def test_pages_ask_nothing_of_other_hosts_and_run_nothing(console: Console) -> None:
    call = new_call()
    await console.record(exchanged(call))
    for path in ("/", f"/call/{call.id}"):
        async with console.client.get(path) as response:
            page = await response.text()
            policy = response.headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        links = re.findall(r'(?:src|href)="([^#"][^"]*)"', page)
        assert all(link.startswith("/") and not link.startswith("//") for link in links)
        assert not re.search(r"<script(?! src=\"/assets/[^\"]*\" defer></script>)|style=|\son\w+=", page)
        for link in set(links):
            async with console.client.get(link) as found:
                assert found.status == 200, link


class Tags(HTMLParser):
    """Collects elements and attributes, as a browser would see them."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[tuple[str, str]] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen |= {(tag, ""), *((tag, name) for name, _ in attrs)}


def tags(page: str) -> set[tuple[str, str]]:
    parser = Tags()
    parser.feed(page)
    return parser.seen


@pytest.mark.parametrize("payload", PAYLOADS)
async def test_logged_text_is_never_markup(console: Console, payload: str) -> None:
    def hostile(text: str) -> tuple[Call, StoredCall]:
        names = ("model", "model_requested", "project", "user", "session", "path", "preview_input", "preview_output")
        names += ("error_type", "error_message", "finish_reason", "response_id", "request_id", "key", "client")
        call = new_call(
            status="error", metadata={text: text}, tags=(text,), notes=(text,), **dict.fromkeys(names, text)
        )
        said = {"role": text, "content": [{"type": "text", "text": text}, {"type": text, "x": text}]}
        tool = {"id": text, "type": "function", "function": {"name": text, "arguments": text}}
        answer = {"role": text, "content": text, "refusal": text, "reasoning_content": text, "tool_calls": [tool]}
        request = json.dumps({"model": text, "messages": [{"role": "system", "content": text}, said]}).encode()
        response = json.dumps({"choices": [{"index": 0, "message": answer, "finish_reason": text}]}).encode()
        return call, exchanged(call, request, response)

    (harmless, first), (call, second) = hostile("harmless"), hostile(payload)
    await console.record(first)
    expected = [tags((await console.get(path))[1]) for path in ("/", f"/call/{harmless.id}")]
    await console.record(second)
    found = [tags((await console.get(path))[1]) for path in ("/", f"/call/{call.id}")]
    assert found == expected


async def test_text_that_utf8_cannot_carry_is_shown_anyway(console: Console) -> None:
    call = new_call()
    request = b'{"model":"m","messages":[{"role":"user","content":"half \\ud800 pair"}]}'
    await console.record(exchanged(call, request))
    assert (await console.get(f"/call/{call.id}"))[0] == 200
    assert (await console.get(f"/api/calls/{call.id}"))[0] == 200


async def test_a_long_conversation_is_cut_and_says_so(console: Console) -> None:
    messages = [
        {"role": "user", "content": f"message {number} " + "x" * 30_000 * (number == 999)} for number in range(1000)
    ]
    call = new_call()
    await console.record(exchanged(call, json.dumps({"model": "m", "messages": messages}).encode()))
    _, page = await console.get(f"/call/{call.id}")
    assert len(page) < 200_000
    assert "message 999 " in page
    assert "message 700 " not in page
    assert "1,000 messages, the last 60 shown" in page
    assert "characters more" in page


# --- the API ---------------------------------------------------------------------------------


async def test_the_list_leaves_bodies_out_unless_asked(console: Console) -> None:
    call = new_call()
    await console.record(exchanged(call))
    [plain] = (await console.json("/api/calls"))["calls"]  # type: ignore[misc]
    assert list(plain) == [key for key in KEYS if key not in BODY_KEYS]
    [whole] = (await console.json("/api/calls?fields=output,tool_calls"))["calls"]  # type: ignore[misc]
    assert list(whole) == [key for key in KEYS if key not in BODY_KEYS or key in ("output", "tool_calls")]
    assert whole["output"] == "It is 12 degrees."


async def test_one_call_has_every_key(console: Console) -> None:
    call = new_call()
    await console.record(exchanged(call))
    found = await console.json(f"/api/calls/{call.id}")
    assert list(found) == list(KEYS)
    assert found["system_prompt"] == "Be brief."
    assert found == await console.json(f"/api/calls/{call.id[-8:]}")


async def test_the_limit_counts(console: Console) -> None:
    await console.record(*(exchanged(new_call()) for _ in range(60)))
    assert len((await console.json("/api/calls"))["calls"]) == 50  # type: ignore[arg-type]
    assert len((await console.json("/api/calls?limit=7"))["calls"]) == 7  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("path", "status", "detail"),
    [
        ("/api/calls?limit=0", 400, "from 1 to 1000"),
        ("/api/calls?limit=1001", 400, "from 1 to 1000"),
        ("/api/calls?limit=101&fields=output", 400, "from 1 to 100"),
        ("/api/calls?limit=٣", 400, "from 1 to 1000"),
        ("/api/calls?limit=" + "9" * 5000, 400, "from 1 to 1000"),
        ("/api/calls?fields=outputt", 400, "did you mean output?"),
        ("/api/calls/ffffffff", 404, "ffffffff"),
        ("/api/calls/%00", 404, "\\x00"),
        ("/nothing", 404, "nothing"),
    ],
)
async def test_mistakes_are_problems(console: Console, path: str, status: int, detail: str) -> None:
    await console.record(exchanged(new_call()))
    async with console.client.get(path) as response:
        assert (response.status, response.content_type) == (status, "application/problem+json")
        problem = json.loads(await response.read())
    assert problem["status"] == status
    assert detail in problem["detail"]
    assert (await console.get(path, Accept="text/html"))[0] == status


async def test_a_store_that_cannot_be_read_is_a_503_and_mends_itself(console: Console) -> None:
    (prepare(console.data) / "store" / "main.db").write_bytes(b"x" * 5000)
    assert (await console.get("/api/calls"))[0] == 503
    (console.data / "store" / "main.db").unlink()
    await console.record(exchanged(new_call()))
    assert (await console.get("/api/calls"))[0] == 200


# --- who is let in ---------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/api/calls", "/healthz", "/style.css", "/nothing"])
async def test_another_host_is_refused_everywhere(console: Console, path: str) -> None:
    assert (await console.get(path, Host="rebound.example"))[0] == 421
    assert (await console.get(path, Host=f"localhost:{console.port}"))[0] != 421


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
async def test_what_only_reads_takes_no_other_method(console: Console, method: str) -> None:
    async with console.client.request(method, "/api/calls") as response:
        assert response.status == 405
        assert response.headers["Allow"].split(",") == ["GET", "HEAD"]
        assert "Content-Security-Policy" in response.headers


async def test_head_is_get_without_a_body(console: Console) -> None:
    async with console.client.head("/") as response:
        assert response.status == 200
        assert int(response.headers["Content-Length"]) > 0


async def test_an_unreadable_request_is_not_repeated(console: Console, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    with socket.create_connection(("127.0.0.1", console.port)) as raw:
        raw.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(
            raw, b"GET / HTTP/1.1\r\nAuthorization : Bearer canary-7\x00\r\nHost: localhost\r\n\r\n"
        )
        answer = b""
        while chunk := await loop.sock_recv(raw, 65_536):
            answer += chunk
    assert b" 400 Bad Request" in answer.partition(b"\r\n")[0]
    assert b"canary-7" not in answer
    assert "canary-7" not in caplog.text


# --- health ----------------------------------------------------------------------------------


async def test_health_is_the_gauges_of_relays_and_ingest(tmp_path: Path) -> None:
    run = prepare(tmp_path / "data") / "run"
    async with Console(tmp_path / "data", workers=2) as console:
        assert (await console.get("/healthz"))[0] == 503
        with ExitStack() as stack:
            held = {name: Gauges.create(run / f"{name}.gauges", VITALS) for name in ("relay-0", "relay-1", "ingest")}
            for gauges in held.values():
                stack.callback(gauges.close)
                gauges["heartbeat_us"], gauges["ready"] = monotonic_us(), 1
            assert (await console.json("/healthz"))["ok"] is True

            held["relay-1"]["ready"] = 0
            held["ingest"]["heartbeat_us"] = monotonic_us() - STALE_US - 1_000_000
            status, text = await console.get("/healthz")
            assert status == 503
            assert json.loads(text)["down"] == ["relay-1", "ingest"]
            assert json.loads(text)["processes"] == {"relay-0": "up", "relay-1": "waiting", "ingest": "hung"}
        assert json.loads((await console.get("/healthz"))[1])["down"] == ["relay-0", "relay-1", "ingest"]


async def test_a_mistake_is_a_page_with_a_way_on(console: Console) -> None:
    for path, title in (
        ("/nonsense", "Not Found"),
        ("/call/deadbeef", "Not Found"),
        ("/monitor?t=<b>9y", "Bad Request"),
    ):
        status, page = await console.get(path, Accept="text/html")
        assert status in (400, 404)
        assert f"<h1>{title}</h1>" in page
        assert '<a class="button" href="/">' in page
        assert "<b>9y" not in page
