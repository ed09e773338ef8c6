"""``python -m bench.dialects``: how quickly each dialect reads a stream, beside ``orjson.loads`` over the same events.

The ratio is the figure: both sides run in turns on the same core, and the best round of each counts.
Streams are made by a seeded generator, with the fields that the providers send.
"""

from __future__ import annotations

import argparse
import os
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import orjson
from msgspec import Struct

from proxy.dialects.base import Bodies
from proxy.dialects.table import choose

Event = tuple[str, Any]  #: type, "" for none, and data
WORDS = ["The", " tide", " rises", " twice", " a", " day", ",", " and", " falls", ".", "\n", ' "moon"', " Köln"]
PATHS = {
    "openai_chat": "/v1/chat/completions",
    "openai_completions": "/v1/completions",
    "openai_responses": "/v1/responses",
    "anthropic_messages": "/v1/messages",
    "gemini": "/v1beta/models/gemini-2.5-flash:streamGenerateContent",
    "ollama": "/api/chat",
}


class Stream(Struct, frozen=True):
    """A stream to be read."""

    dialect: str
    what: str
    events: list[Event]
    line_end: str = "\n"
    ndjson: bool = False

    def body(self) -> bytes:
        """As it comes over the wire."""
        if self.ndjson:
            return b"".join(orjson.dumps(data) + b"\n" for _, data in self.events)
        return "".join(self._frame(*event) for event in self.events).encode()

    def _frame(self, kind: str, data: Any) -> str:
        shown = data if isinstance(data, str) else orjson.dumps(data).decode()
        named = f"event: {kind}{self.line_end}" if kind else ""
        return f"{named}data: {shown}{self.line_end}{self.line_end}"


def streams(tokens: int, seed: int) -> Iterator[Stream]:
    """One or more of each dialect that streams."""
    words = random.Random(seed).choices(WORDS, k=tokens)
    text = [_chat({"content": word}) for word in words]
    calls = [_chat({"tool_calls": [{"index": 0, "function": {"arguments": word}}]}) for word in words]
    called = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": ""}}
    reasoning = [_chat({"content": None, "reasoning_content": word}) for word in words]
    yield Stream("openai_chat", "text", _whole_chat(text))
    yield Stream("openai_chat", "text, CRLF", _whole_chat(text), "\r\n")
    yield Stream("openai_chat", "text, event: lines", [("message", data) for _, data in _whole_chat(text)])
    yield Stream("openai_chat", "tool arguments", _whole_chat([_chat({"tool_calls": [called]}), *calls]))
    yield Stream("openai_chat", "reasoning", _whole_chat(reasoning))
    yield Stream("openai_completions", "text", [("", _completion(word)) for word in words])
    yield Stream("openai_responses", "text", list(_responses(words)))
    yield Stream("anthropic_messages", "text", list(_anthropic(words, "text_delta", "text")))
    yield Stream("anthropic_messages", "tool arguments", list(_anthropic(words, "input_json_delta", "partial_json")))
    yield Stream("gemini", "text", [("", _gemini(word, number)) for number, word in enumerate(words, 1)], "\r\n")
    yield Stream("ollama", "text", [("", _ollama(word)) for word in words], ndjson=True)


