"""What every engine must find between calls: tools and their results, retries, answers fetched later; and jobs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from proxy.query.parse import parse_filter
from proxy.records import ToolResult, ToolSpan, evolve
from proxy.store.base import POISON, JobRow, JobState, Store, StoredCall
from tests.store.samples import NOON_US, an_id, collected, ended, write

OpenStore = Callable[[], Awaitable[Store]]


def asking(*digests: int, key: str = "fp:1", at_us: int = NOON_US, latency_us: int = 1000, **more: Any) -> StoredCall:
    """A call whose answer asks for tools."""
    tools = [
        ToolSpan(place=place, id=f"call_{place}", name="add", arguments_bytes=7, digest=digest)
        for place, digest in enumerate(digests)
    ]
    return evolve(ended(key=key, started_at_us=at_us, latency_us=latency_us, **more), tools=tools)


def bringing(*digests: int, key: str = "fp:1", at_us: int = NOON_US + 51_000) -> StoredCall:
    """A call whose request brings results of tools."""
    results = [ToolResult(digest=digest, bytes=5, failed=digest % 2 == 1) for digest in digests]
    return evolve(ended(key=key, started_at_us=at_us, latency_us=1), results=results)


class LinksContract:
    """Links between calls."""

    # --- tools ------------------------------------------------------------------------------------

    async def test_a_tool_ends_with_the_request_that_brings_its_result(self, open_store: OpenStore) -> None:
        store = await open_store()
        first, second = asking(2, 3), bringing(3, 2)
        await write(store, first)
        waiting = await store.tools(first.call.id)
        assert [(tool.place, tool.name, tool.result_call, tool.duration_us) for tool in waiting] == [
            (0, "add", None, None),
            (1, "add", None, None),
        ]
        await write(store, second)
        assert await store.tools(first.call.id) == [
            evolve(tool, result_call=second.call.id, result_bytes=5, duration_us=50_000, failed=tool.place == 1)
            for tool in waiting
        ]

    async def test_in_one_batch_and_at_once(self, open_store: OpenStore) -> None:
        store = await open_store()
        first, second = asking(2), bringing(2, at_us=NOON_US + 990)
        await write(store, first, second)
        (tool,) = await store.tools(first.call.id)
        assert (tool.result_call, tool.duration_us) == (second.call.id, 0)

    async def test_a_result_ends_the_newest_call_of_its_key_once(self, open_store: OpenStore) -> None:
        store = await open_store()
        older, newer, other = asking(2), asking(2, at_us=NOON_US + 10), asking(2, key="fp:2", at_us=NOON_US + 20)
        await write(store, older, newer, other, bringing(2))
        ends = [(await store.tools(each.call.id))[0].result_call is not None for each in (older, newer, other)]
        assert ends == [False, True, False]
        await write(store, bringing(2, at_us=NOON_US + 99_000))
        assert (await store.tools(older.call.id))[0].result_call is not None

    async def test_a_result_from_before_the_question_or_of_no_question_ends_nothing(
        self, open_store: OpenStore
    ) -> None:
        store = await open_store()
        first = asking(2, at_us=NOON_US + 60_000)
        await write(store, first, bringing(2), bringing(7))
        assert (await store.tools(first.call.id))[0].result_call is None

    async def test_what_the_provider_ran_waits_for_nothing(self, open_store: OpenStore) -> None:
        store = await open_store()
        first = asking(2)
        assert first.tools is not None
        server = evolve(first, tools=[evolve(first.tools[0], server=True)])
        await write(store, server, bringing(2))
        (tool,) = await store.tools(first.call.id)
        assert (tool.server, tool.result_call) == (True, None)

    async def test_a_result_that_comes_days_later_is_of_another_question(self, open_store: OpenStore) -> None:
        store = await open_store()
        first = asking(2)
        await write(store, first, bringing(2, at_us=NOON_US + 25 * 3_600_000_000))
        assert (await store.tools(first.call.id))[0].result_call is None

    async def test_equal_tools_of_one_answer_end_in_their_order(self, open_store: OpenStore) -> None:
        store = await open_store()
        first, second = asking(2, 2), bringing(2, 2)
        assert isinstance(second.results, list)
        sizes = [evolve(result, bytes=size) for size, result in enumerate(second.results)]
        await write(store, first, evolve(second, results=sizes))
        assert [tool.result_bytes for tool in await store.tools(first.call.id)] == [0, 1]

    async def test_a_tool_that_ends_is_a_change_of_its_call_but_no_news(self, open_store: OpenStore) -> None:
        store = await open_store()
        first, second = asking(2), bringing(2)
        await write(store, first)
        rev = await store.latest_rev()
        await write(store, second)
        changed = {call.id for call in await store.find(after_rev=rev)}
        assert changed == {first.call.id, second.call.id}
        assert [call.id for call in await store.find(after_rev=rev, news=True)] == [second.call.id]

    async def test_calls_without_tools_have_none(self, open_store: OpenStore) -> None:
        store = await open_store()
        call = ended()
        await write(store, call)
        assert await store.tools(call.call.id) == []

    # --- retries ----------------------------------------------------------------------------------

    async def test_a_retry_is_linked_to_the_last_call_that_asked_the_same(self, open_store: OpenStore) -> None:
        store = await open_store()
        same = {"key": "fp:1", "request_digest": -5}
        first = ended(retry=0, **same)
        second = ended(retry=1, started_at_us=NOON_US + 10, **same)
        third = ended(retry=2, started_at_us=NOON_US + 20, **same)
        await write(store, first, second)
        await write(store, third)
        found = [(await store.call(each.call.id)).retry_of for each in (first, second, third)]
        assert found == [None, first.call.id, second.call.id]

    async def test_equal_calls_at_once_are_each_retried_once(self, open_store: OpenStore) -> None:
        store = await open_store()
        same = {"key": "fp:1", "request_digest": -5}
        fine = ended(started_at_us=NOON_US + 5, **same)
        failed = [ended(retry=0, status="error", started_at_us=NOON_US + at, **same) for at in (1, 2)]
        again = [ended(retry=1, started_at_us=NOON_US + at, **same) for at in (10, 11)]
        await write(store, *failed, fine, *again)
        found = [(await store.call(each.call.id)).retry_of for each in again]
        assert found == [failed[1].call.id, failed[0].call.id]

    async def test_a_retry_of_what_failed_on_its_second_try(self, open_store: OpenStore) -> None:
        store = await open_store()
        same = {"key": "fp:1", "request_digest": 5, "status": "error"}
        second = ended(retry=1, started_at_us=NOON_US + 10, **same)
        other = ended(retry=0, started_at_us=NOON_US + 15, **same)
        third = ended(retry=2, started_at_us=NOON_US + 20, **same)
        await write(store, second, other, third)
        assert (await store.call(third.call.id)).retry_of == second.call.id

    @pytest.mark.parametrize(
        "other",
        [
            {"key": "fp:2"},
            {"upstream": "other"},
            {"endpoint": "/v1/other"},
            {"request_digest": 6},
            {"started_at_us": NOON_US + 20},
            {"started_at_us": NOON_US - 4 * 10**9},
        ],
    )
    async def test_a_retry_of_nothing_that_is_known(self, open_store: OpenStore, other: dict[str, Any]) -> None:
        store = await open_store()
        retry = ended(retry=1, started_at_us=NOON_US + 10, key="fp:1", request_digest=5)
        await write(store, ended(**{"key": "fp:1", "request_digest": 5} | other), retry)
        assert (await store.call(retry.call.id)).retry_of is None

    # --- answers that are fetched later -------------------------------------------------------------

    async def test_a_fetched_answer_counts_once_and_for_the_call_that_asked(self, open_store: OpenStore) -> None:
        store = await open_store()
        asked = ended(response_id="resp_1", background=True, model_requested="gpt-5")
        early = evolve(ended(response_id="resp_1"), retrieved=True)
        facts = {"model": "gpt-5-2", "input_tokens": 0, "output_tokens": 7, "cost_nano_usd": 9, "finish_reason": "stop"}
        whole, again = (evolve(ended(response_id="resp_1", **facts), retrieved=True) for _ in range(2))
        await write(store, asked, early)
        rev = await store.latest_rev()
        await write(store, whole, again)
        counted = await store.call(asked.call.id)
        assert {name: getattr(counted, name) for name in facts} == facts
        assert counted.rev > rev
        for fetched in (early, whole, again):
            row = await store.call(fetched.call.id)
            assert (row.input_tokens, row.output_tokens, row.cost_nano_usd) == (None, None, None)
        (total,) = await store.report(())
        assert (total.output_tokens, total.cost_nano_usd) == (7, 9)

    async def test_where_ids_are_repeated_the_last_call_that_asked_counts(self, open_store: OpenStore) -> None:
        store = await open_store()
        older, asked = ended(response_id="resp_1", output_tokens=3), ended(response_id="resp_1", background=True)
        await write(store, older, asked)
        await write(store, evolve(ended(response_id="resp_1", output_tokens=7), retrieved=True))
        assert (await store.call(asked.call.id)).output_tokens == 7
        assert (await store.call(older.call.id)).output_tokens == 3

    async def test_an_answer_asked_for_elsewhere_counts_with_its_first_fetch(self, open_store: OpenStore) -> None:
        store = await open_store()
        first, second = (evolve(ended(response_id="resp_1", output_tokens=7), retrieved=True) for _ in range(2))
        await write(store, first)
        await write(store, second)
        found = [(await store.call(each.call.id)).output_tokens for each in (first, second)]
        assert found == [7, None]

    async def test_an_answer_that_was_counted_at_once_counts_once_when_it_is_fetched(
        self, open_store: OpenStore
    ) -> None:
        store = await open_store()
        facts = {"response_id": "resp_1", "upstream": "openai", "output_tokens": 7, "cost_nano_usd": 9}
        asked = ended(**facts)
        fetched = [evolve(ended(**facts), retrieved=True) for _ in range(2)]
        elsewhere = evolve(ended(**facts | {"upstream": "azure"}), retrieved=True)
        await write(store, asked, *fetched, elsewhere)
        found = [(await store.call(each.call.id)).cost_nano_usd for each in (asked, *fetched, elsewhere)]
        assert found == [9, None, None, 9]

    async def test_a_call_that_ends_after_its_answer_was_fetched_counts_in_its_place(
        self, open_store: OpenStore
    ) -> None:
        store = await open_store()
        counted = {"response_id": "resp_1", "output_tokens": 7}
        fetched, again = (evolve(ended(**counted), retrieved=True) for _ in range(2))
        asked, other = ended(**counted), ended(response_id="resp_2", output_tokens=3)
        await write(store, fetched)
        await write(store, other, asked)
        await write(store, again)
        found = [(await store.call(each.call.id)).output_tokens for each in (fetched, asked, other, again)]
        assert found == [None, 7, 3, None]

    async def test_tools_of_a_fetched_answer_are_of_the_call_that_asked(self, open_store: OpenStore) -> None:
        store = await open_store()
        asked = ended(response_id="resp_1", background=True, key="fp:1", latency_us=5)
        fetched, again = (
            evolve(asking(2, response_id="resp_1", at_us=NOON_US + at), retrieved=True) for at in (10, 20)
        )
        await write(store, asked, fetched, again, bringing(2))
        found = [[tool.digest for tool in await store.tools(each.call.id)] for each in (asked, fetched, again)]
        assert found == [[2], [], []]
        assert (await store.tools(asked.call.id))[0].result_call is not None
        await store.rewrite([StoredCall(call=(await store.call(fetched.call.id)), tools=fetched.tools)])
        assert await store.tools(fetched.call.id) == []

    # --- what does not count ------------------------------------------------------------------------

    async def test_excluded_calls_are_out_of_lists_and_sums_and_can_be_asked_for(self, open_store: OpenStore) -> None:
        store = await open_store()
        counts, excluded = ended(output_tokens=1), ended(output_tokens=2, excluded="smoke test")
        await write(store, counts, excluded)
        assert [call.id for call in await store.find()] == [counts.call.id]
        assert {call.id for call in await store.find(every=True)} == {counts.call.id, excluded.call.id}
        where = parse_filter("excluded = 'smoke test'")
        assert [call.id for call in await store.find(where)] == [excluded.call.id]
        (total,) = await store.report(())
        assert (total.calls, total.output_tokens) == (1, 1)
        (total,) = await store.report((), where=where)
        assert (total.calls, total.output_tokens) == (1, 2)
        assert (await store.call(excluded.call.id)).excluded == "smoke test"

    # --- written again ------------------------------------------------------------------------------

    async def test_a_row_is_rewritten_and_its_bodies_and_results_stay(self, open_store: OpenStore) -> None:
        store = await open_store()
        first, second = asking(2, 3, metadata={"a": "1"}), bringing(2, 3)
        await write(store, first, second)
        rev = await store.latest_rev()
        assert first.tools is not None
        kept, changed = evolve(first.tools[0], digest=4), evolve(first.tools[1], name="multiply", digest=5)
        row = evolve(first.call, cost_nano_usd=5, metadata={"b": "2"}, tags=("t",))
        await store.rewrite([StoredCall(call=row, tools=[kept, changed])])
        found = await store.call(first.call.id)
        assert (found.cost_nano_usd, found.metadata, found.rev > rev) == (5, {"b": "2"}, True)
        assert [call.id for call in await store.find(parse_filter("metadata.b = '2' and tags = 't'"))] == [row.id]
        assert await store.find(parse_filter("metadata.a = '1'")) == []
        assert await store.exchange(row.id) == first.exchange
        assert [tool.result_call for tool in await store.tools(row.id)] == [second.call.id, None]
        await store.rewrite([StoredCall(call=evolve(row, cost_nano_usd=6))])
        assert len(await store.tools(row.id)) == 2
        await store.rewrite([StoredCall(call=row, tools=[])])
        assert await store.tools(row.id) == []
        assert await collected(store.verify()) == []

    async def test_a_result_finds_its_tool_once_that_is_known(self, open_store: OpenStore) -> None:
        store = await open_store()
        first, second, older = asking(2), bringing(2), asking(2, at_us=NOON_US - 10)
        await write(store, older, evolve(first, tools=()), evolve(second, results=()))
        rev = await store.latest_rev()
        anew = [StoredCall(call=each.call, tools=each.tools, results=each.results) for each in (first, second)]
        for _ in range(2):
            await store.rewrite(anew)
            ends = [(await store.tools(each.call.id))[0].result_call for each in (first, older)]
            assert ends == [second.call.id, None]
        assert {call.id for call in await store.find(after_rev=rev)} == {first.call.id}

    async def test_a_row_that_is_as_it_was_keeps_its_rev(self, open_store: OpenStore) -> None:
        store = await open_store()
        first = asking(2)
        await write(store, first)
        rev = await store.latest_rev()
        await store.rewrite([StoredCall(call=first.call, tools=first.tools)])
        assert await store.latest_rev() == rev
        await store.rewrite([StoredCall(call=first.call, tools=())])
        assert [call.id for call in await store.find(after_rev=rev)] == [first.call.id]
        assert await store.find(after_rev=rev, news=True) == []

    async def test_rows_and_the_job_that_rewrote_them_are_stored_together_or_not_at_all(
        self, open_store: OpenStore
    ) -> None:
        store = await open_store()
        first, second = ended(), ended()
        await write(store, first, second)
        job = JobRow(id=an_id(), kind="reprice", asked_at_us=NOON_US, request={})
        changed = StoredCall(call=evolve(first.call, model="other"))
        poison: Any = "no number"
        with pytest.raises(POISON):
            await store.rewrite([changed, StoredCall(call=evolve(second.call, latency_us=poison))], job)
        assert ((await store.call(first.call.id)).model, await store.job(job.id)) == (None, None)
        await store.rewrite([changed], job)
        assert ((await store.call(first.call.id)).model, await store.job(job.id)) == ("other", job)

    async def test_what_is_not_stored_or_runs_is_not_rewritten(self, open_store: OpenStore) -> None:
        store = await open_store()
        stranger = ended()
        await store.rewrite([stranger])
        assert await store.find() == []

    # --- jobs -----------------------------------------------------------------------------------------

    async def test_jobs(self, open_store: OpenStore) -> None:
        store = await open_store()
        job = JobRow(id=an_id(), kind="reprice", asked_at_us=NOON_US, request={"filter": "model = 'x'"})
        assert await store.job(job.id) is None
        await store.put_job(job)
        assert await store.unfinished_jobs() == [job]
        done = evolve(job, state=JobState.DONE, updated_at_us=NOON_US + 1, receipt={"changed": 3})
        await store.put_job(done)
        assert await store.unfinished_jobs() == []
        assert await store.job(job.id) == done
