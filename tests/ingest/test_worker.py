"""From a journal on disk to rows in a store: nothing lost, nothing twice, whatever happens between."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from proxy.clock import id_text, monotonic_us, wall_us
from proxy.config import Config, Ingest
from proxy.errors import Busy
from proxy.gauges import VITALS
from proxy.ingest.journals import Journals
from proxy.ingest.pipeline import Pipeline
from proxy.ingest.stages import Item, describe, judge, understand
from proxy.ingest.worker import Worker, WriterLock, ingest
from proxy.journal.frame import Kind, encode_frame
from proxy.records import Call, End, Exchange, Outcome, Part, Side, Status
from proxy.store.sqlite.fulltext.index import Limits
from proxy.store.sqlite.store import SqliteStore

from .journaling import Relay, request_body, response_body


class Vitals(dict[str, int]):
    """Gauges without a file."""

    def __init__(self) -> None:
        super().__init__(dict.fromkeys(VITALS, 0))

    def add(self, name: str, amount: int = 1) -> None:
        self[name] += amount


@asynccontextmanager
async def working(
    data_dir: Path, config: Config | None = None, full_text: Limits | None = None
) -> AsyncIterator[tuple[Worker, SqliteStore, Vitals]]:
    """A worker over the journals of a data directory, stepped by the test."""
    store, vitals = await SqliteStore.open(data_dir, full_text=full_text), Vitals()
    positions = await store.positions()
    stored = {name: await store.stored_seqs(name, position.low_seq) for name, position in positions.items()}
    journals = Journals(data_dir / "journal", positions, stored)
    worker = Worker(config or Config(), data_dir, store, journals, vitals)  # type: ignore[arg-type]
    try:
        yield worker, store, vitals
    finally:
        worker.close()
        journals.close()
        await store.close()


async def until_idle(worker: Worker) -> None:
    while await worker.step():
        pass


async def steps(worker: Worker) -> AsyncIterator[None]:
    while await worker.step():
        yield


async def rows(store: SqliteStore) -> list[Call]:
    return list(reversed(await store.find(limit=10_000)))


async def test_a_call_becomes_a_row_with_its_bytes(tmp_path: Path) -> None:
    relay = Relay(tmp_path)
    call_id = relay.call("what is a tide?", "water")
    async with working(tmp_path) as (worker, store, vitals):
        await until_idle(worker)
        (row,) = await rows(store)
        exchange = await store.exchange(row.id)
        assert (row.id, row.status, row.preview_input, row.preview_output) == (
            id_text(call_id),
            Status.OK,
            "what is a tide?",
            "water",
        )
        assert (row.input_tokens, row.output_tokens, row.tokens_source, row.key) == (
            10,
            5,
            "upstream",
            "fp:0011223344556677",
        )
        assert row.cost_nano_usd
        assert exchange is not None
        assert (exchange.request_body, exchange.response_body) == (
            request_body("what is a tide?"),
            response_body("water"),
        )
        assert vitals["calls_stored"] == 1
    await relay.close()


async def test_a_running_call_is_shown_and_then_replaced(tmp_path: Path) -> None:
    relay = Relay(tmp_path)
    call_id = relay.begin()
    async with working(tmp_path) as (worker, store, _):
        await until_idle(worker)
        (running,) = await rows(store)
        assert (running.status, running.latency_us) == (Status.RUNNING, None)
        relay.answer(call_id)
        relay.end(call_id)
        await until_idle(worker)
        (ended,) = await rows(store)
        assert (ended.id, ended.status) == (running.id, Status.OK)
        assert ended.rev > running.rev
    await relay.close()


async def test_a_relay_that_died_leaves_interrupted_calls_with_what_came(tmp_path: Path) -> None:
    relay = Relay(tmp_path)
    call_id = relay.begin("a question")
    relay.answer(call_id, "half an ans")
    await relay.close()
    async with working(tmp_path) as (worker, store, _):
        await until_idle(worker)
        (row,) = await rows(store)
        exchange = await store.exchange(row.id)
        assert row.status == Status.INTERRUPTED
        assert exchange is not None
        assert exchange.response_body == response_body("half an ans")
    assert list((tmp_path / "journal").iterdir()) == []


async def test_a_second_life_reads_again_and_stores_nothing_twice(tmp_path: Path) -> None:
    relay = Relay(tmp_path)
    slow = relay.begin("slow")  # keeps the position at the start of the journal
    for number in range(5):
        relay.call(f"question {number}")
    async with working(tmp_path) as (worker, store, _):
        await until_idle(worker)
        first = await rows(store)
    relay.call("question 5")
    relay.answer(slow)
    relay.end(slow, "slow")
    async with working(tmp_path) as (worker, store, vitals):
        await until_idle(worker)
        second = await rows(store)
        assert [row.id for row in second] == [*(row.id for row in first), second[-1].id]
        assert {row.status for row in second} == {Status.OK}
        assert vitals["calls_stored"] == 2
    await relay.close()


async def test_a_life_that_read_again_only_a_part_skips_nothing_in_the_next_one(tmp_path: Path) -> None:
    """What an earlier life has read is not what this one has: the position must not run ahead of its own reading."""
    relay = Relay(tmp_path)
    for _ in range(120):  # 12 MB, read in steps that end inside one of these long beginnings: no call is open then
        call_id = relay.begin(target=f"/v1/chat/completions?{'x' * 100_000}")
        relay.answer(call_id)
        relay.end(call_id)
    slowly, at_once = Config(ingest=Ingest(batch_calls=1)), Config(ingest=Ingest(batch_ms=10_000))
    async with working(tmp_path, slowly) as (worker, _, _vitals):
        for _ in range(6):
            await worker.step()
    async with working(tmp_path, at_once) as (worker, store, _):
        await worker.step()
        assert len(await rows(store)) < 120
    async with working(tmp_path, at_once) as (worker, store, _):
        await until_idle(worker)
        assert len(await rows(store)) == 120
    await relay.close()


async def test_segments_are_deleted_behind_a_commit_and_one_slow_call_does_not_pin_them(tmp_path: Path) -> None:
    relay = Relay(tmp_path, segment_bytes=2 << 20)
    slow = relay.begin("slow")
    big = "x" * 400_000
    for _ in range(40):
        relay.call(big)
    relay.answer(slow)
    async with working(tmp_path) as (worker, store, _):
        await until_idle(worker)
        left = sum(path.stat().st_size for path in (tmp_path / "journal").rglob("*.seg"))
        assert left < 3 << 20, "the journal was 16 MB"
        assert len(await rows(store)) == 41
    async with working(tmp_path) as (worker, store, _):  # what was compacted is found again
        relay.end(slow, "slow")
        await until_idle(worker)
        row = await store.call(id_text(slow))
        exchange = await store.exchange(row.id)
        assert row.status == Status.OK
        assert exchange is not None
        assert (exchange.request_body, exchange.holes) == (request_body("slow"), False)
    await relay.close()


async def test_ends_of_several_relays_are_stored_in_the_order_in_which_they_ended(tmp_path: Path) -> None:
    relays = [Relay(tmp_path, f"relay-{number}-test") for number in range(3)]
    calls = [relay.begin() for relay in relays for _ in range(3)]
    for index, call_id in enumerate(reversed(calls)):
        relay = relays[(len(calls) - 1 - index) // 3]
        relay.answer(call_id)
        relay.end(call_id)
    async with working(tmp_path) as (worker, store, _):
        await until_idle(worker)
        by_rev = await store.find(after_rev=0, limit=100)
        assert [row.id for row in by_rev if row.status == Status.OK] == [id_text(call) for call in reversed(calls)]
    for relay in relays:
        await relay.close()


async def test_a_journal_of_an_earlier_boot_is_stored_and_holds_nothing_up(tmp_path: Path) -> None:
    old = Relay(tmp_path, "relay-0-old")
    days_us = 90 * 86_400_000_000  # a long uptime before the crash: its monotonic clock is ahead of ours
    for _ in range(30):
        call_id = old.begin()
        old.answer(call_id)
        old.write(End(id=call_id, ended_us=monotonic_us() + days_us, offset_us=1, outcome=Outcome.COMPLETE, status=200))
    await old.close()
    new = Relay(tmp_path, "relay-0-new")
    new.call("of this boot")
    async with working(tmp_path, Config(ingest=Ingest(batch_calls=5))) as (worker, store, _):
        await until_idle(worker)
        assert len(await rows(store)) == 31
    await new.close()


async def test_many_large_calls_that_end_together_are_taken_in_bounded_batches(tmp_path: Path) -> None:
    relay = Relay(tmp_path, segment_bytes=1 << 30)
    big = "x" * (1 << 20)
    calls = [relay.begin() for _ in range(100)]
    for call_id in calls:
        for _ in range(2):
            relay.write(Part(id=call_id, side=Side.REQUEST, offset=0, data=big.encode()))
    for call_id in calls:
        relay.end(call_id)
    async with working(tmp_path) as (worker, _, vitals):
        stored = {vitals["calls_stored"] async for _ in steps(worker)}
        assert max(stored) == 100
        assert len(stored) > 3, "200 MB of frames, 64 MB a batch"
    await relay.close()


async def test_a_folder_of_journals_that_is_taken_away_comes_back(tmp_path: Path) -> None:
    relay = Relay(tmp_path)
    relay.call()
    async with working(tmp_path) as (worker, store, _):
        await until_idle(worker)
        shutil.rmtree(tmp_path / "journal")
        relay.journal.tick()
        relay.call("after")
        await until_idle(worker)
        assert [row.preview_input for row in await rows(store)] == ["hi", "after"]
    await relay.close()


async def test_a_running_call_says_what_was_asked(tmp_path: Path) -> None:
    relay = Relay(tmp_path)
    relay.begin("how long is a piece of string?")
    async with working(tmp_path) as (worker, store, _):
        await until_idle(worker)
        (row,) = await rows(store)
        assert (row.status, row.preview_input, row.model_requested, row.http_status) == (
            Status.RUNNING,
            "how long is a piece of string?",
            "gpt-5-mini",
            None,
        )
    await relay.close()


async def test_a_frame_that_cannot_be_read_is_kept_and_stops_nothing(tmp_path: Path) -> None:
    relay = Relay(tmp_path)
    relay.call("before")
    segment = relay.journal._segment
    assert segment is not None
    relay.journal._seq += 1
    segment.write(encode_frame(segment.salt, relay.journal._seq, Kind.END, b"\xc1 not a record"))
    relay.call("after")
    async with working(tmp_path) as (worker, store, _):
        await until_idle(worker)
        assert len(await rows(store)) == 2
    kept = list((tmp_path / "quarantine").iterdir())
    assert [path.read_bytes() for path in kept] == [b"\xc1 not a record"]
    assert kept[0].stat().st_mode & 0o777 == 0o600
    await relay.close()


async def test_a_stage_that_fails_costs_its_findings_and_not_the_row(tmp_path: Path) -> None:
    relay = Relay(tmp_path)
    relay.call("what is a tide?", "water")

    def breaks(_item: Item) -> Item:
        raise RuntimeError("a bug")

    async with working(tmp_path) as (worker, store, _):
        worker._pipeline = Pipeline(Config(), worker._quarantine, (understand, breaks, describe, judge))
        await until_idle(worker)
        (row,) = await rows(store)
        exchange = await store.exchange(row.id)
        assert (row.status, row.preview_output) == (Status.OK, "water")
        assert row.notes == ("not understood: stage breaks failed",)
    (kept,) = (tmp_path / "quarantine").iterdir()
    assert msgspec.msgpack.decode(kept.read_bytes(), type=Exchange) == exchange
    await relay.close()


async def test_findings_that_the_store_does_not_take_cost_one_call_its_findings_only(tmp_path: Path) -> None:
    relay = Relay(tmp_path)
    for question in ("one", "poison", "two"):
        relay.call(question)

    def poisons(item: Item) -> Item:
        return item.with_call(input_tokens="many") if item.call.preview_input == "poison" else item

    async with working(tmp_path) as (worker, store, _):
        worker._pipeline = Pipeline(Config(), worker._quarantine, (understand, describe, judge, poisons))
        await until_idle(worker)
        found = await rows(store)
        assert [row.preview_input for row in found] == ["one", None, "two"]
        assert {row.status for row in found} == {Status.OK}
        exchange = await store.exchange(found[1].id)
        assert exchange is not None
        assert exchange.request_body == request_body("poison")
    assert list((tmp_path / "journal").glob("*/*.seg"))
    await relay.close()


async def test_a_body_with_a_hole_says_so(tmp_path: Path) -> None:
    relay = Relay(tmp_path)
    call_id = relay.begin()
    relay.write(Part(id=call_id, side=Side.RESPONSE, offset=100, data=b"the rest"))
    relay.end(call_id, lost_parts=1)
    async with working(tmp_path) as (worker, store, _):
        await until_idle(worker)
        (row,) = await rows(store)
        exchange = await store.exchange(row.id)
        assert exchange is not None
        assert exchange.holes
        assert any("could not be recorded" in note for note in row.notes)
    await relay.close()


async def test_a_locked_store_is_waited_for(tmp_path: Path) -> None:
    relay = Relay(tmp_path)
    relay.call()
    async with working(tmp_path) as (worker, store, _):
        blocker = sqlite3.connect(next((tmp_path / "store").glob("main.db")), isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        step = asyncio.get_running_loop().create_task(worker.step())
        done, _ = await asyncio.wait([step], timeout=0.3)
        assert not done
        blocker.execute("ROLLBACK")
        blocker.close()
        assert await step
        assert len(await rows(store)) == 1
    await relay.close()


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, Status.OK),
        ({"outcome": Outcome.CLIENT_CLOSED}, Status.CLIENT_CLOSED),
        ({"outcome": Outcome.CUT, "error_type": "upstream_cut"}, Status.TRUNCATED),
        ({"outcome": Outcome.FAILED, "error_type": "upstream_dns"}, Status.ERROR),
        ({"outcome": Outcome.REFUSED, "error_type": "loop"}, Status.ERROR),
        ({"outcome": Outcome.STOPPED}, Status.INTERRUPTED),
    ],
)
async def test_how_the_relay_saw_a_call_end_decides_its_status(
    tmp_path: Path, changes: dict[str, object], status: Status
) -> None:
    relay = Relay(tmp_path)
    relay.call(**changes)
    async with working(tmp_path) as (worker, store, _):
        await until_idle(worker)
        assert (await rows(store))[0].status == status
    await relay.close()


async def test_ingest_stops_when_asked_and_leaves_nothing_behind(tmp_path: Path) -> None:
    relay = Relay(tmp_path)
    for _ in range(20):
        relay.call()
    await relay.close()
    stop = asyncio.Event()
    stop.set()
    await ingest(Config(), tmp_path, Vitals(), stop)  # type: ignore[arg-type]
    assert list((tmp_path / "journal").iterdir()) == []
    store = await SqliteStore.open(tmp_path)
    assert len(await store.find(limit=100)) == 20
    await store.close()


async def test_a_running_row_whose_journal_is_gone_is_interrupted_at_the_next_start(tmp_path: Path) -> None:
    relay = Relay(tmp_path)
    relay.begin()
    async with working(tmp_path) as (worker, store, _):
        await until_idle(worker)
        assert await store.interrupt_running([relay.journal.name], wall_us()) == 0
        assert await store.interrupt_running([], wall_us()) == 1
        assert (await rows(store))[0].status == Status.INTERRUPTED
    await relay.close()


def test_only_one_process_writes_to_a_store(tmp_path: Path) -> None:
    lock = WriterLock(tmp_path)
    with pytest.raises(Busy, match="another llmtap writes"):
        WriterLock(tmp_path)
    lock.release()
    WriterLock(tmp_path).release()
