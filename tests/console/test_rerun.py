"""A call sent again from the console goes through the relay, counts in no report, and leaves no key behind."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import aiohttp
import pytest

from tests.cli.recorded import REQUEST, exchanged, new_call
from tests.fakes.upstream import FakeUpstream
from tests.harness.client import request
from tests.harness.eventually import eventually
from tests.harness.server import LlmtapServer

from .serving import Console

KEY = "sk-typed-for-this-once"
BODY = b'{"model":"m-1","messages":[{"role":"user","content":"hello"}],"temperature":0.5}'


async def test_a_call_is_sent_again_with_a_typed_key(tmp_path: Path, own_upstream: FakeUpstream) -> None:
    with LlmtapServer(tmp_path, own_upstream.url) as server:
        headers = (("Content-Type", "application/json"), ("Authorization", "Bearer sk-first"), ("X-Llmtap-User", "ada"))
        first = server.ask(request("POST", "/v1/chat/completions", headers, BODY)).call_id
        assert first is not None
        eventually(lambda: server.row(first)["status"] != "running", "the first call is stored")
        async with aiohttp.ClientSession(f"http://127.0.0.1:{server.console_port}") as client:
            async with client.get(f"/call/{first}/rerun") as answer:
                assert "m-1" in await answer.text()
            fields = {"model": "m-2", "asked": '[{"role":"user","content":"bye"}]', "parameters": "{}", "key": KEY}
            async with client.post(f"/call/{first}/rerun", data=fields, allow_redirects=False) as answer:
                text = await answer.text()
                assert answer.status == 303, text
                target = answer.headers["Location"]
            found = re.fullmatch(rf"/compare\?a={first}&b=([0-9a-f-]+)", target)
            assert found is not None
            async with client.get(target) as answer:
                assert answer.status == 200
            async with client.get(f"/api/calls/{found[1]}") as answer:
                row = await answer.json()
        assert (row["model_requested"], row["excluded"], row["user"]) == ("m-2", "rerun", None)
        assert row["metadata"]["rerun-of"] == first
        sent = own_upstream.requests[-1]
        assert sent.body == b'{"model":"m-2","messages":[{"role":"user","content":"bye"}]}'
        assert dict(sent.headers)[b"authorization"] == f"Bearer {KEY}".encode()
        for path in server.data.rglob("*"):
            assert not path.is_file() or KEY.encode() not in path.read_bytes(), path
    assert KEY not in server.log


@pytest.mark.parametrize(
    ("body", "fields", "said"),
    [
        (b"[1]", {}, "JSON object"),
        (REQUEST, {"asked": "[{"}, "messages: this is not JSON"),
        (REQUEST, {}, "gave no answer"),
    ],
)
async def test_what_cannot_be_sent_again_is_said(
    tmp_path: Path, body: bytes, fields: dict[str, str], said: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = f"127.0.0.1:{taken.getsockname()[1]}"
    async with Console(tmp_path / "data", listen=nobody) as console:
        call = new_call()
        await console.record(exchanged(call, body))
        async with console.client.post(f"/call/{call.id}/rerun", data=fields) as answer:
            assert answer.status == 400
            assert said in await answer.text()
        async with console.client.post("/call/ffffffff/rerun", data=fields) as answer:
            assert answer.status == 404
