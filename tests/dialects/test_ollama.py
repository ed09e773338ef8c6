"""Ollama: what does not fit a golden case — bulk, bounds, and rules that hold for all answers."""

from __future__ import annotations

from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.dialects.base import Bodies
from proxy.dialects.ollama.dialect import Ollama, looks_like_lines
from proxy.records import Parsed

CHAT, GENERATE, EMBED = "/api/chat", "/api/generate", "/api/embed"
HELLO = {"model": "llama3.2", "messages": [{"role": "user", "content": "hi"}]}
NDJSON = "application/x-ndjson"


def read(
    response: bytes, path: str = CHAT, request: Any = HELLO, content_type: str = NDJSON, status: int | None = 200
) -> Parsed:
    return Ollama().parse(bodies(response, path, orjson.dumps(request), content_type, status))


def bodies(response: bytes, path: str, request: bytes, content_type: str, status: int | None) -> Bodies:
    headers = {"content-type": content_type} if content_type else {}
    return Bodies(path=path, request=request, response=response, response_headers=headers, http_status=status)


def unary(answer: Any, path: str = CHAT, request: Any = HELLO) -> Parsed:
    return read(orjson.dumps(answer), path, {**request, "stream": False}, "application/json; charset=utf-8")


def lines(*values: Any) -> bytes:
    return b"".join(orjson.dumps(value) + b"\n" for value in values)


def said(**message: Any) -> dict[str, Any]:
    return {"model": "llama3.2", "message": {"role": "assistant", "content": "", **message}, "done": False}


END = {"model": "llama3.2", "done": True, "done_reason": "stop", "prompt_eval_count": 3, "eval_count": 0}

# --- a stream and a unary answer of the same content read alike ------------------------------------------

TEXT = st.text(max_size=20)
CALLS = st.lists(st.fixed_dictionaries({"function": st.just({"name": "f", "arguments": {"a": "é"}})}), max_size=3)


@settings(deadline=None)
@given(content=TEXT, thinking=TEXT, calls=CALLS)
def test_a_streamed_chat_reads_like_the_unary_answer(content: str, thinking: str, calls: list[Any]) -> None:
    whole = unary({**END, "message": {"content": content, "thinking": thinking, "tool_calls": calls}})
    pieces = [
        *(said(thinking=letter) for letter in thinking),
        *(said(content=letter) for letter in content),
        *(said(tool_calls=[call]) for call in calls),
    ]
    streamed = read(lines(*pieces, END))
    assert streamed.choices == whole.choices
    assert (streamed.output, streamed.reasoning) == (whole.output, whole.reasoning)
    assert (streamed.usage, streamed.usage_raw) == (whole.usage, whole.usage_raw)
    assert (streamed.stream, whole.stream) == (True, False)
    assert (streamed.terminal, whole.terminal) == (True, True)


@settings(deadline=None)
@given(content=TEXT, thinking=TEXT)
def test_a_streamed_generation_reads_like_the_unary_answer(content: str, thinking: str) -> None:
    whole = unary({**END, "response": content, "thinking": thinking, "context": [1, 2]}, GENERATE)
    pieces = [
        *({"response": "", "thinking": letter, "done": False} for letter in thinking),
        *({"response": letter, "done": False} for letter in content),
    ]
    streamed = read(lines(*pieces, {**END, "response": "", "context": [1, 2]}), GENERATE)
    assert streamed.choices == whole.choices
    assert (streamed.output, streamed.reasoning, streamed.usage) == (whole.output, whole.reasoning, whole.usage)


# --- how a stream is told from an answer in one piece -----------------------------------------------------


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        (lines(said(), END), NDJSON, True),
        (lines(said(), END), "", True),
        (lines(said(), END), "application/json", True),
        (b"\xef\xbb\xbf\r\n" + lines(said(), END).replace(b"\n", b"\r\n"), "text/plain", True),
        (lines(said())[:20], f"{NDJSON}; charset=utf-8", True),
        (lines(said())[:20], "", False),
        (lines(END), "application/json", False),
        (orjson.dumps(END, option=orjson.OPT_INDENT_2), "", False),
        (b"<html>\n{}\n{}", NDJSON, False),
        (b"", "", False),
    ],
)
def test_lines_are_known_by_type_or_by_looks(body: bytes, content_type: str, expected: bool) -> None:
    assert looks_like_lines(bodies(body, CHAT, b"", content_type, 200)) is expected


@pytest.mark.parametrize(
    ("request_fields", "path", "stream"),
    [
        ({}, CHAT, True),
        ({"stream": True}, GENERATE, True),
        ({"stream": False}, CHAT, False),
        ({"stream": None}, CHAT, True),
        ({}, EMBED, False),
        ({}, "/api/embeddings/", False),
    ],
)
def test_a_request_that_does_not_say_otherwise_asks_for_a_stream(
    request_fields: dict[str, Any], path: str, stream: bool
) -> None:
    assert read(b"", path, {"model": "m", **request_fields}, status=None).stream is stream


def test_an_error_is_one_with_any_content_type() -> None:
    for content_type in (NDJSON, "application/json", ""):
        parsed = read(b'{"error":"no such model"}\n', content_type=content_type, status=404)
        assert (parsed.error_type, parsed.error_message) == ("http_404", "no such model")


