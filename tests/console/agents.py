"""What an agent sends and gets, call by call, with sub-agents and failures; stored as ingest would."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench.ingesting import Ingest
from bench.traffic import Kind, Truth
from proxy.clock import CallIds, wall_us
from proxy.datadir import prepare
from proxy.records import Begin, End, Exchange, Head, Header

SECOND = 1_000_000
START_US = wall_us() - 3600 * SECOND
_ids = CallIds()
_TRUTH = Truth(what="loop", conversation=0, turn=1, kind=Kind.FIRST, follows=None, repeats=None)


def exchange(at_s: float, messages: list[dict[str, Any]], answer: dict[str, Any], **more: Any) -> Exchange:
    """One call of a second; ``more``: user, session, project, status and model."""
    started_at_us = START_US + int(at_s * SECOND)
    call_id = _ids.next(started_at_us)
    request = json.dumps({"model": more.get("model", "gpt-5-mini"), "messages": messages}).encode()
    response = json.dumps(answer).encode()
    named = [
        Header(f"x-llmtap-{name}".encode(), str(more[name]).encode())
        for name in ("user", "session", "project")
        if name in more
    ]
    status = more.get("status", 200)
    return Exchange(
        begin=Begin(
            id=call_id,
            started_at_us=started_at_us,
            accepted_us=7,
            method="POST",
            target="/v1/chat/completions",
            project=more.get("project", "default"),
            upstream="openai",
            base="https://api.openai.com",
            endpoint="/v1/chat/completions",
            headers=(Header(b"content-type", b"application/json"), *named),
        ),
        head=Head(id=call_id, offset_us=9, status=status, headers=(Header(b"content-type", b"application/json"),)),
        end=End(
            id=call_id,
            ended_us=started_at_us + SECOND,
            offset_us=SECOND,
            outcome="complete",
            request_bytes=len(request),
            response_bytes=len(response),
            request_complete=True,
            response_complete=True,
            status=status,
        ),
        request_body=request,
        response_body=response,
    )


def answered(text: str | None = None, **tools: str) -> dict[str, Any]:
    """An answer; ``tools``: call id → name and arguments, as ``search {"q": 1}``."""
    asked = [
        {
            "id": tool_id,
            "type": "function",
            "function": dict(zip(("name", "arguments"), call.split(" ", 1), strict=True)),
        }
        for tool_id, call in tools.items()
    ]
    message = {"role": "assistant", "content": text} | ({"tool_calls": asked} if asked else {})
    return {
        "id": f"chatcmpl-{_ids.next(START_US).hex()}",
        "object": "chat.completion",
        "model": "gpt-5-mini-2025-08-07",
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if asked else "stop"}],
        "usage": {"prompt_tokens": 900, "completion_tokens": 90, "total_tokens": 990},
    }


OVERLOADED = {"error": {"message": "Rate limit reached", "type": "tokens", "code": "rate_limit_exceeded"}}


def run_of_an_agent(at_s: float = 0, **named: Any) -> list[Exchange]:
    """Six calls: it hands a task to a sub-agent (two calls, one tool), fails, tries again, and is asked once more."""
    said: list[dict[str, Any]] = [
        {"role": "system", "content": "You plan and delegate."},
        {"role": "user", "content": "Which maker ships first?"},
    ]
    task = "Find out what the first maker has announced, with dates."
    hands_over = answered("One worker can look.", call_task_00000001=f"task {json.dumps({'prompt': task})}")
    worker: list[dict[str, Any]] = [{"role": "system", "content": "You search."}, {"role": "user", "content": task}]
    searches = answered(None, call_search_0000001='web_search {"q": "maker"}')
    found = "Cells are planned for 2027."
    made = [exchange(at_s, said, hands_over, **named), exchange(at_s + 2, worker, searches, **named)]
    worker = [*worker, _message(searches), _result("call_search_0000001", "ten results")]
    made.append(exchange(at_s + 5, worker, answered(found), **named))
    said = [*said, _message(hands_over), _result("call_task_00000001", found)]
    made.append(exchange(at_s + 8, said, OVERLOADED, status=429, **named))
    report = answered("The first maker, in 2027.")
    made.append(exchange(at_s + 11, said, report, **named))
    said = [*said, _message(report), {"role": "user", "content": "Shorter, please."}]
    made.append(exchange(at_s + 900, said, answered("The first."), **named))
    return made


def chat(at_s: float, *questions: str, system: str = "You are kind.", **named: Any) -> list[Exchange]:
    """One call a question, each with all that was before."""
    said: list[dict[str, Any]] = [{"role": "system", "content": system}]
    made = []
    for number, question in enumerate(questions):
        said = [*said, {"role": "user", "content": question}]
        answer = answered(f"Answer {number} to {question}")
        made.append(exchange(at_s + 10 * number, said, answer, **named))
        said = [*said, _message(answer)]
    return made


def _message(answer: dict[str, Any]) -> dict[str, Any]:
    message: dict[str, Any] = answer["choices"][0]["message"]
    return message


def _result(tool_id: str, text: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": tool_id, "content": text}


async def store(data: Path, *runs: list[Exchange]) -> list[str]:
    """All of these calls, in the order given; their ids."""
    ingest = await Ingest.open(prepare(data))
    try:
        stored = [row for run in runs for row in await ingest.take([(each, _TRUTH) for each in run])]
    finally:
        await ingest.close()
    return [row.call.id for row in stored]
