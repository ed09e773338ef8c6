"""Stored calls looked at again: what changes, what stays, and going on after an interruption."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from proxy.clock import id_text, wall_us
from proxy.config import Config, Price
from proxy.errors import StoreError
from proxy.ingest.jobs import MOST_FAILURES, SLICE_CALLS, Jobs
from proxy.ingest.pipeline import Pipeline, Quarantine
from proxy.ingest.stages import STAGES, Item, Stage
from proxy.journal.frame import Kind
from proxy.query.parse import parse_filter
from proxy.query.tree import Match
from proxy.records import Exchange, Job, ToolSpan, evolve
from proxy.store.base import Batch, JobRow, JobState, StoredCall
from proxy.store.sqlite.store import SqliteStore
from tests.cli.recorded import exchanged, new_call
from tests.store.samples import an_id, collected

from .journaling import Relay
from .test_worker import rows, until_idle, working

SPAN = ToolSpan(place=0, id="call_1", name="add", arguments_bytes=7, digest=5)
#: While it is there, no row of a call can be derived anew: the store says so.
STUCK = "CREATE TRIGGER stuck BEFORE UPDATE OF cost_nano_usd ON call BEGIN SELECT RAISE(ABORT, 'stuck'); END"
DEAR = Config(prices=(Price(model="gpt-5*", input=1_000.0, output=2_000.0),))


@asynccontextmanager
async def jobs_over(data_dir: Path, config: Config, *stages: Stage) -> AsyncIterator[tuple[Jobs, SqliteStore]]:
    """The jobs of a store, stepped by the test."""
    store = await SqliteStore.open(data_dir)
    pipeline = Pipeline(config, Quarantine(data_dir / "quarantine", 1), (*STAGES, *stages))
    try:
        yield Jobs(config, store, pipeline), store
    finally:
        await store.close()


def execute(data_dir: Path, statement: str) -> None:
    """Somebody else's hand in the database."""
    (path,) = data_dir.rglob("main.db")
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    connection.close()


def lose_bodies(data_dir: Path) -> None:
    for path in data_dir.rglob("*.db*"):
        if not path.name.startswith("main."):
            path.unlink()


async def recorded(data_dir: Path, calls: int = 1) -> None:
    """Calls in a store, as ingest leaves them."""
    relay = Relay(data_dir)
    for number in range(calls):
        relay.call(f"question {number}", "answer")
    await relay.close()
    async with working(data_dir) as (worker, _, _):
        await until_idle(worker)


def asked_for(kind: str, where: str | None = None) -> JobRow:
    tree = parse_filter(where) if where else None
    return JobRow(id=an_id(), kind=kind, asked_at_us=wall_us(), request={"where": msgspec.to_builtins(tree)})


async def finished(jobs: Jobs, job: JobRow) -> JobRow:
    await jobs.put(job)
    while (step := await jobs.step()) is not None:
        job = step
    return job


async def test_reprice_changes_costs_and_nothing_else(tmp_path: Path) -> None:
    await recorded(tmp_path, 2)
    async with jobs_over(tmp_path, DEAR) as (jobs, store):
        before = await rows(store)
        done = await finished(jobs, asked_for("reprice"))
        after = await rows(store)
        expected = [1_000_000 * (row.input_tokens or 0) + 2_000_000 * (row.output_tokens or 0) for row in before]
        assert [row.cost_nano_usd for row in after] == expected
        same = {"cost_nano_usd": 0, "cost_source": None, "rev": 0, "updated_at_us": 0}
        assert [evolve(row, **same) for row in after] == [evolve(row, **same) for row in before]
        assert (done.state, done.receipt["looked"], done.receipt["changed"]) == (JobState.DONE, 2, 2)
        assert done.receipt["fields"] == {"cost_nano_usd": 2, "cost_source": 2}
        assert done.receipt["cost_after_nano_usd"] == sum(expected)
        assert await store.job(done.id) == done


async def test_what_changed_nothing_says_so(tmp_path: Path) -> None:
    await recorded(tmp_path, 3)
    for kind in ("reprice", "rederive"):
        async with jobs_over(tmp_path, Config()) as (jobs, store):
            rev = await store.latest_rev()
            done = await finished(jobs, asked_for(kind))
            assert (done.receipt["looked"], done.receipt["changed"], done.receipt["fields"]) == (3, 0, {})
            assert await store.latest_rev() == rev


