"""Stored calls looked at again: what changes, what stays, and going on after an interruption."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from proxy.clock import id_text, wall_us
from proxy.config import Config, Price
from proxy.ingest.jobs import SLICE_CALLS, Jobs
from proxy.ingest.pipeline import Pipeline, Quarantine
from proxy.journal.frame import Kind
from proxy.query.parse import parse_filter
from proxy.records import Job, evolve
from proxy.store.base import JobRow, JobState, StoredCall
from proxy.store.sqlite.store import SqliteStore
from tests.store.samples import an_id, collected

from .journaling import Relay
from .test_worker import rows, until_idle, working

DEAR = Config(prices=(Price(model="gpt-5*", input=1_000.0, output=2_000.0),))


@asynccontextmanager
async def jobs_over(data_dir: Path, config: Config) -> AsyncIterator[tuple[Jobs, SqliteStore]]:
    """The jobs of a store, stepped by the test."""
    store = await SqliteStore.open(data_dir)
    try:
        yield Jobs(config, store, Pipeline(config, Quarantine(data_dir / "quarantine", 1))), store
    finally:
        await store.close()


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
        assert done.receipt["changed"] == 0


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
