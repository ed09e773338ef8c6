"""A data directory with calls in it, written by the real store, and llmtap commands on it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from proxy.clock import CallIds, id_text, wall_us
from proxy.datadir import prepare
from proxy.records import Begin, Call, End, Exchange, Head, Header, evolve
from proxy.store.base import Batch, StoredCall
from proxy.store.sqlite.store import SqliteStore
from tests.harness.watched import ROOT, clean_environment

REQUEST = (
    b'{"model":"gpt-5-mini","messages":[{"role":"system","content":"Be brief."},'
    b'{"role":"user","content":[{"type":"text","text":"What is the weather in Bern?"},'
    b'{"type":"image_url","image_url":{"url":"https://example.com/sky.png"}}]},'
    b'{"role":"assistant","content":null,"tool_calls":[{"id":"call_7","type":"function",'
    b'"function":{"name":"get_weather","arguments":"{\\"city\\": \\"Bern\\"}"}}]},'
    b'{"role":"tool","tool_call_id":"call_7","content":"12 degrees"}]}'
)
RESPONSE = (
    b'{"id":"chatcmpl-1","object":"chat.completion","model":"gpt-5-mini-2025-08-07","choices":[{"index":0,'
    b'"message":{"role":"assistant","content":"It is 12 degrees.","reasoning_content":"The tool says so."},'
    b'"finish_reason":"stop"}],"usage":{"prompt_tokens":1234,"completion_tokens":87,"total_tokens":1321}}'
)
_ids = CallIds()


def new_call(**fields: object) -> Call:
    """A call that went well just now."""
    now_us = wall_us()
    usual = {
        "id": id_text(_ids.next(now_us)),
        "started_at_us": now_us,
        "method": "POST",
        "path": "/v1/chat/completions",
        "endpoint": "/v1/chat/completions",
        "upstream": "openai",
        "dialect": "openai_chat",
        "status": "ok",
        "http_status": 200,
        "model_requested": "gpt-5-mini",
        "model": "gpt-5-mini-2025-08-07",
        "latency_us": 812_000,
        "ttft_us": 210_000,
        "input_tokens": 1234,
        "output_tokens": 87,
        "cached_tokens": 1024,
        "tokens_source": "upstream",
        "cost_nano_usd": 482_500,
        "cost_source": "genai-prices 0.2.3",
        "finish_reason": "stop",
        "preview_input": "What is the weather in Bern?",
        "preview_output": "It is 12 degrees.",
    }
    return Call(**{**usual, **fields})  # type: ignore[arg-type]


def exchanged(call: Call, request: bytes = REQUEST, response: bytes = RESPONSE, **more: object) -> StoredCall:
    """A call that is over, with its bytes; ``more`` goes into the exchange."""
    call_id = bytes.fromhex(call.id.replace("-", ""))
    begin = Begin(
        id=call_id,
        started_at_us=call.started_at_us,
        accepted_us=7,
        method="POST",
        target="/v1/chat/completions?x=%2F",
        upstream="openai",
        endpoint="/v1/chat/completions",
        headers=(Header(b"Host", b"127.0.0.1:8800"), Header(b"authorization", b"Bearer fp:00ff", hidden=True)),
    )
    head = Head(
        id=call_id, offset_us=1, status=200, reason="OK", headers=(Header(b"Content-Type", b"application/json"),)
    )
    end = End(
        id=call_id,
        ended_us=call.started_at_us + 9,
        offset_us=9,
        outcome="complete",
        request_bytes=len(request),
        response_bytes=len(response),
        request_complete=True,
        response_complete=True,
    )
    exchange = Exchange(begin=begin, head=head, end=end, request_body=request, response_body=response)
    return StoredCall(call=call, exchange=evolve(exchange, **more))


def record(data_dir: Path, *calls: StoredCall) -> None:
    """Store these calls in one batch, as ingest would."""

    async def write() -> None:
        store = await SqliteStore.open(prepare(data_dir))
        try:
            await store.write(Batch(calls=calls))
        finally:
            await store.close()

    asyncio.run(write())


def llmtap(
    data_dir: Path, *arguments: str, env: Mapping[str, str] | None = None, stdout: int | None = subprocess.PIPE
) -> subprocess.CompletedProcess[bytes]:
    """Run a command on a data directory, without a terminal."""
    return subprocess.run(
        [sys.executable, "-m", "proxy", *arguments],
        cwd=ROOT,
        env={
            **clean_environment(),
            "LLMTAP_DATA_DIR": str(data_dir),
            "XDG_CONFIG_HOME": str(data_dir.parent),
            **(env or {}),
        },
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
