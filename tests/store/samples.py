"""Calls and exchanges to store, small and telling."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any

from proxy.clock import CallIds, id_text
from proxy.records import Begin, Call, End, Exchange, Head, Header, evolve
from proxy.store.base import Batch, Store, StoredCall

DAY_US = 86_400_000_000
NOON_US = 1_795_262_400_000_000  # 2026-11-21 12:00 UTC
_ids: defaultdict[int, CallIds] = defaultdict(CallIds)  # a relay for each moment: no clock goes back by days


def chat_request(*contents: str, model: str = "gpt-5-mini", **more: Any) -> bytes:
    """A request as the official client sends it: no spaces, the history whole."""
    roles = ("user", "assistant")
    messages = [{"role": roles[index % 2], "content": content} for index, content in enumerate(contents)]
    return json.dumps({"messages": messages, "model": model, **more}, separators=(",", ":")).encode()


def an_exchange(call_id: bytes, request: bytes = b"", response: bytes = b"", **more: Any) -> Exchange:
    """What the journal would give for a whole call."""
    begin = Begin(
        id=call_id,
        started_at_us=NOON_US,
        accepted_us=7,
        method="POST",
        target="/v1/chat/completions?a=%2F",
        headers=(Header(b"Host", b"h"), Header(b"authorization", b"fp:1", hidden=True)),
    )
    head = Head(id=call_id, offset_us=10, status=200, reason="OK", headers=(Header(b"X-Odd", b"\xff\x00"),))
    end = End(id=call_id, ended_us=99, offset_us=50, outcome="complete", status=200)
    return Exchange(begin=begin, head=head, end=end, request_body=request, response_body=response, **more)


class Clock:
    """Time that the test moves."""

    def __init__(self) -> None:
        self.us = NOON_US

    def __call__(self) -> int:
        return self.us


def an_id(started_at_us: int = NOON_US) -> str:
    """A new id."""
    return id_text(_ids[started_at_us].next(started_at_us))


def ended(
    call_id: str | None = None,
    *,
    request: bytes = b"{}",
    response: bytes = b"ok",
    journal: str | None = None,
    seq: int | None = None,
    marks: tuple[tuple[int, int], ...] = (),
    **fields: Any,
) -> StoredCall:
    """A call that is over."""
    started_at_us = fields.setdefault("started_at_us", NOON_US)
    call_id = call_id or an_id(started_at_us)
    call = Call(**{"id": call_id, "status": "ok", **fields})
    exchange = an_exchange(bytes.fromhex(call_id.replace("-", "")), request, response, marks=marks)
    return StoredCall(call=call, exchange=exchange, journal=journal, seq=seq)


def running(call_id: str | None = None, journal: str | None = None, **fields: Any) -> StoredCall:
    """A call that is not over."""
    started_at_us = fields.setdefault("started_at_us", NOON_US)
    call = Call(**{"id": call_id or an_id(started_at_us), "status": "running", **fields})
    return StoredCall(call=call, journal=journal)


async def write(store: Store, *calls: StoredCall, **more: Any) -> None:
    """One batch of calls."""
    await store.write(Batch(calls=calls, **more))


def as_stored(call: Call) -> Call:
    """A call without what the store sets."""
    return evolve(call, rev=0, updated_at_us=0)


async def collected(items: AsyncIterator[str]) -> list[str]:
    """All of an async iterator."""
    return [item async for item in items]


#: Every field has a value of its own.
FULL = Call(
    id=an_id(),
    started_at_us=NOON_US,
    project="shop",
    upstream="openai",
    dialect="openai_chat",
    endpoint="/v1/chat/completions",
    method="POST",
    path="/p/shop/v1/chat/completions",
    stream=True,
    status="error",
    http_status=500,
    error_type="server_error",
    error_message="it 'broke' \0 here",
    model_requested="gpt-5",
    model="gpt-5-2025-08-07",
    latency_us=1_234_567,
    ttft_us=0,
    input_tokens=0,
    output_tokens=2,
    cached_tokens=3,
    cache_write_tokens=4,
    reasoning_tokens=5,
    tokens_source="upstream",
    cost_nano_usd=12_345_678_901,
    cost_source="genai-prices 1",
    finish_reason="stop",
    user="ü",
    session="s",
    key="fp:1",
    client="127.0.0.1:5",
    metadata={"b": "2", "a": "1", "__proto__": "x", "it's \"\0": ""},
    tags=("prod", "a b"),
    request_id="req_1",
    response_id="resp_1",
    request_bytes=10,
    response_bytes=20,
    preview_input="hi",
    preview_output="there",
    notes=("odd", "strange"),
    trace="t",
    parent="p",
    prompt="greet",
    prompt_version="2",
    agent="a",
    program="app.py",
    cwd="/home/ada/app",
    branch="main",
    excluded=None,
    retry=0,
    retry_of="019ab000-0000-7000-8000-000000000000",
    service_tier="default",
    system_fingerprint="fp_1",
    filtered="refusal",
    documents=0,
    upstream_us=1,
    chunks=2,
    longest_gap_us=3,
    tokens_per_s=12.5,
    limit_requests=4,
    remaining_requests=0,
    reset_requests_us=5,
    limit_tokens=6,
    remaining_tokens=7,
    reset_tokens_us=8,
    retry_after_us=9,
    request_digest=-(1 << 63),
    background=False,
)
