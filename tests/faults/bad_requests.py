"""Rows 50 to 62: what is odd about a request, and what is known of its call all the same."""

# ruff: noqa: E501  (one row a line)

from __future__ import annotations

import gzip
import random
import zlib
from collections.abc import Iterator

import brotli
import zstandard

from .bad_input import CHAT, FORMATS, GEMINI, GENERATING, JSON, MESSAGES, OLLAMA, RESPONSES, Case, asked

DEEP = 100_000
UNREAD = {"model_requested": None}
DEEP_LIST = b"[" * DEEP + b"]" * DEEP
NOT_JSON = "the request is not JSON"

CODINGS = {
    "gzip": lambda body: gzip.compress(body, mtime=0),
    "deflate": zlib.compress,
    "br": lambda body: brotli.compress(body, quality=1),
    "zstd": zstandard.compress,
}


def coding(name: str) -> tuple[str, str]:
    """The header that says how a body is encoded."""
    return ("Content-Encoding", name)


PAD = random.Random(57).randbytes(200_000).hex().encode()  # what no coding holds back until it is whole


def padded(body: bytes) -> bytes:
    """A JSON object with a long text before its other fields."""
    return b'{"pad":"' + PAD + b'",' + body[1:]


def half(body: bytes) -> bytes:
    """The first half."""
    return body[: len(body) // 2]


def _nested() -> Iterator[Case]:
    for to in FORMATS:
        unread = {} if to is GEMINI else UNREAD
        yield asked("51 nested 100,000 deep", to, DEEP_LIST, notes=("the request is nested too deeply",), **unread)
        yield asked(
            "51b words nested 100,000 deep",
            to,
            to.asking(DEEP_LIST),
            notes=("the request is nested too deeply",),
            **unread,
        )
        yield asked(
            "51c an object 100,000 deep",
            to,
            b'{"a":' * DEEP + b"1" + b"}" * DEEP,
            notes=("the request is nested too deeply",),
            **unread,
        )
        yield asked(
            "51d a key nested 900 deep", to, to.request[:-1] + b',"metadata":{"a":%b}}' % (b"[" * 900 + b"]" * 900)
        )


def _values() -> Iterator[Case]:
    yield asked(
        "52 stream is true, then false", CHAT, b'{"stream":true,"stream":false,' + CHAT.request[1:], stream=False
    )
    yield asked("52b two models", CHAT, b'{"model":"first",' + CHAT.request[1:])
    for to in FORMATS:
        yield asked("52c every key twice", to, to.request[:-1] + b"," + to.request[1:])
        yield asked(
            "53 __proto__ and constructor",
            to,
            b'{"__proto__":{"model":"polluted"},"constructor":{"prototype":[]},' + to.request[1:],
        )
        yield asked("54 NaN", to, b'{"temperature":NaN,"top_p":-Infinity,' + to.request[1:])
        yield asked(
            "54b 1e400 and 2^64",
            to,
            b'{"top_p":1e400,"max_tokens":18446744073709551616,"seed":-1' + b"0" * 5000 + b"," + to.request[1:],
        )
    yield asked(
        "53b __proto__ as metadata",
        CHAT,
        b'{"metadata":{"__proto__":"a","toString":"b"},' + CHAT.request[1:],
        metadata={"__proto__": "a", "toString": "b"},
    )


def _texts() -> Iterator[Case]:
    for to in FORMATS:
        yield asked("55 lone surrogate", to, to.asking(b'"\\ud800 \\udc00\\ud800 x"'))
        yield asked("55b overlong UTF-8", to, to.asking(b'"\xc0\xaf\xe0\x80\xaf\xed\xa0\x80\xff"'))
        yield asked("55c UTF-16 with BOM", to, to.request.decode().encode("utf-16"))
        yield asked("55d UTF-8 with BOM", to, b"\xef\xbb\xbf" + to.request)
        yield asked("55e NUL", to, to.asking(b'"a\\u0000b\x00c"'))
        yield asked("56 wrong content type", to, to.request, ("Content-Type", "image/png"))
        yield asked("56b no content type", to, to.request, ("X-A", "1"))
    yield asked(
        "55f surrogates in names",
        CHAT,
        b'{"user":"\\ud800","metadata":{"\\udfff":"\\ud83d"},"tools":[{"type":"function","function":{"name":"\\ud800"}}],'
        + CHAT.request[1:],
        user="\ufffd",
        metadata={"\ufffd": "\ufffd"},
    )
    yield asked(
        "55g surrogate as model", CHAT, CHAT.request.replace(b'"asked"', b'"\\ud800"'), model_requested="\ufffd"
    )


def _encoded() -> Iterator[Case]:
    for to in FORMATS:
        for name, encode in CODINGS.items():
            yield asked(f"57 {name}", to, encode(to.request), JSON, coding(name))
    for name, encode in CODINGS.items():
        yield asked(
            f"57b {name} cut short",
            CHAT,
            half(encode(padded(CHAT.request))),
            JSON,
            coding(name),
            notes=(f"the request: {name}: cut short", NOT_JSON),
            **UNREAD,
        )
        yield asked(
            f"57c {name} that is none",
            CHAT,
            CHAT.request,
            JSON,
            coding(name),
            notes=(f"the request: {name}: corrupt", NOT_JSON)[: 2 if name == "deflate" else 1],
            **UNREAD,
        )
    yield asked("57d a stack of codings", CHAT, CODINGS["br"](CODINGS["gzip"](CHAT.request)), JSON, coding("gzip, br"))
    yield asked(
        "57e unknown coding",
        CHAT,
        CHAT.request,
        JSON,
        coding("x-odd"),
        notes=("the request: content-encoding: 'x-odd' is unknown",),
    )
    yield asked(
        "57f nine codings",
        CHAT,
        CHAT.request,
        JSON,
        coding(", ".join(["gzip"] * 9)),
        notes=("the request: content-encoding: 9 codings",),
    )
    yield asked("57g identity", CHAT, CHAT.request, JSON, coding("identity"))
    yield asked("57h empty, and gzip", CHAT, b"", JSON, coding("gzip"), **UNREAD)
    yield asked(
        "57i surplus behind gzip",
        CHAT,
        CODINGS["gzip"](CHAT.request) + b"surplus",
        JSON,
        coding("gzip"),
        notes=("the request: gzip: corrupt",),
    )


MEGABYTE = b"m" * (1 << 20)
MODELS = {
    "60 model is a list": (b'["a",1]', None, ("model is a list, not a string",)),
    "60b model of 1 MB": (b'"' + MEGABYTE + b'"', None, ("model has 1048576 characters",)),
    "60c model is SQL": (b'"x\'; DROP TABLE call; --"', "x'; DROP TABLE call; --", ()),
    "60d model is HTML": (b'"<script>alert(1)</script>"', "<script>alert(1)</script>", ()),
    "60e model is a path": (b'"../../../etc/passwd\\u0000"', "../../../etc/passwd\0", ()),
    "60f model is a number": (b"-0.0", None, ("model is a number, not a string",)),
    "60g model is an object": (b'{"model":"asked"}', None, ("model is an object, not a string",)),
    "60h model of control characters": (b'"\\u001b[31m\\r\\n"', "\x1b[31m\r\n", ()),
    "60i model is empty": (b'""', None, ()),
}  # fmt: skip
GEMINI_MODELS = {
    "60c model is SQL": ("x';DROP%20TABLE%20call;--", "x';DROP TABLE call;--"),
    "60d model is HTML": ("%3Cscript%3Ealert(1)%3C%2Fscript%3E", "<script>alert(1)</script>"),
    "60e model is a path": ("..%2f..%2fetc", "../etc"),
    "60h model of control characters": ("%1b[31m%0d%0a", "\x1b[31m\r\n"),
    "60j model that is not UTF-8": ("%ff%fe", "\ufffd\ufffd"),
}  # fmt: skip


def _models() -> Iterator[Case]:
    for to in FORMATS:
        for name, (model, requested, notes) in MODELS.items() if to is not GEMINI else ():
            yield asked(name, to, to.request.replace(b'"asked"', model), notes=notes, model_requested=requested)
    for name, (model, requested) in GEMINI_MODELS.items():
        yield asked(
            name, GEMINI, GEMINI.request, path=f"/v1beta/models/{model}:generateContent", model_requested=requested
        )


CYCLE = b'{"$ref":"#","type":"object","properties":{"self":{"$ref":"#/properties/self"},"all":{"$ref":"#"}},"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}}}'
TOOLS = {
    CHAT.name: b'[{"type":"function","function":{"name":"t","parameters":%b}}]',
    MESSAGES.name: b'[{"name":"t","input_schema":%b}]',
    RESPONSES.name: b'[{"type":"function","name":"t","parameters":%b}]',
    GEMINI.name: b'[{"functionDeclarations":[{"name":"t","parameters":%b}]}]',
    OLLAMA.name: b'[{"type":"function","function":{"name":"t","parameters":%b}}]',
}


def _tools() -> Iterator[Case]:
    for to, tools in ((to, TOOLS[to.name]) for to in GENERATING):
        yield asked("61 schema with cycles", to, to.request[:-1] + b',"tools":' + tools % CYCLE + b"}")
        deep = b'{"a":' * 300 + b"{}" + b"}" * 300
        yield asked(
            "61b schema nested 300 deep",
            to,
            to.request[:-1] + b',"tools":' + tools % deep + b"}",
            notes=("tool parameters is nested too deeply",),
        )
        yield asked("61c tools that are none", to, to.request[:-1] + b',"tools":"all"}', notes=("tools is a string",))


def _empty() -> Iterator[Case]:
    for to in FORMATS:
        unread = {} if to is GEMINI else UNREAD
        yield asked("62 empty", to, b"", **unread)
        yield asked("62b empty, in chunks", to, b"", framing="chunked", **unread)
        yield asked("62c blank", to, b" \r\n", notes=(NOT_JSON,), **unread)
        yield asked("62d null", to, b"null", **unread)
        yield asked("62e in chunks of a byte", to, to.request, framing="chunked")


CASES = (*_nested(), *_values(), *_texts(), *_encoded(), *_models(), *_tools(), *_empty())
