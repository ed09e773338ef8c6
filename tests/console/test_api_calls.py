"""What programs read: calls, conversations, reports, SQL, the stream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from proxy.clock import CallIds, id_text, wall_us
from proxy.console.api.calls import within_bytes
from proxy.store.base import Looked, Order, StoredCall
from tests.cli.recorded import REQUEST, RESPONSE, exchanged, new_call
from tests.console.serving import Console

JSON = dict[str, Any]


@pytest.fixture
async def console(tmp_path: Path) -> AsyncIterator[Console]:
    async with Console(tmp_path / "data") as made:
        yield made


async def problem(console: Console, path: str, status: int) -> JSON:
    async with console.client.get(path) as response:
        assert (response.status, response.content_type) == (status, "application/problem+json")
        found: JSON = await response.json(content_type=None)
        return found


async def pages(console: Console, path: str) -> list[str]:
    """Ids of a list, page by page, to its end."""
    found: list[str] = []
    cursor = ""
    while True:
        page: JSON = await console.json(f"{path}{cursor}")
        found += [call["id"] for call in page["calls"]]
        if page["next"] is None:
            return found
        cursor = f"&cursor={page['next']}"


# --- lists -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sort", ["newest", "updated"])
async def test_pages_hold_every_call_once_in_their_order(console: Console, sort: str) -> None:
    calls = [new_call(user="ada" if number % 2 else "bob") for number in range(23)]
    await console.record(*map(exchanged, calls))
    newest = [call.id for call in reversed(calls)]
    assert await pages(console, f"/api/calls?limit=5&sort={sort}") == newest
    assert await pages(console, f"/api/calls?limit=4&sort={sort}&filter=user:ada") == newest[1::2]


@pytest.mark.parametrize("filter_", ["status:error", "status = 'error'"])
async def test_both_forms_of_filters_are_understood(console: Console, filter_: str) -> None:
    wrong = new_call(status="error")
    await console.record(*map(exchanged, [new_call(), wrong]))
    assert await pages(console, f"/api/calls?filter={quote(filter_)}") == [wrong.id]


async def test_a_period_is_from_since_on_and_before_until(console: Console) -> None:
    at_us = 1_780_000_000_000_000
    moments = [at_us + hour * 3_600_000_000 for hour in range(4)]
    calls = [new_call(id=id_text(CallIds().next(each)), started_at_us=each) for each in moments]
    await console.record(*map(exchanged, calls))
    period = "since=2026-05-28T21:26:40%2B00:00&until=2026-05-28T23:26:40%2B00:00"
    assert await pages(console, f"/api/calls?{period}") == [calls[2].id, calls[1].id]
    local = "since=2026-05-28T23:26:40&until=2026-05-29T01:26:40&tz=Europe/Zurich"
    assert await pages(console, f"/api/calls?{local}") == [calls[2].id, calls[1].id]
    assert await pages(console, "/api/calls?since=2w") == []


async def test_excluded_calls_are_left_out_unless_every_is_asked_for(console: Console) -> None:
    await console.record(exchanged(new_call(excluded="smoke test")))
    assert await pages(console, "/api/calls?limit=5") == []
    assert len(await pages(console, "/api/calls?every=true")) == 1


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("filter=model+%3D+", "the filter"),
        ("filter=modle:x", "did you mean model?"),
        ("limt=3", "did you mean limit?"),
        ("limit=00000000001", "from 1 to 1000"),
        ("cursor=x", "this is none"),
        ("cursor=bmV3ZXN0OnjDpA", "this is none"),
        ("sort=updated&cursor=bmV3ZXN0OjAxYTIwMjU3LWQ3MDYtNzAwMC1hYmU4LTUyMjQ1YzVlZmVhMg", "sorted by newest"),
        ("sort=oldest", "known: newest, updated"),
        ("since=yesterday", "write a span"),
        ("since=1h&until=2h", "no time lies between"),
        ("tz=Mars", "no time zone"),
        ("every=perhaps", "true or false"),
    ],
)
async def test_mistakes_say_what_to_write(console: Console, query: str, detail: str) -> None:
    assert detail in (await problem(console, f"/api/calls?{query}", 400))["detail"]


async def test_a_mistake_in_a_filter_names_its_column(console: Console) -> None:
    assert (await problem(console, "/api/calls?filter=status:ok%20modle:x", 400))["column"] == 11


async def test_what_is_known_is_not_sent_again(console: Console) -> None:
    call = new_call()
    await console.record(exchanged(call))
    for path in ("/api/calls", f"/api/calls/{call.id}", f"/api/calls/{call.id}/request", "/api/report?by=model"):
        async with console.client.get(path) as first:
            tag = first.headers["ETag"]
            assert first.headers["Cache-Control"] == "private, no-cache"
        async with console.client.get(path, headers={"If-None-Match": tag}) as again:
            assert (again.status, await again.read(), again.headers["ETag"]) == (304, b"", tag)
    await console.record(exchanged(new_call()))
    async with console.client.get("/api/calls", headers={"If-None-Match": '"old"'}) as changed:
        assert changed.status == 200


# --- one call --------------------------------------------------------------------------------------------


async def test_bodies_are_given_back_byte_for_byte_and_never_as_a_page(console: Console) -> None:
    call = new_call()
    await console.record(exchanged(call))
    for side, body in (("request", REQUEST), ("response", RESPONSE)):
        async with console.client.get(f"/api/calls/{call.id[-8:]}/{side}") as response:
            assert await response.read() == body
            assert response.content_type == "application/octet-stream"
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert response.headers["Content-Disposition"] == f'attachment; filename="{call.id}-{side}"'


async def test_a_call_without_bodies_has_none_to_give(console: Console) -> None:
    call = new_call(status="running")
    await console.record(StoredCall(call=call))
    assert "no bodies" in (await problem(console, f"/api/calls/{call.id}/request", 404))["detail"]
    assert (await console.json(f"/api/calls/{call.id}/judgements"))["opinions"] == []


# --- conversations, reports ------------------------------------------------------------------------------


async def test_sums_by_group_and_over_time(console: Console) -> None:
    calls = [new_call(user=f"u{number % 4}", status="error" if number == 4 else "ok") for number in range(12)]
    await console.record(*map(exchanged, calls))
    found: JSON = await console.json("/api/report?by=user&order=calls&limit=2")
    assert found["by"] == ["user"]
    assert [line["calls"] for line in found["lines"]] == [3, 3, 6]
    assert (found["lines"][-1]["user"], found["lines"][-1]["others"]) == ("(others)", 2)
    assert (found["total"]["calls"], found["total"]["errors"]) == (12, 1)
    assert found["total"]["cost_usd"] == pytest.approx(12 * 0.0004825)
    whole: JSON = await console.json("/api/report?filter=user:u1")
    assert [line["calls"] for line in whole["lines"]] == [3]
    histogram: JSON = await console.json("/api/histogram?since=1h&bins=10")
    assert sum(each["calls"] for each in histogram["bins"]) == 12
    assert len(histogram["bins"]) <= 10
    assert "did you mean user?" in (await problem(console, "/api/report?by=usr", 400))["detail"]


async def test_a_period_is_compared_and_models_are_what_if(console: Console) -> None:
    await console.record(exchanged(new_call(started_at_us=wall_us() - 90 * 60_000_000)), exchanged(new_call()))
    compared: JSON = await console.json("/api/report?by=model&since=1h&compare=previous")
    assert [(line["state"], line["previous"]["calls"]) for line in compared["lines"]] == [("both", 1)]
    offered: JSON = await console.json("/api/report?by=model&what_if=gpt-5")
    assert offered["lines"][0]["what_if"]["gpt-5"]["cost_usd"] > 0
    assert offered["notes"]
    assert "what_if 'nothing'" in (await problem(console, "/api/report?what_if=nothing", 400))["detail"]
    assert "needs since" in (await problem(console, "/api/report?compare=previous", 400))["detail"]


async def test_before_the_first_call_everything_is_empty(console: Console) -> None:
    empty = {
        "/api/calls": {"calls": [], "next": None, "searched_back_to": None},
        "/api/conversations": {"conversations": [], "next": None},
        "/api/report?by=model": {"by": ["model"], "lines": [], "total": None, "notes": []},
        "/api/histogram": {"bin": None, "bins": []},
        "/api/prompts": {"projects": [], "prompts": []},
        "/api/scores": {"names": []},
        "/api/tags": {"tags": []},
        "/api/views": {"views": []},
    }
    assert {path: await console.json(path) for path in empty} == empty
    await problem(console, "/api/conversations/ffffffff", 404)


async def test_the_table_of_fields_and_the_state_of_llmtap_are_told(console: Console) -> None:
    fields: JSON = await console.json("/api/fields")
    [cost] = [field for field in fields["fields"] if field["name"] == "cost_usd"]
    assert (cost["short"], cost["type"]) == ("cost", "money")
    status: JSON = await console.json("/api/status")
    assert (status["ok"], status["store"]["calls"]) == (False, 0)


# --- SQL -------------------------------------------------------------------------------------------------


async def ask(console: Console, **question: Any) -> tuple[int, JSON]:
    async with console.client.post("/api/query", json=question) as response:
        return response.status, await response.json(content_type=None)


async def test_sql_is_answered_within_limits(console: Console) -> None:
    await console.record(*(exchanged(new_call()) for _ in range(3)))
    status, found = await ask(console, sql="SELECT model, count(*) AS n FROM calls GROUP BY 1")
    assert (status, found) == (200, {"columns": ["model", "n"], "rows": [["gpt-5-mini-2025-08-07", 3]], "cut": False})
    status, found = await ask(console, sql="SELECT id FROM calls", limit=2)
    assert (len(found["rows"]), found["cut"]) == (2, True)
    status, found = await ask(console, sql="SELECT 9e999")
    assert found["rows"] == [[None]]


@pytest.mark.parametrize(
    ("sql", "detail"),
    [
        ("SELECT modle FROM calls", "did you mean model?"),
        ("DELETE FROM calls", "cannot modify"),
        ("SELECT * FROM sqlite_master", "only one SELECT"),
        ("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n", "took too long"),
    ],
)
async def test_sql_that_is_wrong_or_endless_is_refused(console: Console, sql: str, detail: str) -> None:
    await console.record(exchanged(new_call()))
    status, found = await ask(console, sql=sql, timeout_s=0.5)
    assert (status, found["status"]) == (400, 400)
    assert detail in found["detail"]


# --- the stream ------------------------------------------------------------------------------------------


async def test_calls_are_streamed_as_they_come_and_from_where_one_left(console: Console) -> None:
    first, second = new_call(user="ada"), new_call(user="ada")
    await console.record(exchanged(first))
    [listed] = (await console.json("/api/calls"))["calls"]  # type: ignore[misc]
    async with asyncio.timeout(20), console.client.get("/api/stream?filter=user:ada&after=0") as stream:
        assert stream.content_type == "text/event-stream"
        event = await next_event(stream)
        assert json.loads(event["data"]) == listed
        await console.record(exchanged(new_call(user="bob")), exchanged(second))
        news = await next_event(stream)
        assert json.loads(news["data"])["id"] == second.id
    seen = {"Last-Event-ID": event["id"]}
    async with asyncio.timeout(20), console.client.get("/api/stream?filter=user:ada", headers=seen) as stream:
        assert json.loads((await next_event(stream))["data"])["id"] == second.id
    await problem(console, "/api/stream?filter=modle:x", 400)


async def next_event(stream: Any) -> dict[str, str]:
    event: dict[str, str] = {}
    while "data" not in event:
        line = (await stream.content.readline()).decode().strip()
        name, _, value = line.partition(": ")
        event[name] = value
    assert event["event"] == "call"
    return event


# --- how much at once ------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", list(Order))
def test_a_page_with_bodies_ends_where_it_grows_too_large(order: Order) -> None:
    calls = [new_call(request_bytes=40, response_bytes=number, rev=9 - number) for number in range(4)]
    looked = Looked(calls=calls, next="further", back_to_us=7)
    assert within_bytes(looked, order, 40 * 4 + 6) == looked
    cut = within_bytes(looked, order, 40 * 4 + 5)
    assert (cut.calls, cut.back_to_us) == (calls[:3], None)
    assert cut.next == (calls[2].id if order is Order.NEWEST else "7")
    assert within_bytes(looked, order, 1).calls == calls[:1]
    assert within_bytes(Looked(calls=[]), order, 1).calls == []
