"""The review queue: any filter, one call at a time, how far it is, what reviewers made of it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.clock import CallIds, wall_us
from proxy.records import Event, EventKind
from tests.cli.recorded import exchanged, new_call

from .serving import Console

_ids = CallIds()


@pytest.fixture
async def console(tmp_path: Path) -> AsyncIterator[Console]:
    async with Console(tmp_path / "data") as made:
        yield made


def reviewed(call: str, author: str, value: bool) -> Event:
    now_us = wall_us()
    said = {"target": {"call": call}, "scores": [{"name": "review", "value": value}]}
    return Event(id=_ids.next(now_us), kind=EventKind.FEEDBACK, at_us=now_us, author=author, said=said)


def shown(page: str) -> str:
    found = re.search(r'data-judge="([^"]*)"', page)
    return found[1] if found else ""


async def test_a_queue_is_walked_newest_first_to_its_end(console: Console) -> None:
    calls = [new_call(user=f"user {number % 2}") for number in range(6)]
    await console.record(*map(exchanged, calls))
    at, seen = '/review?q=user:"user 1"', []
    while True:
        status, page = await console.get(at.replace("&amp;", "&"))
        assert status == 200
        if not shown(page):
            break
        seen.append(shown(page))
        found = re.search(r'data-next="([^"]*)"', page)
        assert found is not None
        at = found[1]
    assert seen == [call.id for call in reversed(calls) if call.user == "user 1"]
    assert "The end of the queue" in page


async def test_what_is_reviewed_is_done(console: Console) -> None:
    calls = [new_call() for _ in range(4)]
    await console.record(*map(exchanged, calls))
    events = [
        reviewed(calls[3].id, "ada", True),
        reviewed(calls[2].id, "ada", True),
        reviewed(calls[2].id, "bob", False),
    ]
    await console.record(events=events)
    _, page = await console.get("/review")
    assert shown(page) == calls[1].id
    assert "<b>2</b> done, <b>2</b> left" in page
    _, page = await console.get("/review?show=done")
    assert shown(page) == calls[3].id
    assert "ada" in page
    _, end = await console.get("/review?at=end")
    assert re.search(r"They agree on</dt><dd>0 %", end)
    assert 'class="ratio"' in end


@pytest.mark.parametrize(
    ("query", "text"), [("q=status:", "status"), ("show=some", "left, done, all"), ("t=9y", "15m")]
)
async def test_mistakes_are_named(console: Console, query: str, text: str) -> None:
    status, answer = await console.get(f"/review?{query}")
    assert status == 400
    assert text in answer


async def test_a_queue_is_saved_under_a_name(console: Console) -> None:
    fields = {"name": "errors of today", "q": "status:error", "t": "24h", "show": "left"}
    async with console.client.post("/review", data=fields, allow_redirects=False) as response:
        assert response.status == 303
        assert response.headers["Location"] == "/review?q=status%3Aerror&t=24h"
    [view] = [event for event in console.written() if event.kind == EventKind.VIEW]
    assert view.said == {"name": "errors of today", "page": "/review", "query": "q=status%3Aerror&t=24h"}
    await console.record(events=[view])
    _, page = await console.get("/review")
    assert "errors of today" in page
