"""Tools as spans: what an answer asks for is recognised in what the next request brings."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.base import Bodies
from proxy.dialects.table import choose
from proxy.ingest.spans import asked, brought, digest_of
from proxy.records import ContentPart, Message, Parsed, ToolCall


def call(tool_id: str | None, name: str | None, arguments: str) -> ContentPart:
    return ContentPart(type="tool_call", tool_call_id=tool_id, name=name, arguments=arguments)


def result(tool_id: str | None, text: str, name: str | None = None, *, failed: bool | None = None) -> ContentPart:
    return ContentPart(type="tool_result", tool_call_id=tool_id, name=name, text=text, failed=failed)


def said(role: str, *parts: ContentPart) -> Message:
    return Message(role=role, parts=parts)


def spans_of(*tools: tuple[str | None, str | None, str]) -> list[int]:
    parsed = Parsed(tool_calls=tuple(ToolCall(id=i, name=n, arguments=a) for i, n, a in tools))
    return [span.digest for span in asked(parsed)]


def test_results_are_paired_by_id_in_whatever_order() -> None:
    first, second = spans_of(("a", "add", '{"x":1}'), ("b", "add", '{"x":2}'))
    found = brought(
        [
            said("user", ContentPart(type="text", text="hi")),
            said("assistant", call("a", "add", '{"x":1}'), call("b", "add", '{"x":2}')),
            said("tool", result("b", "three", failed=True)),
            said("tool", result("a", "é")),
        ]
    )
    assert [(each.digest, each.bytes, each.failed) for each in found] == [(second, 5, True), (first, 2, None)]


@pytest.mark.parametrize("rewritten", ['{"y":2,"x":1}', '{ "x": 1, "y": 2 }', '{"x":1.0,"y":2}'])
def test_arguments_may_be_written_again_in_another_way(rewritten: str) -> None:
    (span,) = spans_of(("a", "add", '{"x":1,"y":2}'))
    (found,) = brought([said("assistant", call("a", "add", rewritten)), said("tool", result("a", "3"))])
    assert found.digest == span


def test_without_ids_names_and_then_order_decide() -> None:
    weather, clock = spans_of((None, "weather", "{}"), (None, "clock", ""))
    found = brought(
        [
            said("assistant", call(None, "weather", "{}"), call(None, "clock", "{}")),
            said("tool", result(None, "12:00", "clock")),
            said("tool", result(None, "rain")),
        ]
    )
    assert [each.digest for each in found] == [clock, weather]


def test_a_call_is_given_to_one_result_only() -> None:
    messages = [said("assistant", call("a", "add", "{}")), said("tool", result(None, "1"), result("a", "2"))]
    assert [each.bytes for each in brought(messages)] == [1]


def test_thousands_of_results_in_any_order_are_paired_in_linear_time_up_to_a_bound() -> None:
    calls = [call(f"call_{number}", "add", f'{{"x":{number}}}') for number in range(20_000)]
    results = [result(f"call_{number}", "1") for number in reversed(range(20_000))]
    assert brought([said("assistant", *calls), said("tool", *results)]) == ()
    assert len(brought([said("assistant", *calls[:1000]), said("tool", *results[-1000:])])) == 1000


def test_only_results_for_the_last_answer_are_news() -> None:
    earlier = [said("assistant", call("a", "add", "{}")), said("tool", result("a", "1"))]
    assert brought([*earlier, said("assistant", ContentPart(type="text", text="done")), said("user")]) == brought(
        [*earlier]
    )
    (found,) = brought([*earlier, said("assistant", call("b", "add", "{}")), said("tool", result("b", "22"))])
    assert found.digest == spans_of(("b", "add", "{}"))[0]


def test_calls_in_messages_of_their_own_are_one_answer() -> None:
    found = brought(
        [
            said("assistant", call("a", "add", "{}")),
            said("assistant", call("b", "add", "{}")),
            said("tool", result("a", "1")),
            said("tool", result("b", "2")),
        ]
    )
    assert len(found) == 2


def test_results_without_a_call_are_nothing() -> None:
    assert brought([said("tool", result("a", "1"))]) == ()
    assert brought([said("assistant", call("b", "add", "{}")), said("tool", result("a", "1"))]) == ()
    assert brought([]) == ()


def test_what_the_provider_ran_itself_waits_for_no_result() -> None:
    server = ContentPart(type="tool_call", tool_call_id="a", name="web_search", arguments="{}", server=True)
    assert brought([said("assistant", server), said("user", result("a", "found"))]) == ()


def test_an_answer_and_the_next_request_agree_in_openai_chat() -> None:
    tool = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"x": 1}'}}
    answer = {"choices": [{"index": 0, "message": {"role": "assistant", "tool_calls": [tool]}}]}
    messages = [{"role": "assistant", "tool_calls": [tool]}, {"role": "tool", "tool_call_id": "call_1", "content": "2"}]
    path = "/v1/chat/completions"
    dialect = choose(path, {}, "")
    first = dialect.parse(Bodies(path=path, request=b"{}", response=orjson.dumps(answer), http_status=200))
    second = dialect.parse(Bodies(path=path, request=orjson.dumps({"messages": messages}), response=b""))
    assert [span.digest for span in asked(first)] == [each.digest for each in brought(second.input)]


@given(st.lists(st.binary(), max_size=3), st.lists(st.binary(), max_size=3))
def test_digests_tell_lists_of_texts_apart(one: list[bytes], other: list[bytes]) -> None:
    assert (digest_of(*one) == digest_of(*other)) == (one == other)
    assert -(1 << 63) <= digest_of(*one) < 1 << 63
