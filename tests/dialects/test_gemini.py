"""Gemini: what does not fit a golden case — bulk, bounds, and rules that hold for all answers."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.dialects.base import Bodies
from proxy.dialects.gemini.array import Decoder, Element, elements
from proxy.dialects.gemini.chunks import read_chunk
from proxy.dialects.gemini.dialect import Gemini
from proxy.dialects.json_values import Notes
from proxy.records import Parsed, Usage

MODEL = "/v1beta/models/gemini-2.5-flash"
UNARY, STREAM = f"{MODEL}:generateContent", f"{MODEL}:streamGenerateContent"
HELLO = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}


def read(response: bytes, path: str = UNARY, request: Any = HELLO, status: int | None = 200) -> Parsed:
    body = orjson.dumps(request)
    return Gemini().parse(Bodies(path=path, request=body, response=response, http_status=status))


def unary(answer: Any, request: Any = HELLO, status: int = 200) -> Parsed:
    return read(orjson.dumps(answer), request=request, status=status)


def events(*chunks: Any) -> bytes:
    return b"".join(b"data: " + orjson.dumps(chunk) + b"\n\n" for chunk in chunks)


def array(*chunks: Any) -> bytes:
    return b"[" + b"\n,\r\n".join(json.dumps(chunk, indent=2).encode() for chunk in chunks) + b"\n]\n"


def chunk(*parts: Any, index: int = 0, finish: str | None = None, **more: Any) -> dict[str, Any]:
    candidate = {"index": index, "content": {"role": "model", "parts": list(parts)}, "finishReason": finish, **more}
    return {"candidates": [candidate]}


# --- a stream in either form and a unary answer of the same content read alike --------------------------

PART = st.one_of(
    st.fixed_dictionaries({"text": st.text(min_size=1, max_size=20)}),
    st.fixed_dictionaries({"text": st.text(min_size=1, max_size=20), "thought": st.just(True)}),
    st.fixed_dictionaries({"functionCall": st.fixed_dictionaries({"name": st.just("f"), "args": st.just({"a": "é"})})}),
    st.just({"inlineData": {"mimeType": "image/png", "data": "AAAA"}}),
)


def kind_of(part: dict[str, Any]) -> tuple[bool, Any]:
    return ("text" in part, part.get("thought"))


@settings(deadline=None)
@given(parts=st.lists(PART, min_size=1, max_size=6))
def test_a_stream_reads_like_the_unary_answer(parts: list[dict[str, Any]]) -> None:
    apart = [
        part
        for at, part in enumerate(parts)
        if at == 0 or kind_of(part) != kind_of(parts[at - 1]) or "text" not in part
    ]
    whole = unary(chunk(*apart, finish="STOP"))
    pieces = [
        piece
        for part in apart
        for piece in ([{**part, "text": letter} for letter in part["text"]] if "text" in part else [part])
    ]
    chunks = [*map(chunk, pieces), chunk({"text": "", "thoughtSignature": "Eu"}, finish="STOP")]
    for streamed in (read(events(*chunks), STREAM), read(array(*chunks), STREAM)):
        assert streamed.choices == whole.choices
        assert (streamed.output, streamed.reasoning) == (whole.output, whole.reasoning)
        assert streamed.tool_calls == whole.tool_calls
        assert (streamed.stream, streamed.terminal) == (True, True)


def test_counts_are_those_told_last_and_what_is_left_out_keeps_its_value() -> None:
    reported: list[Any] = [
        {"promptTokenCount": 7, "cachedContentTokenCount": 4, "candidatesTokenCount": 1},
        {"promptTokenCount": 7, "candidatesTokenCount": 5, "thoughtsTokenCount": 0},
        {"promptTokenCount": None, "candidatesTokenCount": 6},
        "nonsense",
    ]
    body = events(*({**chunk({"text": "a"}), "usageMetadata": usage} for usage in reported))
    assert read(body, STREAM).usage == Usage(input_tokens=7, output_tokens=6, cached_tokens=4, reasoning_tokens=0)


# --- the elements of an array ---------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text('a"\\{}[],é\n', max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('k"]', max_size=2), inner, max_size=3),
    max_leaves=12,
)


def careful(*pieces: bytes, max_element_bytes: int = 1 << 20) -> list[Element]:
    decoder = Decoder(max_element_bytes)
    return [element for piece in pieces for element in decoder.feed(piece)]


@settings(deadline=None)
@given(values=st.lists(JSON, max_size=5), indent=st.none() | st.just(2), data=st.data())
def test_all_ways_and_all_cuts_give_the_elements_of_an_array(values: list[Any], indent: int, data: Any) -> None:
    body = json.dumps(values, indent=indent).encode()
    expected = [value for value in values if isinstance(value, dict | list)]
    whole = elements(body)
    assert [json.loads(element.data) for element in whole.found] == expected
    assert whole.closed
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=6)))
    pieces = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert careful(*pieces) == whole.found
    for cut in range(len(body)):
        part = elements(body[:cut])
        assert part.found == [element for element in whole.found if element.end <= cut]
        assert not part.closed


@settings(deadline=None)
@given(body=st.lists(st.sampled_from([b"[", b"]", b"{", b"}", b'"', b"\\", b",", b"1"]), max_size=30).map(b"".join))
def test_the_elements_of_any_bytes_do_not_depend_on_the_cuts(body: bytes) -> None:
    for limit in (1, 4, 1000):
        bytewise = careful(*(body[at : at + 1] for at in range(len(body))), max_element_bytes=limit)
        assert bytewise == careful(body, max_element_bytes=limit)


def test_an_element_that_is_nested_deep_is_an_element() -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    found = elements(b"[{}," + deep + b",{}]")
    assert [len(element.data) for element in found.found] == [2, 200_000, 2]
    assert found.closed


@pytest.mark.parametrize("size", [1, 7, 65_536])
def test_an_oversized_element_is_dropped_and_counted(size: int) -> None:
    body = b'[{"a":"' + b"x" * 5000 + b'"},{},{"b":' + b"[" * 600 + b"]" * 600 + b"},{}"
    decoder = Decoder(max_element_bytes=1000)
    found = [element for at in range(0, len(body), size) for element in decoder.feed(body[at : at + size])]
    assert [element.data for element in found] == [b"{}", b"{}"]
    assert (decoder.oversized, decoder.closed) == (2, False)


@pytest.mark.parametrize("body", [b'[{"a":"' + b"x" * 2_000_000, b"[{" * 50_000, b'["\\' * 200_000, b"[{}," * 50_000])
def test_work_grows_with_the_bytes_and_not_with_their_square(body: bytes) -> None:
    """Quadratic work would take minutes here and run into the time limit of tests."""
    assert elements(body).closed is False
    assert careful(*(body[at : at + 50] for at in range(0, len(body), 50))) == elements(body).found


# --- the first content, and the end ---------------------------------------------------------------------

SILENT: list[Any] = [
    {"usageMetadata": {"promptTokenCount": 1}},
    {"candidates": []},
    {"candidates": [{"index": 0}]},
    chunk(),
    chunk({"text": ""}),
    chunk({"text": "", "thoughtSignature": "Eu"}),
    chunk({}),
    {"promptFeedback": {"safetyRatings": []}},
]
TELLING: list[Any] = [
    chunk({"text": "x"}),
    chunk({"text": "x", "thought": True}),
    chunk({"functionCall": {"name": "f"}}),
    chunk({"inlineData": {"mimeType": "image/png", "data": "AAAA"}}),
    chunk({"executableCode": {"code": "1"}}),
    chunk({"text": "x"}, index=1),
]


@pytest.mark.parametrize("silent", SILENT, ids=repr)
@pytest.mark.parametrize("telling", TELLING, ids=repr)
def test_the_first_content_is_the_first_that_a_reader_would_see(silent: Any, telling: Any) -> None:
    assert read(events(silent, telling, telling), STREAM).first_content_offset == len(events(silent, telling))
    assert read(events(silent), STREAM).first_content_offset is None
    in_array = read(array(silent, telling, telling), STREAM)
    assert in_array.first_content_offset == len(array(silent, telling)) - len(b"\n]\n")
    cut = read(array(silent, telling)[:-3], STREAM)
    assert (cut.first_content_offset, cut.terminal) == (in_array.first_content_offset, False)


@pytest.mark.parametrize(
    ("chunks", "terminal"),
    [
        ([], False),
        ([chunk({"text": "a"})], False),
        ([chunk({"text": "a"}), chunk(finish="MAX_TOKENS")], True),
        ([chunk({"text": "a"}, finish="STOP"), chunk({"text": "b"}, index=1)], False),
        ([chunk({"text": "a"}, finish="STOP"), chunk({"text": "b"}, index=1, finish="STOP")], True),
        ([{"promptFeedback": {"blockReason": "OTHER"}}], True),
        ([{"promptFeedback": {}}], False),
    ],
)
def test_when_a_stream_says_that_it_is_whole(chunks: list[Any], terminal: bool) -> None:
    assert read(b": \n\n" + events(*chunks), STREAM).terminal is terminal
    assert read(array(*chunks), STREAM).terminal is terminal
    assert read(array(*chunks)[:-3], STREAM).terminal is False


def test_a_unary_answer_is_whole_when_its_json_is() -> None:
    answer = orjson.dumps(chunk({"text": "hello"}, finish="STOP"))
    assert read(answer).terminal is True
    for cut in range(len(answer)):
        assert read(answer[:cut]).terminal is False


# --- paths and filters ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "model", "stream"),
    [
        ("/v1beta/models/gemini-2.5-pro:generateContent", "gemini-2.5-pro", False),
        ("/v1/models/gemini-2.5-pro:streamGenerateContent", "gemini-2.5-pro", True),
        ("/v1beta/models/gemini-2.5-pro%3AgenerateContent", "gemini-2.5-pro", False),
        ("/v1beta/tunedModels/mine-1:generateContent", "tunedModels/mine-1", False),
        ("/v1/projects/p/locations/l/publishers/google/models/gemini-3:generateContent", "gemini-3", False),
        ("/v1/projects/p/locations/l/endpoints/77:streamGenerateContent", "endpoints/77", True),
        ("/:generateContent", None, False),
        ("/models/" + "m" * 300 + ":generateContent", None, False),
    ],
)
def test_the_path_names_the_model(path: str, model: str | None, stream: bool) -> None:
    parsed = read(b"{}", path)
    assert (parsed.model_requested, parsed.stream) == (model, stream)


@pytest.mark.parametrize(
    ("finish", "found"),
    [("STOP", None), ("MAX_TOKENS", None), ("MALFORMED_FUNCTION_CALL", None), ("SPII", "output: spii"), (7, None)],
)
def test_only_a_filter_is_a_filter(finish: Any, found: str | None) -> None:
    assert unary({"candidates": [{"finishReason": finish}]}).content_filter == found


def test_both_sides_may_be_filtered_and_each_finding_counts_once() -> None:
    rating = {"category": "HARM_CATEGORY_HATE_SPEECH", "blocked": True}
    answer = {
        "promptFeedback": {"blockReason": "JAILBREAK", "safetyRatings": 5},
        "candidates": [{"finishReason": "SAFETY", "safetyRatings": [rating, rating, 7]}] * 2,
    }
    assert unary(answer).content_filter == "prompt: jailbreak, output: hate_speech"


# --- streamed arguments ---------------------------------------------------------------------------------


def arguments_of(*streamed: tuple[str, Any]) -> tuple[Any, tuple[str, ...]]:
    keys = {str: "stringValue", bool: "boolValue", float: "numberValue"}
    pieces = [{"jsonPath": path, keys[type(value)]: value} for path, value in streamed]
    calls = [{"name": "f", "willContinue": True}, *({"partialArgs": [piece], "willContinue": True} for piece in pieces)]
    parsed = read(events(*(chunk({"functionCall": call}) for call in [*calls, {}])), STREAM)
    return orjson.loads(parsed.tool_calls[0].arguments), parsed.notes


def test_pieces_of_one_text_are_joined_and_others_placed() -> None:
    streamed = [
        ("$.a", "x"),
        ("$.a", "y"),
        ("$.b[0].c", 1.0),
        ("$.b[0].d[0]", "z"),
        ("$.b[1]", True),
        ("$['e f']", "g"),
    ]
    assert arguments_of(*streamed) == ({"a": "xy", "b": [{"c": 1.0, "d": ["z"]}, True], "e f": "g"}, ())


@pytest.mark.parametrize("path", ["", "$", "a", "$.a[5]", "$.a[999999999]", "$..a", "$.x.y", "$[0]", "$" + ".a" * 1000])
def test_an_argument_without_a_place_is_noted(path: str) -> None:
    assert arguments_of(("$.x", "text"), (path, "lost")) in [
        ({"x": "text"}, ("a streamed argument has no place",)),
        ({"x": "text", "a": []}, ("a streamed argument has no place",)),
    ]


def test_a_call_that_is_cut_short_keeps_what_came() -> None:
    piece = {"jsonPath": "$.a", "stringValue": "half", "willContinue": True}
    call = {"id": "1", "name": "f", "partialArgs": [piece], "willContinue": True}
    for rest in ([], [chunk({"text": "x"})], [chunk({"functionCall": {"name": "g", "args": {}}})]):
        parsed = read(events(chunk({"functionCall": call}), *rest), STREAM)
        assert parsed.tool_calls[0].arguments == '{"a":"half"}'


# --- bounds ---------------------------------------------------------------------------------------------


def test_absurdly_long_names_are_left_out_and_noted() -> None:
    long = "m" * (1 << 20)
    answer = {**chunk({"text": "a"}, finish=long), "modelVersion": long, "responseId": long}
    for parsed in (unary(answer), read(events(answer), STREAM)):
        assert (parsed.model, parsed.response_id, parsed.finish_reason, parsed.output) == (None, None, None, "a")
        assert sum(map(len, parsed.notes)) < 5000


def test_notes_are_few_however_bad_the_stream() -> None:
    body = b"".join(b"data: {%d\n\n" % number for number in range(5000)) + b"data: [1]\n\n" * 5000
    assert len(read(body, STREAM).notes) <= 32


def test_an_image_of_30_mb_is_measured_and_not_kept() -> None:
    image = {"inlineData": {"mimeType": "image/jpeg", "data": "A" * 40_000_000}}
    parsed = unary(chunk({"text": "a"}), request={"contents": [{"parts": [image]}]})
    assert msgspec.to_builtins(parsed.input[0].parts) == (
        {"type": "image", "media_type": "image/jpeg", "size": 30_000_000},
    )


def test_ten_thousand_vectors_are_counted() -> None:
    body = orjson.dumps({"embeddings": [{"values": [0.5] * 20}] * 10_000})
    assert read(body, f"{MODEL}:batchEmbedContents").results == 10_000
    assert read(body[:-1], f"{MODEL}:batchEmbedContents").results is None
    assert read(b'{"embedding":{}}', f"{MODEL}:embedContent").results == 0


# --- the quick and the careful way of reading a chunk -----------------------------------------------------

FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "candidates": st.lists(
            st.fixed_dictionaries(
                {},
                optional={
                    "index": st.integers(0, 5),
                    "content": st.fixed_dictionaries({}, optional={"parts": st.lists(PART, max_size=2)}),
                    "finishReason": st.none() | st.just("STOP"),
                    "safetyRatings": st.none() | st.just([{}]),
                    "unknown": st.just([{}]),
                },
            ),
            max_size=2,
        ),
        "usageMetadata": st.none() | st.just({"promptTokenCount": 1}),
        "modelVersion": st.none() | st.just("m"),
        "error": st.none() | st.just({"message": "x"}),
    },
)


@settings(deadline=None)
@given(fields=FIELDS)
def test_the_careful_way_agrees_with_the_quick_one(fields: dict[str, Any]) -> None:
    """A NaN in a field that nobody reads sends a chunk the careful way."""
    quick = orjson.dumps(fields)
    slow = quick[:-1] + (b"," if fields else b"") + b'"nobody":NaN}'
    first, second = (read(b"data: " + body + b"\n\n", STREAM) for body in (quick, slow))
    assert msgspec.structs.replace(second, first_content_offset=None) == msgspec.structs.replace(
        first, first_content_offset=None
    )
    assert read_chunk(quick, Notes()).model_version == read_chunk(slow, Notes()).model_version


def test_a_signature_alone_is_not_the_first_content() -> None:
    signed, said = events(chunk({"thoughtSignature": "c2ln"})), events(chunk({"text": "a"}))
    parsed = read(signed + said, "/v1beta/models/gemini-2.5-flash:streamGenerateContent")
    assert parsed.first_content_offset == len(signed + said)


def test_an_array_behind_many_blanks_is_a_stream() -> None:
    body = b"\n" * 100 + array(chunk({"text": "a"}))
    parsed = read(body, "/v1beta/models/gemini-2.5-flash:streamGenerateContent")
    assert (parsed.output, parsed.stream) == ("a", True)
