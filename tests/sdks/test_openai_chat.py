"""The openai SDK: chat and text completions, at once and streamed, with a client that waits and one that does not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types import CompletionUsage
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tests.fakes.upstream import FakeUpstream
from tests.harness.server import LlmtapServer

from . import saying
from .logged import JSON, Logged, told
from .openai_api import CHAT_USAGE, COMPLETION_USAGE

QUESTION = "What is the weather in Zürich and in Biel?"
MESSAGES: Any = [{"role": "system", "content": "One line."}, {"role": "user", "content": QUESTION}]
TOOLS: Any = [
    {
        "type": "function",
        "function": {"name": saying.TOOL, "description": saying.DESCRIPTION, "parameters": saying.PARAMETERS},
    }
]
ASKED: JSON = {"model": "gpt-4.1-mini", "messages": MESSAGES}
WITH_USAGE: JSON = {"stream": True, "stream_options": {"include_usage": True}}
CHAT: JSON = {
    "status": "ok",
    "dialect": "openai_chat",
    "upstream": "openai",
    "endpoint": "/v1/chat/completions",
    "model_requested": "gpt-4.1-mini",
    "model": "gpt-4.1-mini-2025-04-14",
    "system_prompt": "One line.",
    "service_tier": "default",
    "system_fingerprint": "fp_50cad350e4",
    "request_id": "req_011CQ5",
    "upstream_ms": 321,
    "remaining_tokens": 198_969,
    "notes": [],
}
SAID: JSON = CHAT | {"output": saying.TEXT, "finish_reason": "stop", "tool_calls": []}


@pytest.fixture
def client(tap: LlmtapServer) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{tap.url}/v1", api_key="sk-test", max_retries=0) as client:
        yield client


def counted(usage: CompletionUsage | None) -> JSON:
    """What the SDK reports as usage, in llmtap's words."""
    assert usage is not None
    assert usage.prompt_tokens_details is not None
    assert usage.completion_tokens_details is not None
    return {
        "tokens_source": "upstream",
        "input_tokens": usage.prompt_tokens,
        "output_tokens": usage.completion_tokens,
        "cached_tokens": usage.prompt_tokens_details.cached_tokens,
        "reasoning_tokens": usage.completion_tokens_details.reasoning_tokens,
    }


def text_of(chunks: Iterable[ChatCompletionChunk]) -> str:
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


def assert_said(completion: ChatCompletion, row: JSON) -> None:
    assert completion.choices[0].message.content == saying.TEXT
    assert completion.usage is not None
    assert completion.usage.total_tokens == CHAT_USAGE["total_tokens"]
    told(row, **SAID, **counted(completion.usage), stream=False, ttft_ms=None, cost_usd=..., latency_ms=...)
    assert row["response_id"] == completion.id
    assert row["cost_source"].startswith("genai-prices")


def assert_streamed(chunks: list[ChatCompletionChunk], row: JSON) -> None:
    assert text_of(chunks) == saying.TEXT
    assert [bool(chunk.usage) for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert chunks[-1].choices == []
    told(row, **SAID, **counted(chunks[-1].usage), stream=True, ttft_ms=..., cost_usd=...)
    assert row["response_id"] == chunks[0].id
    assert row["ttft_ms"] <= row["latency_ms"]


# --- chat -------------------------------------------------------------------------------------------


def test_an_answer_at_once(client: OpenAI, logged: Logged) -> None:
    completion = client.chat.completions.create(**ASKED)
    row = logged.row()
    assert_said(completion, row)
    assert row["input"][-1] == {"role": "user", "parts": [{"type": "text", "text": QUESTION}]}


def test_a_stream_that_asks_for_usage(client: OpenAI, logged: Logged) -> None:
    with client.chat.completions.create(**ASKED, **WITH_USAGE) as stream:
        chunks = list(stream)
    assert_streamed(chunks, logged.row())


async def test_both_without_waiting(tap: LlmtapServer, logged: Logged) -> None:
    async with AsyncOpenAI(base_url=f"{tap.url}/v1", api_key="sk-test", max_retries=0) as client:
        completion = await client.chat.completions.create(**ASKED)
        chunks = [chunk async for chunk in await client.chat.completions.create(**ASKED, **WITH_USAGE)]
    at_once, streamed = logged.rows()
    assert_said(completion, at_once)
    assert_streamed(chunks, streamed)


def test_the_streaming_helper_and_the_row_put_together_the_same(client: OpenAI, logged: Logged) -> None:
    with client.chat.completions.stream(**ASKED, stream_options={"include_usage": True}) as stream:
        completion = stream.get_final_completion()
    assert completion.choices[0].message.content == saying.TEXT
    told(logged.row(), **SAID, **counted(completion.usage), stream=True, ttft_ms=...)


def test_a_stream_that_does_not_ask_has_no_usage_and_the_row_an_estimate(client: OpenAI, logged: Logged) -> None:
    with client.chat.completions.create(**ASKED, stream=True) as stream:
        chunks = list(stream)
    assert text_of(chunks) == saying.TEXT
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)
    told(logged.row(), **SAID, tokens_source="estimated", input_tokens=..., output_tokens=..., ttft_ms=..., stream=True)


