"""The page of a call and its pieces, over real sockets: each tab, hostile texts, media, forms without scripts."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.console.pages.call import TABS
from proxy.records import EventKind, Header, evolve
from proxy.store.base import StoredCall
from tests.cli.recorded import REQUEST, RESPONSE, exchanged, new_call

from .serving import Console
from .test_app import tags

PAYLOADS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "{{ 7*7 }}{% raw %}",
    "[x](javascript:alert(1)) ![x](https://evil.example/x.png) <https://evil.example>",
    "</textarea></pre></details><iframe src=//example.com>",
    "` onmouseover=alert(1) x=`",
]
PNG = b"\x89PNG\r\n\x1a\n" + b"picture" * 9
SVG = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"
CHUNKS = [
    {"id": "c", "model": "m", "choices": [{"index": 0, "delta": {"content": word}}]} for word in ("It ", "is ", "cold.")
]
STREAM = b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in CHUNKS) + b"data: [DONE]\n\n"


@pytest.fixture
async def console(tmp_path: Path) -> AsyncIterator[Console]:
    async with Console(tmp_path / "data") as made:
        yield made


async def recorded(console: Console, request: bytes = REQUEST, response: bytes = RESPONSE, **fields: object) -> str:
    call = new_call(**fields)
    await console.record(exchanged(call, request, response))
    return call.id


def streamed() -> StoredCall:
    stored = exchanged(new_call(stream=True, ttft_us=300, latency_us=2000), response=STREAM)
    assert stored.exchange is not None
    assert stored.exchange.head is not None
    head = evolve(stored.exchange.head, headers=(Header(b"Content-Type", b"text/event-stream"),))
    size = len(STREAM) // 3
    marks = ((size, 300), (2 * size, 1500), (len(STREAM), 2000))
    return evolve(stored, exchange=evolve(stored.exchange, head=head, marks=marks))


# --- tabs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tab", "pieces"),
    [
        ("chat", ["Be brief.", "What is the weather in Bern?", "get_weather", "12 degrees", "The tool says so."]),
        ("request", ["POST /v1/chat/completions?x=%2F HTTP/1.1", "Bearer fp:00ff", "hidden", "&#34;model&#34;: "]),
        ("response", ["HTTP/1.1 200 OK", "chatcmpl-1", "As sent"]),
        ("timeline", ["<svg", "First token"]),
        ("cost", ["1,234 (1,024 cached)", "Receipt", "a million"]),
        ("details", ["gpt-5-mini-2025-08-07", "/?q=model%20%3D%20%27gpt-5-mini-2025-08-07%27", "team"]),
        ("said", ["Internal notes", "POST /api/feedback"]),
    ],
)
async def test_each_tab_is_a_page_of_links(console: Console, tab: str, pieces: list[str]) -> None:
    call = await recorded(console, metadata={"team": "a"})
    status, page = await console.get(f"/call/{call}?tab={tab}")
    assert status == 200
    for piece in pieces:
        assert piece in page
    for name in TABS:
        assert f"/call/{call}{'' if name == 'chat' else f'?tab={name}'}" in page


async def test_pieces_are_parts_of_the_page(console: Console) -> None:
    call = await recorded(console)
    _, panel = await console.get(f"/call/{call}", **{"X-Fragment": "panel"})
    _, tab = await console.get(f"/call/{call}?tab=cost", **{"X-Fragment": "tab"})
    assert panel.startswith('<div class="detail"')
    assert "<html" not in panel + tab
    assert "Receipt" in tab
    assert "data-judge" in panel
    assert "data-judge" not in tab


async def test_a_stream_has_events_with_their_times(console: Console) -> None:
    stored = streamed()
    await console.record(stored)
    _, page = await console.get(f"/call/{stored.call.id}?tab=response")
    assert page.count("<li value=") == 4
    assert "[DONE]" in page
    assert "1.5ms" in page
    _, page = await console.get(f"/call/{stored.call.id}?tab=response&form=sent")
    assert "data: [DONE]" in page
    _, page = await console.get(f"/call/{stored.call.id}?tab=timeline")
    assert 'class="curve"' in page
    assert "Pauses" in page


async def test_a_long_text_is_folded_and_to_be_had_whole(console: Console) -> None:
    text = "\n".join(f"line {number} <b>" for number in range(5000))
    call = await recorded(console, json.dumps({"messages": [{"role": "user", "content": text}]}).encode())
    _, page = await console.get(f"/call/{call}")
    assert "line 39 " in page
    assert "line 40 " not in page
    assert f"/call/{call}/text/in.0.0" in page
    status, plain = await console.get(f"/call/{call}/text/in.0.0")
    assert (status, plain) == (200, text)
    _, piece = await console.get(f"/call/{call}/text/in.0.0", **{"X-Fragment": "text"})
    assert "line 4999 &lt;b&gt;" in piece
    assert (await console.get(f"/call/{call}/text/in.7.0"))[0] == 404


async def test_older_messages_come_as_a_piece_and_as_a_page(console: Console) -> None:
    messages = [{"role": "user", "content": f"message {number}."} for number in range(300)]
    call = await recorded(console, json.dumps({"messages": messages}).encode())
    _, page = await console.get(f"/call/{call}")
    assert "message 240." in page
    assert "message 239." not in page
    assert "300 messages, the last 60 shown" in page
    for headers in ({}, {"X-Fragment": "older"}):
        _, older = await console.get(f"/call/{call}?older=240", **headers)
        assert "message 239." in older
        assert "message 240." not in older
        assert "?older=180" in older
    assert (await console.get(f"/call/{call}?older=x"))[0] == 400


# --- what may do harm -----------------------------------------------------------------------------


@pytest.mark.parametrize("payload", PAYLOADS)
async def test_logged_text_is_never_markup(console: Console, payload: str) -> None:
    def hostile(text: str) -> StoredCall:
        names = ("model", "model_requested", "user", "session", "path", "error_type", "error_message", "finish_reason")
        call = new_call(status="error", metadata={text: text}, tags=(text,), **dict.fromkeys(names, text))
        parts = [
            {"type": "text", "text": text},
            {"type": text},
            {"type": "file", "file": {"filename": text}},
            {"type": "image_url", "image_url": {"url": f"https://example.com/{text}"}},
            {"type": "image_url", "image_url": {"url": f"data:{text};base64,aGVsbG8gd29ybGQgaGVsbG8="}},
        ]
        tool = {"id": text, "type": "function", "function": {"name": text, "arguments": text}}
        messages = [
            {"role": "system", "content": text},
            {"role": text, "content": parts},
            {"role": "assistant", "content": text, "tool_calls": [tool]},
            {"role": "tool", "tool_call_id": text, "content": text},
        ]
        answer = {
            "role": "assistant",
            "content": text,
            "refusal": text,
            "reasoning_content": text,
            "tool_calls": [tool],
        }
        response = json.dumps({"choices": [{"index": 0, "message": answer, "finish_reason": text}]}).encode()
        stored = exchanged(call, json.dumps({"model": text, "messages": messages}).encode(), response)
        assert stored.exchange is not None
        headers = (Header(b"x-title", text.encode()), Header(text.encode(), b"x"))
        return evolve(
            stored, exchange=evolve(stored.exchange, begin=evolve(stored.exchange.begin, target=text, headers=headers))
        )

    harmless, harmful = hostile("harmless"), hostile(payload)
    await console.record(harmless)
    await console.record(harmful)
    paths = [f"/call/{{}}?tab={tab}" for tab in TABS] + ["/compare?a={}&b={}", "/call/{}/rerun", "/review?at={}"]
    for path in paths:
        status, expected = await console.get(path.format(harmless.call.id, harmless.call.id))
        _, found = await console.get(path.format(harmful.call.id, harmful.call.id))
        assert status in (200, 400)
        assert tags(found) == tags(expected), path
    _, markdown = await console.get(f"/call/{harmful.call.id}?m=1")
    allowed = {"p", "a", "code", "em", "strong"}
    assert {tag for tag, _ in tags(markdown)} - {tag for tag, _ in tags(await whole(console, harmless))} <= allowed


async def whole(console: Console, stored: StoredCall) -> str:
    return (await console.get(f"/call/{stored.call.id}?m=1"))[1]


async def test_media_is_shown_by_what_it_is_and_never_a_document(console: Console) -> None:
    def part(data: bytes) -> dict[str, object]:
        return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{base64.b64encode(data).decode()}"}}

    content = [part(PNG), part(SVG)]
    call = await recorded(console, json.dumps({"messages": [{"role": "user", "content": content}]}).encode())
    _, page = await console.get(f"/call/{call}")
    assert page.count('<img src="/call/') == 1
    for number, kind, disposition, body in (
        (0, "image/png", "inline", PNG),
        (1, "application/octet-stream", "attachment", SVG),
    ):
        async with console.client.get(f"/call/{call}/media/{number}") as response:
            assert response.content_type == kind
            assert response.headers["Content-Disposition"].startswith(disposition)
            assert "sandbox" in response.headers["Content-Security-Policy"]
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert await response.read() == body
    for number in ("2", "x", "-1", "9" * 30):
        assert (await console.get(f"/call/{call}/media/{number}"))[0] == 404


# --- copies -----------------------------------------------------------------------------------------


async def test_copies(console: Console) -> None:
    call = await recorded(console)
    _, curl = await console.get(f"/call/{call}/copy/curl")
    assert curl.startswith("curl --globoff 'http://127.0.0.1:8800/v1/chat/completions?x=%2F'")
    assert '--header "authorization: Bearer $OPENAI_API_KEY"' in curl
    _, python = await console.get(f"/call/{call}/copy/python")
    assert "from openai import OpenAI" in python
    _, text = await console.get(f"/call/{call}/copy/json?pretty=1")
    assert json.loads(text) == await console.json(f"/call/{call}/copy/json")
    assert json.loads(text)["output"] == "It is 12 degrees."
    _, body = await console.get(f"/call/{call}/body/request")
    assert body.encode() == REQUEST
    assert (await console.get(f"/call/{call}/copy/ruby"))[0] == 404


async def test_bodies_are_for_those_who_may_read_them(console: Console) -> None:
    call = await recorded(console)
    token = console.token("metadata-viewer")
    headers = {"Authorization": f"Bearer {token}"}
    async with Console(console.data, login="always") as guarded:
        status, page = await guarded.get(f"/call/{call}", **headers)
        assert status == 200
        assert "12 degrees" not in page
        assert "shown to those who may read it" in page
        assert "data-judge" not in page
        for path in ("text/in.0.0", "media/0", "copy/curl", "body/request"):
            assert (await guarded.get(f"/call/{call}/{path}", **headers))[0] == 403, path


# --- forms ------------------------------------------------------------------------------------------


async def send(console: Console, path: str, **fields: str) -> tuple[int, str]:
    async with console.client.post(path, data=fields, allow_redirects=False) as response:
        return response.status, response.headers.get("Location", await response.text())


async def test_forms_write_down_what_was_said_and_lead_back(console: Console) -> None:
    call = await recorded(console)
    back = f"/call/{call}"
    assert await send(console, f"{back}/feedback", review="good", description="kind") == (303, back)
    assert await send(console, f"{back}/feedback", expected="better", back="/review?at=x") == (303, "/review?at=x")
    assert await send(console, f"{back}/notes", text="look", back="//evil.example") == (303, back)
    assert await send(console, f"{back}/tags", add="a, b") == (303, back)
    said = [(event.kind, event.said) for event in console.written() if event.kind != EventKind.AUDIT]
    assert said == [
        ("feedback", {"target": {"call": call}, "scores": [{"name": "review", "value": True, "comment": "kind"}]}),
        ("feedback", {"target": {"call": call}, "expected": "better"}),
        ("note", {"call": call, "text": "look"}),
        ("tags", {"call": call, "add": ["a", "b"]}),
    ]


@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [
        ("feedback", {}, 400),
        ("feedback", {"review": "fine"}, 400),
        ("notes", {"text": " "}, 400),
        ("tags", {"add": " , "}, 400),
    ],
)
async def test_forms_that_say_nothing(console: Console, path: str, fields: dict[str, str], status: int) -> None:
    call = await recorded(console)
    assert (await send(console, f"/call/{call}/{path}", **fields))[0] == status
    assert (await send(console, f"/call/ffffffff/{path}", **fields))[0] == 404
