"""The shared tail, on a real store that is written while it is read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import pytest

from proxy.console.live import BATCH, LISTENERS_MAX, WAITING_MAX, FellBehind, Live
from proxy.console.permissions import OWNER, Grant, Visitor
from proxy.datadir import prepare
from proxy.errors import QueryError, StoreError
from proxy.query.parse import parse_filter
from proxy.records import Call, evolve
from proxy.store.base import Batch, StoredCall
from proxy.store.sqlite.fulltext.index import Limits
from proxy.store.sqlite.reader import SqliteReader
from proxy.store.sqlite.store import SqliteStore
from tests.cli.recorded import exchanged, new_call

SOON_S = 20.0


class Written:
    """A store, its tail, and who follows it."""

    def __init__(self, data: Path) -> None:
        self._data = data

    async def __aenter__(self) -> Written:
        self.store = await SqliteStore.open(prepare(self._data))
        self.reader = SqliteReader(self._data)
        self.live = Live(self.reader)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.live.close()
        await self.reader.close()
        await self.store.close()

    async def write(self, *calls: Call) -> None:
        await self.store.write(Batch(calls=[StoredCall(call=call) for call in calls]))


@pytest.fixture
async def written(tmp_path: Path) -> AsyncIterator[Written]:
    async with Written(tmp_path / "data") as made:
        yield made


async def soon(following: AsyncGenerator[list[Call], None]) -> list[Call]:
    """The next calls."""
    async with asyncio.timeout(SOON_S):
        while not (calls := await anext(following)):
            pass
        return calls


async def test_calls_come_as_they_begin_and_end(written: Written) -> None:
    following = written.live.follow(OWNER, after_rev=0)
    running = new_call(status="running", latency_us=None)
    await written.write(running)
    assert [(call.id, call.status) for call in await soon(following)] == [(running.id, "running")]
    await written.write(evolve(running, status="error"))
    assert [(call.id, call.status) for call in await soon(following)] == [(running.id, "error")]
    await following.aclose()


async def test_what_came_between_the_page_and_the_tail_is_not_lost_and_comes_once(written: Written) -> None:
    first, second, third = (new_call() for _ in range(3))
    await written.write(first)
    rev = await written.reader.latest_rev()
    await written.write(second)
    following = written.live.follow(OWNER, after_rev=rev)
    assert [call.id for call in await soon(following)] == [second.id]
    await written.write(third)
    assert [call.id for call in await soon(following)] == [third.id]
    await following.aclose()


async def test_each_sees_what_its_filter_means_and_its_projects_allow(written: Written) -> None:
    reader = Visitor("someone", (Grant("viewer", "a"), Grant("metadata-viewer", "b")))
    errors = written.live.follow(reader, parse_filter("status:error"), after_rev=0)
    scored = written.live.follow(OWNER, parse_filter("tool:search"), after_rev=0, quiet_s=0.5)
    calls = [new_call(project=project, status="error", error_message="secret") for project in ("a", "b", "c")]
    await written.write(*calls, new_call(project="a"))
    found = await soon(errors)
    assert [(call.project, call.error_message) for call in found] == [("a", "secret"), ("b", None)]
    assert await anext(scored) == []
    await errors.aclose()
    await scored.aclose()


async def test_who_may_not_read_cannot_follow_words(written: Written) -> None:
    following = written.live.follow(Visitor("someone", (Grant("metadata-viewer"),)), parse_filter("refund"))
    with pytest.raises(QueryError, match="may read them"):
        await anext(following)
    assert written.live.listening == 0


async def test_excluded_calls_stay_out_unless_they_are_asked_for(written: Written) -> None:
    plain = written.live.follow(OWNER, after_rev=0)
    named = written.live.follow(OWNER, parse_filter("excluded:*"), after_rev=0)
    left_out, counted = new_call(excluded="rerun"), new_call()
    await written.write(left_out, counted)
    assert [call.id for call in await soon(plain)] == [counted.id]
    assert [call.id for call in await soon(named)] == [left_out.id]
    await plain.aclose()
    await named.aclose()


async def test_one_who_does_not_read_is_told_and_holds_nothing(written: Written) -> None:
    frozen, reading = (written.live.follow(OWNER, after_rev=0) for _ in range(2))
    await written.write(new_call())
    await soon(frozen)
    await soon(reading)
    for _ in range(WAITING_MAX // BATCH + 1):
        await written.write(*(new_call() for _ in range(BATCH)))
        read = 0
        while read < BATCH:
            read += len(await soon(reading))
    with pytest.raises(FellBehind):
        await anext(frozen)
    await reading.aclose()


async def test_no_more_follow_than_there_is_room_for(written: Written) -> None:
    await written.write(new_call())
    following = [written.live.follow(OWNER, quiet_s=0.01) for _ in range(LISTENERS_MAX)]
    for each in following:
        assert await anext(each) == []
    with pytest.raises(StoreError, match="close some"):
        await anext(written.live.follow(OWNER))
    await following.pop().aclose()
    late = written.live.follow(OWNER, quiet_s=0.01)
    assert await anext(late) == []
    for each in (*following, late):
        await each.aclose()


async def test_a_page_far_behind_is_told_to_load_again(written: Written) -> None:
    await written.write(*(new_call() for _ in range(BATCH)))
    following = written.live.follow(OWNER, after_rev=0)
    with pytest.raises(FellBehind):
        await anext(following)
    assert written.live.listening == 0


async def test_the_tail_rests_when_nobody_listens_and_ends_with_the_console(written: Written) -> None:
    following = written.live.follow(OWNER, quiet_s=0.05)
    assert await anext(following) == []
    assert written.live.listening == 1
    written.live.close()
    assert [calls async for calls in following] in ([], [[]])
    assert written.live.listening == 0


async def test_words_are_waited_for(tmp_path: Path) -> None:
    data = prepare(tmp_path / "data")
    store = await SqliteStore.open(data, full_text=Limits())
    reader = SqliteReader(data)
    live = Live(reader)
    following = live.follow(OWNER, parse_filter("weather status:ok"), after_rev=0)
    call = new_call()
    await store.write(Batch(calls=[exchanged(call), exchanged(new_call(status="error"))]))
    await store.text_settled()
    assert [one.id for one in await soon(following)] == [call.id]
    await following.aclose()
    await reader.close()
    await store.close()
