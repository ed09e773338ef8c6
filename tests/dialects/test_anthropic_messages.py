"""What does not fit a golden case: bulk, bounds, and rules that hold for all answers."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.dialects.anthropic_messages.dialect import AnthropicMessages
from proxy.dialects.anthropic_messages.events import read_leniently, typed
from proxy.dialects.anthropic_messages.results import result_failed
from proxy.dialects.base import Bodies
from proxy.dialects.json_values import Notes
from proxy.records import Parsed, Usage

PATH = "/v1/messages"
HELLO = {"model": "claude-sonnet-4-5", "messages": [{"role": "user", "content": "hi"}]}
START: dict[str, Any] = {"type": "message_start", "message": {"id": "msg_1", "role": "assistant", "content": []}}
STOP = {"type": "message_stop"}


def unary(answer: Any, request: Any = HELLO, status: int = 200, path: str = PATH) -> Parsed:
    return read(request, orjson.dumps(answer), "application/json", status, path)


def streamed(*events: Any, named: bool = True) -> Parsed:
    return read(HELLO, b"".join(written(event, named) for event in events), "text/event-stream", 200)


def written(event: dict[str, Any], named: bool = True) -> bytes:
    line = f"event: {event['type']}\n".encode() if named else b""
    return line + b"data: " + orjson.dumps(event) + b"\n\n"


def read(request: Any, response: bytes, content_type: str, status: int | None, path: str = PATH) -> Parsed:
    return AnthropicMessages().parse(
        Bodies(
            path=path,
            request=request if isinstance(request, bytes) else orjson.dumps(request),
            response=response,
            response_headers={"content-type": content_type},
            http_status=status,
        )
    )


def message(*content: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": list(content), "stop_reason": "end_turn", **fields}


def begin(index: int, **block: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index: int = 0, **fields: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": fields}


def end(usage: Any = None, stop_reason: str | None = "end_turn") -> dict[str, Any]:
    return {"type": "message_delta", "delta": {"stop_reason": stop_reason}, "usage": usage}


def usage_of(reported: Any) -> Usage | None:
    return unary(message(usage=reported)).usage


# --- a stream and a unary answer of the same content read alike ---------------------------------------

TEXT = st.text(min_size=1, max_size=15)
BLOCKS = st.lists(
    st.builds(lambda text: {"type": "text", "text": text}, TEXT)
    | st.builds(lambda text: {"type": "thinking", "thinking": text}, TEXT)
    | st.builds(
        lambda kind, name, text: {"type": kind, "id": f"id_{name}", "name": name, "input": text},
        st.sampled_from(["tool_use", "server_tool_use", "mcp_tool_use"]),
        st.text("abc", min_size=1, max_size=5),
        TEXT,
    )
    | st.just({"type": "redacted_thinking", "data": "Emw="})
    | st.just({"type": "web_search_tool_result", "tool_use_id": "t", "content": [{"title": "T", "url": "https://x"}]}),
    max_size=5,
)
EMPTY = {"text": "", "thinking": "", "input": {}}
DELTAS = {"text": "text", "thinking": "thinking", "input": "partial_json"}


def events_of(blocks: list[dict[str, Any]], indexes: list[int]) -> list[dict[str, Any]]:
    """The events of blocks, each after the other, a letter a delta."""
    events = []
    for index, block in zip(indexes, blocks, strict=True):
        events.append(begin(index, **(block | {key: EMPTY[key] for key in EMPTY if key in block})))
        for key, piece in DELTAS.items():
            events += [delta(index, **{piece: letter}) for letter in block.get(key, "")]
        events.append({"type": "content_block_stop", "index": index})
    return events


@settings(deadline=None)
@given(blocks=BLOCKS, named=st.booleans(), data=st.data())
def test_a_stream_reads_like_the_unary_answer(blocks: list[dict[str, Any]], named: bool, data: st.DataObject) -> None:
    """However its blocks are numbered, and whether its events have names or not."""
    indexes = data.draw(st.lists(st.integers(0, 3), min_size=len(blocks), max_size=len(blocks)))
    whole = unary(message(*blocks))
    parsed = streamed(START, {"type": "ping"}, *events_of(blocks, indexes), end(), STOP, named=named)
    assert parsed.choices == whole.choices
    assert (parsed.output, parsed.reasoning, parsed.tool_calls) == (whole.output, whole.reasoning, whole.tool_calls)
    assert parsed.documents == whole.documents


@settings(deadline=None)
@given(blocks=BLOCKS)
def test_blocks_under_way_at_once_do_not_mix(blocks: list[dict[str, Any]]) -> None:
    streams = [events_of([block], [index]) for index, block in enumerate(blocks)]
    first = [stream.pop(0) for stream in streams]
    longest = max(map(len, streams), default=0)
    mixed = [stream[turn] for turn in range(longest) for stream in streams if turn < len(stream)]
    assert streamed(START, *first, *mixed, end(), STOP).choices == unary(message(*blocks)).choices


def test_input_is_kept_as_it_was_sent() -> None:
    tool = {"type": "tool_use", "id": "t", "name": "f"}
    for pieces, arguments in [
        (["", '{"a": ', "1}"], '{"a": 1}'),
        ([], "{}"),
        (["", ""], "{}"),
        (['{"a": [1,'], '{"a": [1,'),
        (['"\\ud8', '00"'], '"\\ud800"'),
    ]:
        parsed = streamed(START, begin(0, **tool, input={}), *(delta(partial_json=piece) for piece in pieces), STOP)
        assert [call.arguments for call in parsed.tool_calls] == [arguments]


# --- the first content ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "silent",
    [
        b": OPENROUTER PROCESSING\n\n",
        b"event: ping\ndata: {}\n\n",
        written({"type": "ping"}),
        written(START),
        written(begin(0, type="text", text="")),
        written(begin(0, type="thinking", thinking="", signature="")),
        written(begin(0, type="tool_use", id="t", name="", input={})),
        written(delta(type="text_delta", text="")),
        written(delta(type="input_json_delta", partial_json="")),
        written(delta(type="signature_delta", signature="EqQB")),
        written(delta(type="citations_delta", citation={"cited_text": "x"})),
        written(end({"output_tokens": 1}, None)),
        b"data: junk\n\n",
    ],
)
@pytest.mark.parametrize(
    "telling",
    [
        delta(type="text_delta", text="x"),
        delta(type="thinking_delta", thinking="x"),
        delta(type="input_json_delta", partial_json="{"),
        delta(type="compaction_delta", content="x"),
        begin(0, type="tool_use", id="t", name="f", input={}),
        begin(0, type="server_tool_use", id="t", name="web_search", input={}),
        begin(0, type="redacted_thinking", data="Emw="),
        begin(0, type="text", text="x"),
    ],
)
def test_the_first_content_is_known_by_its_offset(silent: bytes, telling: dict[str, Any]) -> None:
    before = silent * 3 + written(telling)
    body = before + written(delta(type="text_delta", text="more")) + written(STOP)
    assert read(HELLO, body, "text/event-stream", 200).first_content_offset == len(before)
    assert read(HELLO, silent * 3, "text/event-stream", 200).first_content_offset is None


# --- where an answer ends ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("last", "whole"),
    [
        (b"", False),
        (written(end({"output_tokens": 1})), False),
        (written(STOP), True),
        (written(STOP, named=False), True),
        (b"event: message_stop\ndata: {}\n\n", True),
        (b"data: [DONE]\n\n", True),
        (written({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}), True),
        (b"event: error\ndata: overloaded\n\n", True),
        (b'data: {"error":"overloaded"}\n\n', True),
    ],
)
def test_what_ends_a_stream(last: bytes, whole: bool) -> None:
    parsed = read(HELLO, written(START) + written(delta(text="a")) + last, "text/event-stream", 200)
    assert (parsed.terminal, parsed.output) == (whole, "a")
    assert (parsed.error_type is not None) == (b"rror" in last)
    assert parsed.error_message is None or "verloaded" in parsed.error_message


def test_a_unary_answer_is_whole_when_its_json_is() -> None:
    answer = orjson.dumps(message({"type": "text", "text": "hello"}))
    assert read(HELLO, answer, "application/json", 200).terminal is True
    for cut in range(len(answer)):
        assert read(HELLO, answer[:cut], "application/json", 200).terminal is False


# --- tokens -----------------------------------------------------------------------------------------------

COUNT = st.none() | st.integers(0, 10**6)


@given(plain=st.integers(0, 10**6), read_tokens=COUNT, written_tokens=COUNT)
def test_what_caches_had_part_in_comes_on_top(plain: int, read_tokens: int | None, written_tokens: int | None) -> None:
    reported = {
        "input_tokens": plain,
        "cache_read_input_tokens": read_tokens,
        "cache_creation_input_tokens": written_tokens,
    }
    counted = usage_of(reported)
    assert counted == Usage(
        input_tokens=plain + (read_tokens or 0) + (written_tokens or 0),
        cached_tokens=read_tokens,
        cache_write_tokens=written_tokens,
    )


@pytest.mark.parametrize("reported", [None, {}, [], "12", 7, {"input_tokens": None}, {"input_tokens": -1}, {"x": 1}])
def test_no_usage_is_none_and_not_zero(reported: Any) -> None:
    assert usage_of(reported) is None
    assert streamed(START, end(reported), STOP).usage is None


@pytest.mark.parametrize("awkward", [-1, "9", 1.5, True, [], {}, 1e300, 2**70 * 1.0])
def test_a_count_that_is_none_is_unknown_and_the_others_hold(awkward: Any) -> None:
    parsed = unary(message(usage={"input_tokens": 3, "cache_read_input_tokens": 2, "output_tokens": awkward}))
    assert parsed.usage == Usage(input_tokens=5, cached_tokens=2)
    assert any(note.startswith("usage.output_tokens is") for note in parsed.notes)


@given(counts=st.lists(st.integers(1, 10**6), min_size=1, max_size=8))
def test_of_cumulative_counts_the_last_holds(counts: list[int]) -> None:
    first = {**START["message"], "usage": {"input_tokens": 7, "output_tokens": 1}}
    events = [{"type": "message_start", "message": first}, *(end({"output_tokens": number}) for number in counts)]
    assert streamed(*events, STOP).usage == Usage(input_tokens=7, output_tokens=counts[-1])


def test_the_count_in_the_beginning_of_a_stream_is_not_the_answers() -> None:
    first = {**START["message"], "usage": {"input_tokens": 7, "output_tokens": 4}}
    begun = {"type": "message_start", "message": first}
    assert streamed(begun, delta(text="a")).usage == Usage(input_tokens=7)
    assert streamed(begun, delta(text="a"), end(), STOP).usage == Usage(input_tokens=7)
    assert streamed(begun, delta(text="a"), STOP).usage == Usage(input_tokens=7)
    assert streamed(begun, STOP).usage == Usage(input_tokens=7, output_tokens=4)


def test_a_program_without_a_return_code_has_not_failed() -> None:
    assert result_failed({"type": "bash_code_execution_result", "return_code": None}) is False
    assert result_failed({"type": "bash_code_execution_result", "return_code": 1}) is True


def test_later_input_counts_replace_the_earlier_ones_together() -> None:
    first = {**START["message"], "usage": {"input_tokens": 100, "cache_read_input_tokens": 0}}
    begun = {"type": "message_start", "message": first}
    cached = streamed(begun, end({"input_tokens": 0, "cache_read_input_tokens": 100, "output_tokens": 1}), STOP)
    assert cached.usage == Usage(input_tokens=100, cached_tokens=100, output_tokens=1)
    zeros = streamed(begun, end({"input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 1}), STOP)
    assert zeros.usage == Usage(input_tokens=100, cached_tokens=0, output_tokens=1)


@pytest.mark.parametrize(
    ("cost", "nano_usd"),
    [(0.000072, 72_000), (0, 0), (1, 10**9), (None, None), (-1, None), ("1", None), (True, None), (1e30, None)],
)
def test_what_a_gateway_charges(cost: Any, nano_usd: int | None) -> None:
    assert unary(message(usage={"input_tokens": 1, "cost": cost})).cost_nano_usd == nano_usd


@pytest.mark.parametrize("path", [PATH + "/count_tokens", "/anthropic/v1/messages/count_tokens/"])
def test_tokens_counted_in_advance_are_no_usage(path: str) -> None:
    parsed = unary({"input_tokens": 2095}, path=path)
    assert (parsed.results, parsed.usage, parsed.usage_raw, parsed.choices) == (2095, None, None, ())
    assert (parsed.finish_reason, parsed.terminal, parsed.output) == (None, True, None)


# --- bounds ---------------------------------------------------------------------------------------------


def test_absurdly_long_names_are_left_out_or_cut() -> None:
    long = "m" * (1 << 20)
    parsed = unary(
        message(
            {"type": long, "text": "x"},
            {"type": "tool_use", "id": long, "name": long, "input": {}},
            {"type": "text", "text": "a", "citations": [{"title": long, "url": "https://" + long, "source": long}]},
            id=long,
            model=long,
            usage={
                "service_tier": long,
                "speed": long,
                "inference_geo": long,
                "server_tool_use": {f"{long}_requests": 1},
            },
        ),
        request={**HELLO, "model": long, "speed": long, "metadata": {"user_id": long}},
    )
    assert (parsed.model, parsed.model_requested, parsed.response_id, parsed.speed) == (None, None, None, None)
    assert (parsed.service_tier, parsed.region, parsed.identity, parsed.usage) == (None, None, {}, None)
    assert len(parsed.documents[0].title or "") < 5000
    assert sum(map(len, parsed.notes)) < 10_000


@pytest.mark.parametrize("depth", [600, 100_000])
def test_deep_nesting_is_a_note(depth: int) -> None:
    deep = b"[" * depth + b"]" * depth
    start = (
        b'data: {"type":"content_block_start","content_block":{"type":"tool_use","name":"f","input":' + deep + b"}}\n\n"
    )
    stream = read(HELLO, start + written(delta(text="a")) + written(STOP), "text/event-stream", 200)
    assert (stream.output, stream.terminal) == ("a", True)
    whole = read(HELLO, b'{"content":"a","usage":{"x":' + deep + b"}}", "application/json", 200)
    request = read(b'{"messages":' + deep + b"}", b"", "application/json", 200)
    assert all(any("nested too deeply" in note for note in parsed.notes) for parsed in (stream, whole)), whole.notes
    assert request.notes


def test_notes_are_few_however_bad_the_stream() -> None:
    body = b"".join(b"data: {%d\n\n" % number for number in range(3000)) + b'data: {"delta":{"text":7}}\n\n' * 3000
    parsed = read(HELLO, body, "text/event-stream", 200)
    assert len(parsed.notes) <= 32
    assert any(note.endswith("(3000 times)") for note in parsed.notes)


def test_text_can_always_be_written() -> None:
    body = b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a\\ud800b"}}\n\n'
    assert read(HELLO, body, "text/event-stream", 200).output == "a\ufffdb"


def test_ten_thousand_messages_and_a_long_one() -> None:
    messages = [{"role": "user", "content": [{"type": "text", "text": "x"}]}] * 10_000
    parsed = unary(message(), request={"messages": [*messages, {"role": "user", "content": "y" * 5_000_000}]})
    assert len(parsed.input) == 10_001
    assert len(parsed.input[-1].parts[0].text or "") == 5_000_000


def test_an_image_of_30_mb_is_measured_and_not_kept() -> None:
    source = {"type": "base64", "media_type": "image/jpeg", "data": "A" * 40_000_000}
    content = [{"type": "image", "source": source}]
    part = unary(message(), request={"messages": [{"role": "user", "content": content}]}).input[0].parts[0]
    assert (part.type, part.media_type, part.size, part.url) == ("image", "image/jpeg", 30_000_000, None)


# --- the quick and the careful way of reading an event ------------------------------------------------------

SHORT = st.text(max_size=5)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "type": SHORT,
        "index": st.integers(0, 9),
        "delta": st.none()
        | st.fixed_dictionaries(
            {},
            optional={
                "type": SHORT,
                "text": SHORT,
                "partial_json": SHORT,
                "thinking": SHORT,
                "content": st.none() | SHORT,
                "citation": st.just({"type": "char_location"}),
                "stop_reason": st.none() | SHORT,
                "stop_details": st.none() | st.just({"type": "refusal"}),
            },
        ),
        "content_block": st.just({"type": "text", "text": ""}),
        "message": st.just({"id": "m"}),
        "usage": st.none() | st.just({"output_tokens": 1}),
        "error": st.none() | st.just({"message": "x"}),
    },
)


@settings(deadline=None)
@given(fields=FIELDS)
def test_the_careful_way_agrees_with_the_quick_one(fields: dict[str, Any]) -> None:
    data = orjson.dumps(fields)
    assert read_leniently(data, Notes()) == typed(data)
