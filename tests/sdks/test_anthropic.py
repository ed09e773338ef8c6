"""The anthropic SDK: messages at once and streamed, tools, thinking, the cache, counting tokens, retries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from anthropic import Anthropic, AsyncAnthropic
from anthropic.types import Message

from tests.fakes.upstream import FakeUpstream
from tests.harness.server import LlmtapServer

from . import saying
from .anthropic_api import COUNTED_TOKENS, OUTPUT_TOKENS, OVERLOADED, READ_TOKENS, overloaded
from .logged import JSON, Logged, told
from .providers import Providers

#: Every model is, some day; its answer is the same.
pytestmark = pytest.mark.filterwarnings("ignore:The model .* is deprecated:DeprecationWarning")

QUESTION = "What is the weather in Zürich and in Biel?"
TOOLS: Any = [{"name": saying.TOOL, "description": saying.DESCRIPTION, "input_schema": saying.PARAMETERS}]
MESSAGES: Any = [{"role": "user", "content": QUESTION}]
ASKED: JSON = {"model": "claude-haiku-4-5", "max_tokens": 2048, "system": "One line.", "messages": MESSAGES}
CACHED: JSON = {"system": [{"type": "text", "text": "One line.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]}
THINKING: JSON = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
ROW: JSON = {
    "status": "ok",
    "dialect": "anthropic_messages",
    "upstream": "anthropic",
    "endpoint": "/v1/messages",
    "model_requested": "claude-haiku-4-5",
    "model": "claude-haiku-4-5-20251001",
    "system_prompt": "One line.",
    "request_id": "req_018EeWyXxfu5pfWkrYcMdjWG",
    "remaining_requests": 3999,
    "notes": [],
}
SAID: JSON = ROW | {"output": saying.TEXT, "finish_reason": "end_turn", "tool_calls": []}


@pytest.fixture
def client(tap: LlmtapServer) -> Iterator[Anthropic]:
    with Anthropic(base_url=f"{tap.url}/anthropic", api_key="sk-ant-test", max_retries=0) as client:
        yield client


def counted(message: Message) -> JSON:
    """What the SDK reports as usage, in llmtap's words: what the cache had part in is input too."""
    usage = message.usage
    read, written = usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0
    return {
        "tokens_source": "upstream",
        "input_tokens": usage.input_tokens + read + written,
        "output_tokens": usage.output_tokens,
        "cached_tokens": read,
        "cache_write_tokens": written,
    }


def assert_said(message: Message, row: JSON, *, stream: bool) -> None:
    assert message.content[-1].text == saying.TEXT
    assert message.usage.output_tokens == OUTPUT_TOKENS
    told(row, **SAID, **counted(message), stream=stream, response_id=message.id, cost_usd=...)
    assert (row["ttft_ms"] is not None) == stream


def test_an_answer_at_once(client: Anthropic, logged: Logged) -> None:
    message = client.messages.create(**ASKED)
    row = logged.row()
    assert_said(message, row, stream=False)
    assert row["input"] == [{"role": "user", "parts": [{"type": "text", "text": QUESTION}]}]
    assert row["cost_source"].startswith("genai-prices")


def test_a_stream_of_events(client: Anthropic, logged: Logged) -> None:
    with client.messages.create(**ASKED, stream=True) as stream:
        events = list(stream)
    deltas = [event.delta for event in events if event.type == "content_block_delta"]
    assert "".join(delta.text for delta in deltas) == saying.TEXT
    (last,) = [event for event in events if event.type == "message_delta"]
    row = logged.row()
    told(row, **SAID, stream=True, ttft_ms=..., cost_usd=..., input_tokens=last.usage.input_tokens)
    told(row, output_tokens=last.usage.output_tokens, cached_tokens=0, cache_write_tokens=0)


def test_the_streaming_helper_and_the_row_put_together_the_same(client: Anthropic, logged: Logged) -> None:
    with client.messages.stream(**ASKED) as stream:
        assert "".join(stream.text_stream) == saying.TEXT
        message = stream.get_final_message()
    assert_said(message, logged.row(), stream=True)


async def test_both_without_waiting(tap: LlmtapServer, logged: Logged) -> None:
    async with AsyncAnthropic(base_url=f"{tap.url}/anthropic", api_key="sk-ant-test", max_retries=0) as client:
        message = await client.messages.create(**ASKED)
        async with client.messages.stream(**ASKED) as stream:
            streamed = await stream.get_final_message()
    rows = logged.rows()
    assert_said(message, rows[0], stream=False)
    assert_said(streamed, rows[1], stream=True)


