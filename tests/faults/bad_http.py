"""Rows 63 to 86 as HTTP has them: what may come of an answer is the conformance table's, its row is told here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.conformance.responses import CASES as HTTP
from tests.conformance.responses import COOKIES, MANY, Cut, Ours, Same, length, raw, same
from tests.fakes.scripts import ReadBody, Reset, Script, Stall, answer, chunk, head

from .bad_answers import ESTIMATED, NOT_JSON
from .bad_input import CHAT, EVENTS, JSON, NOTHING_READ, WELL, Case
from .bad_streams import CHAT_STREAM

#: Of the conformance tables' answers: rows that do not follow from how the answer ended.
ROWS: dict[str, dict[str, Any]] = {
    "68b 200 with an error object": {"status": "error", "error_message": "no"},
}


def _http() -> Iterator[Case]:
    for case in HTTP:
        early = case.name.startswith("86")
        yield Case(
            name=case.name,
            path="/t",
            method=case.method,
            request=case.raw_body,
            script=case.script,
            client=case.allowed,
            uploaded=not early,
            row={"dialect": "generic"} | ROWS.get(case.name, {}),
            notes=None,
        )


def _http_of_chats() -> Iterator[Case]:
    head_200 = head(200, [JSON, length(CHAT.answer)])
    cut = CHAT.answer[:100]
    stream_head = head(200, [EVENTS, ("Transfer-Encoding", "chunked")])
    first = CHAT_STREAM.of(CHAT_STREAM.events[:2])
    error = b'{"error":{"message":"too large","type":"invalid_request_error"}}'
    well = same(CHAT.answer, JSON, length(CHAT.answer))
    whole_row = {**WELL, "http_status": 200}
    ours = {**NOTHING_READ, "status": "error", "http_status": 502}
    yield _chat(
        "74 500 interim answers",
        raw(b"HTTP/1.1 100 Continue\r\n\r\n" * 500, head_200, CHAT.answer, keep=True),
        well,
        whole_row,
    )
    yield _chat(
        "74b early hints",
        raw(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", head_200, CHAT.answer, keep=True),
        well,
        whole_row,
    )
    yield _chat(
        "75 unasked 101",
        raw(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", CHAT.answer),
        (Ours(),),
        ours,
    )
    yield _chat(
        "76 204 with a body",
        raw(b"HTTP/1.1 204 No Content\r\n\r\n", CHAT.answer),
        (*same(b"", status=204), Ours()),
        NOTHING_READ,
    )
    yield _chat(
        "77 redirect to a metadata address",
        answer(302, [("Location", "http://169.254.169.254/latest")]),
        same(b"", ("Location", "http://169.254.169.254/latest"), length(b""), status=302),
        {**NOTHING_READ, "status": "ok", "http_status": 302},
    )
    yield _chat(
        "78 status 999",
        raw(head(999, [JSON, length(CHAT.answer)], "Odd"), CHAT.answer),
        same(CHAT.answer, JSON, length(CHAT.answer), status=999),
        {"status": "error", "http_status": 999, "error_type": "http_999"},
    )
    yield _chat("78b status 20", raw(head(20, [JSON, length(CHAT.answer)], "Odd"), CHAT.answer), (Ours(),), ours)
    yield _chat("79 body longer than its length", raw(head_200 + CHAT.answer + b"surplus"), (*well, Ours()), {}, None)
    yield _chat(
        "79b body shorter than its length",
        raw(head_200, cut),
        (Cut(cut),),
        {**NOTHING_READ, "status": "truncated", "error_type": "upstream_cut"},
        (NOT_JSON,),
    )
    yield _chat(
        "80 two answers to one request",
        raw(head_200 + CHAT.answer + head(200, [length(b"evil")]) + b"evil"),
        well,
        whole_row,
    )
    yield _chat(
        "81 300 headers",
        answer(200, [*MANY, JSON], CHAT.answer),
        same(CHAT.answer, *MANY, JSON, length(CHAT.answer)),
        whole_row,
    )
    yield _chat(
        "82 \\x01 in a header",
        raw(head(200, [("X-A", b"a\x01b"), JSON, length(CHAT.answer)]), CHAT.answer),
        (Ours(),),
        ours,
    )
    yield _chat(
        "83 fifty cookies",
        answer(200, [*COOKIES, JSON], CHAT.answer),
        same(CHAT.answer, *COOKIES, JSON, length(CHAT.answer)),
        whole_row,
    )
    yield _chat(
        "84 a stream cut in the middle",
        raw(stream_head + chunk(first)),
        (Cut(first),),
        {"status": "truncated", "error_type": "upstream_cut", "output": "fi", "stream": True, **ESTIMATED},
        request=CHAT_STREAM.request,
    )
    yield _chat(
        "84b a stream cut inside an event",
        raw(stream_head + chunk(first + b'data: {"choices":[{"ind')),
        (Cut(first + b'data: {"choices":[{"ind'),),
        {"status": "truncated", "error_type": "upstream_cut", "output": "fi", "stream": True, **ESTIMATED},
        None,
        request=CHAT_STREAM.request,
    )
    yield _chat(
        "84c a stream reset behind [DONE]",
        raw(stream_head + chunk(CHAT_STREAM.body), Reset()),
        (Cut(CHAT_STREAM.body),),
        {**whole_row, "stream": True},
        request=CHAT_STREAM.request,
    )
    yield _chat(
        "85 trailers",
        answer(200, [JSON], CHAT.answer, framing="chunked", trailers=[("X-T", "1")]),
        same(CHAT.answer, JSON, ("Transfer-Encoding", "chunked")),
        whole_row,
    )
    early = raw(
        ReadBody(1), head(413, [JSON, length(error), ("Connection", "close")]), error, Stall(), read_first=False
    )
    long = CHAT.asking(b'"' + b"x" * (4 << 20) + b'"')
    yield _chat(
        "86 answered before it was read",
        early,
        same(error, JSON, length(error), status=413),
        {
            **NOTHING_READ,
            "model_requested": ...,  # as far as it had come
            "status": "error",
            "http_status": 413,
            "error_type": "invalid_request_error",
            "error_message": "too large",
        },
        None,
        request=long,
        uploaded=False,
    )


def _chat(
    name: str,
    script: Script,
    client: tuple[Same | Cut | Ours, ...],
    row: dict[str, Any],
    notes: tuple[str, ...] | None = (),
    *,
    request: bytes = CHAT.request,
    uploaded: bool = True,
) -> Case:
    return Case(
        name=f"{name}, openai_chat",
        path=CHAT.path,
        headers=(JSON,),
        request=request,
        script=script,
        client=client,
        uploaded=uploaded,
        row={"dialect": "openai_chat", "model_requested": "asked"} | row,
        notes=notes,
    )


CASES = (*_http(), *_http_of_chats())
