"""What does not fit a golden case: bulk, bounds, and rules that hold for all answers."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.dialects.base import Bodies
from proxy.dialects.json_values import Notes
from proxy.dialects.openai_chat.chunks import Delta, read_lenient, read_typed
from proxy.dialects.openai_chat.dialect import OpenAIChat
from proxy.records import Parsed

PATH = "/v1/chat/completions"
HELLO = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}


def unary(answer: Any, request: Any = HELLO, status: int = 200) -> Parsed:
    return read(request, orjson.dumps(answer), "application/json", status)


def streamed(*chunks: Any, request: Any = HELLO, end: bytes = b"data: [DONE]\n\n") -> Parsed:
    body = b"".join(b"data: " + orjson.dumps(chunk) + b"\n\n" for chunk in chunks)
    return read(request, body + end, "text/event-stream", 200)


def read(request: Any, response: bytes, content_type: str, status: int | None) -> Parsed:
    return OpenAIChat().parse(
        Bodies(
            path=PATH,
            request=orjson.dumps(request),
            response=response,
            response_headers={"content-type": content_type},
            http_status=status,
        )
    )


def delta(index: int = 0, finish: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": index, "delta": fields, "finish_reason": finish}]}


def message(**fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "message": {"role": "assistant", **fields}, "finish_reason": "stop"}]}


# --- a stream and a unary answer of the same content read alike ---------------------------------------

TEXT = st.text(min_size=1, max_size=20)
CALLS = st.lists(st.tuples(st.text("abc", min_size=1, max_size=5), TEXT), max_size=3)


@settings(deadline=None)
@given(content=TEXT, reasoning=st.none() | TEXT, refusal=st.none() | TEXT, calls=CALLS, data=st.data())
def test_a_stream_reads_like_the_unary_answer(
    content: str, reasoning: str | None, refusal: str | None, calls: list[tuple[str, str]], data: st.DataObject
) -> None:
    tool_calls = [
        {"id": f"call_{index}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for index, (name, arguments) in enumerate(calls)
    ]
    whole = unary(message(content=content, reasoning_content=reasoning, refusal=refusal, tool_calls=tool_calls))
    pieces = [
        *(delta(reasoning_content=letter) for letter in reasoning or ""),
        *(delta(content=letter) for letter in content),
        *(delta(refusal=letter) for letter in refusal or ""),
    ]
    for index, call in enumerate(tool_calls):
        begun = {**call, "index": index, "function": {**call["function"], "arguments": ""}}
        pieces.append(delta(tool_calls=[begun]))
        pieces += [
            delta(tool_calls=[{"index": index, "function": {"arguments": letter}}])
            for letter in call["function"]["arguments"]
        ]
    parsed = streamed(delta(role="assistant", content=""), *pieces, delta(finish="stop"))
    assert parsed.choices == whole.choices
    assert (parsed.output, parsed.tool_calls) == (whole.output, whole.tool_calls)


@settings(deadline=None)
@given(order=st.permutations(range(128)))
def test_many_choices_in_any_order(order: list[int]) -> None:
    answers = [{"index": index, "message": {"role": "assistant", "content": f"<{index}>"}} for index in order]
    parsed = unary({"choices": answers})
    assert [choice.index for choice in parsed.choices] == list(range(128))
    assert parsed.output == "<0>"
    parsed = streamed(*(delta(index, content=f"<{index}>") for index in order))
    assert [choice.index for choice in parsed.choices] == list(range(128))
    assert parsed.output == "<0>"


def test_choices_without_usable_indexes_keep_their_places() -> None:
    for indexes in ([None, None], [0, 0], ["1", 0], [[], {}]):
        answers = [{"index": index, "message": {"content": text}} for index, text in zip(indexes, "ab", strict=True)]
        parsed = unary({"choices": answers})
        assert [choice.index for choice in parsed.choices] == [0, 1]
        assert parsed.output == "a"


# --- the first content ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "silent",
    [
        b": OPENROUTER PROCESSING\n\n",
        b"event: ping\ndata: {}\n\n",
        b'data: {"choices":[],"prompt_filter_results":[{"prompt_index":0}]}\n\n',
        b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null}}]}\n\n',
        b'data: {"choices":[{"index":0,"delta":{},"content_filter_results":{"hate":{}}}]}\n\n',
        b'data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":""}}]}}]}\n\n',
        b'data: {"choices":[{"index":0,"delta":{"tool_calls":[]}}]}\n\n',
        b'data: {"choices":[{"index":0,"delta":{"audio":{"id":"a","expires_at":1}}}]}\n\n',
        b'data: {"choices":[{"index":0,"delta":{"reasoning_content":""}}]}\n\n',
        b'data: {"choices":[],"usage":{"prompt_tokens":1}}\n\n',
        b"data: junk\n\n",
    ],
)
@pytest.mark.parametrize(
    "telling",
    [
        {"content": "x"},
        {"refusal": "x"},
        {"reasoning_content": "x"},
        {"reasoning": "x"},
        {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "{"}}]},
        {"tool_calls": [{"index": 0, "type": "custom", "custom": {"input": "x"}}]},
        {"function_call": {"name": "f"}},
        {"audio": {"transcript": "x"}},
        {"audio": {"data": "AAAA"}},
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "x"}]}]},
    ],
    ids=repr,
)
def test_the_first_content_is_the_first_that_a_reader_would_see(silent: bytes, telling: dict[str, Any]) -> None:
    before = silent * 2
    event = b"data: " + orjson.dumps(delta(**telling)) + b"\n\n"
    parsed = read(HELLO, before + event + event, "text/event-stream", 200)
    assert parsed.first_content_offset == len(before + event)
    assert read(HELLO, before, "text/event-stream", 200).first_content_offset is None


# --- the end --------------------------------------------------------------------------------------------

USAGE = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 1}}


@pytest.mark.parametrize(
    ("chunks", "end", "terminal"),
    [
        ([delta(content="a"), delta(finish="stop"), USAGE], b"data: [DONE]\n\n", True),
        ([delta(content="a")], b"data:[DONE]", True),
        ([delta(content="a")], b"data: [DONE]\n\ndata: [DONE]\n\n", True),
        ([], b"data: [DONE]\n\n", True),
        ([delta(content="a"), delta(finish="stop"), USAGE], b"", True),
        ([delta(content="a"), delta(finish="stop")], b"", False),
        ([delta(content="a"), USAGE], b"", False),
        ([delta(0, "stop", content="a"), delta(1, content="b"), USAGE], b"", False),
        ([delta(content="a")], b"data: [DON", False),
        ([delta(content="data: [DONE]")], b"", False),
    ],
)
def test_when_a_stream_says_that_it_is_whole(chunks: list[Any], end: bytes, terminal: bool) -> None:
    assert streamed(*chunks, end=end).terminal is terminal


def test_usage_after_the_end_still_counts() -> None:
    body = b"data: [DONE]\n\ndata: " + orjson.dumps(USAGE) + b"\n\n"
    parsed = read(HELLO, body, "text/event-stream", 200)
    assert parsed.usage is not None
    assert (parsed.usage.input_tokens, parsed.usage.output_tokens) == (3, 1)


def test_a_unary_answer_is_whole_when_its_json_is() -> None:
    answer = orjson.dumps(message(content="hello"))
    assert read(HELLO, answer, "application/json", 200).terminal is True
    for cut in range(len(answer)):
        assert read(HELLO, answer[:cut], "application/json", 200).terminal is False


# --- how an answer is told from a stream ------------------------------------------------------------------


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/json", "text/event-stream"])
def test_events_are_known_by_their_looks(content_type: str) -> None:
    body = b"\xef\xbb\xbf\r\n: hello\n\ndata: " + orjson.dumps(delta(content="a")) + b"\n\n"
    parsed = read(HELLO, body, content_type, 200)
    assert (parsed.stream, parsed.output) == (True, "a")


def test_an_answer_in_one_piece_to_a_request_for_a_stream() -> None:
    parsed = read({**HELLO, "stream": True}, orjson.dumps(message(content="a")), "text/event-stream", 200)
    assert (parsed.stream, parsed.output, parsed.terminal) == (True, "a", True)


# --- bounds ---------------------------------------------------------------------------------------------


def test_absurdly_long_names_are_left_out_and_noted() -> None:
    long = "m" * (1 << 20)
    parsed = unary(
        {**message(content="a"), "id": long, "model": long, "system_fingerprint": long, "service_tier": long},
        request={**HELLO, "model": long, "user": long, "metadata": {long: "x", "k": long, "__proto__": "p"}},
    )
    assert (parsed.model, parsed.model_requested, parsed.response_id) == (None, None, None)
    assert parsed.identity == {"metadata.__proto__": "p"}
    assert "model has 1048576 characters" in parsed.notes
    assert sum(map(len, parsed.notes)) < 5000


def test_metadata_of_a_thousand_pairs_is_cut() -> None:
    parsed = unary(message(content="a"), request={**HELLO, "metadata": {f"k{n}": n for n in range(1000)}})
    assert len(parsed.identity) == 64
    assert len(parsed.notes) == 1


def test_notes_are_few_however_bad_the_stream() -> None:
    body = b"".join(b"data: {%d\n\n" % number for number in range(5000)) + b"data: [1]\n\n" * 5000
    parsed = read(HELLO, body, "text/event-stream", 200)
    assert len(parsed.notes) <= 32
    assert any(note.endswith("(5000 times)") for note in parsed.notes)


def test_error_messages_are_short() -> None:
    parsed = unary({"error": {"message": "x" * 100_000, "type": "y" * 100_000}}, status=500)
    assert (len(parsed.error_message or ""), len(parsed.error_type or "")) == (2000, 100)
    page = read(HELLO, b"<title" * 100_000 + b"<script" * 100_000, "text/html", 502)
    assert len(page.error_message or "") <= 300


def test_nested_values_that_could_not_be_written_again_are_left_out() -> None:
    deep = b"[" * 600 + b"]" * 600
    body = b'{"choices":[{"message":{"content":"a"},"logprobs":' + deep + b'}],"usage":{"x":' + deep + b"}}"
    parsed = read(HELLO, body, "application/json", 200)
    assert (parsed.output, parsed.choices[0].logprobs, parsed.usage_raw) == ("a", None, None)
    assert {"logprobs is nested too deeply", "usage is nested too deeply"} <= set(parsed.notes)


def test_ten_thousand_messages_and_a_long_one() -> None:
    messages = [{"role": "user", "content": "x"}] * 10_000 + [{"role": "user", "content": "y" * 5_000_000}]
    parsed = unary(message(content="a"), request={"model": "m", "messages": messages})
    assert len(parsed.input) == 10_001
    assert len(parsed.input[-1].parts[0].text or "") == 5_000_000


def test_an_image_of_30_mb_is_measured_and_not_kept() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64," + "A" * 40_000_000}}
    parsed = unary(message(content="a"), request={**HELLO, "messages": [{"role": "user", "content": [image]}]})
    part = parsed.input[0].parts[0]
    assert (part.type, part.media_type, part.size, part.url) == ("image", "image/jpeg", 30_000_000, None)


# --- the quick and the careful way of reading a chunk -------------------------------------------------------

FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "id": st.none() | st.text(max_size=5),
        "choices": st.lists(
            st.fixed_dictionaries(
                {},
                optional={
                    "index": st.integers(0, 5),
                    "delta": st.none()
                    | st.dictionaries(st.sampled_from(["content", "role", "x"]), st.text(max_size=3))
                    | st.just({"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": "{"}}]}),
                    "finish_reason": st.none() | st.just("stop"),
                    "logprobs": st.none() | st.just({"content": []}),
                    "unknown": st.just([{}]),
                },
            ),
            max_size=2,
        ),
        "usage": st.none() | st.just({"prompt_tokens": 1}),
        "error": st.none() | st.just({"message": "x"}),
    },
)


@settings(deadline=None)
@given(fields=FIELDS)
def test_the_careful_way_agrees_with_the_quick_one(fields: dict[str, Any]) -> None:
    quick, careful = read_typed(orjson.dumps(fields)), read_lenient(orjson.dumps(fields), Notes())
    assert (careful.usage, careful.error) == (quick.usage, quick.error)
    assert [
        (choice.index, choice.delta or Delta(), choice.finish_reason, choice.logprobs or None)
        for choice in careful.choices or ()
    ] == [
        (choice.index, choice.delta or Delta(), choice.finish_reason, choice.logprobs or None)
        for choice in quick.choices or ()
    ]


def called(name: str | None, arguments: str, identifier: str | None = None, index: int = 0) -> dict[str, Any]:
    return {"index": index, "id": identifier, "function": {"name": name, "arguments": arguments}}


@pytest.mark.parametrize("identifier", ["", None, "call_1"])
@pytest.mark.parametrize("together", [True, False], ids=["in one chunk", "in two"])
def test_parallel_calls_without_names_of_their_own_are_told_apart(identifier: str | None, together: bool) -> None:
    calls = [called("a", '{"x":1}', identifier), called("b", '{"y":2}', identifier)]
    chunks = [delta(tool_calls=calls)] if together else [delta(tool_calls=[call]) for call in calls]
    made = [(call.name, call.arguments) for call in streamed(*chunks).tool_calls]
    assert made == [("a", '{"x":1}'), ("b", '{"y":2}')]


def test_two_calls_of_one_function_in_a_chunk_are_two() -> None:
    (first, second) = streamed(delta(tool_calls=[called("a", "{}"), called("a", "[]")])).tool_calls
    assert (first.arguments, second.arguments) == ("{}", "[]")


def test_a_name_that_is_repeated_or_comes_in_pieces_begins_no_call() -> None:
    repeated = [delta(tool_calls=[called("look", piece)]) for piece in ("{", "}")]
    pieces = [delta(tool_calls=[called(piece, "")]) for piece in ("lo", "ok")]
    begun = [delta(tool_calls=[called("look", ""), called(None, "{}")])]
    for chunks in (repeated, [*pieces, delta(tool_calls=[called(None, "{}")])], begun):
        (call,) = streamed(*chunks).tool_calls
        assert (call.name, call.arguments) == ("look", "{}")


@pytest.mark.parametrize("error", ["over capacity", {"message": "over capacity"}])
def test_an_error_of_groqs_own_is_a_failure(error: Any) -> None:
    cut = {"x_groq": {"error": error}, "choices": [{"index": 0, "delta": {}, "finish_reason": None}]}
    assert streamed(delta(content="a"), cut).error_message == "over capacity"
    assert unary({"x_groq": {"error": error}, "choices": []}).error_message == "over capacity"


def test_events_behind_many_blanks_are_events() -> None:
    body = b"\n" * 100 + b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'
    for content_type in ("text/event-stream", "text/plain"):
        assert read(HELLO, body, content_type, 200).output == "a"


@pytest.mark.parametrize("role", ["user", "assistant", "system"])
@pytest.mark.parametrize("content", ["said", None, [{"type": "text", "text": "said"}]])
@pytest.mark.parametrize("others", [{"refusal": None}, {"annotations": []}, {"tool_calls": [], "audio": None}])
def test_fields_that_hold_nothing_say_nothing(role: str, content: Any, others: dict[str, Any]) -> None:
    asked = [{"messages": [{"role": role, "content": content, **more}]} for more in ({}, others)]
    without, with_them = (unary({}, request).input for request in asked)
    assert with_them == without


@pytest.mark.parametrize("field", ["images", "tool_calls"])
@pytest.mark.parametrize("bad", [0, False, {}])
def test_what_is_no_list_is_noted_though_it_is_empty(field: str, bad: Any) -> None:
    assert any("not a list" in note for note in unary({}, {"messages": [{"role": "user", field: bad}]}).notes)
