"""Bodies made to cost much, or to have any shape: what is kept of them is bounded, and reading raises nothing.

What grows is counted, not timed: entries that are kept, keys of a usage, characters of a name.
"""

from __future__ import annotations

import random
from typing import Any

import orjson
import pytest

from proxy.dialects.base import Bodies
from proxy.dialects.json_values import MOST_ENTRIES, Notes, items, loads
from proxy.dialects.openai_chat.answer import Answer
from proxy.dialects.openai_chat.chunks import CallDelta, Called, Delta
from proxy.records import Parsed

from .golden import CONTENT_TYPES, DEFAULT_PATHS, cases, parse
from .mutations import check
from .shapes import reads, sample

MANY = 3 * MOST_ENTRIES
SHAPES = 5000


def read(dialect: str, request: Any = None, response: bytes = b"{}", suffix: str = ".json", path: str = "") -> Parsed:
    parsed = parse(
        Bodies(
            path=path or DEFAULT_PATHS[dialect],
            request=orjson.dumps(request or {}),
            response=response,
            response_headers={"content-type": CONTENT_TYPES[suffix]},
            http_status=200,
        )
    )
    check(parsed)
    return parsed


def events(*values: Any) -> bytes:
    return b"".join(b"data: " + orjson.dumps(value) + b"\n\n" for value in values)


