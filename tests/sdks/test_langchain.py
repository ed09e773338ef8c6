"""langchain-openai: a chat model at once and streamed, a loop of tool calls by hand, embeddings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

from tests.harness.server import LlmtapServer

from . import saying
from .logged import JSON, Logged, told

QUESTION = "What is the weather in Zürich and in Biel?"
MESSAGES: list[Any] = [SystemMessage("One line."), HumanMessage(QUESTION)]
TEXTS = ["one text", "another text"]
SAID: JSON = {
    "status": "ok",
    "dialect": "openai_chat",
    "model_requested": "gpt-4.1-mini",
    "model": "gpt-4.1-mini-2025-04-14",
    "system_prompt": "One line.",
    "output": saying.TEXT,
    "finish_reason": "stop",
    "tool_calls": [],
    "notes": [],
}


@tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"weather in {city}"


def model(tap: LlmtapServer, **more: Any) -> ChatOpenAI:
    return ChatOpenAI(model="gpt-4.1-mini", base_url=f"{tap.url}/v1", api_key="sk-test", max_retries=0, **more)


def counted(message: AIMessage) -> JSON:
    """What LangChain reports as usage, in llmtap's words."""
    usage = message.usage_metadata
    assert usage is not None
    return {
        "tokens_source": "upstream",
        "input_tokens": usage["input_tokens"],
        "output_tokens": usage["output_tokens"],
        "cached_tokens": usage["input_token_details"]["cache_read"],
        "reasoning_tokens": usage["output_token_details"]["reasoning"],
    }


def whole(chunks: Iterator[AIMessageChunk]) -> AIMessageChunk:
    """A streamed message, put together as LangChain's documentation says: by adding."""
    message = next(chunks)
    for chunk in chunks:
        message += chunk
    return message


def test_an_answer_at_once(tap: LlmtapServer, logged: Logged) -> None:
    message = model(tap).invoke(MESSAGES)
    assert message.text == saying.TEXT
    told(logged.row(), **SAID, **counted(message), stream=False, ttft_ms=None, cost_usd=...)


@pytest.mark.parametrize("usage", [False, True])
def test_a_stream(tap: LlmtapServer, logged: Logged, usage: bool) -> None:
    message = whole(model(tap, stream_usage=usage).stream(MESSAGES))
    assert message.text == saying.TEXT
    row = logged.row()
    told(row, **SAID, stream=True, ttft_ms=..., cost_usd=...)
    if usage:
        told(row, **counted(message))
    else:
        assert message.usage_metadata is None
        assert row["tokens_source"] == "estimated"


async def test_both_without_waiting(tap: LlmtapServer, logged: Logged) -> None:
    chat = model(tap, stream_usage=True)
    message = await chat.ainvoke(MESSAGES)
    chunks = [chunk async for chunk in chat.astream(MESSAGES)]
    at_once, streamed = logged.rows()
    told(at_once, **SAID, **counted(message), stream=False)
    told(streamed, **SAID, **counted(whole(iter(chunks))), stream=True, ttft_ms=...)


@pytest.mark.parametrize("stream", [False, True])
def test_a_loop_of_tool_calls(tap: LlmtapServer, logged: Logged, stream: bool) -> None:
    chat = model(tap, stream_usage=True).bind_tools([get_weather])
    first = whole(chat.stream(MESSAGES)) if stream else chat.invoke(MESSAGES)
    assert [call["args"] for call in first.tool_calls] == [{"city": city} for city in saying.CITIES]
    results: list[ToolMessage] = [get_weather.invoke(call) for call in first.tool_calls]
    second = chat.invoke([*MESSAGES, first, *results])
    assert second.text == saying.TEXT

    asked, answered = logged.rows()
    told(asked, status="ok", **counted(first), stream=stream, output=None, finish_reason="tool_calls")
    wanted = [(call["id"], call["name"]) for call in first.tool_calls]
    assert [(call["id"], call["name"]) for call in asked["tool_calls"]] == wanted
    for call, result in zip(asked["tool_calls"], results, strict=True):
        assert (call["result_call"], call["result_bytes"]) == (answered["id"], len(result.text.encode()))
        assert call["duration_ms"] > 0
    told(answered, **SAID, **counted(second), stream=False)


def test_embeddings(tap: LlmtapServer, logged: Logged) -> None:
    embeddings = OpenAIEmbeddings(
        model="text-embedding-3-small",
        base_url=f"{tap.url}/v1",
        api_key="sk-test",
        check_embedding_ctx_length=False,  # else it fetches a vocabulary
    )
    assert embeddings.embed_documents(TEXTS) == saying.vectors(TEXTS)
    row = logged.row()
    told(row, status="ok", dialect="openai_embeddings", model="text-embedding-3-small", input_tokens=..., cost_usd=...)
    assert [part["text"] for message in row["input"] for part in message["parts"]] == TEXTS
