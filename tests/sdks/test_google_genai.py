"""The google-genai SDK: content at once and streamed, functions that it calls itself, embeddings, counting tokens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from google import genai
from google.genai import types

from tests.fakes.upstream import FakeUpstream
from tests.harness.server import LlmtapServer

from . import saying
from .gemini_api import CACHED_TOKENS, COUNTED_TOKENS
from .logged import JSON, Logged, told

#: The async client makes a subclass of aiohttp's session, which aiohttp discourages.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")

QUESTION = "What is the weather in Zürich and in Biel?"
MODEL = "gemini-2.5-flash"
TEXTS = ["one text", "another text"]
ROW: JSON = {
    "status": "ok",
    "dialect": "gemini",
    "upstream": "gemini",
    "model_requested": MODEL,
    "model": MODEL,
    "system_prompt": "One line.",
    "notes": [],
}
SAID: JSON = ROW | {"output": saying.TEXT, "finish_reason": "STOP", "tool_calls": []}


@pytest.fixture
def client(tap: LlmtapServer) -> Iterator[genai.Client]:
    with genai.Client(api_key="test-key", http_options=types.HttpOptions(base_url=f"{tap.url}/gemini")) as client:
        yield client


def config(**more: Any) -> types.GenerateContentConfig:
    return types.GenerateContentConfig(system_instruction="One line.", **more)


def counted(usage: types.GenerateContentResponseUsageMetadata | None) -> JSON:
    """What the SDK reports as usage, in llmtap's words: thoughts are output too."""
    assert usage is not None
    thoughts = usage.thoughts_token_count or 0
    return {
        "tokens_source": "upstream",
        "input_tokens": usage.prompt_token_count,
        "output_tokens": (usage.candidates_token_count or 0) + thoughts,
        "cached_tokens": usage.cached_content_token_count,
        "reasoning_tokens": thoughts,
    }


def assert_said(response: types.GenerateContentResponse, row: JSON) -> None:
    assert response.text == saying.TEXT
    assert response.usage_metadata is not None
    assert response.usage_metadata.cached_content_token_count == CACHED_TOKENS
    told(row, **SAID, **counted(response.usage_metadata), stream=False, ttft_ms=None, cost_usd=...)
    assert row["endpoint"].endswith(f"/models/{MODEL}:generateContent")
    assert row["response_id"] == response.response_id


def assert_streamed(chunks: list[types.GenerateContentResponse], row: JSON) -> None:
    assert "".join(chunk.text or "" for chunk in chunks) == saying.TEXT
    told(row, **SAID, **counted(chunks[-1].usage_metadata), stream=True, ttft_ms=..., cost_usd=...)
    assert row["endpoint"].endswith(f"/models/{MODEL}:streamGenerateContent")
    assert row["response_id"] == chunks[-1].response_id


def test_an_answer_at_once(client: genai.Client, logged: Logged) -> None:
    response = client.models.generate_content(model=MODEL, contents=QUESTION, config=config())
    row = logged.row()
    assert_said(response, row)
    assert row["input"][-1] == {"role": "user", "parts": [{"type": "text", "text": QUESTION}]}
    assert row["cost_source"].startswith("genai-prices")
    assert row["key"].startswith("fp:")


def test_a_stream(client: genai.Client, provider: FakeUpstream, logged: Logged) -> None:
    chunks = list(client.models.generate_content_stream(model=MODEL, contents=QUESTION, config=config()))
    assert provider.requests[0].target.endswith(b"?alt=sse")
    assert len(chunks) == len(saying.WORDS)
    assert_streamed(chunks, logged.row())


async def test_both_without_waiting(client: genai.Client, logged: Logged) -> None:
    async with client.aio as aio:
        response = await aio.models.generate_content(model=MODEL, contents=QUESTION, config=config())
        stream = await aio.models.generate_content_stream(model=MODEL, contents=QUESTION, config=config())
        chunks = [chunk async for chunk in stream]
    at_once, streamed = logged.rows()
    assert_said(response, at_once)
    assert_streamed(chunks, streamed)


@pytest.mark.parametrize("stream", [False, True])
def test_thoughts(client: genai.Client, logged: Logged, stream: bool) -> None:
    asked: Any = {"contents": QUESTION, "config": config(thinking_config=types.ThinkingConfig(include_thoughts=True))}
    if stream:
        chunks = list(client.models.generate_content_stream(model=MODEL, **asked))
    else:
        chunks = [client.models.generate_content(model=MODEL, **asked)]
    parts = [part for chunk in chunks for part in chunk.candidates[0].content.parts]
    assert "".join(part.text for part in parts if part.thought) == saying.REASONING
    row = logged.row()
    told(row, **SAID, **counted(chunks[-1].usage_metadata), stream=stream, reasoning=saying.REASONING)


@pytest.mark.parametrize("stream", [False, True])
def test_functions_that_the_sdk_calls_by_itself(client: genai.Client, logged: Logged, stream: bool) -> None:
    called = []

    def get_weather(city: str) -> str:
        """The weather in a city."""
        called.append(city)
        return f"weather {len(called)}"

    asked: Any = {"contents": QUESTION, "config": config(tools=[get_weather])}
    if stream:
        text = "".join(chunk.text or "" for chunk in client.models.generate_content_stream(model=MODEL, **asked))
    else:
        text = client.models.generate_content(model=MODEL, **asked).text
    assert text == saying.TEXT
    assert called == list(saying.CITIES)

    first, second = logged.rows()
    told(first, **ROW, stream=stream, output=None, input_tokens=..., output_tokens=..., cost_usd=...)
    assert [tool["name"] for tool in first["tool_calls"]] == [saying.TOOL] * 2
    for tool, city in zip(first["tool_calls"], saying.CITIES, strict=True):
        assert city in tool["arguments"]
        assert tool["result_call"] == second["id"]
        assert tool["result_bytes"] > 0
        assert tool["duration_ms"] > 0
    told(second, **SAID, stream=stream)


def test_embeddings(client: genai.Client, logged: Logged) -> None:
    answer = client.models.embed_content(model="gemini-embedding-001", contents=TEXTS)
    assert [each.values for each in answer.embeddings] == saying.vectors(TEXTS)
    row = logged.row()
    told(row, status="ok", dialect="gemini", model_requested="gemini-embedding-001", stream=False, notes=[])
    assert [part["text"] for message in row["input"] for part in message["parts"]] == TEXTS


def test_counting_tokens_uses_none(client: genai.Client, logged: Logged) -> None:
    assert client.models.count_tokens(model=MODEL, contents=QUESTION).total_tokens == COUNTED_TOKENS
    row = logged.row()
    told(row, status="ok", dialect="gemini", model_requested=MODEL, notes=[])
    told(row, input_tokens=None, tokens_source=None, cost_usd=None)
