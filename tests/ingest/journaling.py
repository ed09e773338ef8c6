"""Journals as a relay would write them, for ingest to read."""

from __future__ import annotations

import json
from pathlib import Path

from proxy.clock import CallIds, monotonic_us, wall_us
from proxy.config import Journal as Settings
from proxy.datadir import prepare
from proxy.journal.writer import JournalWriter, Record
from proxy.records import Begin, End, Head, Header, Outcome, Part, Side

IDS = CallIds()
JSON_TYPE = (Header(b"Content-Type", b"application/json"),)


class Relay:
    """Writes calls into a journal of its own."""

    def __init__(self, data_dir: Path, name: str = "relay-0-test", **settings: object) -> None:
        self.data_dir = prepare(data_dir)
        vitals = {"journal_worst_write_us": 0, "journal_slow": 0, "calls_lost": 0}
        self.journal = JournalWriter(self.data_dir / "journal", name, Settings(**settings), vitals)  # type: ignore[arg-type]

    def write(self, *records: Record) -> None:
        assert self.journal.append(records) is True

    async def close(self) -> None:
        await self.journal.close()

    def call(self, question: str = "hi", answer: str = "hello", **end: object) -> bytes:
        """A whole unary call; its id."""
        call_id = self.begin(question)
        self.answer(call_id, answer)
        self.end(call_id, question, answer, **end)
        return call_id

    def begin(self, question: str = "hi", target: str = "/v1/chat/completions") -> bytes:
        now_us = wall_us()
        call_id = IDS.next(now_us)
        begin = Begin(
            id=call_id,
            started_at_us=now_us,
            accepted_us=monotonic_us(),
            method="POST",
            target=target,
            endpoint="/v1/chat/completions",
            upstream="openai",
            base="https://api.openai.com",
            headers=(*JSON_TYPE, Header(b"Authorization", b"Bearer fp:0011223344556677", True)),
        )
        self.write(begin, Part(id=call_id, side=Side.REQUEST, offset=0, data=request_body(question)))
        return call_id

    def answer(self, call_id: bytes, answer: str = "hello") -> None:
        head = Head(id=call_id, offset_us=5, status=200, reason="OK", headers=JSON_TYPE)
        data = response_body(answer)
        self.write(head, Part(id=call_id, side=Side.RESPONSE, offset=0, data=data, marks=((len(data), 9),)))

    def end(self, call_id: bytes, question: str = "hi", answer: str = "hello", **changes: object) -> None:
        fields: dict[str, object] = {
            "outcome": Outcome.COMPLETE,
            "status": 200,
            "request_bytes": len(request_body(question)),
            "response_bytes": len(response_body(answer)),
            "request_complete": True,
            "response_complete": True,
            **changes,
        }
        self.write(End(id=call_id, ended_us=monotonic_us(), offset_us=10, **fields))  # type: ignore[arg-type]


def request_body(question: str) -> bytes:
    return json.dumps({"model": "gpt-5-mini", "messages": [{"role": "user", "content": question}]}).encode()


def response_body(answer: str) -> bytes:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": answer}}
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    return json.dumps({"id": "r1", "model": "gpt-5-mini", "choices": [choice], "usage": usage}).encode()
