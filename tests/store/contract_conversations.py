"""What every engine must find: conversations, traces and versions of system prompts."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from hashlib import blake2b
from typing import Any

import pytest

from proxy.errors import CallNotFound
from proxy.query.parse import parse_filter
from proxy.records import Ties, ToolResult, ToolSpan, evolve
from proxy.store.base import Store, StoredCall
from proxy.store.traces import Trace
from tests.store.samples import NOON_US, collected, ended, running, write

OpenStore = Callable[[], Awaitable[Store]]
STEP_US = 10_000_000


def digest(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=16).digest()


def talk(
    at: int,
    answers: str | None = None,
    after: str | None = None,
    *,
    system: str | None = None,
    tools: tuple[ToolSpan, ...] = (),
    results: tuple[ToolResult, ...] = (),
    retrieved: bool = False,
    ties: dict[str, Any] | None = None,
    **fields: Any,
) -> StoredCall:
    """A call at a step in time that answers with one text, after another one."""
    fields = {"key": "fp:1", "started_at_us": NOON_US + at * STEP_US, "latency_us": 1_000_000} | fields
    told = Ties(
        **{
            "answers": () if answers is None else (digest(answers),),
            "echoes": () if after is None else (digest(after),),
        }
        | (ties or {})
    )
    call = ended(**fields)
    return evolve(call, ties=told, system_prompt=system, tools=tools, results=results, retrieved=retrieved)


async def linked(store: Store, call: StoredCall) -> tuple[str | None, str | None, str | None]:
    """Its conversation, what it follows, and how."""
    found = await store.call(call.call.id)
    return found.conversation, found.follows, found.follows_by


def shape(trace: Trace) -> list[tuple[str, int]]:
    return [(step.call.id, step.depth) for step in trace.steps]


class ConversationsContract:
    """Calls that belong together."""

    # --- what continues what ------------------------------------------------------------------------

    async def test_a_request_that_repeats_an_answer_continues_it(self, open_store: OpenStore) -> None:
        store = await open_store()
        first, second, other = talk(0, "a"), talk(1, "b", "a"), talk(2, "c")
        await write(store, first)
        await write(store, second, other)
        assert await linked(store, first) == (first.call.id, None, None)
        assert await linked(store, second) == (first.call.id, first.call.id, "answer")
        assert await linked(store, other) == (other.call.id, None, None)

    @pytest.mark.parametrize(
        "other",
        [
            {"key": "fp:2"},
            {"project": "other"},
            {"user": "bob"},
            {"session": "s2"},
            {"started_at_us": NOON_US + 9 * STEP_US},
            {"latency_us": 9 * STEP_US},
        ],
    )
    async def test_what_cannot_be_meant_is_not_continued(self, open_store: OpenStore, other: dict[str, Any]) -> None:
        store = await open_store()
        named = {"user": "ada", "session": "s1"}
        second = talk(2, "b", "a", **named)
        await write(store, talk(0, "a", **named | other), second)
        assert await linked(store, second) == (second.call.id, None, None)

    async def test_equal_answers_are_told_apart_by_who_asked(self, open_store: OpenStore) -> None:
        store = await open_store()
        firsts = [talk(0, "a", user=user, client=client) for user in ("ada", "bob") for client in ("x/1", "y/2")]
        seconds = [talk(1, "b", "a", user=each.call.user, client=each.call.client) for each in firsts]
        await write(store, *firsts, *seconds)
        for first, second in zip(firsts, seconds, strict=True):
            assert (await linked(store, second))[1] == first.call.id

    async def test_equal_answers_that_nobody_can_tell_apart_are_not_continued(self, open_store: OpenStore) -> None:
        store = await open_store()
        one, other, later = talk(0, "a"), talk(1, "a"), talk(2, "b", "a")
        await write(store, one, other, later)
        assert await linked(store, later) == (later.call.id, None, None)

    async def test_of_equal_answers_the_one_that_was_continued_already_is_out(self, open_store: OpenStore) -> None:
        store = await open_store()
        one, later, other, last = talk(0, "a"), talk(1, "b", "a"), talk(2, "a"), talk(3, "c", "a")
        await write(store, one, later, other, last)
        assert (await linked(store, last))[1] == other.call.id

    async def test_an_answer_that_is_named_is_continued_whatever_is_repeated(self, open_store: OpenStore) -> None:
        store = await open_store()
        first, other = talk(0, "a", response_id="resp_1"), talk(1, "b")
        second = talk(2, "c", "b", ties={"previous_response": "resp_1"})
        await write(store, first, other, second)
        assert await linked(store, second) == (first.call.id, first.call.id, "response_id")

    async def test_equal_response_ids_of_two_clients(self, open_store: OpenStore) -> None:
        store = await open_store()
        one = talk(0, response_id="resp_1", key="fp:1")
        other = talk(1, response_id="resp_1", key="fp:2")
        second = talk(2, response_id="resp_2", key="fp:1", ties={"previous_response": "resp_1"})
        await write(store, one, other, second)
        assert (await linked(store, second))[1] == one.call.id

    async def test_circles_and_selves_among_response_ids_end(self, open_store: OpenStore) -> None:
        store = await open_store()
        own = talk(0, response_id="resp_1", ties={"previous_response": "resp_1"})
        one = talk(1, response_id="resp_2", ties={"previous_response": "resp_3"})
        other = talk(2, response_id="resp_3", ties={"previous_response": "resp_2"})
        await write(store, own, one, other)
        assert [(await linked(store, each))[1] for each in (own, one, other)] == [None, None, one.call.id]
        assert len((await store.conversation(one.call.id)).steps) == 2

    async def test_a_conversation_that_the_provider_keeps_goes_on_where_it_ended(self, open_store: OpenStore) -> None:
        store = await open_store()
        kept = {"conversation_id": "conv_1"}
        calls = [talk(at, ties=kept) for at in range(3)]
        await write(store, calls[0], calls[2])
        await write(store, calls[1], talk(3, ties=kept, key="fp:2"))
        found = [await linked(store, each) for each in calls]
        assert {conversation for conversation, _, _ in found} == {calls[0].call.id}
        assert [how for _, _, how in found] == [None, "conversation_id", "conversation_id"]

    async def test_a_tool_call_that_is_repeated_leads_to_its_answer(self, open_store: OpenStore) -> None:
        store = await open_store()
        tool = ToolSpan(place=0, id="call_a1b2c3d4", name="add", arguments_bytes=2, digest=5)
        first = talk(0, "a", tools=(tool,))
        second = talk(1, "b", "not what it said", ties={"tool_ids": ("call_a1b2c3d4",)})
        await write(store, first, second)
        assert await linked(store, second) == (first.call.id, first.call.id, "tool_call")

    # --- branches -----------------------------------------------------------------------------------

    async def test_an_edited_message_and_another_answer_are_branches(self, open_store: OpenStore) -> None:
        store = await open_store()
        first = talk(0, "a")
        second = talk(1, "b", "a", request_digest=7)
        edited = talk(2, "c", "a", request_digest=8)
        again = talk(3, "d", "a", request_digest=7)
        third = talk(4, "e", "d")
        await write(store, first, second, edited, again, third)
        hows = [(await linked(store, each))[1:] for each in (second, edited, again, third)]
        assert hows == [
            (first.call.id, "answer"),
            (first.call.id, "answer"),
            (first.call.id, "regeneration"),
            (again.call.id, "answer"),
        ]
        trace = await store.conversation(edited.call.id)
        assert shape(trace) == [
            (first.call.id, 0),
            (second.call.id, 1),
            (edited.call.id, 1),
            (again.call.id, 0),
            (third.call.id, 0),
        ]

    async def test_a_failed_first_request_and_its_retry_are_one_conversation(self, open_store: OpenStore) -> None:
        store = await open_store()
        failed = talk(0, request_digest=7, status="error", retry=0)
        again = talk(1, "a", request_digest=7, retry=1)
        unasked = talk(2, request_digest=8, status="error")
        silent = talk(3, "b", request_digest=8)
        await write(store, failed, again, unasked, silent)
        assert await linked(store, again) == (failed.call.id, None, "retry")
        assert (await store.call(again.call.id)).retry_of == failed.call.id
        assert await linked(store, silent) == (unasked.call.id, None, "retry")

    async def test_equal_first_requests_are_one_persons_or_nobodys(self, open_store: OpenStore) -> None:
        store = await open_store()
        strangers = [talk(at, "a", request_digest=7) for at in range(2)]
        named = [talk(at + 5, "a", request_digest=7, user="ada") for at in range(2)]
        await write(store, *strangers, *named)
        assert len({(await linked(store, each))[0] for each in strangers}) == 2
        assert await linked(store, named[1]) == (named[0].call.id, None, "regeneration")

    # --- in whatever order ------------------------------------------------------------------------

    async def test_what_comes_late_is_put_before_what_has_waited_for_it(self, open_store: OpenStore) -> None:
        store = await open_store()
        calls = [talk(at, f"a{at}", f"a{at - 1}" if at else None, output_tokens=1) for at in range(5)]
        for at in (4, 2, 3, 0, 1):
            await write(store, calls[at])
        found = [await linked(store, each) for each in calls]
        assert [follows for _, follows, _ in found] == [None, *(each.call.id for each in calls[:-1])]
        assert {conversation for conversation, _, _ in found} == {calls[0].call.id}
        (summed,) = await store.conversations()
        assert (summed.id, summed.calls, summed.output_tokens) == (calls[0].call.id, 5, 5)
        assert await collected(store.verify()) == []

    async def test_also_over_restarts(self, open_store: OpenStore) -> None:
        tool = ToolSpan(place=0, id="call_a1b2c3d4", name="add", arguments_bytes=2, digest=5)
        calls = [
            talk(0, "a", request_digest=5, tools=(tool,)),
            talk(1, "b", "a", response_id="resp_1", ties={"tool_ids": ("call_a1b2c3d4",)}),
            talk(2, "c", ties={"previous_response": "resp_1"}, request_digest=6, status="error"),
            talk(3, "c", ties={"previous_response": "resp_1"}, request_digest=6, retry=1),
            talk(4, "d", "c"),
        ]
        for at in (1, 0, 2, 3, 4):
            store = await open_store()
            await write(store, calls[at])
            await store.close()
        store = await open_store()
        assert {(await linked(store, each))[0] for each in calls} == {calls[0].call.id}
        hows = [(await linked(store, each))[2] for each in calls]
        assert hows == [None, "tool_call", "response_id", "retry", "answer"]

    async def test_reversed_and_long(self, open_store: OpenStore) -> None:
        store = await open_store()
        calls = [talk(at, f"a{at}", f"a{at - 1}", input_tokens=3) for at in range(300)]
        for start in range(290, -10, -10):
            await write(store, *reversed(calls[start : start + 10]))
        (summed,) = await store.conversations()
        assert (summed.calls, summed.input_tokens, summed.id) == (300, 900, calls[0].call.id)
        trace = await store.conversation(calls[7].call.id, limit=50)
        assert (len(trace.steps), trace.missing) == (50, 250)
        assert trace.steps[-1].call.id == calls[-1].call.id

    async def test_any_order_gives_the_same_trees(self, open_store: OpenStore) -> None:
        store = await open_store()
        rng = random.Random(7)
        calls: list[StoredCall] = []
        parents: dict[str, str | None] = {}
        for number in range(120):
            before = rng.choice(calls) if calls and rng.random() < 0.8 else None
            after = None if before is None else f"a{calls.index(before)}"
            calls.append(talk(number, f"a{number}", after))
            parents[calls[-1].call.id] = before.call.id if before else None
        shuffled = rng.sample(calls, len(calls))
        for start in range(0, len(shuffled), 17):
            await write(store, *shuffled[start : start + 17])
        for each in calls:
            root = each.call.id
            while (above := parents[root]) is not None:
                root = above
            assert (await linked(store, each))[:2] == (root, parents[each.call.id])
        found = await store.conversations(limit=1000)
        assert sum(each.calls for each in found) == len(calls)

    async def test_writing_again_changes_nothing(self, open_store: OpenStore) -> None:
        store = await open_store()
        first = talk(0, "a0", output_tokens=2, system="Be kind.")
        calls = [first, *(talk(at, f"a{at}", f"a{at - 1}", output_tokens=2, system="Be kind.") for at in (1, 2))]
        await write(store, *calls)
        rev = await store.latest_rev()
        rows = [await store.call(each.call.id) for each in calls]
        await write(store, *calls)
        await store.rewrite([evolve(each, exchange=None, call=row) for each, row in zip(calls, rows, strict=True)])
        assert await store.latest_rev() == rev
        assert [await store.call(each.call.id) for each in calls] == rows
        (summed,) = await store.conversations()
        assert (summed.calls, summed.output_tokens) == (3, 6)

    # --- sums ---------------------------------------------------------------------------------------

    async def test_a_conversation_sums_up_its_calls(self, open_store: OpenStore) -> None:
        store = await open_store()
        tool = ToolSpan(place=0, id="call_a1b2c3d4", name="add", arguments_bytes=2, digest=5)
        facts = {"user": "ada", "session": "s", "project": "shop"}
        first = talk(0, "a", preview_input="why", input_tokens=1, cost_nano_usd=5, tools=(tool,), **facts)
        second = talk(1, None, "a", status="error", input_tokens=2, output_tokens=4, **facts)
        await write(store, first, second, talk(2, "x"))
        last, found = await store.conversations()
        assert last.calls == 1
        assert (found.id, found.last) == (first.call.id, second.call.id)
        assert (found.project, found.user, found.session, found.preview) == ("shop", "ada", "s", "why")
        assert (found.calls, found.tools, found.errors, found.outcome) == (2, 1, 1, "error")
        assert (found.input_tokens, found.output_tokens, found.cost_nano_usd) == (3, 4, 5)
        assert (found.started_at_us, found.ended_at_us) == (NOON_US, NOON_US + STEP_US + 1_000_000)

    async def test_sums_follow_what_becomes_of_calls(self, open_store: OpenStore) -> None:
        store = await open_store()
        first, second = talk(0, "a", output_tokens=1), talk(1, "b", "a", output_tokens=2)
        began = running(second.call.id, key="fp:1", started_at_us=second.call.started_at_us)
        await write(store, first, evolve(began, ties=Ties(echoes=(digest("a"),))))
        (found,) = await store.conversations()
        assert (found.calls, found.output_tokens, found.outcome) == (2, 1, "running")
        await write(store, second)
        (found,) = await store.conversations()
        assert (found.calls, found.output_tokens, found.outcome) == (2, 3, "ok")
        row = await store.call(second.call.id)
        await store.rewrite([StoredCall(call=evolve(row, output_tokens=7, cost_nano_usd=9))])
        (found,) = await store.conversations()
        assert (found.output_tokens, found.cost_nano_usd) == (8, 9)
        await store.rewrite([StoredCall(call=evolve(row, excluded="smoke test"))])
        (found,) = await store.conversations()
        assert (found.calls, found.output_tokens) == (1, 1)

    async def test_numbers_without_measure_stop_no_batch(self, open_store: OpenStore) -> None:
        store = await open_store()
        endless = {"input_tokens": (1 << 63) - 1, "output_tokens": -5, "cost_nano_usd": (1 << 63) - 1}
        calls = [talk(at, f"a{at}", f"a{at - 1}", **endless) for at in range(30)]
        await write(store, *calls)
        (found,) = await store.conversations()
        assert found.calls == 30
        assert found.input_tokens > 0
        assert found.output_tokens == 0

    async def test_the_one_with_the_newest_call_comes_first(self, open_store: OpenStore) -> None:
        store = await open_store()
        firsts = [talk(at, f"{at}", model="m" if at % 2 else "n") for at in range(6)]
        await write(store, *firsts, talk(9, "again", "2"))
        order = [firsts[at].call.id for at in (2, 5, 4, 3, 1, 0)]
        assert [each.id for each in await store.conversations()] == order
        page = await store.conversations(limit=2)
        assert [each.id for each in await store.conversations(before=page[-1].id, limit=2)] == order[2:4]
        where = parse_filter("model = 'm'")
        assert [each.id for each in await store.conversations(where)] == [firsts[at].call.id for at in (5, 3, 1)]
        since = await store.conversations(since_us=NOON_US + 4 * STEP_US)
        assert [each.id for each in since] == order[:3]

    async def test_calls_can_be_found_by_their_conversation(self, open_store: OpenStore) -> None:
        store = await open_store()
        first, second, other = talk(0, "a"), talk(1, "b", "a"), talk(2, "c")
        await write(store, first, second, other)
        for named in (first, second):
            found = await store.find(parse_filter(f"conversation = '{named.call.id}'"))
            assert [each.id for each in found] == [second.call.id, first.call.id]
        found = await store.find(parse_filter(f"conversation != '{first.call.id}'"))
        assert [each.id for each in found] == [other.call.id]
        found = await store.find(parse_filter(f"follows = '{first.call.id}' and follows_by = 'answer'"))
        assert [each.id for each in found] == [second.call.id]

    # --- traces -------------------------------------------------------------------------------------

    async def test_a_sub_agents_conversation_belongs_to_the_tool_that_began_it(self, open_store: OpenStore) -> None:
        store = await open_store()
        tool = ToolSpan(place=0, id="call_a1b2c3d4", name="task", arguments_bytes=9, digest=5)
        task, begins = {"tasks": (digest("find it"),)}, {"begins": (digest("find it"),)}
        parent = talk(0, "a", system="You lead.", tools=(tool,), ties=task)
        child = talk(1, "b", system="You search.", ties=begins)
        deeper = talk(2, "c", "b", system="You search.")
        result = talk(3, "d", "a", system="You lead.", results=(ToolResult(digest=5, bytes=2, failed=None),))
        late = talk(4, "e", system="You search.", ties=begins)
        same = talk(1, "f", system="You lead.", ties=begins)
        await write(store, parent, child, same, deeper, result, late)
        trace = await store.conversation(result.call.id)
        assert [step.call.id for step in trace.steps] == [parent.call.id, result.call.id]
        (begun,) = trace.steps[0].begun
        assert [step.call.id for step in begun.steps] == [child.call.id, deeper.call.id]
        assert begun.conversation.started_by == parent.call.id
        assert trace.steps[0].tools[0].result_call == result.call.id
        assert trace.steps[1].begun == ()

    async def test_what_the_client_put_under_one_name_stands_beside(self, open_store: OpenStore) -> None:
        store = await open_store()
        named = [talk(at, f"{at}", session="s") for at in range(3)]
        others = [talk(4, "x", session="s", key="fp:2"), talk(5, "y", session="s", project="p"), talk(6, "z")]
        traced = [talk(at + 7, f"t{at}", trace="t") for at in range(2)]
        await write(store, *named, *others, *traced)
        trace = await store.conversation(named[0].call.id)
        assert [each.id for each in trace.beside] == [named[2].call.id, named[1].call.id]
        assert [each.id for each in (await store.conversation(traced[0].call.id)).beside] == [traced[1].call.id]
        assert (await store.conversation(others[2].call.id)).beside == ()

    async def test_a_long_conversation_is_read_in_parts(self, open_store: OpenStore) -> None:
        store = await open_store()
        calls = [talk(at, f"{at}", f"{at - 1}" if at else None) for at in range(7)]
        excluded = talk(7, "7", "6", excluded="rerun")
        await write(store, *calls, excluded)
        ids = [each.call.id for each in calls]
        parts = [
            (None, 4, [0, 5, 6], 4),
            (ids[5], 3, [0, 3, 4], 2),
            (ids[3], 3, [0, 1, 2], 0),
            (ids[1], 3, [0], 0),
            (ids[0], 3, [0], 0),
        ]
        for before, limit, expected, missing in parts:
            trace = await store.conversation(ids[2], limit=limit, before=before)
            shown = [step.call.id for step in trace.steps if not step.call.excluded]
            assert (shown, trace.missing) == ([ids[at] for at in expected], missing), before
            assert trace.conversation.calls == 7
        with pytest.raises(CallNotFound):
            await store.conversation(ids[0], before=talk(0).call.id)

    async def test_calls_without_a_conversation(self, open_store: OpenStore) -> None:
        store = await open_store()
        embedding = ended()
        await write(store, embedding)
        assert await linked(store, embedding) == (None, None, None)
        with pytest.raises(CallNotFound, match="no conversation"):
            await store.conversation(embedding.call.id)
        with pytest.raises(CallNotFound):
            await store.conversation(talk(0).call.id)
        assert await store.conversations() == []

    # --- prompts ------------------------------------------------------------------------------------

    async def test_each_system_prompt_of_a_project_has_a_number(self, open_store: OpenStore) -> None:
        store = await open_store()
        texts = ["You answer questions about the sea.", "You write poems about ships and harbours.", None]
        calls = [talk(at, system=text) for at, text in enumerate([*texts, texts[0]])]
        await write(store, *calls, talk(9, system=texts[0], project="other"))
        assert [(await store.call(each.call.id)).system_version for each in calls] == [1, 2, None, 1]
        first, second = await store.prompts("default")
        assert (first.text, first.first_us, first.last_us) == (texts[0], NOON_US, NOON_US + 3 * STEP_US)
        assert (second.number, second.line, second.predecessor) == (2, 2, None)
        assert await store.prompt_projects() == ["default", "other"]
        assert [each.number for each in await store.prompts("other")] == [1]
        assert await store.prompts("nowhere") == []
        assert [each.id for each in await store.find(parse_filter("system_version = 2"))] == [calls[1].call.id]

    async def test_a_clock_and_a_name_make_no_version_and_an_edit_does(self, open_store: OpenStore) -> None:
        store = await open_store()

        def prompt(clock: str, name: str, tone: str = "brief") -> str:
            return f"You help the user.\nIt is {clock}.\nThe user is called {name}.\nAnswers are {tone}, and kind.\n"

        said = [
            prompt("2026-11-21 12:00:01", "Ada Lovelace"),
            prompt("2026-11-21 12:00:02", "Ada Lovelace"),
            prompt("2026-11-22 09:13:59", "Bob"),
            prompt("2026-11-22 09:14:00", "Bob", "long"),
            prompt("2026-11-23 10:14:00", "Charlotte", "long"),
            prompt("2026-11-24 23:59:59", "Dan O'Brien"),
        ]
        calls = [talk(at, system=text) for at, text in enumerate(said)]
        await write(store, *calls[:3])
        await store.close()
        store = await open_store()
        await write(store, *calls[3:])
        assert [(await store.call(each.call.id)).system_version for each in calls] == [1, 1, 1, 2, 2, 1]
        first, second = await store.prompts("default")
        assert (second.predecessor, second.line) == (1, 1)
        assert "…" in first.text
        assert "Answers are brief" in first.text
