"""What does not fit a golden case: streams against unary answers, names that repeat, bulk, and later calls."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.dialects.base import Bodies
from proxy.dialects.openai_responses.dialect import OpenAIResponses
from proxy.records import Parsed, evolve

PATH = "/v1/responses"
HELLO = {"model": "gpt-5", "input": "hi"}


def unary(answer: Any, request: Any = HELLO, method: str = "POST", path: str = PATH) -> Parsed:
    return read(request, orjson.dumps(answer), "application/json", method, path)


def streamed(*events: dict[str, Any], request: Any = HELLO, end: bytes = b"") -> Parsed:
    return read(request, b"".join(map(event, events)) + end, "text/event-stream")


def event(fields: dict[str, Any]) -> bytes:
    return b"event: " + fields.get("type", "message").encode() + b"\ndata: " + orjson.dumps(fields) + b"\n\n"


def read(request: Any, response: bytes, content_type: str, method: str = "POST", path: str = PATH) -> Parsed:
    return OpenAIResponses().parse(
        Bodies(
            path=path,
            method=method,
            request=request if isinstance(request, bytes) else orjson.dumps(request),
            response=response,
            response_headers={"content-type": content_type},
            http_status=200,
        )
    )


def response(output: list[Any], status: str = "completed", **more: Any) -> dict[str, Any]:
    return {"id": "resp_1", "object": "response", "status": status, "model": "gpt-5", "output": output, **more}


def delta(kind: str, piece: str, **place: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}.delta", **place, "delta": piece}


def item_events(item: dict[str, Any], index: int) -> list[dict[str, Any]]:
    """An item letter by letter, without the event that repeats it whole."""
    place = {"item_id": item["id"], "output_index": index}
    begun = {**item, **{key: type(item[key])() for key in ("content", "summary", "arguments", "input") if key in item}}
    events: list[dict[str, Any]] = [{"type": "response.output_item.added", "output_index": index, "item": begun}]
    for key, kind in (("arguments", "function_call_arguments"), ("input", "custom_tool_call_input")):
        events += [delta(kind, letter, **place) for letter in item.get(key, "")]
    for at, part in enumerate(item.get("summary", ())):
        events += [delta("reasoning_summary_text", letter, **place, summary_index=at) for letter in part["text"]]
    for at, part in enumerate(item.get("content", ())):
        key, kind = ("refusal", "refusal") if part["type"] == "refusal" else ("text", "output_text")
        events += [delta(kind, letter, **place, content_index=at) for letter in part[key]]
    return events


# --- a stream and a unary answer of the same content read alike ---------------------------------------

TEXT = st.text(min_size=1, max_size=12)
PARTS = st.lists(
    TEXT.map(lambda said: {"type": "output_text", "text": said})
    | TEXT.map(lambda said: {"type": "refusal", "refusal": said}),
    min_size=1,
    max_size=3,
)
ITEMS = st.lists(
    PARTS.map(lambda parts: {"type": "message", "role": "assistant", "content": parts})
    | st.lists(TEXT.map(lambda said: {"type": "summary_text", "text": said}), min_size=1, max_size=3).map(
        lambda parts: {"type": "reasoning", "summary": parts}
    )
    | TEXT.map(lambda said: {"type": "function_call", "call_id": said, "name": "f", "arguments": said})
    | TEXT.map(lambda said: {"type": "custom_tool_call", "call_id": said, "name": "g", "input": said}),
    min_size=1,
    max_size=4,
)


def read_alike(parsed: Parsed, whole: Parsed) -> bool:
    return [choice.message for choice in parsed.choices] == [choice.message for choice in whole.choices] and (
        parsed.output, parsed.reasoning, parsed.refusal, parsed.tool_calls
    ) == (whole.output, whole.reasoning, whole.refusal, whole.tool_calls)  # fmt: skip


@settings(deadline=None)
@given(items=ITEMS)
def test_a_stream_gathered_from_pieces_reads_like_the_unary_answer(items: list[dict[str, Any]]) -> None:
    output = [{**item, "id": f"id_{place}"} for place, item in enumerate(items)]
    whole = unary(response(output))
    pieces = [each for place, item in enumerate(output) for each in item_events(item, place)]
    assert read_alike(streamed(*pieces), whole)
    last = {"type": "response.completed", "response": response(output)}
    ended = streamed(*pieces, last)
    assert read_alike(ended, whole)
    assert (ended.finish_reason, ended.terminal) == ("completed", True)
    assert ended.first_content_offset == streamed(*pieces).first_content_offset


@settings(deadline=None)
@given(items=ITEMS, data=st.data())
def test_pieces_of_several_items_may_come_in_any_mixture(items: list[dict[str, Any]], data: st.DataObject) -> None:
    output = [{**item, "id": f"id_{place}"} for place, item in enumerate(items)]
    waiting = [item_events(item, place) for place, item in enumerate(output)]
    mixed = []
    while any(waiting):
        mixed.append(data.draw(st.sampled_from([events for events in waiting if events])).pop(0))
    assert read_alike(streamed(*mixed), unary(response(output)))


@pytest.mark.parametrize("field", ["item_id", "output_index"])
@pytest.mark.parametrize("missing", [None, "", "absent"])
def test_one_name_of_an_item_is_enough(field: str, missing: str | None) -> None:
    output = [
        {"type": "function_call", "id": f"fc_{n}", "call_id": f"call_{n}", "name": "f", "arguments": f'{{"n":{n}}}'}
        for n in range(3)
    ]
    events = [each for n, item in enumerate(output) for each in item_events(item, n)]
    for each in events:
        if missing == "absent":
            each.pop(field, None)
        elif field in each:
            each[field] = missing
    assert streamed(*events).tool_calls == unary(response(output)).tool_calls


def test_items_that_share_every_name_are_told_apart_by_their_ends() -> None:
    events = []
    for arguments in ("{}", "[]", "{}"):
        item = {"type": "function_call", "id": None, "call_id": None, "name": "f", "arguments": arguments}
        events += [*item_events(item, 0), {"type": "response.output_item.done", "output_index": 0, "item": item}]
    assert [call.arguments for call in streamed(*events).tool_calls] == ["{}", "[]", "{}"]


def test_items_told_only_as_a_whole_are_all_there() -> None:
    done = [
        {"type": "response.output_item.done", "item": {"type": "message", "role": "assistant", "content": said}}
        for said in "abc"
    ]
    assert streamed(*done).output == "abc"


def test_a_whole_text_takes_the_place_of_its_pieces() -> None:
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    said = {"type": "response.output_text.done", **place, "text": "Hello"}
    assert streamed(delta("output_text", "Hel", **place), said).output == "Hello"
    assert streamed(said).first_content_offset == len(event(said))


# --- the first content and the end ------------------------------------------------------------------------

PLACE = {"item_id": "x", "output_index": 0, "content_index": 0}


def added(**item: Any) -> dict[str, Any]:
    return {"type": "response.output_item.added", "output_index": 0, "item": item}


@pytest.mark.parametrize(
    "silent",
    [
        {"type": "response.created", "response": response([], "in_progress")},
        {"type": "keepalive"},
        added(type="message", role="assistant", content=[]),
        added(type="reasoning", summary=[], encrypted_content="gAAAAAB"),
        added(type="web_search_call", action={"type": "search"}, status="in_progress"),
        {"type": "response.content_part.added", **PLACE, "part": {"type": "output_text", "text": ""}},
        {"type": "response.web_search_call.searching", "item_id": "x", "output_index": 0},
        {"type": "response.function_call_arguments.delta", **PLACE, "delta": ""},
        {"type": "response.output_text.done", **PLACE, "text": ""},
        {"type": "response.next_year.delta", **PLACE, "delta": "x"},
    ],
    ids=lambda fields: str(fields["type"]),
)
@pytest.mark.parametrize(
    "telling",
    [
        delta("output_text", "x", **PLACE),
        delta("refusal", "x", **PLACE),
        delta("reasoning_text", "x", **PLACE),
        delta("reasoning_summary_text", "x", **PLACE),
        delta("function_call_arguments", "{", **PLACE),
        delta("custom_tool_call_input", "x", **PLACE),
        delta("mcp_call_arguments", "{", **PLACE),
        delta("code_interpreter_call_code", "x", **PLACE),
        delta("audio", "AAAA"),
        added(type="function_call", name="f", arguments=""),
        {"type": "response.output_item.done", "item": {"type": "web_search_call", "action": {"query": "x"}}},
        {"type": "response.content_part.done", **PLACE, "part": {"type": "output_text", "text": "x"}},
        {"type": "response.image_generation_call.partial_image", "item_id": "x", "partial_image_b64": "AAAA"},
    ],
    ids=lambda fields: str(fields["type"]),
)
def test_the_first_content_is_the_first_that_a_reader_would_see(
    silent: dict[str, Any], telling: dict[str, Any]
) -> None:
    before, told = event(silent) * 2, event(telling)
    assert read(HELLO, before, "text/event-stream").first_content_offset is None
    assert read(HELLO, before + told + told, "text/event-stream").first_content_offset == len(before + told)


@pytest.mark.parametrize(
    ("last", "terminal"),
    [
        ({"type": "response.completed", "response": response([])}, True),
        ({"type": "response.incomplete", "response": response([], "incomplete")}, True),
        ({"type": "response.failed", "response": response([], "failed")}, True),
        ({"type": "error", "message": "x"}, True),
        ({"type": "response.completed"}, True),
        ({"type": "response.output_text.done", **PLACE, "text": "a"}, False),
        ({"type": "response.in_progress", "response": response([])}, False),
        ({"type": "response.web_search_call.completed"}, False),
        ({"type": "response.steer.failed", "error": {"message": "x"}}, False),
    ],
)
def test_when_a_stream_says_that_it_is_whole(last: dict[str, Any], terminal: bool) -> None:
    assert streamed(delta("output_text", "a", **PLACE), last).terminal is terminal
    cut = b"".join(map(event, [delta("output_text", "a", **PLACE), last]))[:-6]
    assert read(HELLO, cut, "text/event-stream").terminal is (last["type"] == "error")


def test_an_end_that_openai_does_not_send_is_one() -> None:
    assert streamed(delta("output_text", "a"), end=b"data: [DONE]\n\n").terminal is True
    assert streamed(delta("output_text", "[DONE]")).terminal is False


def test_a_unary_answer_is_whole_when_its_json_is() -> None:
    answer = orjson.dumps(response([{"type": "message", "role": "assistant", "content": "hello"}]))
    assert read(HELLO, answer, "application/json").terminal is True
    for cut in range(len(answer)):
        assert read(HELLO, answer[:cut], "application/json").terminal is False


# --- prompts ------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(items=ITEMS)
def test_a_prompt_that_repeats_an_answer_repeats_its_message(items: list[dict[str, Any]]) -> None:
    answered = unary(response(items)).choices[0].message
    asked = unary(response([]), {"input": [{"role": "user", "content": "a"}, *items, {"role": "user", "content": "b"}]})
    assert asked.input[1] == answered
    assert len(asked.input) == 3


def test_nothing_that_is_encrypted_or_media_is_text() -> None:
    secret, picture = "gAAAAAB" * 9, "iVBORw0KGgo" * 9
    items = [
        {"type": "reasoning", "summary": [], "encrypted_content": secret},
        {"type": "compaction", "encrypted_content": secret},
        {"type": "image_generation_call", "result": picture},
        {"type": "computer_call_output", "call_id": "c", "output": {"image_url": "data:image/png;base64," + picture}},
        {"role": "user", "content": [{"type": "input_image", "image_url": "data:image/png;base64," + picture}]},
        {"role": "user", "content": [{"type": "input_file", "file_data": picture, "filename": "a"}]},
        {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": picture, "format": "mp3"}}]},
    ]
    parsed = unary(response(items), {"model": "m", "input": items})
    read_back = orjson.dumps([repr(parsed.input), repr(parsed.choices), repr(parsed.documents), repr(parsed.notes)])
    assert secret.encode() not in read_back
    assert picture.encode() not in read_back
    assert [part.size for message in parsed.input[1:] for part in message.parts if part.type != "tool_result"] == [
        len(picture) * 3 // 4
    ] * 4


# --- later calls ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "retrieved"),
    [
        ("POST", "/v1/responses", False),
        ("GET", "/v1/responses/resp_1", True),
        ("GET", "/v1/responses/resp_1/", True),
        ("POST", "/v1/responses/resp_1/cancel", True),
        ("GET", "/v1/responses/resp_1/input_items", False),
        ("DELETE", "/v1/responses/resp_1", False),
    ],
)
def test_what_is_fetched_later(method: str, path: str, retrieved: bool) -> None:
    parsed = unary(response([], "in_progress"), b"" if method != "POST" else HELLO, method, path)
    assert (parsed.retrieved, parsed.background) == (retrieved, False)


@pytest.mark.parametrize("status", ["queued", "in_progress"])
def test_an_answer_that_is_not_there_yet(status: str) -> None:
    parsed = unary(response([], status, usage=None, error=None, background=True), {**HELLO, "background": True})
    assert parsed.background
    assert (parsed.choices, parsed.output, parsed.usage, parsed.error_type, parsed.finish_reason) == (
        (), None, None, None, None,
    )  # fmt: skip


# --- bulk and damage --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [600, 100_000])
def test_depth_is_noted_and_raises_nothing(depth: int) -> None:
    deep = b"[" * depth + b"]" * depth
    request = b'{"model":"m","input":[{"type":"function_call","arguments":' + deep + b"}]}"
    answer = b'{"output":[{"type":"web_search_call","action":{"query":' + deep + b'}}],"usage":{"x":' + deep + b"}}"
    unread = read(request, answer, "application/json")
    assert unread.usage_raw is None
    assert unread.notes
    events = b'data: {"type":"response.output_item.done","item":' + deep + b"}\n\n"
    events += (
        b'data: {"type":"response.output_text.delta","delta":' + deep + b"}\n\n" + event(delta("output_text", "a"))
    )
    assert read(HELLO, events, "text/event-stream").output == "a"


def test_ten_thousand_items_and_notes_that_stay_few() -> None:
    items = [{"type": "function_call_output", "call_id": n, "output": "x"} for n in range(10_000)]
    parsed = unary(response([{"type": "message", "content": 7}] * 10_000), {"model": "m", "input": items})
    assert len(parsed.input) == 10_000
    assert len(parsed.notes) <= 32


def test_absurd_indexes_cost_nothing() -> None:
    parsed = streamed(
        delta("output_text", "b", output_index=10**18, content_index=10**18, item_id="x" * 100_000),
        delta("output_text", "a", output_index=-(10**18), content_index=-1),
    )
    assert parsed.output == "ab"


def test_usage_is_what_the_last_event_says() -> None:
    first = {"type": "response.in_progress", "response": response([], "in_progress", usage={"input_tokens": 1})}
    last = {"type": "response.completed", "response": response([], usage={"input_tokens": 3, "output_tokens": 2})}
    usage = streamed(first, delta("output_text", "a"), last).usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens, usage.requests) == (3, 2, {})


KEYS = (
    "type", "id", "item_id", "output_index", "content", "content_index", "text", "delta", "summary", "action", "output",
    "outcome", "results", "annotations", "part", "item", "response", "error", "status", "logprobs", "image_url",
)  # fmt: skip
TYPES = (
    "message", "reasoning", "function_call", "function_call_output", "web_search_call", "file_search_call",
    "code_interpreter_call", "image_generation_call", "shell_call", "shell_call_output", "mcp_call", "mcp_list_tools",
    "computer_call_output", "tool_search_output", "output_text.delta", "output_text.done", "content_part.added",
    "output_item.added", "output_text.annotation.added", "web_search_call.completed", "completed", "failed", "error",
)  # fmt: skip


@settings(deadline=None)
@given(
    values=st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
        max_leaves=12,
    ),
    kind=st.sampled_from(TYPES),
)
def test_ill_typed_values_raise_nothing(values: Any, kind: str) -> None:
    item = {"type": kind, **values} if isinstance(values, dict) else values
    body = {"input": [item, values], "instructions": values, "tools": values, "metadata": values}
    parsed = unary({"output": [item, values], "usage": values, "error": values, "moderation": values}, body)
    orjson.dumps(parsed.usage_raw)
    told = {**values, "type": f"response.{kind}"} if isinstance(values, dict) else {"type": kind, "item": values}
    streamed(
        told, {"type": "response.output_item.done", "item": item}, {"type": "response.completed", "response": values}
    )
    assert evolve(parsed, notes=()).terminal is True


def test_an_error_among_the_events_of_a_whole_stream_is_told() -> None:
    item = {"type": "message", "id": "m", "role": "assistant", "content": [{"type": "output_text", "text": "ab"}]}
    said = [delta("output_text", piece, output_index=0, item_id="m") for piece in ("a", "b")]
    error = {"type": "error", "code": "server_error", "message": "lost"}
    last = {"type": "response.completed", "response": response([item])}
    parsed = streamed(said[0], error, said[1], last)
    assert (parsed.output, parsed.error_type, parsed.error_message) == ("ab", "server_error", "lost")
    assert streamed(*said, last).error_type is None


def test_an_answer_that_a_filter_cut_short_was_filtered() -> None:
    parsed = unary(response([], "incomplete", incomplete_details={"reason": "content_filter"}))
    assert (parsed.content_filter, parsed.finish_reason) == ("output", "content_filter")
    assert unary(response([], "incomplete", incomplete_details={"reason": "max_output_tokens"})).content_filter is None
