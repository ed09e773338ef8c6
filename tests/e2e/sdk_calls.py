"""What a user's program does with the official SDK, unary and streamed, and what must then stand in the rows.

The same code runs against the fake upstream in ``make test`` and against a real model in ``make e2e``.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from openai import OpenAI

from tests.harness.server import LlmtapServer

MESSAGES: Any = [
    {"role": "system", "content": "You are terse."},
    {"role": "user", "content": "Say hello to Zoë 🎉 in one word."},
]
MAX_TOKENS = 12


class Got(Struct, frozen=True):
    """What the SDK handed to the program."""

    text: str
    model: str
    response_id: str
    finish_reason: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    stream: bool
    call_id: str


def client_of(server: LlmtapServer) -> OpenAI:
    """The SDK as the README says: only the base URL is changed."""
    return OpenAI(base_url=f"{server.url}/v1", api_key="sk-e2e-canary-41c7", max_retries=0, timeout=120)


def unary(client: OpenAI, **more: Any) -> Got:
    """One answer at once."""
    raw = client.chat.completions.with_raw_response.create(
        model="tiny", messages=MESSAGES, max_tokens=MAX_TOKENS, temperature=0, user="ada", **more
    )
    answer = raw.parse()
    choice, usage = answer.choices[0], answer.usage
    return Got(
        text=choice.message.content or "",
        model=answer.model,
        response_id=answer.id,
        finish_reason=choice.finish_reason,
        prompt_tokens=usage.prompt_tokens if usage else None,
        completion_tokens=usage.completion_tokens if usage else None,
        stream=False,
        call_id=raw.headers["x-llmtap-call-id"],
    )


def streamed(client: OpenAI, *, usage: bool) -> Got:
    """One answer in pieces, read to its end as the SDK reads."""
    more: Any = {"stream_options": {"include_usage": True}} if usage else {}
    stream = client.chat.completions.create(
        model="tiny", messages=MESSAGES, max_tokens=MAX_TOKENS, temperature=0, user="ada", stream=True, **more
    )
    call_id = stream.response.headers["x-llmtap-call-id"]
    text, model, response_id, finish, counted = "", "", "", None, None
    for chunk in stream:
        model, response_id = chunk.model, chunk.id
        counted = chunk.usage or counted
        for choice in chunk.choices:
            text += choice.delta.content or ""
            finish = choice.finish_reason or finish
    return Got(
        text=text,
        model=model,
        response_id=response_id,
        finish_reason=finish,
        prompt_tokens=counted.prompt_tokens if counted else None,
        completion_tokens=counted.completion_tokens if counted else None,
        stream=True,
        call_id=call_id,
    )


def all_calls(server: LlmtapServer) -> list[Got]:
    """Every kind of call once."""
    with client_of(server) as client:
        return [unary(client), streamed(client, usage=True), streamed(client, usage=False)]


def assert_rows_agree(server: LlmtapServer, calls: list[Got]) -> None:
    """Rows say what the SDK saw."""
    for got in calls:
        row = server.row(got.call_id)
        facts = {
            "status": "ok",
            "http_status": 200,
            "stream": got.stream,
            "model_requested": "tiny",
            "model": got.model,
            "response_id": got.response_id,
            "output": got.text,
            "finish_reason": got.finish_reason,
            "system_prompt": "You are terse.",
            "user": "ada",
            "endpoint": "/v1/chat/completions",
            "tokens_source": "upstream" if got.prompt_tokens is not None else "estimated",
        }
        assert {name: row[name] for name in facts} == facts
        assert row["input"][-1]["parts"][0]["text"] == MESSAGES[-1]["content"]
        assert row["latency_ms"] > 0
        assert (row["ttft_ms"] is not None) == (got.stream and bool(got.text))
        if got.prompt_tokens is not None:
            assert (row["input_tokens"], row["output_tokens"]) == (got.prompt_tokens, got.completion_tokens)
        else:
            assert row["input_tokens"] > 0
