"""The ollama SDK: chat, generate and embed, at once and streamed, with a client that waits and one that does not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ollama
import pytest

from tests.harness.server import LlmtapServer

from . import saying
from .logged import JSON, Logged, told
from .ollama_api import EMBEDDED_TOKENS, INPUT_TOKENS, OUTPUT_TOKENS, TOOK_NS

QUESTION = "What is the weather in Zürich and in Biel?"
MODEL = "llama3.2"
MESSAGES: Any = [{"role": "system", "content": "One line."}, {"role": "user", "content": QUESTION}]
TEXTS = ["one text", "another text"]
TOOLS: Any = [
    {
        "type": "function",
        "function": {"name": saying.TOOL, "description": saying.DESCRIPTION, "parameters": saying.PARAMETERS},
    }
]
ROW: JSON = {
    "status": "ok",
    "dialect": "ollama",
    "upstream": "ollama",
    "model_requested": MODEL,
    "model": MODEL,
    "system_prompt": "One line.",
    "finish_reason": "stop",
    "upstream_ms": TOOK_NS // 1000 / 1000,
    "notes": [],
}
SAID: JSON = ROW | {"output": saying.TEXT, "tool_calls": []}


@pytest.fixture
def client(tap: LlmtapServer) -> Iterator[ollama.Client]:
    with ollama.Client(host=f"{tap.url}/ollama") as client:
        yield client


def counted(answer: ollama.ChatResponse | ollama.GenerateResponse) -> JSON:
    """What the SDK reports as usage, in llmtap's words."""
    return {
        "tokens_source": "upstream",
        "input_tokens": answer.prompt_eval_count,
        "output_tokens": answer.eval_count,
    }


def assert_said(text: str | None, last: ollama.ChatResponse | ollama.GenerateResponse, row: JSON, stream: bool) -> None:
    assert text == saying.TEXT
    assert (last.prompt_eval_count, last.eval_count) == (INPUT_TOKENS, OUTPUT_TOKENS)
    assert last.done
    assert last.total_duration == TOOK_NS
    told(row, **SAID, **counted(last), stream=stream)
    assert (row["ttft_ms"] is not None) == stream


def test_a_chat_at_once(client: ollama.Client, logged: Logged) -> None:
    answer = client.chat(model=MODEL, messages=MESSAGES)
    row = logged.row()
    assert_said(answer.message.content, answer, row, stream=False)
    assert row["input"][-1] == {"role": "user", "parts": [{"type": "text", "text": QUESTION}]}


def test_a_streamed_chat(client: ollama.Client, logged: Logged) -> None:
    lines = list(client.chat(model=MODEL, messages=MESSAGES, stream=True))
    text = "".join(line.message.content or "" for line in lines)
    assert_said(text, lines[-1], logged.row(), stream=True)


async def test_both_without_waiting(tap: LlmtapServer, logged: Logged) -> None:
    async with ollama.AsyncClient(host=f"{tap.url}/ollama") as client:
        answer = await client.chat(model=MODEL, messages=MESSAGES)
        lines = [line async for line in await client.chat(model=MODEL, messages=MESSAGES, stream=True)]
    at_once, streamed = logged.rows()
    assert_said(answer.message.content, answer, at_once, stream=False)
    assert_said("".join(line.message.content or "" for line in lines), lines[-1], streamed, stream=True)


@pytest.mark.parametrize("stream", [False, True])
def test_thinking(client: ollama.Client, logged: Logged, stream: bool) -> None:
    answer = client.chat(model=MODEL, messages=MESSAGES, think=True, stream=stream)
    lines = list(answer) if stream else [answer]
    assert "".join(line.message.thinking or "" for line in lines) == saying.REASONING
    row = logged.row()
    assert_said("".join(line.message.content or "" for line in lines), lines[-1], row, stream)
    assert row["reasoning"] == saying.REASONING


@pytest.mark.parametrize("stream", [False, True])
def test_generation(client: ollama.Client, logged: Logged, stream: bool) -> None:
    answer = client.generate(model=MODEL, prompt=QUESTION, system="One line.", stream=stream)
    lines = list(answer) if stream else [answer]
    row = logged.row()
    assert_said("".join(line.response or "" for line in lines), lines[-1], row, stream)
    assert row["endpoint"] == "/api/generate"
    assert row["input"][-1]["parts"] == [{"type": "text", "text": QUESTION}]


@pytest.mark.parametrize("stream", [False, True])
def test_tools_that_are_asked_for_and_answered(client: ollama.Client, logged: Logged, stream: bool) -> None:
    answer = client.chat(model=MODEL, messages=MESSAGES, tools=TOOLS, stream=stream)
    lines = list(answer) if stream else [answer]
    calls = [call for line in lines for call in line.message.tool_calls or ()]
    assert [call.function.arguments for call in calls] == [{"city": city} for city in saying.CITIES]
    asking = {"role": "assistant", "content": "", "tool_calls": calls}
    results = [
        {"role": "tool", "tool_name": call.function.name, "content": f"weather {place}"}
        for place, call in enumerate(calls)
    ]
    client.chat(model=MODEL, messages=[*MESSAGES, asking, *results], tools=TOOLS)

    first, second = logged.rows()
    told(first, **ROW, **counted(lines[-1]), stream=stream, output=None)
    assert [tool["name"] for tool in first["tool_calls"]] == [saying.TOOL] * 2
    for tool, city in zip(first["tool_calls"], saying.CITIES, strict=True):
        assert city in tool["arguments"]
        assert (tool["result_call"], tool["result_bytes"]) == (second["id"], len("weather 0"))
        assert tool["duration_ms"] > 0
    told(second, **SAID, stream=False)


def test_embeddings(client: ollama.Client, logged: Logged) -> None:
    answer = client.embed(model="all-minilm", input=TEXTS)
    assert [list(vector) for vector in answer.embeddings] == saying.vectors(TEXTS)
    assert answer.prompt_eval_count == EMBEDDED_TOKENS
    row = logged.row()
    told(row, status="ok", dialect="ollama", model="all-minilm", stream=False, notes=[])
    told(row, tokens_source="upstream", input_tokens=answer.prompt_eval_count, output_tokens=None)
    assert [part["text"] for message in row["input"] for part in message["parts"]] == TEXTS