def test_usage_that_llmtap_asks_for_reaches_the_row_but_not_the_client(
    tap: LlmtapServer, provider: FakeUpstream, logged: Logged
) -> None:
    with OpenAI(base_url=f"{tap.url}/asking/v1", api_key="sk-test", max_retries=0) as client:
        chunks = list(client.chat.completions.create(**ASKED, stream=True))
    assert b'"include_usage":true' in provider.requests[0].body
    assert text_of(chunks) == saying.TEXT
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)
    exact = counted(CompletionUsage.model_validate(CHAT_USAGE))
    told(logged.row(), **SAID | {"upstream": "asking"}, **exact, stream=True, cost_usd=...)


def test_usage_that_both_ask_for_reaches_both(tap: LlmtapServer, logged: Logged) -> None:
    with OpenAI(base_url=f"{tap.url}/asking/v1", api_key="sk-test", max_retries=0) as client:
        chunks = list(client.chat.completions.create(**ASKED, **WITH_USAGE))
    row = logged.row()
    assert_streamed(chunks, row | {"upstream": "openai"})


# --- tools ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_tools_that_are_asked_for_and_answered(client: OpenAI, logged: Logged, stream: bool) -> None:
    first = whole(client, MESSAGES, stream)
    message = first.choices[0].message
    calls = message.tool_calls or []
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": f"weather {place}"} for place, call in enumerate(calls)
    ]
    second = whole(client, [*MESSAGES, message, *results], stream)
    assert second.choices[0].message.content == saying.TEXT

    asked, answered = logged.rows()
    told(asked, **CHAT, **counted(first.usage), stream=stream, output=None, finish_reason="tool_calls")
    assert (asked["ttft_ms"] is not None) == stream
    wanted = [(call.id, call.function.name, call.function.arguments) for call in calls]
    assert wanted == [
        (wanted[place][0], saying.TOOL, saying.arguments(city)) for place, city in enumerate(saying.CITIES)
    ]
    assert [(tool["id"], tool["name"], tool["arguments"]) for tool in asked["tool_calls"]] == wanted
    for tool in asked["tool_calls"]:
        assert tool["result_call"] == answered["id"]
        assert tool["result_bytes"] == len("weather 0")
        assert tool["duration_ms"] > 0
    told(answered, **SAID, **counted(second.usage), stream=stream)


def whole(client: OpenAI, messages: list[Any], stream: bool) -> ChatCompletion:
    """An answer, put together by the SDK when it is streamed."""
    if not stream:
        return client.chat.completions.create(model="gpt-4.1-mini", messages=messages, tools=TOOLS)
    options: Any = {"include_usage": True}
    with client.chat.completions.stream(
        model="gpt-4.1-mini", messages=messages, tools=TOOLS, stream_options=options
    ) as events:
        return events.get_final_completion()


# --- text completions -------------------------------------------------------------------------------

COMPLETED: JSON = {
    "status": "ok",
    "dialect": "openai_completions",
    "model": "gpt-3.5-turbo-instruct",
    "output": saying.TEXT,
    "finish_reason": "stop",
    "notes": [],
}
EXACT: JSON = {
    "tokens_source": "upstream",
    "input_tokens": COMPLETION_USAGE["prompt_tokens"],
    "output_tokens": COMPLETION_USAGE["completion_tokens"],
}


def test_a_text_completion(client: OpenAI, logged: Logged) -> None:
    completion = client.completions.create(model="gpt-3.5-turbo-instruct", prompt=QUESTION)
    assert completion.choices[0].text == saying.TEXT
    assert completion.usage is not None
    assert completion.usage.to_dict() == COMPLETION_USAGE
    row = logged.row()
    told(row, **COMPLETED, **EXACT, stream=False, ttft_ms=None, cost_usd=...)
    assert row["input"][-1]["parts"] == [{"type": "text", "text": QUESTION}]


@pytest.mark.parametrize("path", ["/v1", "/asking/v1"])
@pytest.mark.parametrize("asks", [False, True])
def test_a_streamed_text_completion(tap: LlmtapServer, logged: Logged, path: str, asks: bool) -> None:
    more: Any = {"stream_options": {"include_usage": True}} if asks else {}
    with OpenAI(base_url=f"{tap.url}{path}", api_key="sk-test", max_retries=0) as client:
        stream = client.completions.create(model="gpt-3.5-turbo-instruct", prompt=QUESTION, stream=True, **more)
        chunks = list(stream)
    assert "".join(choice.text for chunk in chunks for choice in chunk.choices) == saying.TEXT
    assert [chunk.usage.to_dict() for chunk in chunks if chunk.usage] == [COMPLETION_USAGE] * asks
    assert sum(not chunk.choices for chunk in chunks) == asks
    known: JSON = EXACT if asks or path == "/asking/v1" else {"tokens_source": "estimated"}
    told(logged.row(), **COMPLETED, **known, stream=True, ttft_ms=...)
