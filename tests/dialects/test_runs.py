"""Runs: chunks that are read together amount to what they amount to when each is read alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.dialects.anthropic_messages import stream as anthropic
from proxy.dialects.gemini import stream as gemini
from proxy.dialects.json_values import Notes
from proxy.dialects.runs import Form, Runs, form_around
from proxy.wire.sse import MESSAGE, Event

BETWEEN = '"}],"role":"model"},"index":0}],"usageMetadata":{"text":"'  #: what stands in a chunk, as a text

TEXT = st.one_of(
    st.sampled_from(
        ["a", "", "null", '"', "\\", "}", " ", BETWEEN, '"text": "b"', "\0", "\ud800", "\udc00x", "\U0001f600"]
    ),
    st.text(max_size=8),
)
COUNTS = st.one_of(
    st.fixed_dictionaries({"promptTokenCount": st.integers(0, 9), "totalTokenCount": st.integers(0, 1 << 70)}),
    st.dictionaries(
        st.sampled_from(["a", "b", "text", "é"]), st.sampled_from([0, 1, None, [{"b": 2}], BETWEEN]), max_size=3
    ),
    st.sampled_from([None, 5, [], "x", {"\0": 0}]),
)
SPELLINGS = st.sampled_from(
    [
        {"separators": (",", ":")},
        {"separators": (",", ":"), "ensure_ascii": False},
        {"separators": (" , ", ": ")},
        {"indent": 1},
        {"sort_keys": True},
    ]
)  # fmt: skip


def gemini_chunk(shape: str, text: str, counts: Any) -> dict[str, Any]:
    part: dict[str, Any] = {"text": text} | ({"thought": True} if shape == "thought" else {})
    candidate: dict[str, Any] = {"content": {"parts": [part], "role": "model"}, "index": int(shape == "second")}
    if shape == "finished":
        candidate |= {"finishReason": "STOP", "groundingMetadata": {"webSearchQueries": ["x"]}}
    if shape == "two parts":
        candidate["content"]["parts"].append({"text": "more"})
    if shape == "call":
        candidate["content"]["parts"] = [{"functionCall": {"name": "f", "args": {"text": text}}}]
    chunk = {"candidates": [candidate], "usageMetadata": counts, "modelVersion": "m", "responseId": "r"}
    if shape == "two candidates":
        chunk["candidates"] = [candidate, candidate | {"index": 1}]
    if shape == "uncounted":
        del chunk["usageMetadata"]
    if shape == "text beside":
        chunk = {"note": {"text": text}, **chunk, "error": {"message": text} if text == "a" else None}
    return chunk


def anthropic_event(shape: str, text: str, counts: Any) -> dict[str, Any]:
    key = {"thought": "thinking", "call": "partial_json"}.get(shape, "text")
    event: dict[str, Any] = {"type": "content_block_delta", "index": int(shape == "second")}
    if shape == "text beside":
        event["note"] = {"text": text}
    event["delta"] = {"type": f"{key}_delta", key: text}
    if shape == "two parts":
        event["delta"] |= {"thinking": "more"}
    return event | ({"usage": counts} if shape == "finished" else {})


SHAPES = st.sampled_from(
    [
        "plain", "plain", "plain", "thought", "second", "finished", "two parts", "call", "two candidates", "uncounted",
        "text beside",
    ]
)  # fmt: skip


@st.composite
def streams(draw: st.DrawFn, chunk: Callable[[str, str, Any], dict[str, Any]]) -> list[Event]:
    """Some runs, one after the other; here and there a chunk that is broken, or whose bytes slip into the next."""
    datas: list[bytes] = []
    for _ in range(draw(st.integers(1, 3))):
        shape, spelling, padded = draw(SHAPES), draw(SPELLINGS), draw(st.booleans())
        for text, counts in draw(st.lists(st.tuples(TEXT, COUNTS), min_size=1, max_size=8)):
            data = json.dumps(chunk(shape, text, counts), **spelling).encode("utf-8", "surrogatepass")
            datas.append(data[:-1] + b" " * draw(st.integers(0, 3)) + b"}" if padded else data)
    for place in draw(st.lists(st.integers(0, len(datas) - 1), max_size=2)):
        datas[place] = draw(st.sampled_from(BREAKERS))(datas[place])
    for place in draw(st.lists(st.integers(1, len(datas) - 1), max_size=2)) if len(datas) > 1 else ():
        slipped = draw(st.integers(1, 30))
        datas[place - 1], datas[place] = datas[place - 1] + datas[place][:slipped], datas[place][slipped:]
    ends = accumulate(len(data) + 8 for data in datas)
    return [Event(MESSAGE, data, end) for data, end in zip(datas, ends, strict=True)]


BREAKERS: list[Callable[[bytes], bytes]] = [
    lambda data: data[: len(data) // 2],
    lambda data: data + b"}",
    lambda data: data[:-1],
    lambda data: b"",
    lambda data: b"[DONE]",
    lambda data: data.replace(b'"text":', b'"text":"x","text":'),
    lambda data: data.replace(b'"}]', b'","y"}]'),
    lambda data: data.replace(b'"}]', b'\xff"}]'),
    lambda data: data.replace(b'"}]', b'\x01"}]'),
    lambda data: data.replace(b'"usageMetadata":', b'"usageMetadata":[],"usageMetadata":'),
    lambda data: data.replace(b"{", b'{"error":{"code":5},', 1),
]


def read_together(module: Any, events: list[Event]) -> tuple[Any, tuple[str, ...]]:
    return read_in(module, [events])


def read_alone(module: Any, events: list[Event]) -> tuple[Any, tuple[str, ...]]:
    return read_in(module, [[event] for event in events])


def read_in(module: Any, groups: list[list[Event]]) -> tuple[Any, tuple[str, ...]]:
    notes = Notes()
    stream = module._Stream(notes)
    for group in groups:
        stream.take(group)
    result = stream.result(terminal=stream.finished) if module is gemini else stream.result()
    return result, notes.all()


@given(streams(gemini_chunk))
@settings(max_examples=400)
def test_gemini_reads_runs_as_it_reads_chunks(events: list[Event]) -> None:
    assert read_together(gemini, events) == read_alone(gemini, events)


@given(streams(anthropic_event))
@settings(max_examples=400)
def test_anthropic_reads_runs_as_it_reads_events(events: list[Event]) -> None:
    assert read_together(anthropic, events) == read_alone(anthropic, events)


# --- a form ---------------------------------------------------------------------------------------------


def pieces(*datas: bytes) -> list[Event]:
    return [Event(MESSAGE, data, 0) for data in datas]


def test_a_form_gives_what_differs() -> None:
    form = form_around(b'{"a":{"text": "x","n":1},"u": {"b":[]}}', "text", b'{"b":[]}')
    assert form == Form(b'{"a":{"text": ', b',"n":1},"u": ', b"}")
    said = pieces(b'{"a":{"text": "\\n","n":1},"u": {"c":2}}', b'{"a":{"text": "","n":1},"u": {}  }')
    assert form.read(said, 0) == (["\n", ""], [{"c": 2}, {}])


@pytest.mark.parametrize(
    "odd",
    [
        b'{"text":"x","n":2,"u":{}}', b'{"text":"x","n":1,"u":[]}', b'{"text":5,"n":1,"u":{}}',
        b'{"text":"x","n":1,"u":{}',
        b'{"text":"x","n":1,"u":{},"text":"y","n":1,"u":{}}', b'{"text":"x","y","n":1,"u":{}}', b'{"text":', b"",
        b'{"text":"x","n":1,"u":{}}}', b'{"text":"\n","n":1,"u":{}}', b'{"text":"\xff","n":1,"u":{}}',
    ],
)  # fmt: skip
def test_a_run_ends_before_what_is_not_of_its_form(odd: bytes) -> None:
    usual = b'{"text":"x","n":1,"u":{}}'
    form = form_around(usual, "text", b"{}")
    assert form is not None
    assert form.read(pieces(usual, usual, odd, usual), 0) == (["x", "x"], [{}, {}])


@pytest.mark.parametrize("end", [b"}}", b"} }", b"  }   } "])
@pytest.mark.parametrize("odd_at", [0, 1, 63, 64, 65, 127, 128, 199])
def test_a_long_run_ends_there_too(end: bytes, odd_at: int) -> None:
    form = form_around(b'{"delta":{"text":"x"}}', "text")
    assert form == Form(b'{"delta":{"text":', b"", b"}}")
    datas = [b'{"delta":{"text":"%d"' % number + end for number in range(200)]
    expected = [str(number) for number in range(200)]
    assert form.read(pieces(*datas), 7) == (expected[7:], [])
    datas[odd_at] = datas[odd_at] + b"}"
    assert form.read(pieces(*datas), 0) == (expected[:odd_at], [])


def test_texts_that_lean_on_each_other_are_no_run() -> None:
    form = form_around(b'{"text":"x"}', "text")
    assert form is not None
    assert form.read(pieces(b'{"text":"x"}', b'{"text":"a}', b'{"text":b"}'), 0) == (["x"], [])


@pytest.mark.parametrize(
    "data", [b"", b"{}", b'{"text":5}', b'{"text":"x', b'{"u":{},"text":"x"}', b'{"text":"x","u":{}']
)
def test_what_has_no_form(data: bytes) -> None:
    assert form_around(data, "text", b"{}") is None


def test_a_stream_that_has_no_runs_is_soon_left_alone() -> None:
    runs, lessons = Runs(), []

    def form_of(data: bytes) -> None:
        lessons.append(data)

    for _ in range(100):
        runs.after(pieces(b"{}", b"{}"), 0, form_of)
    assert 0 < len(lessons) < 50