# --- the first content, and the end ------------------------------------------------------------------------


@pytest.mark.parametrize("silent", [said(), said(thinking="", tool_calls=[]), {"response": ""}, {"x": 1}, 7, None])
@pytest.mark.parametrize(
    "telling",
    [
        said(content="x"),
        said(thinking="x"),
        said(tool_calls=[{"function": {"name": "f"}}]),
        said(images=["AAAA"]),
        {"response": "x"},
        {"response": "", "thinking": "x"},
        {"image": "AAAA"},
    ],
    ids=repr,
)
def test_the_first_content_is_the_first_that_a_reader_would_see(silent: Any, telling: Any) -> None:
    assert read(lines(silent, telling, telling)).first_content_offset == len(lines(silent, telling))
    assert read(lines(silent, silent)).first_content_offset is None


@pytest.mark.parametrize(
    ("body", "terminal"),
    [
        (lines(said(content="a"), END), True),
        (lines(said(content="a"), END)[:-1], True),
        (lines(said(content="a"), END)[:-2], False),
        (lines(said(content="a")), False),
        (lines(said(content="a"), {"error": "x"}), False),
        (lines(END), True),
        (lines(END, said(content="late")), True),
    ],
)
def test_when_a_stream_says_that_it_is_whole(body: bytes, terminal: bool) -> None:
    assert read(body).terminal is terminal


def test_a_unary_answer_is_whole_when_its_json_is() -> None:
    answer = orjson.dumps({**END, "message": {"content": "hello"}})
    assert unary({**END, "message": {"content": "hello"}}).terminal is True
    assert unary({"message": {"content": "one line of a stream"}, "done": False}).terminal is False
    for cut in range(len(answer)):
        assert read(answer[:cut], content_type="application/json").terminal is False


# --- bounds -------------------------------------------------------------------------------------------------


def test_absurdly_long_names_are_left_out_and_noted() -> None:
    long = "m" * (1 << 20)
    answer = {**END, "model": long, "done_reason": long, "message": {"role": long, "content": "a"}}
    for parsed in (unary(answer), read(lines(said(), answer))):
        assert (parsed.model, parsed.finish_reason, parsed.output) == (None, None, "a")
        assert sum(map(len, parsed.notes)) < 5000


def test_notes_are_few_however_bad_the_stream() -> None:
    body = b"".join(b"{%d\n" % number for number in range(5000)) + b"[1]\n" * 5000
    parsed = read(body)
    assert len(parsed.notes) <= 32
    assert any(note.endswith("(5000 times)") for note in parsed.notes)


def test_numbers_of_a_context_are_no_text() -> None:
    numbers = list(range(100_000, 150_000))
    request = {"model": "m", "prompt": "p", "context": numbers}
    parsed = unary({**END, "response": "a", "context": numbers}, GENERATE, request)
    assert b"100000" not in msgspec.json.encode(parsed)


def test_an_image_of_30_mb_is_measured_and_not_kept() -> None:
    request = {"model": "m", "messages": [{"role": "user", "content": "", "images": ["A" * 40_000_000]}]}
    part = unary(END, request=request).input[0].parts[0]
    assert (part.type, part.size, part.text, part.url) == ("image", 30_000_000, None, None)


def test_ten_thousand_vectors_are_counted() -> None:
    body = orjson.dumps({"model": "m", "embeddings": [[0.5] * 20] * 10_000, "prompt_eval_count": 7})
    parsed = read(body, EMBED, content_type="application/json")
    assert (parsed.results, parsed.usage and parsed.usage.input_tokens, parsed.model) == (10_000, 7, "m")
    assert read(body[:-1], EMBED).results is None
    assert read(b'{"embeddings":[]}', EMBED).results == 0
    assert read(b'{"embedding":[]}', "/api/embeddings").results == 0


# --- the quick and the careful way of reading a line --------------------------------------------------------

FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "model": st.just("m"),
        "message": st.fixed_dictionaries(
            {},
            optional={
                "content": st.none() | st.text(max_size=3),
                "thinking": st.none() | st.text(max_size=3),
                "tool_calls": st.none() | st.just([{"function": {"name": "f", "arguments": {}}}]),
                "images": st.none() | st.just(["AAAA"]),
            },
        ),
        "response": st.none() | st.text(max_size=3),
        "thinking": st.none() | st.text(max_size=3),
        "image": st.none() | st.just("AAAA"),
        "logprobs": st.none() | st.just([{"token": "a"}]),
        "done": st.booleans(),
        "eval_count": st.integers(0, 3),
        "error": st.none() | st.just("x"),
    },
)


@settings(deadline=None)
@given(fields=FIELDS)
def test_the_careful_way_agrees_with_the_quick_one(fields: dict[str, Any]) -> None:
    """A NaN in a field that nobody reads sends a line the careful way."""
    quick = orjson.dumps(fields)
    slow = quick[:-1] + (b"," if fields else b"") + b'"nobody":NaN}'
    first, second = (read(line + b"\n") for line in (quick, slow))
    assert msgspec.structs.replace(second, first_content_offset=None) == msgspec.structs.replace(
        first, first_content_offset=None
    )
