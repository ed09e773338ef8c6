"""Rows 63 to 73 again, for answers that come in pieces."""

# ruff: noqa: E501  (one row a line)

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from .bad_answers import BROKEN, ERRORS, ESTIMATED
from .bad_input import (
    CHAT,
    EVENTS,
    GEMINI,
    MESSAGES,
    NOTHING_READ,
    OLLAMA,
    RESPONSES,
    SEARCHED,
    Case,
    Format,
    answered,
    replaced,
)
from .bad_requests import CODINGS, coding

LINES = ("Content-Type", "application/x-ndjson")


class Stream(Struct, frozen=True, kw_only=True):
    """A streamed answer that is right in all respects, event by event."""

    to: Format
    path: str
    request: bytes
    events: tuple[bytes, ...]
    header: tuple[str, str] = EVENTS
    end: bytes = b"\n\n"  #: of an event

    @property
    def body(self) -> bytes:
        """All of it."""
        return self.of(self.events)

    def of(self, events: tuple[bytes, ...]) -> bytes:
        """These events, as a stream."""
        return b"".join(event + self.end for event in events)

    def saying(self, first: bytes, second: bytes) -> bytes:
        """All of it, with other JSON in place of the two halves of what is said."""
        return self.body.replace(b'"fi"', first).replace(b'"ne"', second)


CHAT_STREAM = Stream(
    to=CHAT,
    path=CHAT.path,
    request=CHAT.request[:-1] + b',"stream":true,"stream_options":{"include_usage":true}}',
    events=(
        b'data: {"id":"one","model":"served","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}',
        b'data: {"id":"one","model":"served","choices":[{"index":0,"delta":{"content":"fi"}}]}',
        b'data: {"id":"one","model":"served","choices":[{"index":0,"delta":{"content":"ne"}}]}',
        b'data: {"id":"one","model":"served","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}',
        b'data: {"id":"one","model":"served","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}',
        b"data: [DONE]",
    ),
)
MESSAGES_STREAM = Stream(
    to=MESSAGES,
    path=MESSAGES.path,
    request=MESSAGES.request[:-1] + b',"stream":true}',
    events=(
        b'event: message_start\ndata: {"type":"message_start","message":{"id":"one","type":"message","role":"assistant","model":"served","content":[],"stop_reason":null,"usage":{"input_tokens":3,"output_tokens":1}}}',
        b'event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}',
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"fi"}}',
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"ne"}}',
        b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}',
        b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}',
        b'event: message_stop\ndata: {"type":"message_stop"}',
    ),
)
RESPONSES_STREAM = Stream(
    to=RESPONSES,
    path=RESPONSES.path,
    request=RESPONSES.request[:-1] + b',"stream":true}',
    events=(
        b'event: response.created\ndata: {"type":"response.created","sequence_number":0,"response":{"id":"one","object":"response","status":"in_progress","model":"served","output":[]}}',
        b'event: response.output_item.added\ndata: {"type":"response.output_item.added","output_index":0,"item":{"id":"m","type":"message","role":"assistant","content":[]}}',
        b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","item_id":"m","output_index":0,"content_index":0,"delta":"fi"}',
        b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","item_id":"m","output_index":0,"content_index":0,"delta":"ne"}',
        b'event: response.completed\ndata: {"type":"response.completed","response":' + RESPONSES.answer + b"}",
    ),
)
GEMINI_STREAM = Stream(
    to=GEMINI,
    path="/v1beta/models/asked:streamGenerateContent",
    request=GEMINI.request,
    events=(
        b'data: {"candidates":[{"content":{"role":"model","parts":[{"text":"fi"}]},"index":0}],"modelVersion":"served","responseId":"one"}',
        b'data: {"candidates":[{"content":{"role":"model","parts":[{"text":"ne"}]},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":2,"totalTokenCount":5},"modelVersion":"served","responseId":"one"}',
    ),
)
OLLAMA_STREAM = Stream(
    to=OLLAMA,
    path=OLLAMA.path,
    request=replaced(OLLAMA.request, b"false", b"true"),
    events=(
        b'{"model":"served","message":{"role":"assistant","content":"fi"},"done":false}',
        b'{"model":"served","message":{"role":"assistant","content":"ne"},"done":false}',
        b'{"model":"served","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","prompt_eval_count":3,"eval_count":2}',
    ),
    header=LINES,
    end=b"\n",
)
OF_EVENTS = (CHAT_STREAM, MESSAGES_STREAM, RESPONSES_STREAM, GEMINI_STREAM)
STREAMS = (*OF_EVENTS, OLLAMA_STREAM)
BYTEWISE = (1,)