def _whole_chat(deltas: list[Any]) -> list[Event]:
    used = {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": len(deltas)}}
    first, last = _chat({"role": "assistant", "content": ""}), _chat({}, "stop")
    return [("", data) for data in (first, *deltas, last, used, "[DONE]")]


def _chat(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return {
        "id": "chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG", "object": "chat.completion.chunk", "created": 1741570283,
        "model": "gpt-4o-2024-08-06", "service_tier": "default", "system_fingerprint": "fp_ee1d74bde0",
        "choices": [choice], "obfuscation": "aZ3kQ9",
    }  # fmt: skip


def _completion(word: str) -> dict[str, Any]:
    choice = {"text": word, "index": 0, "logprobs": None, "finish_reason": None}
    return {
        "id": "cmpl-7QmVI15qgYVllxK0FtxVGG6ywfzaq", "object": "text_completion", "created": 1741570283,
        "choices": [choice], "model": "gpt-3.5-turbo-instruct",
    }  # fmt: skip


def _responses(words: list[str]) -> Iterator[Event]:
    response = {"id": "resp_1", "object": "response", "model": "gpt-4o-2024-08-06", "output": []}
    place = {"item_id": "msg_67c9fdcf37fc8190ba82116e33fb28c5", "output_index": 0}
    message = {"id": place["item_id"], "type": "message", "role": "assistant"}
    done = {"type": "output_text", "text": "".join(words), "annotations": []}
    told: list[dict[str, Any]] = [
        {"type": "response.created", "response": {**response, "status": "in_progress"}},
        {"type": "response.output_item.added", "output_index": 0, "item": {**message, "content": []}},
        *(
            {"type": "response.output_text.delta", **place, "content_index": 0, "delta": word, "obfuscation": "aZ3k"}
            for word in words
        ),
        {"type": "response.output_item.done", "output_index": 0, "item": {**message, "content": [done]}},
        {
            "type": "response.completed",
            "response": {
                **response, "status": "completed", "output": [{**message, "content": [done]}],
                "usage": {"input_tokens": 9, "output_tokens": len(words), "total_tokens": 9 + len(words)},
            },
        },
    ]  # fmt: skip
    for number, data in enumerate(told):
        yield data["type"], {**data, "sequence_number": number}


def _anthropic(words: list[str], kind: str, field: str) -> Iterator[Event]:
    tool = {"type": "tool_use", "id": "toolu_1", "name": "look_up", "input": {}}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5", "content": []}
    told: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**message, "usage": {"input_tokens": 9, "output_tokens": 1}}},
        {
            "type": "content_block_start", "index": 0,
            "content_block": {"type": "text", "text": ""} if field == "text" else tool,
        },
        *({"type": "content_block_delta", "index": 0, "delta": {"type": kind, field: word}} for word in words),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": len(words)}},
        {"type": "message_stop"},
    ]  # fmt: skip
    for data in told:
        yield data["type"], data


def _gemini(word: str, number: int) -> dict[str, Any]:
    return {
        "candidates": [{"content": {"parts": [{"text": word}], "role": "model"}, "index": 0}],
        "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": number, "totalTokenCount": 9 + number},
        "modelVersion": "gemini-2.5-flash", "responseId": "kq1sZ6L2",
    }  # fmt: skip


def _ollama(word: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": word}
    return {"model": "smollm2", "created_at": "2025-03-10T01:31:23.123456Z", "message": message, "done": False}


def best_s(rounds: int, *works: Callable[[], object]) -> list[float]:
    """The shortest CPU time of each, in turns."""
    shortest = [float("inf")] * len(works)
    for _ in range(rounds):
        for place, work in enumerate(works):
            began = time.process_time_ns()
            work()
            shortest[place] = min(shortest[place], (time.process_time_ns() - began) / 1e9)
    return shortest


def measure(stream: Stream, rounds: int) -> tuple[float, float, float]:
    """(MB/s, µs an event, times ``orjson.loads``) of reading a stream whole."""
    body = stream.body()
    datas = [orjson.dumps(data) for _, data in stream.events if data != "[DONE]"]
    content_type = "application/x-ndjson" if stream.ndjson else "text/event-stream"
    bodies = Bodies(
        path=PATHS[stream.dialect],
        request=b'{"model":"m","stream":true}',
        response=body,
        response_headers={"content-type": content_type},
        http_status=200,
    )
    dialect = choose(bodies.path, {}, "")

    def load() -> None:
        for data in datas:
            orjson.loads(data)

    read_s, load_s = best_s(rounds, lambda: dialect.parse(bodies), load)
    return len(body) / read_s / 1e6, read_s / len(datas) * 1e6, read_s / load_s


def report(tokens: int = 4000, rounds: int = 30, seed: int = 1) -> None:
    """Print a row for each stream."""
    print(f"\ndialects: streams of {tokens:,} tokens, read whole, on one core")
    print(f"  {'':<42}{'MB/s':>9}{'µs/event':>11}{'x orjson.loads':>17}")
    for stream in streams(tokens, seed):
        megabytes_s, event_us, ratio = measure(stream, rounds)
        print(f"  {stream.dialect + ', ' + stream.what:<42}{megabytes_s:9.0f}{event_us:11.2f}{ratio:17.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.dialects", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--tokens", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    report(options.tokens, options.rounds, options.seed)


if __name__ == "__main__":
    main()
