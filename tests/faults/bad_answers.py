"""Rows 63 to 73: what is odd about the body of an answer, and what its row says."""

# ruff: noqa: E501  (one row a line)

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from .bad_input import (
    CHAT,
    EMBEDDINGS,
    FORMATS,
    GEMINI,
    JSON,
    MESSAGES,
    NOTHING_READ,
    OLLAMA,
    RESPONSES,
    Case,
    Format,
    answered,
    replaced,
)
from .bad_requests import CODINGS, DEEP_LIST, coding, half, padded

NOT_JSON = "the answer is not JSON"
ESTIMATED = {"tokens_source": "estimated", "input_tokens": 8, "output_tokens": 1}


def _encoded() -> Iterator[Case]:
    for to in FORMATS:
        for name, encode in CODINGS.items():
            yield answered(f"63 {name}", to, encode(to.answer), JSON, coding(name))
            yield answered(
                f"63b {name} cut short",
                to,
                half(encode(padded(to.answer))),
                JSON,
                coding(name),
                notes=(f"the answer: {name}: cut short", NOT_JSON),
                **NOTHING_READ,
            )
            yield answered(f"64 {name} that is none", to, to.answer, JSON, coding(name), notes=None, **NOTHING_READ)
    yield answered(
        "64b a stack of codings", CHAT, CODINGS["gzip"](CODINGS["zstd"](CHAT.answer)), JSON, coding("zstd, gzip")
    )
    yield answered(
        "64c unknown coding",
        CHAT,
        CHAT.answer,
        JSON,
        coding("x-odd"),
        notes=("the answer: content-encoding: 'x-odd' is unknown",),
    )
    yield answered(
        "64d gzip twice in a row",
        CHAT,
        CODINGS["gzip"](CHAT.answer[:50]) + CODINGS["gzip"](CHAT.answer[50:]),
        JSON,
        coding("gzip"),
    )


#: By dialect: an error object, its type for the row, and the event that brings it.
ERRORS = {
    "openai_chat": (b'{"error":{"message":"no","type":"overloaded"}}', "overloaded", b"data: "),
    "anthropic_messages": (
        b'{"type":"error","error":{"type":"overloaded","message":"no"}}',
        "overloaded",
        b"event: error\ndata: ",
    ),
    "openai_responses": (
        b'{"type":"error","code":"overloaded","message":"no","error":{"code":"overloaded","message":"no"}}',
        "overloaded",
        b"event: error\ndata: ",
    ),
    "gemini": (b'{"error":{"code":503,"message":"no","status":"overloaded"}}', "overloaded", b"data: "),
    "ollama": (b'{"error":"no"}', "error", b""),
    "openai_embeddings": (b'{"error":{"message":"no","code":"overloaded"}}', "overloaded", b""),
}
PAGE = b"<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body>\xff</body></html>"
FAILED = {**NOTHING_READ, "status": "error", "error_message": "no"}


def _errors() -> Iterator[Case]:
    for to in FORMATS:
        error, kind, _ = ERRORS[to.name]
        yield answered("68 an error with 200", to, error, error_type=kind, **FAILED)
        yield answered("68b errors that are none", to, b'{"error":null,' + to.answer[1:])
        yield answered(
            "69 an HTML page with 200",
            to,
            PAGE,
            status="error",
            error_type="invalid_response",
            error_message="502 Bad Gateway",
            notes=(NOT_JSON,),
            **NOTHING_READ,
        )
        yield answered(
            "69b an HTML page with 502",
            to,
            PAGE,
            http=502,
            status="error",
            error_type="http_502",
            error_message="502 Bad Gateway",
            notes=None,
            **NOTHING_READ,
        )
        yield answered("69c nothing with 200", to, b"", **NOTHING_READ)
        yield answered("69d half of it", to, half(to.answer), notes=(NOT_JSON,), **NOTHING_READ)
        yield answered("69e a list", to, b"[]", notes=None, **NOTHING_READ, **_as_stream(to))
        yield answered("69f a text", to, b'"fine"', notes=None, **NOTHING_READ)
        what = "a chunk" if to is GEMINI else "the answer"
        yield answered(
            "69g nested 100,000 deep",
            to,
            DEEP_LIST,
            notes=(f"{what} is nested too deeply",),
            **NOTHING_READ,
            **_as_stream(to),
        )
        yield answered(
            "69h words nested 100,000 deep",
            to,
            to.saying(DEEP_LIST),
            notes=("the answer is nested too deeply",),
            **NOTHING_READ,
        )
        yield answered(
            "69i lone surrogates",
            to,
            to.saying(b'"\\ud800 \\udc00\\ud800"'),
            **({} if to is EMBEDDINGS else {"output": "\ufffd \ufffd\ufffd"}),
        )
        yield answered("69j NaN", to, to.answer[:-1] + b',"score":NaN,"other":-Infinity,"third":1e999}')