async def test_rederive_mends_what_an_older_parser_got_wrong_and_keeps_what_bytes_do_not_tell(tmp_path: Path) -> None:
    await recorded(tmp_path)
    async with jobs_over(tmp_path, Config()) as (jobs, store):
        (right,) = await rows(store)
        told_elsewhere = {"program": "app.py", "branch": "main", "retry_of": an_id()}
        wrong = evolve(right, model="nonsense", output_tokens=99, notes=("not understood",), **told_elsewhere)
        await store.rewrite([StoredCall(call=wrong)])
        done = await finished(jobs, asked_for("rederive"))
        (mended,) = await rows(store)
        unset = {"rev": 0, "updated_at_us": 0}
        assert evolve(mended, **unset) == evolve(right, **unset, **told_elsewhere)
        assert set(done.receipt["fields"]) == {"model", "output_tokens", "notes"}
        assert await collected(store.verify()) == []


async def test_a_filter_chooses(tmp_path: Path) -> None:
    await recorded(tmp_path, 2)
    async with jobs_over(tmp_path, DEAR) as (jobs, store):
        first, second = await rows(store)
        done = await finished(jobs, asked_for("reprice", f"id = '{first.id}'"))
        assert done.receipt["looked"] == 1
        assert (await store.call(second.id)).rev == second.rev


async def test_tokens_that_came_by_another_call_are_kept(tmp_path: Path) -> None:
    await recorded(tmp_path)
    async with jobs_over(tmp_path, Config()) as (jobs, store):
        (row,) = await rows(store)
        fetched = evolve(row, background=True, output_tokens=None, tokens_source=None)
        counted = evolve(row, background=True, output_tokens=77)
        assert fetched != counted
        await store.rewrite([StoredCall(call=evolve(counted, cost_source="upstream", cost_nano_usd=5))])
        done = await finished(jobs, asked_for("reprice"))
        assert (await store.call(row.id)).cost_nano_usd == 5
        assert (done.receipt["changed"], done.receipt["kept"]) == (0, 0)
    async with jobs_over(tmp_path, DEAR) as (jobs, store):
        await store.rewrite([StoredCall(call=evolve(counted, cost_source="a table", cost_nano_usd=5))])
        done = await finished(jobs, asked_for("reprice"))
        assert (await store.call(row.id)).cost_nano_usd == 5
        assert (done.receipt["changed"], done.receipt["kept"]) == (0, 1)


async def test_without_bytes_a_cost_stands_and_only_ones_own_price_gives_one(tmp_path: Path) -> None:
    await recorded(tmp_path, 3)
    lose_bodies(tmp_path)
    async with jobs_over(tmp_path, Config()) as (jobs, store):
        first, second, third = await rows(store)
        free = {"cost_nano_usd": None, "cost_source": None}
        unpriced = [evolve(second, **free), evolve(third, cache_write_tokens=3, **free)]
        await store.rewrite([StoredCall(call=row) for row in unpriced])
        done = await finished(jobs, asked_for("reprice"))
        assert (done.receipt["changed"], done.receipt["kept"], done.receipt["without_bodies"]) == (0, 3, 3)
    async with jobs_over(tmp_path, DEAR) as (jobs, store):
        done = await finished(jobs, asked_for("reprice"))
        assert (done.receipt["changed"], done.receipt["kept"]) == (1, 2)
        costs = [row.cost_nano_usd for row in await rows(store)]
        assert costs == [first.cost_nano_usd, 10 * 1_000_000 + 5 * 2_000_000, None]


async def test_tools_are_left_alone_by_reprice_and_mended_by_rederive(tmp_path: Path) -> None:
    await recorded(tmp_path)
    async with jobs_over(tmp_path, DEAR) as (jobs, store):
        (row,) = await rows(store)
        await store.rewrite([StoredCall(call=row, tools=[SPAN])])
        done = await finished(jobs, asked_for("reprice"))
        assert done.receipt["changed"] == 1
        assert await store.tools(row.id) == [SPAN]
        done = await finished(jobs, asked_for("rederive"))
        assert done.receipt["fields"] == {"tools": 1}
        assert await store.tools(row.id) == []


ASKED = b'{"model":"gpt-5-mini","input":"add","background":true}'
QUEUED = b'{"id":"resp_1","object":"response","model":"gpt-5-mini","status":"queued","output":[],"usage":null}'
WHOLE = (
    b'{"id":"resp_1","object":"response","model":"gpt-5-mini","status":"completed","output":[{"type":"function_call",'
    b'"id":"fc_1","call_id":"call_1","name":"add","arguments":"{}","status":"completed"}],'
    b'"usage":{"input_tokens":10,"output_tokens":5,"total_tokens":15}}'
)