def streamed(
    name: str, stream: Stream, body: bytes, *headers: tuple[str, str], sizes: tuple[int, ...] = (), **more: Any
) -> Case:
    """A streamed answer that is odd."""
    return answered(
        name,
        stream.to,
        body,
        *(headers or (stream.header,)),
        request=stream.request,
        path=stream.path,
        sizes=sizes,
        **({"stream": True} | more),
    )


def _encoded() -> Iterator[Case]:
    for stream in STREAMS:
        for name, encode in CODINGS.items():
            yield streamed(
                f"63c {name}, a byte at a time",
                stream,
                encode(stream.body),
                stream.header,
                coding(name),
                sizes=BYTEWISE,
            )


def _events() -> Iterator[Case]:
    for stream in OF_EVENTS:
        body = stream.body
        yield streamed("66 CR only", stream, body.replace(b"\n", b"\r"))
        yield streamed("66b CRLF, a byte at a time", stream, body.replace(b"\n", b"\r\n"), sizes=BYTEWISE)
        yield streamed("66c byte order mark", stream, b"\xef\xbb\xbf" + body, sizes=BYTEWISE)
        yield streamed(
            "66d comments, ids, retries",
            stream,
            b": ping\n\n:\n\nid: 1\nretry: x\n\n" + body.replace(b"\n\n", b"\n: ping\nid: 2\n\n"),
        )
        yield streamed("66e no blank line at the end", stream, body[:-2])
        yield streamed(
            "66f no space behind the colon", stream, body.replace(b"data: ", b"data:").replace(b"event: ", b"event:")
        )
        yield streamed(
            "66g unknown events between", stream, body.replace(b"\n\n", b'\n\nevent: ping\ndata: {"type": "ping"}\n\n')
        )
        yield streamed(
            "66h a line of 2 MB",
            stream,
            stream.saying(b'"' + b"x" * (2 << 20) + b'"', b'""'),
            **({"output": "x" * (2 << 20), "notes": (SEARCHED,)} if stream is not RESPONSES_STREAM else {}),
        )
        yield streamed("66i nothing", stream, b"", status="truncated", notes=None, **NOTHING_READ)
        yield streamed("66j no event at all", stream, b"hello\n\n\n", status="truncated", notes=None, **NOTHING_READ)
    done = b"data: [DONE]\n\n"
    chat, plain = CHAT_STREAM.body, CHAT_STREAM.of(CHAT_STREAM.events[:4])
    usage = CHAT_STREAM.of(CHAT_STREAM.events[4:5])
    yield streamed("66k [DONE] missing", CHAT_STREAM, chat.removesuffix(done))
    yield streamed("66l [DONE] and usage missing", CHAT_STREAM, plain, status="truncated", **ESTIMATED)
    yield streamed("66m [DONE] doubled", CHAT_STREAM, chat + done)
    yield streamed("66n [DONE] before usage", CHAT_STREAM, plain + done + usage)
    yield streamed("66o usage doubled", CHAT_STREAM, plain + usage + usage + done)
    yield streamed(
        "66p usage grows in every event",
        CHAT_STREAM,
        chat.replace(b'"fi"}}]', b'"fi"}}],"usage":{"prompt_tokens":3,"completion_tokens":1}'),
    )


def _utf8() -> Iterator[Case]:
    said = "Grüße 🎉 漢字 \u2028 end"
    for stream in STREAMS:
        body = stream.saying(json.dumps(said, ensure_ascii=False).encode(), b'""')
        if stream is RESPONSES_STREAM:
            body = body.replace(b'"fine"', json.dumps(said, ensure_ascii=False).encode())
        yield streamed("67 UTF-8, a byte at a time", stream, body, sizes=BYTEWISE, output=said)


PARTLY = {"status": "error", "error_message": "no", "output": "fi", "finish_reason": None, **ESTIMATED}