def _as_stream(to: Format) -> dict[str, Any]:
    """A list is how Gemini streams: one that never says that it has come to its end was cut."""
    return {"stream": True, "status": "truncated"} if to is GEMINI else {}


BAD_USAGES = {
    "70 usage is null": b"null",
    "70b usage is a list": b"[3,2]",
    "70c usage is a string": b'"3"',
    "70d usage is empty": b"{}",
}
BAD_COUNTS = {
    "70e counts are negative": b"-1",
    "70f counts are strings": b'"3"',
    "70g counts are null": b"null",
    "70h counts are NaN": b"NaN",
    "70i counts are 1e400": b"1e400",
    "70j counts are 2^64": b"18446744073709551616",
    "70k counts are fractions": b"2.5",
    "70l counts are true": b"true",
    "70m counts are nested": b'{"tokens":3}',
    "70n counts have 5,000 digits": b"9" * 5000,
}


def _usage() -> Iterator[Case]:
    for to in FORMATS:
        if to is not OLLAMA:
            for name, usage in BAD_USAGES.items():
                yield answered(name, to, replaced(to.answer, to.usage, usage), notes=None, **_estimated(to))
        for name, count in BAD_COUNTS.items():
            yield answered(name, to, to.answer.replace(to.usage, _counts(to, count)), notes=None, **_estimated(to))
        yield answered("70o usage is absent", to, _without_usage(to), **_estimated(to))
        yield answered("70p usage twice", to, to.answer[:-1] + b"," + _usage_field(to) + b"}")
        yield answered(
            "70q zero",
            to,
            to.answer.replace(to.usage, _counts(to, b"0")),
            input_tokens=0,
            **({} if to is EMBEDDINGS else {"output_tokens": 0}),
        )


def _estimated(to: Format) -> dict[str, Any]:
    """By four characters a token, with three for each message and three for the answer's beginning."""
    return ESTIMATED | ({"input_tokens": 1, "output_tokens": None} if to is EMBEDDINGS else {})


def _counts(to: Format, count: bytes) -> bytes:
    counts = b",".join(name + count for name in to.counts)
    return counts if to is OLLAMA else b"{" + counts + b"}"


def _usage_field(to: Format) -> bytes:
    start = to.answer.index(to.usage)
    return to.usage if to is OLLAMA else to.answer[to.answer.rindex(b",", 0, start) + 1 : start].lstrip(b",") + to.usage


def _without_usage(to: Format) -> bytes:
    return replaced(to.answer, b"," + _usage_field(to), b"")


IDS = {
    "71 id is null": b"null",
    "71b id is a number": b"17",
    "71c id is a list": b"[[]]",
    "71d id of 1 MB": b'"' + b"i" * (1 << 20) + b'"',
    "71e id is empty": b'""',
}


def _ids() -> Iterator[Case]:
    for to in (to for to in FORMATS if to is not OLLAMA):
        for name, value in IDS.items():
            yield answered(name, to, replaced(to.answer, b'"one"', value), notes=None, response_id=None)
        yield answered("71f id of an earlier answer", to, to.answer)


#: By dialect: the field that holds the answers.
ANSWERS = {
    "openai_chat": b"choices",
    "anthropic_messages": b"content",
    "openai_responses": b"output",
    "gemini": b"candidates",
}