@pytest.mark.parametrize("stream", [False, True])
def test_what_the_cache_had_part_in_is_input_as_well(client: Anthropic, logged: Logged, stream: bool) -> None:
    plain = whole(client, stream)
    cached = whole(client, stream, **CACHED)
    assert cached.usage.cache_read_input_tokens == READ_TOKENS
    assert cached.usage.input_tokens == plain.usage.input_tokens
    first, second = logged.rows()
    assert_said(plain, first, stream=stream)
    assert_said(cached, second, stream=stream)
    assert second["input_tokens"] > READ_TOKENS > first["input_tokens"]
    assert second["cost_usd"] > first["cost_usd"]


@pytest.mark.parametrize("stream", [False, True])
def test_thinking(client: Anthropic, logged: Logged, stream: bool) -> None:
    message = whole(client, stream, **THINKING)
    assert message.content[0].thinking == saying.REASONING
    row = logged.row()
    assert_said(message, row, stream=stream)
    assert row["reasoning"] == saying.REASONING
    assert row["reasoning_tokens"] == message.usage.output_tokens_details.thinking_tokens


@pytest.mark.parametrize("stream", [False, True])
def test_tools_that_are_asked_for_and_answered(client: Anthropic, logged: Logged, stream: bool) -> None:
    first = whole(client, stream, tools=TOOLS)
    uses = [block for block in first.content if block.type == "tool_use"]
    assert [(use.name, use.input) for use in uses] == [(saying.TOOL, {"city": city}) for city in saying.CITIES]
    results = [
        {"type": "tool_result", "tool_use_id": use.id, "content": f"weather {place}", "is_error": bool(place)}
        for place, use in enumerate(uses)
    ]
    said: Any = [*MESSAGES, {"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
    second = whole(client, stream, tools=TOOLS, messages=said)

    asked, answered = logged.rows()
    told(asked, **ROW, **counted(first), stream=stream, output=None, finish_reason="tool_use")
    assert (asked["ttft_ms"] is not None) == stream
    assert [(tool["id"], tool["name"]) for tool in asked["tool_calls"]] == [(use.id, use.name) for use in uses]
    assert [tool["failed"] or False for tool in asked["tool_calls"]] == [False, True]
    for tool, city in zip(asked["tool_calls"], saying.CITIES, strict=True):
        assert city in tool["arguments"]
        assert (tool["result_call"], tool["result_bytes"]) == (answered["id"], len("weather 0"))
        assert tool["duration_ms"] > 0
    assert_said(second, answered, stream=stream)


def whole(client: Anthropic, stream: bool, **more: Any) -> Message:
    """An answer, put together by the SDK when it is streamed."""
    if not stream:
        return client.messages.create(**ASKED | more)
    with client.messages.stream(**ASKED | more) as events:
        return events.get_final_message()


def test_counting_tokens_uses_none(client: Anthropic, logged: Logged) -> None:
    asked = {name: value for name, value in ASKED.items() if name != "max_tokens"}
    assert client.messages.count_tokens(**asked).input_tokens == COUNTED_TOKENS
    row = logged.row()
    told(row, status="ok", dialect="anthropic_messages", endpoint="/v1/messages/count_tokens", notes=[])
    told(row, model_requested="claude-haiku-4-5", input_tokens=None, tokens_source=None, cost_usd=None)


def test_a_retry_is_linked_to_what_it_repeats(tap: LlmtapServer, provider: FakeUpstream, logged: Logged) -> None:
    provider.script("/v1/messages", overloaded(), Providers())
    with Anthropic(base_url=f"{tap.url}/anthropic", api_key="sk-ant-test", max_retries=2) as client:
        message = client.messages.create(**ASKED)
    failed, repeated = logged.rows()
    told(failed, status="error", http_status=529, error_message=OVERLOADED["message"], retry_of=None)
    told(failed, error_type=OVERLOADED["type"], cost_usd=None)
    told(repeated, retry=1, retry_of=failed["id"])
    assert_said(message, repeated, stream=False)


def test_a_user_id_says_user_and_session(tap: LlmtapServer, client: Anthropic, logged: Logged) -> None:
    client.messages.create(**ASKED, metadata={"user_id": "ada"})
    client.messages.create(**ASKED, metadata={"user_id": "user_1f_account__session_5d7c6b0e"})
    headers = {"X-Llmtap-Session": "s-9"}
    with Anthropic(base_url=f"{tap.url}/anthropic", api_key="sk-ant-test", default_headers=headers) as other:
        other.messages.create(**ASKED, metadata={"user_id": "ada"})
    first, second, third = logged.rows()
    told(first, user="ada", session=None)
    assert second["session"] == "5d7c6b0e"
    told(third, user="ada", session="s-9")
    assert first["client"].startswith("Anthropic/Python")
