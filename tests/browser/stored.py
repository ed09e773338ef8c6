"""A store as people have it after some days: traffic of all kinds, moved to the last hours, and the golden cases."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson

from bench.ingesting import Ingest
from bench.traffic import Corpus, traffic
from proxy.clock import CallIds, wall_us
from proxy.datadir import prepare
from proxy.records import Begin, End, Event, Exchange, Head, Header, evolve
from proxy.store.base import Batch
from proxy.store.sqlite.store import SqliteStore
from tests.dialects.golden import Case, cases

CALLS = 400
HOURS = 60
ABREAST = 16  #: conversations at a time: few, so that they are long
MINUTE_US = 60_000_000
SHOWN_BACK_US = 26 * 60 * MINUTE_US
WORDS = 3_000_000  #: bytes of sources that the texts are taken from
BATCH = 200
#: Of the golden cases, those with something to look at.
SHOWN = ("thinking", "images", "documents", "tool", "error", "refusal", "audio", "reasoning", "search", "cut")

_ids = CallIds()


def usual(now_us: int, calls: int = CALLS) -> Iterator[Exchange]:
    """Questions, chats and agent loops, spread over the last days, the last a minute ago; then what is to be shown."""
    corpus = Corpus.read(WORDS)
    drawn = traffic(calls, seed=3, anthropic=0.3, stream=0.5, corpus=corpus, conversations=ABREAST)
    made = [exchange for exchange, _ in drawn]
    made.sort(key=lambda exchange: exchange.begin.started_at_us)
    first_us, last_us = made[0].begin.started_at_us, made[-1].begin.started_at_us
    stretched = HOURS * 60 * MINUTE_US / (last_us - first_us)
    for exchange in made:
        back_us = int((last_us - exchange.begin.started_at_us) * stretched)
        yield moved(exchange, now_us - MINUTE_US - back_us)
    shown = [case for case in cases() if any(word in case.name for word in SHOWN)]
    for place, case in enumerate(shown):
        yield golden(case, now_us - SHOWN_BACK_US - place * MINUTE_US)


def moved(exchange: Exchange, at_us: int) -> Exchange:
    """The same call, as if it had come then."""
    call_id = _at(at_us, exchange.begin.id)
    return evolve(
        exchange,
        begin=evolve(exchange.begin, started_at_us=at_us, id=call_id),
        head=exchange.head and evolve(exchange.head, id=call_id),
        end=exchange.end and evolve(exchange.end, id=call_id),
    )


def _at(at_us: int, call_id: bytes) -> bytes:
    """An id is made of a time and of chance: another time."""
    return (at_us // 1000).to_bytes(6, "big") + call_id[6:]


def golden(case: Case, at_us: int) -> Exchange:
    """A golden case as it would have crossed the relay."""
    bodies = case.bodies
    headers = {"User-Agent": "golden/1.0", "Content-Type": "application/json", "x-llmtap-user": f"case-{case.dialect}"}
    return exchange_of(
        at_us, bodies.path, bodies.request, bodies.response, headers, bodies.response_headers, bodies.http_status
    )


def exchange_of(
    at_us: int,
    path: str,
    request: bytes,
    response: bytes,
    headers: dict[str, str],
    answered: dict[str, str],
    status: int | None = 200,
) -> Exchange:
    """A call of these bytes; ``status`` None: no answer came."""
    call_id = _at(at_us, _ids.next(at_us))
    lines = tuple(Header(name.encode(), value.encode()) for name, value in headers.items())
    begin = Begin(
        id=call_id,
        started_at_us=at_us,
        accepted_us=at_us,
        method="POST",
        target=path,
        endpoint=path.partition("?")[0],
        client="127.0.0.1:40000",
        upstream="openai",
        headers=lines,
    )
    back = tuple(Header(name.encode(), value.encode()) for name, value in answered.items())
    head = None if status is None else Head(id=call_id, offset_us=400_000, status=status, reason="", headers=back)
    end = End(
        id=call_id,
        ended_us=at_us + 900_000,
        offset_us=900_000,
        outcome="failed" if status is None else "complete",
        request_bytes=len(request),
        response_bytes=len(response),
        request_complete=True,
        response_complete=status is not None,
        status=status,
        error_type="connect" if status is None else None,
        error_message="no answer from upstream" if status is None else None,
    )
    marks = ((len(response), 800_000),) if response else ()
    return Exchange(begin=begin, head=head, end=end, request_body=request, response_body=response, marks=marks)


def chat(
    at_us: int,
    said: str,
    answered: str,
    *,
    user: str = "",
    more: Iterable[dict[str, object]] = (),
    model: str = "gpt-5",
) -> Exchange:
    """A question and its answer, or an answer behind ``more`` messages."""
    messages = [*more, {"role": "user", "content": said}]
    request = {"model": model, "messages": messages}
    response = {
        "id": f"chatcmpl-{at_us}",
        "object": "chat.completion",
        "model": model,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": answered}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 12, "completion_tokens": 8, "total_tokens": 20},
    }
    headers = {"Content-Type": "application/json", **({"x-llmtap-user": user} if user else {})}
    back = {"content-type": "application/json"}
    path = "/v1/chat/completions"
    return exchange_of(at_us, path, orjson.dumps(request), orjson.dumps(response), headers, back)


def fill(data: Path, exchanges: Iterable[Exchange], events: Iterable[Event] = ()) -> list[str]:
    """Store calls through the whole pipeline, and what is said of them; ids in their order."""
    with ThreadPoolExecutor(1) as apart:  # the loop of the browser holds this thread
        return apart.submit(asyncio.run, _filled(data, list(exchanges), list(events))).result()


async def _filled(data: Path, exchanges: list[Exchange], events: list[Event]) -> list[str]:
    ingest = await Ingest.open(prepare(data))
    ids = []
    for place in range(0, len(exchanges), BATCH):
        batch: list[Any] = [(exchange, None) for exchange in exchanges[place : place + BATCH]]
        stored = await ingest.take(batch)
        ids += [each.call.id for each in stored]
    await ingest.close()
    if events:
        store = await SqliteStore.open(data)
        await store.write(Batch(events=events))
        await store.close()
    return ids


def demo(data: Path) -> list[str]:
    """The usual store."""
    return fill(data, usual(wall_us()))