def responses(method: str, target: str, request: bytes, response: bytes) -> Exchange:
    exchange = exchanged(new_call(), request, response).exchange
    assert exchange is not None
    to = {"method": method, "target": target, "endpoint": target, "base": "https://api.openai.com"}
    return evolve(exchange, begin=evolve(exchange.begin, **to))


async def test_an_answer_that_was_fetched_later_stays_with_the_call_that_asked(tmp_path: Path) -> None:
    pipeline = Pipeline(Config(), Quarantine(tmp_path / "quarantine", 1))
    async with jobs_over(tmp_path, Config()) as (jobs, store):
        for exchange in (
            responses("POST", "/v1/responses", ASKED, QUEUED),
            responses("GET", "/v1/responses/resp_1", b"", WHOLE),
        ):
            found = pipeline.run(exchange)
            call = StoredCall(call=found.call, exchange=exchange, tools=found.tools, retrieved=found.parsed.retrieved)
            await store.write(Batch(calls=[call]))
        before = await rows(store)
        assert before[0].cost_nano_usd
        assert [(row.input_tokens, len(await store.tools(row.id))) for row in before] == [(10, 1), (None, 0)]
        for kind in ("reprice", "rederive"):
            done = await finished(jobs, asked_for(kind))
            assert (done.receipt["looked"], done.receipt["fields"]) == (2, {})
            assert [len(await store.tools(row.id)) for row in before] == [1, 0]
        assert await rows(store) == before


async def test_a_store_that_takes_nothing_is_tried_again_and_no_slice_is_counted_twice(tmp_path: Path) -> None:
    await recorded(tmp_path, 3)
    async with jobs_over(tmp_path, DEAR) as (jobs, store):
        execute(tmp_path, STUCK)
        job = asked_for("reprice")
        await jobs.put(job)
        for _ in range(2):
            with pytest.raises(StoreError, match="stuck"):
                await jobs.step()
        assert await store.job(job.id) == job
        execute(tmp_path, "DROP TRIGGER stuck")
        while (step := await jobs.step()) is not None:
            job = step
        assert (job.state, job.receipt["looked"], job.receipt["changed"]) == (JobState.DONE, 3, 3)
        assert all("prices[1]" in str(row.cost_source) for row in await rows(store))


async def test_ingest_lives_on_when_a_job_cannot(tmp_path: Path) -> None:
    await recorded(tmp_path)
    execute(tmp_path, STUCK)
    async with working(tmp_path, DEAR) as (worker, store, _):
        await store.put_job(asked_for("reprice"))
        await worker._jobs.resume()
        await until_idle(worker)
        relay = Relay(tmp_path, "relay-0-new")
        relay.call("while it waits", "stored")
        await until_idle(worker)
        assert "while it waits" in {row.preview_input for row in await rows(store)}
        assert len(await store.unfinished_jobs()) == 1
        await relay.close()


def unstorable(item: Item) -> Item:
    """A stage that finds something of one call that no database holds."""
    return item.with_call(chunks="many") if item.call.preview_input == "question 1" else item.with_call(chunks=77)


async def test_a_call_that_cannot_be_stored_anew_fails_alone(tmp_path: Path) -> None:
    await recorded(tmp_path, 3)
    async with jobs_over(tmp_path, Config(), unstorable) as (jobs, store):
        before = await rows(store)
        done = await finished(jobs, asked_for("rederive"))
        assert (done.state, done.receipt["looked"], done.receipt["failed"]) == (JobState.DONE, 3, 1)
        assert (done.receipt["changed"], done.receipt["fields"]) == (2, {"chunks": 2})
        assert [row.chunks for row in await rows(store)] == [77, before[1].chunks, 77]
        assert await store.job(done.id) == done


async def test_a_job_that_fails_half_way_says_what_it_has_done(tmp_path: Path) -> None:
    await recorded(tmp_path, SLICE_CALLS + 1)
    job = asked_for("reprice")
    async with jobs_over(tmp_path, DEAR) as (jobs, store):
        await jobs.put(job)
        await jobs.step()
    never = Config(prices=(Price(model="*", input=1.0, output=1.0, since="never"),))
    async with jobs_over(tmp_path, never) as (jobs, store):
        await jobs.resume()
        await jobs.step()
        failed = await store.job(job.id)
        assert failed is not None
        assert (failed.state, failed.receipt["looked"]) == (JobState.FAILED, SLICE_CALLS)
        assert "ValueError" in failed.receipt["error"]


