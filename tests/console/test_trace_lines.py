"""A conversation as lines: where each stands, what had been spent, where it failed first."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.clock import CallIds, id_text
from proxy.console.traces.lines import Drawn, call_span, drawn
from proxy.console.traces.turns import new_messages
from proxy.records import Call, ContentPart, Message, Parsed, ToolSpan
from proxy.store.traces import Conversation, Step, Trace

START = 1_795_262_400_000_000
SECOND = 1_000_000
_ids = CallIds()


def a_call(at: float, **fields: Any) -> Call:
    started = START + int(at * SECOND)
    usual: dict[str, Any] = {
        "id": id_text(_ids.next(started)),
        "started_at_us": started,
        "status": "ok",
        "latency_us": SECOND,
    }
    return Call(**usual | fields)


def a_trace(*steps: Step) -> Trace:
    calls = [step.call for step in steps]
    whole = Conversation(
        id=calls[0].id,
        last=calls[-1].id,
        project="default",
        user=None,
        session=None,
        trace=None,
        started_at_us=calls[0].started_at_us,
        ended_at_us=max(call_span(call, 0)[1] for call in calls),
        calls=len(calls),
        tools=0,
        errors=0,
        input_tokens=0,
        output_tokens=0,
        cost_nano_usd=0,
        outcome="ok",
        preview=None,
    )
    return Trace(conversation=whole, steps=steps)


def a_tool(**fields: Any) -> ToolSpan:
    usual: dict[str, Any] = {"place": 0, "id": "c", "name": "search", "arguments_bytes": 2, "digest": 1}
    return ToolSpan(**usual | fields)


def drawn_of(*steps: Step) -> Drawn:
    return drawn(a_trace(*steps), START)


def test_sums_grow_with_time_wherever_calls_ran() -> None:
    first = a_call(0, cost_nano_usd=5, input_tokens=10, output_tokens=1)
    branch = a_call(9, follows=first.id, cost_nano_usd=7)
    later = a_call(4, follows=first.id, input_tokens=3)
    view = drawn_of(Step(call=first, depth=0), Step(call=branch, depth=1), Step(call=later, depth=0))
    assert [(line.cost_so_far, line.tokens_so_far) for line in view.calls] == [(5, 11), (12, 14), (5, 14)]
    assert [line.mark for line in view.calls] == ["", "branch", ""]
    assert view.cost_nano_usd == 12


def test_unknown_costs_stay_unknown() -> None:
    view = drawn_of(Step(call=a_call(0), depth=0), Step(call=a_call(1, excluded="rerun", cost_nano_usd=3), depth=0))
    assert [line.cost_so_far for line in view.calls] == [None, None]
    assert view.cost_nano_usd is None
    assert view.calls[1].mark == "excluded: rerun"


def test_a_call_that_failed_and_was_made_again_is_no_branch() -> None:
    first = a_call(0)
    failed = a_call(2, follows=first.id, status="error")
    again = a_call(4, follows=first.id, follows_by="retry")
    view = drawn_of(Step(call=first, depth=0), Step(call=failed, depth=1), Step(call=again, depth=0))
    assert [(line.level, line.mark, line.failed) for line in view.calls] == [
        (0, "", False),
        (0, "", True),
        (0, "retry", False),
    ]
    assert view.first_failure is view.calls[1]


def test_calls_fail_first_and_tools_only_where_no_call_failed() -> None:
    tool = a_tool(failed=True, result_call="x", duration_us=SECOND)
    failing = a_call(5, status="truncated")
    view = drawn_of(Step(call=a_call(0), depth=0, tools=(tool,)), Step(call=failing, depth=0))
    assert view.first_failure is not None
    assert view.first_failure.call is failing
    lone = drawn_of(Step(call=a_call(0), depth=0, tools=(tool,)))
    assert lone.first_failure is not None
    assert lone.first_failure.tool is tool
    assert drawn_of(Step(call=a_call(0), depth=0)).first_failure is None


def test_sub_agents_stand_below_the_call_that_began_them() -> None:
    inner = a_trace(Step(call=a_call(2, cost_nano_usd=4), depth=0))
    call = a_call(0, cost_nano_usd=1)
    view = drawn_of(Step(call=call, depth=0, tools=(a_tool(duration_us=5 * SECOND),), begun=(inner,)))
    assert [(line.level, bool(line.tool), bool(line.agent)) for line in view.lines] == [
        (0, False, False),
        (1, True, False),
        (1, False, True),
        (2, False, False),
    ]
    assert [line.number for line in view.lines] == [1, 0, 0, 2]
    assert view.lines[1].span == (call.started_at_us + SECOND, call.started_at_us + 6 * SECOND)
    assert view.agents == {inner.conversation.id}
    assert view.cost_nano_usd == 5


def test_only_calls_that_bring_no_results_of_tools_ask_anew() -> None:
    first = a_call(0)
    second = a_call(3, follows=first.id, follows_by="tool_call")
    third = a_call(6, follows=second.id, follows_by="answer")
    view = drawn_of(Step(call=first, depth=0, tools=(a_tool(),)), Step(call=second, depth=0), Step(call=third, depth=0))
    assert [line.asks for line in view.calls] == [True, False, True]


def test_running_calls_go_on_until_now() -> None:
    running = a_call(0, status="running", latency_us=None)
    assert call_span(running, START + 5 * SECOND) == (START, START + 5 * SECOND)
    assert call_span(a_call(0, status="interrupted", latency_us=None), START + 5 * SECOND) == (START, START)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(-5, 10**9), st.integers(0, 40)), min_size=1, max_size=30))
def test_bars_lie_on_the_axis_however_deep_the_tree(found: list[tuple[int, int, int]]) -> None:
    steps = [
        Step(call=a_call(at, latency_us=latency, ttft_us=latency // 2), depth=depth) for at, latency, depth in found
    ]
    for line in drawn_of(*steps).lines:
        for bar in (line.bar, line.waiting):
            assert bar is None or (bar.x >= 0 and bar.width > 0 and bar.x + bar.width <= 100.01)
        assert 0 <= line.level <= 9


def said(role: str, text: str) -> Message:
    return Message(role=role, parts=(ContentPart(type="text", text=text),))


def test_new_is_what_came_after_the_last_answer() -> None:
    talk = (said("system", "s"), said("user", "a"), said("assistant", "b"), said("tool", "c"), said("user", "d"))
    assert [message.role for message in new_messages(Parsed(input=talk))] == ["tool", "user"]
    assert [message.role for message in new_messages(Parsed(input=talk[:2]))] == ["user"]
    assert list(new_messages(Parsed(input=talk[:3]))) == []