@pytest.mark.parametrize("seed", range(10))
def test_cases_of_any_shape_raise_nothing(seed: int) -> None:
    for bodies in sample(cases(), random.Random(seed), SHAPES // 10):
        reads(bodies)


# --- lists ----------------------------------------------------------------------------------------

MANY_OBJECTS = [{}] * MANY
LEFT_OUT = f"has {MANY} entries, of which {MANY - MOST_ENTRIES} are left out"


@pytest.mark.parametrize(
    ("dialect", "request_body"),
    [
        ("openai_chat", {"messages": MANY_OBJECTS}),
        ("openai_chat", {"messages": [{"content": MANY_OBJECTS}]}),
        ("openai_chat", {"tools": MANY_OBJECTS}),
        ("anthropic_messages", {"messages": MANY_OBJECTS}),
        ("anthropic_messages", {"messages": [{"content": MANY_OBJECTS}]}),
        ("gemini", {"contents": MANY_OBJECTS}),
        ("openai_responses", {"input": MANY_OBJECTS}),
        ("openai_responses", {"input": [{"content": MANY_OBJECTS}]}),
        ("openai_embeddings", {"input": ["a"] * MANY}),
        ("ollama", {"messages": MANY_OBJECTS}),
    ],
)
def test_of_a_long_list_in_a_request_the_beginning_is_read(dialect: str, request_body: Any) -> None:
    parsed = read(dialect, request_body)
    assert any(note.endswith(LEFT_OUT) for note in parsed.notes)
    kept = max(len(parsed.input), len(parsed.tools), *(len(each.parts) for each in parsed.input), 0)
    assert kept == MOST_ENTRIES


@pytest.mark.parametrize(
    ("dialect", "answer"),
    [
        ("openai_chat", {"choices": MANY_OBJECTS}),
        ("openai_chat", {"choices": [{"message": {"tool_calls": MANY_OBJECTS}}]}),
        ("openai_completions", {"choices": MANY_OBJECTS}),
        ("anthropic_messages", {"content": MANY_OBJECTS}),
        ("gemini", {"candidates": MANY_OBJECTS}),
        ("openai_responses", {"output": MANY_OBJECTS}),
    ],
)
def test_of_a_long_list_in_an_answer_the_beginning_is_read(dialect: str, answer: Any) -> None:
    parsed = read(dialect, response=orjson.dumps(answer))
    assert any(note.endswith(LEFT_OUT) for note in parsed.notes)
    kept = max(len(parsed.choices), *(len(choice.message.parts) for choice in parsed.choices))
    assert kept == MOST_ENTRIES


def test_long_lists_share_a_bound_and_short_ones_have_none() -> None:
    notes = Notes()
    long = sum(len(items([{}] * 10_000, "long", notes)) for _ in range(100))
    short = sum(len(items([{}] * 10, "short", notes)) for _ in range(1000))
    assert (long, short) == (200_000, 10_000)


def test_results_are_counted_whole() -> None:
    assert read("rerank", response=orjson.dumps({"results": MANY_OBJECTS})).results == MANY
    assert read("openai_moderations", response=orjson.dumps({"results": MANY_OBJECTS})).results == MANY


def test_token_ids_are_counted_whole() -> None:
    (message,) = read("openai_embeddings", {"input": [[1] * MANY]}).input
    assert message.parts[0].name == f"{MANY} token ids"


def test_choices_of_a_stream_are_bounded() -> None:
    for dialect in ("openai_chat", "openai_completions"):
        said = [{"choices": [{"index": index, "text": "a", "delta": {"content": "a"}}]} for index in range(25_000)]
        parsed = read(dialect, response=events(*said), suffix=".sse")
        assert len(parsed.choices) == MOST_ENTRIES
        assert any("more choices than are read" in note for note in parsed.notes)


# --- what grows with every event ------------------------------------------------------------------


def test_the_usage_of_a_message_has_few_keys() -> None:
    said = [{"type": "message_delta", "usage": {f"k{number}": 1, "output_tokens": number}} for number in range(500)]
    parsed = read("anthropic_messages", response=events(*said), suffix=".sse")
    assert len(parsed.usage_raw) == 64
    assert parsed.usage is not None
    assert parsed.usage.output_tokens == 499


def test_a_name_in_endless_pieces_is_not_gathered() -> None:
    answer = Answer()
    for number in range(1000):
        answer.take(Delta(tool_calls=[CallDelta(index=0, function=Called(name=f"{number:03}"))]))
    (call,) = answer.value(0, Notes())["message"]["tool_calls"]
    assert 256 < len(call["function"]["name"]) < 300


def test_annotations_of_a_part_are_bounded() -> None:
    said = [{"type": "response.output_text.delta", "delta": "a", "output_index": 0, "content_index": 0}]
    said += [
        {
            "type": "response.output_text.annotation.added", "output_index": 0, "content_index": 0,
            "annotation": {"type": "url_citation", "url": f"https://a/{number}"},
        }
        for number in range(1500)
    ]  # fmt: skip
    assert len(read("openai_responses", response=events(*said), suffix=".sse").documents) == 1000


def test_blank_events_are_nothing() -> None:
    for dialect in ("openai_chat", "openai_completions", "openai_responses", "anthropic_messages"):
        parsed = read(dialect, response=b"data:\n\n" * 1000, suffix=".sse")
        assert (parsed.notes, parsed.terminal) == ((), False)


def test_what_is_refused_is_read_with_care_only_so_often() -> None:
    notes = Notes()
    values = [loads(b"[NaN]", "it", notes) for _ in range(30_000)]
    assert sum(value is not None for value in values) == 20_000
    assert len(notes.all()) == 1


# --- integers that are none -----------------------------------------------------------------------

LONG = [b"9" * 400, b"9" * 5000, b"-" + b"9" * 400]


@pytest.mark.parametrize("digits", LONG, ids=len)
@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        ("openai_chat", b'{"choices":[],"usage":{"cost":%s,"prompt_tokens":%s}}'),
        ("openai_chat", b'{"choices":[],"usage":{"total_time":%s,"prompt_tokens":%s}}'),
        ("openai_chat", b'{"choices":[{"delta":{"context":{"citations":[{"score":%s,"id":%s}]}}}]}'),
        ("openai_chat", b'{"choices":[{"delta":{"content":[{"type":"reference","reference_ids":[%s,%s]}]}}]}'),
        ("openai_chat", b'{"choices":[],"error":{"code":%s,"message":%s}}'),
        ("anthropic_messages", b'{"type":"message_delta","usage":{"output_tokens":%s,"cost":%s}}'),
        ("openai_responses", b'{"type":"response.completed","response":{"usage":{"input_tokens":%s,"cost":%s}}}'),
        ("gemini", b'{"candidates":[],"usageMetadata":{"promptTokenCount":%s,"totalTokenCount":%s}}'),
    ],
)
def test_integers_of_hundreds_of_digits_are_no_numbers(dialect: str, body: bytes, digits: bytes) -> None:
    path = DEFAULT_PATHS[dialect].replace(":generateContent", ":streamGenerateContent")
    parsed = read(dialect, response=b"data: " + body % (digits, digits) + b"\n\n", suffix=".sse", path=path)
    assert parsed.usage is None
    assert parsed.cost_nano_usd is None
    assert all(document.score is None for document in parsed.documents)
