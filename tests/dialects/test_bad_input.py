"""What peers send when something is wrong with them, to every dialect: no exception, and what can be stored."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from proxy.dialects.base import Bodies
from proxy.dialects.table import GENERIC, ROWS
from proxy.records import Parsed

from .golden import CONTENT_TYPES, DEFAULT_PATHS, parse
from .mutations import check

DIALECTS = sorted({row.dialect.name for row in ROWS} | {GENERIC.name})
#: These read more of an answer than an envelope.
READERS = sorted(set(DIALECTS) - {GENERIC.name, "models"})
#: Where each dialect's answers tell the tokens of the prompt.
USAGE = {
    "anthropic_messages": ("usage", "input_tokens"),
    "gemini": ("usageMetadata", "promptTokenCount"),
    "openai_chat": ("usage", "prompt_tokens"),
    "openai_completions": ("usage", "prompt_tokens"),
    "openai_embeddings": ("usage", "prompt_tokens"),
    "openai_moderations": ("usage", "prompt_tokens"),
    "openai_responses": ("usage", "input_tokens"),
    "rerank": ("usage", "prompt_tokens"),
}


def bodies_of(
    dialect: str, request: bytes = b"", response: bytes = b"", suffix: str = ".json", status: int | None = 200
) -> Bodies:
    return Bodies(
        path=DEFAULT_PATHS[dialect],
        request=request,
        response=response,
        response_headers={"content-type": CONTENT_TYPES[suffix]},
        http_status=status,
    )


def read(dialect: str, request: bytes = b"", response: bytes = b"", suffix: str = ".json", status: int = 200) -> Parsed:
    parsed = parse(bodies_of(dialect, request, response, suffix, status))
    check(parsed)
    return parsed


every_dialect = pytest.mark.parametrize("dialect", DIALECTS)

BODIES = {
    "nothing": b"",
    "blank": b" \r\n\t",
    "deep lists": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "deep within": b'{"model":"m","messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "duplicate keys": b'{"stream":true,"stream":false,"model":"a","model":"b","choices":[],"choices":7}',
    "prototype": b'{"__proto__":{"model":"x"},"constructor":{"prototype":{}}}',
    "numbers": b'{"usage":{"prompt_tokens":NaN,"completion_tokens":1e400,"total_tokens":18446744073709551616}}',
    "long number": b'{"created":' + b"9" * 100_000 + b"}",
    "lone surrogates": b'{"model":"\\ud800","content":"\\udfff\\ud800"}',
    "overlong UTF-8": b'{"model":"\xc0\xaf\xe0\x80\xaf"}',
    "UTF-16": b"\xff\xfe" + '{"model":"m"}'.encode("utf-16-le"),
    "UTF-16, no mark": '{"model":"m"}'.encode("utf-16-be"),
    "UTF-8 mark": b'\xef\xbb\xbf{"model":"m"}',
    "bytes": bytes(range(256)) * 4,
    "NUL": b"\x00" * 100,
    "a list": b"[1,2,3]",
    "a string": b'"text"',
    "a number": b"-0.0",
    "null": b"null",
    "two values": b"{}{}",
    "a page": b"<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head></html>",
    "a long page": b"<" * 1_000_000,
    "multipart": b"--x\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nabc\r\n--x--\r\n",
    "events of nothing": b"data:\n\ndata: {}\n\ndata: null\n\ndata: []\n\ndata: 1\n\n",
    "events that are bytes": b"data: \xff\xfe\x00\n\nevent: \xff\ndata: {\n\n",
    "a line of 2 MB": b"data: " + b"x" * 2_000_000 + b"\n\n",
    "only comments": b": ping\n\n" * 1000,
    "only ends": b"data: [DONE]\n\n" * 3,
    "CR only": b'data: {"choices":[]}\r\r',
}  # fmt: skip


@pytest.mark.parametrize("status", [200, 502])
@pytest.mark.parametrize("suffix", [".json", ".sse", ".ndjson", ".txt"])
@every_dialect
def test_any_answer_is_read(dialect: str, suffix: str, status: int) -> None:
    for body in BODIES.values():
        parsed = read(dialect, b'{"model":"m"}', body, suffix, status)
        assert status == 200 or parsed.error_type


@every_dialect
def test_any_request_is_read(dialect: str) -> None:
    for body in BODIES.values():
        read(dialect, body, b"{}")


@pytest.mark.parametrize(
    "model",
    [["a"], {"a": 1}, 7, True, "m" * 1_000_000, "'; DROP TABLE call; --", "<script>x</script>", "../../etc/passwd", ""],
    ids=lambda model: str(model)[:20],
)  # fmt: skip
@every_dialect
def test_a_model_of_any_kind(dialect: str, model: Any) -> None:
    asked, answered = orjson.dumps({"model": model}), orjson.dumps({"model": model, "modelVersion": model})
    parsed = read(dialect, asked, answered)
    usual = isinstance(model, str) and 0 < len(model) < 1000
    for found in (parsed.model_requested, parsed.model):
        assert found is None or (usual and found == model) or found in DEFAULT_PATHS[dialect]


@pytest.mark.parametrize("bad", [None, -1, "5", 1.5, True, [], {}, 1e300, 1 << 64], ids=repr)
@pytest.mark.parametrize("dialect", USAGE)
def test_usage_that_is_no_count_is_unknown(dialect: str, bad: Any) -> None:
    holder, field = USAGE[dialect]
    parsed = read(dialect, b"{}", b'{"%s":{"%s":%s}}' % (holder.encode(), field.encode(), _json(bad)))
    assert parsed.usage is None or parsed.usage.input_tokens is None


@pytest.mark.parametrize("bad", [None, -1, "5", [1], [{}], True], ids=repr)
@pytest.mark.parametrize("dialect", USAGE)
def test_usage_that_is_no_object_is_unknown(dialect: str, bad: Any) -> None:
    holder, _ = USAGE[dialect]
    parsed = read(dialect, b"{}", orjson.dumps({holder: bad}))
    assert parsed.usage is None or parsed.usage.input_tokens is None


@pytest.mark.parametrize("dialect", USAGE)
def test_usage_that_is_said_twice_is_the_last(dialect: str) -> None:
    holder, field = (name.encode() for name in USAGE[dialect])
    parsed = read(dialect, b"{}", b'{"%s":{"%s":1},"%s":{"%s":2}}' % (holder, field, holder, field))
    assert parsed.usage is not None
    assert parsed.usage.input_tokens == 2


@pytest.mark.parametrize("identifier", [None, "", 7, [], "x" * 100_000], ids=lambda value: str(value)[:10])
@every_dialect
def test_ids_of_any_kind(dialect: str, identifier: Any) -> None:
    parsed = read(dialect, b"{}", orjson.dumps({"id": identifier, "responseId": identifier}))
    assert parsed.response_id is None


@every_dialect
def test_an_error_in_an_answer_that_says_200(dialect: str) -> None:
    parsed = read(dialect, b"{}", b'{"error":{"message":"out of credit","type":"billing"}}')
    assert (parsed.error_type, parsed.error_message) == ("billing", "out of credit")


@pytest.mark.parametrize("dialect", READERS)
def test_a_page_in_place_of_an_answer(dialect: str) -> None:
    parsed = read(dialect, b"{}", BODIES["a page"])
    assert parsed.error_message == "502 Bad Gateway"
    assert parsed.output is None
    assert not parsed.terminal


# --- choices and streams of the OpenAI formats -------------------------------------------------------------


def events(*values: Any, end: bytes = b"data: [DONE]\n\n") -> bytes:
    return b"".join(b"data: " + orjson.dumps(value) + b"\n\n" for value in values) + end


def chat(index: int, text: str, finish: str | None = None) -> dict[str, Any]:
    return {"id": "c", "choices": [{"index": index, "delta": {"content": text}, "finish_reason": finish}]}


def completion(index: int, text: str, finish: str | None = None) -> dict[str, Any]:
    return {"id": "c", "choices": [{"index": index, "text": text, "finish_reason": finish}]}


STREAMED = pytest.mark.parametrize(
    ("dialect", "chunk"), [("openai_chat", chat), ("openai_completions", completion)], ids=["chat", "completions"]
)
USED = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}


@STREAMED
def test_choices_that_are_empty_out_of_order_or_many(dialect: str, chunk: Any) -> None:
    assert read(dialect, b"{}", b'{"choices":[]}').choices == ()
    backwards = [chunk(index, f"<{index}>", "stop") for index in reversed(range(128))]
    parsed = read(dialect, b"{}", events(*backwards), ".sse")
    assert [choice.index for choice in parsed.choices] == list(range(128))
    assert parsed.output == "<0>"


@pytest.mark.parametrize("index", [-1, 1 << 53, 1 << 64, 1e300, "1", None, []], ids=repr)
@STREAMED
def test_a_place_that_is_none(dialect: str, chunk: Any, index: Any) -> None:
    body = orjson.dumps(chunk("INDEX", "a", "stop")).replace(b'"INDEX"', _json(index))
    (choice,) = read(dialect, b"{}", b"data: " + body + b"\n\n", ".sse").choices
    assert (choice.index, choice.finish_reason) == (0, "stop")


@STREAMED
def test_the_end_of_a_stream_that_is_missing_doubled_or_early(dialect: str, chunk: Any) -> None:
    said = [chunk(0, "a"), chunk(0, "b", "stop")]
    done = b"data: [DONE]\n\n"
    whole = read(dialect, b"{}", events(*said, USED), ".sse")
    assert (whole.output, whole.terminal) == ("ab", True)
    for body in (
        events(*said, USED, end=b""),
        events(*said, USED, end=done * 2),
        events(*said) + events(USED, end=b""),
    ):
        assert read(dialect, b"{}", body, ".sse") == whole
    assert read(dialect, b"{}", events(*said, end=b""), ".sse").terminal is False


@STREAMED
def test_ids_that_are_null_or_differ(dialect: str, chunk: Any) -> None:
    body = events(chunk(0, "a") | {"id": None}, chunk(0, "b") | {"id": "one"}, chunk(0, "c", "stop") | {"id": "two"})
    parsed = read(dialect, b"{}", body, ".sse")
    assert (parsed.output, parsed.response_id) == ("abc", "two")


@STREAMED
def test_a_stream_that_breaks_off_within_a_character(dialect: str, chunk: Any) -> None:
    body = events(chunk(0, "a"), end=b"") + b'data: {"choices":[{"index":0,"delta":{"content":"\xf0\x9f'
    parsed = read(dialect, b"{}", body, ".sse")
    assert (parsed.output, parsed.terminal) == ("a", False)


def _json(value: Any) -> bytes:
    """Also of numbers that orjson cannot write."""
    return str(value).encode() if isinstance(value, int) and not isinstance(value, bool) else orjson.dumps(value)
