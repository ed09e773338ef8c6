"""Conversations as an agent has them, understood by the pipeline and kept in a data directory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from proxy.config import load
from proxy.ingest.pipeline import Pipeline, Quarantine
from proxy.records import evolve
from proxy.store.base import StoredCall
from tests.cli.recorded import exchanged, new_call

NOON_US = 1_795_262_400_000_000  # 2026-11-21 12:00 UTC
TASK = "Look up every lighthouse on the coast, and say how high each of them is."
LEADS, LOOKS_UP = "You lead other agents. Today is 2026-11-21.", "You look things up in the register of lighthouses."


class Talk:
    """Calls one after another, ten seconds apart."""

    def __init__(self, directory: Path) -> None:
        config = load(None, {"XDG_CONFIG_HOME": "/nonexistent"})
        self._pipeline = Pipeline(config, Quarantine(directory / "quarantine", 1), salt=lambda _: b"")
        self._at_us = NOON_US
        self.calls: list[StoredCall] = []

    def call(self, messages: list[dict[str, Any]], answer: dict[str, Any] | None, **more: Any) -> StoredCall:
        """Ask, and be answered, or refused with 429."""
        call = new_call(started_at_us=self._at_us)
        request = json.dumps({"model": "gpt-5-mini", "messages": messages, **more}).encode()
        exchange = exchanged(call, request, _answered(answer)).exchange
        assert exchange is not None
        assert exchange.head is not None
        if answer is None:
            exchange = evolve(exchange, head=evolve(exchange.head, status=429, reason="Too Many Requests"))
        stored = self._pipeline.run(exchange).stored("journal", len(self.calls))
        self.calls.append(evolve(stored, request=None))
        self._at_us += 10_000_000
        return self.calls[-1]


def _answered(message: dict[str, Any] | None) -> bytes:
    if message is None:
        return b'{"error":{"type":"rate_limit","message":"slow down"}}'
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    answer = {"id": "chatcmpl-1", "model": "gpt-5-mini-2025-08-07", "choices": [choice], "usage": usage}
    return json.dumps(answer).encode()


def system(text: str) -> dict[str, Any]:
    """A prompt."""
    return {"role": "system", "content": text}


def user(text: str) -> dict[str, Any]:
    """What a person says."""
    return {"role": "user", "content": text}


def said(text: str | None, **more: Any) -> dict[str, Any]:
    """What a model says."""
    return {"role": "assistant", "content": text, **more}


def agents(directory: Path) -> list[StoredCall]:
    """One that leads, one that looks up for it; a failure, a retry, another answer."""
    talk = Talk(directory)
    begin = [system(LEADS), user("Write a guide to the lighthouses.")]
    task = {
        "id": "call_a1b2c3d4e5",
        "type": "function",
        "function": {"name": "task", "arguments": json.dumps({"prompt": TASK})},
    }
    talk.call(begin, said(None, tool_calls=[task]), user="ada")
    looking = [system(LOOKS_UP), user(TASK)]
    talk.call(looking, None, user="ada")
    talk.call(looking, said("There are two of them, the old one of 31 metres and the new one of 60."), user="ada")
    asked = [*begin, said(None, tool_calls=[task]), {"role": "tool", "tool_call_id": task["id"], "content": "two"}]
    talk.call(asked, said("The coast has two lighthouses, an old one and a new one; both can be climbed."), user="ada")
    talk.call(asked, said("Two lighthouses stand on this coast. Start with the old one, at sunrise."), user="ada")
    talk.call([system(LEADS.replace("lead", "never lead")), user("What do you do?")], said("Nothing."))
    return talk.calls
