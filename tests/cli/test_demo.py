"""``llmtap demo``: a whole llmtap, and the sample upstream by itself."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import openai
import pytest
from aiohttp.test_utils import TestServer

from proxy.cli.sample_upstream import sample_app
from tests.cli.pseudo import Pseudo
from tests.cli.recorded import llmtap


@pytest.fixture
async def client() -> AsyncIterator[openai.AsyncOpenAI]:
    """The official client, talking to the sample upstream directly."""
    async with (
        TestServer(sample_app()) as server,
        openai.AsyncOpenAI(base_url=f"{server.make_url('/v1')}", api_key="sample", max_retries=0) as made,
    ):
        yield made


async def test_the_sample_upstream_answers_the_official_client(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "A haiku"}])
    assert "Packets" in (answer.choices[0].message.content or "")
    assert answer.usage is not None
    assert answer.usage.completion_tokens_details is not None
    assert answer.usage.completion_tokens_details.reasoning_tokens == 128


async def test_the_sample_upstream_streams_and_tells_usage_when_asked(client: openai.AsyncOpenAI) -> None:
    async def streamed(**more: object) -> tuple[str, list[object]]:
        stream = await client.chat.completions.create(  # type: ignore[call-overload]
            model="gpt-4o", messages=[{"role": "user", "content": "A haiku"}], stream=True, **more
        )
        chunks = [chunk async for chunk in stream]
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        return text, [chunk.usage for chunk in chunks if chunk.usage]

    text, usages = await streamed()
    assert text.startswith("Packets pass unchanged\n")
    assert usages == []
    assert len((await streamed(stream_options={"include_usage": True}))[1]) == 1


@pytest.mark.parametrize(("fault", "kind"), [("429", openai.RateLimitError), ("500", openai.InternalServerError)])
async def test_the_sample_upstream_fails_on_demand(
    client: openai.AsyncOpenAI, fault: str, kind: type[Exception]
) -> None:
    with pytest.raises(kind):
        await client.chat.completions.create(
            model="gpt-5", messages=[{"role": "user", "content": "x"}], extra_headers={"x-sample": fault}
        )


def test_the_demo_records_its_calls_and_prices_them(tmp_path: Path) -> None:
    data = tmp_path / "data"
    done = llmtap(data, "demo", "--data-dir", str(data))
    text = done.stdout.decode()
    assert (done.returncode, done.stderr.decode()) == (0, ""), text
    lines = [line for line in text.splitlines() if re.match(r"[0-9a-f]{8} \d{4}-", line) and " running " not in line]
    assert len(lines) >= 24
    for piece in (" error 429 ", " error 500 ", " truncated ", " client_closed ", "look_up_order(", " ~"):
        assert piece in text
    total = next(line.split() for line in text.splitlines() if line.split()[:1] == ["total"])
    assert int(total[1]) == len(lines)
    assert float(total[-1].removeprefix("$")) > 0.01

    calls = [json.loads(line) for line in llmtap(data, "tail", "--no-follow", "--json", "-n", "99").stdout.splitlines()]
    assert {call["project"] for call in calls} == {"default", "support", "analyst"}
    assert {call["status"] for call in calls} == {"ok", "error", "truncated", "client_closed"}
    assert {call["tokens_source"] for call in calls} == {"upstream", "estimated", None}
    assert any(call["cached_tokens"] for call in calls)
    assert any(call["reasoning_tokens"] for call in calls)
    assert any(call["metadata"] == {"batch": "7"} for call in calls)


def test_a_kept_demo_serves_until_it_is_stopped_and_leaves_nothing(tmp_path: Path) -> None:
    with Pseudo("demo", "--keep", env={"TMPDIR": str(tmp_path), "NO_COLOR": "1"}) as demo:
        try:
            seen = demo.until(b"Ctrl-C", timeout_s=60).decode()
            lines = [line.strip() for line in seen.splitlines()]
            assert [line for line in lines if line.startswith("export OPENAI_BASE_URL=http://127.0.0.1:")]
            assert "export OPENAI_API_KEY=sample" in lines
            for name in ("tail", "show", "report"):
                assert [line for line in lines if line.startswith(f"llmtap {name} --data-dir {tmp_path}/")]
            console = re.search(r"browser:\s+(http://\S+)", seen)
            assert console is not None
            with urllib.request.urlopen(f"{console[1]}/healthz") as health:
                assert json.load(health)["ok"] is True
            with urllib.request.urlopen(f"{console[1]}/api/calls?limit=1000") as calls:
                assert len(json.load(calls)["calls"]) >= 24
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(demo.process.pid, signal.SIGINT)
        assert demo.end() == 0
    assert b"Traceback" not in demo.seen
    assert list(tmp_path.iterdir()) == []