async def test_an_interrupted_job_goes_on_where_it_was(tmp_path: Path) -> None:
    await recorded(tmp_path, SLICE_CALLS + 5)
    job = asked_for("reprice")
    async with jobs_over(tmp_path, DEAR) as (jobs, store):
        await jobs.put(job)
        await jobs.step()
        assert sum("prices[1]" in str(row.cost_source) for row in await rows(store)) == SLICE_CALLS
    async with jobs_over(tmp_path, DEAR) as (jobs, store):
        await jobs.resume()
        last = job
        while (step := await jobs.step()) is not None:
            last = step
        assert (last.state, last.receipt["looked"], last.receipt["changed"]) == (JobState.DONE, 105, 105)


async def test_a_job_that_nobody_knows_fails_and_says_so(tmp_path: Path) -> None:
    async with jobs_over(tmp_path, Config()) as (jobs, _):
        done = await finished(jobs, asked_for("divine"))
        assert (done.state, "divine" in str(done.receipt["error"])) == (JobState.FAILED, True)


async def test_ingest_does_what_a_journal_asks_for_once(tmp_path: Path) -> None:
    await recorded(tmp_path)
    relay = Relay(tmp_path, "command-1")
    job = Job(id=bytes.fromhex(an_id().replace("-", "")), kind="reprice", asked_at_us=1, request={"where": None})
    relay.write(job, job)
    await relay.close()
    async with working(tmp_path, DEAR) as (worker, store, _):
        await until_idle(worker)
        (row,) = await rows(store)
        done = await store.job(id_text(job.id))
        assert done is not None
        assert (done.state, done.receipt["changed"]) == (JobState.DONE, 1)
        assert await store.positions() == {}
        rev = row.rev
    relay = Relay(tmp_path, "command-2")
    relay.write(job)
    await relay.close()
    async with working(tmp_path, Config()) as (worker, store, _):
        await until_idle(worker)
        assert (await rows(store))[0].rev == rev


async def test_new_calls_are_stored_between_slices(tmp_path: Path) -> None:
    await recorded(tmp_path, SLICE_CALLS + 1)
    async with working(tmp_path, DEAR) as (worker, store, _):
        await store.put_job(asked_for("reprice"))
        await worker._jobs.resume()
        await worker.step()
        relay = Relay(tmp_path, "relay-0-new")
        relay.call("while it runs", "stored")
        await worker.step()
        assert "while it runs" in {row.preview_input for row in await rows(store)}
        assert await store.unfinished_jobs() != []
        await relay.close()


@pytest.mark.parametrize("request_", [{}, {"where": {"type": "Comparison"}}, {"where": 7}])
async def test_a_job_that_makes_no_sense_fails_and_stops_nothing(tmp_path: Path, request_: dict[str, Any]) -> None:
    async with jobs_over(tmp_path, Config()) as (jobs, _):
        job = evolve(asked_for("reprice"), request=request_)
        done = await finished(jobs, job)
        assert done.state == (JobState.DONE if not request_ else JobState.FAILED)
        assert (await finished(jobs, asked_for("reprice"))).state == JobState.DONE


def test_the_kind_of_frame_is_its_own() -> None:
    assert Kind.JOB == 6


async def test_a_job_that_never_succeeds_makes_room_for_the_next(tmp_path: Path) -> None:
    await recorded(tmp_path)
    async with jobs_over(tmp_path, DEAR) as (jobs, store):
        execute(tmp_path, STUCK)
        stuck, next_one = asked_for("reprice"), asked_for("recount")
        await jobs.put(stuck)
        await jobs.put(next_one)
        for _ in range(MOST_FAILURES - 1):
            with pytest.raises(StoreError, match="stuck"):
                await jobs.step()
        while await jobs.step() is not None:
            pass
        failed, done = await store.job(stuck.id), await store.job(next_one.id)
        assert failed is not None
        assert done is not None
        assert (failed.state, done.state) == (JobState.FAILED, JobState.DONE)
        assert "stuck" in failed.receipt["error"]


async def test_ingest_lives_on_when_retention_cannot(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    await recorded(tmp_path)
    unaskable = msgspec.json.encode(Match("input", "words")).decode()
    execute(tmp_path, f"INSERT INTO hold (name, filter, words, since_us) VALUES ('old', '{unaskable}', '', 1)")
    async with working(tmp_path, DEAR) as (worker, store, _):
        await until_idle(worker)
        assert "retention cannot go on" in caplog.text
        relay = Relay(tmp_path, "relay-0-new")
        relay.call("all the same", "stored")
        job = asked_for("reprice")
        await worker._jobs.put(job)
        await until_idle(worker)
        assert "all the same" in {row.preview_input for row in await rows(store)}
        done = await store.job(job.id)
        assert done is not None
        assert done.state == JobState.DONE
        await relay.close()