def _errors() -> Iterator[Case]:
    for stream in STREAMS:
        error, kind, before = ERRORS[stream.to.name]
        at = next(place for place, event in enumerate(stream.events) if b'"fi"' in event) + 1
        events = (*stream.events[:at], before + error)
        told = {"input_tokens": 3} if stream is MESSAGES_STREAM else {}  # its first event says it
        yield streamed("68c an error in mid-stream", stream, stream.of(events), error_type=kind, **PARTLY | told)


def _choices() -> Iterator[Case]:
    yield streamed(
        "72j 128 choices, interleaved",
        CHAT_STREAM,
        CHAT_STREAM.of(
            tuple(each for event in CHAT_STREAM.events[:4] for each in _of_128(event)) + CHAT_STREAM.events[4:]
        ),
    )
    yield streamed(
        "72k indexes that are none count as 0",
        CHAT_STREAM,
        CHAT_STREAM.of(
            (
                *CHAT_STREAM.events[:4],
                *(
                    replaced(CHAT_STREAM.events[1], b'"index":0', b'"index":' + n)
                    for n in (b"-1", b"18446744073709551616", b'"a"', b"null")
                ),
                *CHAT_STREAM.events[4:],
            )
        ),
        notes=None,
        output="finefifififi",
    )


def _of_128(event: bytes) -> Iterator[bytes]:
    yield event
    for n in range(127, 0, -1):
        yield replaced(event, b'"index":0', b'"index":%d' % n)


ARGUMENTS = '{"a":"Grüße 🎉","b":[1,2]}'


def _tools() -> Iterator[Case]:
    pieces = [json.dumps(character).encode() for character in ARGUMENTS]
    yield from _called("73 arguments a character at a time", pieces, ARGUMENTS, sizes=BYTEWISE)
    for name, (sent, understood) in BROKEN.items():
        yield from _called(name, [sent], understood)


def _called(name: str, pieces: list[bytes], arguments: str, **more: Any) -> Iterator[Case]:
    """One tool, asked for in every format that streams arguments in pieces."""
    told = [("t1", "t", arguments)]
    yield streamed(
        name, CHAT_STREAM, _chat_tool(pieces), tool_calls=told, output=None, finish_reason="tool_calls", **more
    )
    meant = [("t1", "t", arguments or "{}")]
    yield streamed(
        name,
        MESSAGES_STREAM,
        _messages_tool(pieces),
        tool_calls=meant,
        output=None,
        finish_reason="tool_use",
        notes=None,
        **more,
    )
    yield streamed(name, RESPONSES_STREAM, _responses_tool(pieces, arguments), tool_calls=told, output=None, **more)


def _chat_tool(pieces: list[bytes]) -> bytes:
    begin, _, _, finish, *rest = CHAT_STREAM.events
    first = b'data: {"id":"one","model":"served","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"t1","type":"function","function":{"name":"t","arguments":""}}]}}]}'
    deltas = [
        b'data: {"id":"one","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":%b}}]}}]}'
        % piece
        for piece in pieces
    ]
    return CHAT_STREAM.of((begin, first, *deltas, replaced(finish, b"stop", b"tool_calls"), *rest))


def _messages_tool(pieces: list[bytes]) -> bytes:
    begin, _, _, _, stop, delta, end = MESSAGES_STREAM.events
    first = b'event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t1","name":"t","input":{}}}'
    deltas = [
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":%b}}'
        % piece
        for piece in pieces
    ]
    return MESSAGES_STREAM.of((begin, first, *deltas, stop, replaced(delta, b"end_turn", b"tool_use"), end))


def _responses_tool(pieces: list[bytes], arguments: str) -> bytes:
    begin = RESPONSES_STREAM.events[0]
    item = {"id": "f", "type": "function_call", "call_id": "t1", "name": "t", "arguments": arguments}
    first = b'event: response.output_item.added\ndata: {"type":"response.output_item.added","output_index":0,"item":{"id":"f","type":"function_call","call_id":"t1","name":"t","arguments":""}}'
    deltas = [
        b'event: response.function_call_arguments.delta\ndata: {"type":"response.function_call_arguments.delta","item_id":"f","output_index":0,"delta":%b}'
        % piece
        for piece in pieces
    ]
    whole = json.dumps({"type": "response.completed", "response": {**json.loads(RESPONSES.answer), "output": [item]}})
    return RESPONSES_STREAM.of((begin, first, *deltas, b"event: response.completed\ndata: " + whole.encode()))


CASES = (*_encoded(), *_events(), *_utf8(), *_errors(), *_choices(), *_tools())
