"""The openai SDK: responses at once, streamed and in the background."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.responses import Response

from tests.harness.server import LlmtapServer

from . import saying
from .logged import JSON, Logged, told
from .responses_api import USAGE

QUESTION = "What is the weather in Zürich and in Biel?"
TOOLS: Any = [
    {
        "type": "function",
        "name": saying.TOOL,
        "description": saying.DESCRIPTION,
        "parameters": saying.PARAMETERS,
        "strict": False,
    }
]
ASKED: JSON = {"model": "gpt-5-mini", "instructions": "One line.", "input": QUESTION}
ROW: JSON = {
    "status": "ok",
    "dialect": "openai_responses",
    "endpoint": "/v1/responses",
    "model_requested": "gpt-5-mini",
    "model": "gpt-5-mini-2025-08-07",
    "system_prompt": "One line.",
    "service_tier": "default",
    "reasoning": saying.REASONING,
    "notes": [],
}
SAID: JSON = ROW | {"output": saying.TEXT, "tool_calls": []}


@pytest.fixture
def client(tap: LlmtapServer) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{tap.url}/v1", api_key="sk-test", max_retries=0) as client:
        yield client


def counted(response: Response) -> JSON:
    """What the SDK reports as usage, in llmtap's words."""
    usage = response.usage
    assert usage is not None
    return {
        "tokens_source": "upstream",
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cached_tokens": usage.input_tokens_details.cached_tokens,
        "reasoning_tokens": usage.output_tokens_details.reasoning_tokens,
    }


def assert_said(response: Response, row: JSON, *, stream: bool) -> None:
    assert response.output_text == saying.TEXT
    assert response.usage is not None
    assert response.usage.total_tokens == USAGE["total_tokens"]
    told(
        row,
        **SAID,
        **counted(response),
        finish_reason="completed",
        stream=stream,
        response_id=response.id,
        cost_usd=...,
    )
    assert (row["ttft_ms"] is not None) == stream


def test_an_answer_at_once(client: OpenAI, logged: Logged) -> None:
    response = client.responses.create(**ASKED)
    row = logged.row()
    assert_said(response, row, stream=False)
    assert row["input"][-1]["parts"] == [{"type": "text", "text": QUESTION}]


def test_a_stream(client: OpenAI, logged: Logged) -> None:
    with client.responses.create(**ASKED, stream=True) as stream:
        events = list(stream)
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == saying.TEXT
    assert events[-1].type == "response.completed"
    assert_said(events[-1].response, logged.row(), stream=True)


async def test_both_without_waiting(tap: LlmtapServer, logged: Logged) -> None:
    async with AsyncOpenAI(base_url=f"{tap.url}/v1", api_key="sk-test", max_retries=0) as client:
        response = await client.responses.create(**ASKED)
        async with client.responses.stream(**ASKED) as stream:
            streamed = await stream.get_final_response()
    rows = logged.rows()
    assert_said(response, rows[0], stream=False)
    assert_said(streamed, rows[1], stream=True)


@pytest.mark.parametrize("stream", [False, True])
def test_tools_that_are_asked_for_and_answered(client: OpenAI, logged: Logged, stream: bool) -> None:
    given: list[Any] = [{"role": "user", "content": QUESTION}]
    first = whole(client, given, stream)
    calls = [item for item in first.output if item.type == "function_call"]
    results = [
        {"type": "function_call_output", "call_id": call.call_id, "output": f"weather {place}"}
        for place, call in enumerate(calls)
    ]
    second = whole(client, [*given, *first.output, *results], stream)

    asked, answered = logged.rows()
    told(asked, **ROW, **counted(first), stream=stream, output=None)
    wanted = [(call.call_id, call.name, call.arguments) for call in calls]
    assert [row[1:] for row in wanted] == [(saying.TOOL, saying.arguments(city)) for city in saying.CITIES]
    assert [(tool["id"], tool["name"], tool["arguments"]) for tool in asked["tool_calls"]] == wanted
    for tool in asked["tool_calls"]:
        assert (tool["result_call"], tool["result_bytes"]) == (answered["id"], len("weather 0"))
        assert tool["duration_ms"] > 0
    assert_said(second, answered, stream=stream)


def whole(client: OpenAI, given: list[Any], stream: bool) -> Response:
    """An answer, put together by the SDK when it is streamed."""
    asked = ASKED | {"input": given, "tools": TOOLS}
    if not stream:
        return client.responses.create(**asked)
    with client.responses.stream(**asked) as events:
        return events.get_final_response()


def test_tokens_of_a_background_response_are_those_of_the_call_that_began_it(client: OpenAI, logged: Logged) -> None:
    begun = client.responses.create(**ASKED, background=True)
    assert begun.status == "queued"
    told(logged.row(), status="ok", background=True, response_id=begun.id, input_tokens=None, cost_usd=None)

    assert client.responses.retrieve(begun.id).status == "in_progress"
    finished = client.responses.retrieve(begun.id)
    again = client.responses.retrieve(begun.id)
    assert finished.output_text == again.output_text == saying.TEXT

    first, *later = logged.rows()
    told(first, **counted(finished), cost_usd=..., background=True, method="POST", model="gpt-5-mini-2025-08-07")
    assert [row["output"] for row in later] == [None, saying.TEXT, saying.TEXT]
    for row in later:
        told(row, method="GET", status="ok", dialect="openai_responses", response_id=begun.id)
        told(row, input_tokens=None, output_tokens=None, tokens_source=None, cost_usd=None)