def _choices() -> Iterator[Case]:
    for to in (to for to in FORMATS if to.name in ANSWERS):
        field = ANSWERS[to.name]
        for name, value in (
            ("72 empty", b"[]"),
            ("72b null", b"null"),
            ("72c a text", b'"fine"'),
            ("72d of nulls and numbers", b"[null,1,[],{}]"),
        ):
            yield answered(name, to, _with_answers(to, field, value), notes=None, **_unsaid(to, name))
    choice = CHAT.answer[CHAT.answer.index(b'{"index":0') : CHAT.answer.index(b'],"usage"')]
    yield answered(
        "72e choices out of order",
        CHAT,
        replaced(
            CHAT.answer,
            choice,
            replaced(choice, b'"fine"', b'"second"').replace(b'"index":0', b'"index":1') + b"," + choice,
        ),
    )
    yield answered(
        "72f all choices have index 0",
        CHAT,
        replaced(CHAT.answer, choice, choice + b"," + choice.replace(b'"fine"', b'"second"')),
    )
    yield answered(
        "72g indexes are no numbers", CHAT, replaced(CHAT.answer, choice, choice.replace(b'"index":0', b'"index":"a"'))
    )
    yield answered(
        "72h indexes are -1 and 2^64",
        CHAT,
        replaced(
            CHAT.answer,
            choice,
            choice.replace(b'"index":0', b'"index":-1')
            + b","
            + choice.replace(b'"index":0', b'"index":18446744073709551616'),
        ),
    )
    many = b",".join(
        choice.replace(b'"index":0', b'"index":%d' % n).replace(b'"fine"', b'"fine"' if n == 0 else b'"other"')
        for n in reversed(range(128))
    )
    yield answered("72i 128 choices", CHAT, replaced(CHAT.answer, choice, many))


def _with_answers(to: Format, field: bytes, value: bytes) -> bytes:
    return json.dumps({**json.loads(to.answer), field.decode(): json.loads(value)}, separators=(",", ":")).encode()


def _unsaid(to: Format, name: str) -> dict[str, Any]:
    """Some say the reason to finish beside the answers; a message may be a mere text."""
    said = "fine" if to is MESSAGES and "text" in name else None
    return {"output": said} | ({} if to in (MESSAGES, RESPONSES) else {"finish_reason": None})


#: Arguments of a tool: what is sent, as JSON, and what is understood.
BROKEN = {
    "73b arguments that are cut": (b'"{\\"a\\":"', '{"a":'),
    "73c arguments that are no JSON": (b'"call me maybe"', "call me maybe"),
    "73d no arguments": (b'""', ""),
    "73e arguments nested 100,000 deep": (b'"' + b"[" * 100_000 + b'"', "[" * 100_000),
    "73f arguments of surrogates": (b'"\\ud800"', "\ufffd"),
}
SAID = b'{"role":"assistant","content":"fine"}'


def _tools() -> Iterator[Case]:
    for name, (sent, understood) in BROKEN.items():
        message = (
            b'{"role":"assistant","tool_calls":[{"id":"t1","type":"function","function":{"name":"t","arguments":%b}}]}'
            % sent
        )
        yield answered(
            f"{name}, at once",
            CHAT,
            replaced(CHAT.answer, SAID, message),
            tool_calls=[("t1", "t", understood)],
            output=None,
        )
    call = b'{"id":%b,"function":{"name":%b,"arguments":%b}}'
    calls = b",".join(
        [call % (b'"t1"', b'"t"', b'"{}"')] * 2
        + [call % (b"null", b"null", b"null"), b"{}", b"null", call % (b'"t2"', b'"t"', b'{"b":1}')]
    )
    twice = b'{"role":"assistant","content":null,"tool_calls":[%b]}' % calls
    yield answered("73g ids repeated, null, absent", CHAT, replaced(CHAT.answer, SAID, twice), notes=None, output=None)
    results = b'{"role":"tool","tool_call_id":"t1","content":"1"},{"role":"tool","tool_call_id":"t1","content":"2"},{"role":"tool","content":[[]]},{"role":"tool","tool_call_id":7,"content":null},{"role":"tool","tool_call_id":"unknown","content":"\\ud800"}'
    request = b'{"model":"asked","messages":[%b,%b]}' % (twice, results)
    yield answered("73h results for ids repeated, null, unknown", CHAT, CHAT.answer, request=request, notes=None)


CASES = (*_encoded(), *_errors(), *_usage(), *_ids(), *_choices(), *_tools())
