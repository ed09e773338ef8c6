"""What the fake upstream does with a request, as data: a script is a tuple of steps.

No I/O here; ``upstream.py`` performs the steps. The builders below cover the common answers,
well-formed and broken; anything else is spelt out with ``Send(bytes)``.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from msgspec import Struct

Headers = Sequence[tuple[str | bytes, str | bytes]]
Framing = Literal["length", "chunked", "close"]


class Send(Struct, frozen=True):
    """Write bytes; with ``sizes``, in pieces of those sizes (the last one repeats), ``pause_s`` apart."""

    data: bytes
    sizes: tuple[int, ...] = ()
    pause_s: float = 0.0


class Fill(Struct, frozen=True):
    """Write ``size`` bytes of a cheap pattern, as one chunk of a chunked body each 64 KB when ``chunked``."""

    size: int
    chunked: bool = False


class Pause(Struct, frozen=True):
    """Do nothing for a while."""

    seconds: float


class Await(Struct, frozen=True):
    """Wait until the test calls ``upstream.open(gate)``."""

    gate: str


class ReadBody(Struct, frozen=True):
    """Read the request's body, all of it or until ``at_least`` bytes are there."""

    at_least: int | None = None


class Stall(Struct, frozen=True):
    """Say nothing more until the client has gone."""


class Close(Struct, frozen=True):
    """Close the connection cleanly (FIN), wherever the answer stands."""


class Reset(Struct, frozen=True):
    """Break the connection (RST)."""


class Echo(Struct, frozen=True):
    """Answer 200 with the request's body, framed as given."""

    framing: Framing = "length"


Step = Send | Fill | Pause | Await | ReadBody | Stall | Close | Reset | Echo


class Script(Struct, frozen=True):
    """The steps for one request.

    ``read_first``: read the whole request before the first step; without it, only its head.
    ``keep``: the connection may serve further requests afterwards.
    """

    steps: tuple[Step, ...]
    read_first: bool = True
    keep: bool = True


# --- pieces ------------------------------------------------------------------------------------


def head(status: int = 200, headers: Headers = (), reason: str | None = None, version: str = "HTTP/1.1") -> bytes:
    """Status line and header lines, exactly as given, with the blank line."""
    phrase = REASONS.get(status, "Status") if reason is None else reason
    lines = [f"{version} {status} {phrase}".encode("latin-1"), *(_raw(n) + b": " + _raw(v) for n, v in headers)]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def chunk(data: bytes, extension: bytes = b"") -> bytes:
    """One chunk of a chunked body."""
    return b"%x" % len(data) + extension + b"\r\n" + data + b"\r\n"


LAST_CHUNK = b"0\r\n\r\n"
REASONS = {
    100: "Continue", 103: "Early Hints", 200: "OK", 201: "Created", 204: "No Content", 206: "Partial Content",
    301: "Moved Permanently", 302: "Found", 304: "Not Modified", 307: "Temporary Redirect", 400: "Bad Request",
    401: "Unauthorized", 404: "Not Found", 413: "Content Too Large", 429: "Too Many Requests",
    500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable",
}  # fmt: skip


def _raw(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


# --- whole answers -----------------------------------------------------------------------------


def answer(
    status: int = 200,
    headers: Headers = (),
    body: bytes = b"",
    *,
    framing: Framing = "length",
    sizes: tuple[int, ...] = (),
    trailers: Headers = (),
    interim: bytes = b"",
    method: str = "GET",
    keep: bool = True,
) -> Script:
    """A well-formed answer. ``sizes``: of the pieces in which a body is written (chunks, when chunked)."""
    bodiless = status in (204, 304)
    framed = [*headers]
    if not bodiless:
        framed += {"length": [("Content-Length", str(len(body)))], "chunked": [("Transfer-Encoding", "chunked")]}.get(
            framing, []
        )
    wire = b"" if bodiless or method == "HEAD" else body
    steps: list[Step] = [Send(interim)] if interim else []
    steps.append(Send(head(status, framed)))
    if framing == "chunked" and not bodiless and method != "HEAD":
        steps += [Send(chunk(piece)) for piece in split(wire, sizes)]
        steps.append(Send(b"0\r\n" + b"".join(_raw(n) + b": " + _raw(v) + b"\r\n" for n, v in trailers) + b"\r\n"))
    elif wire:
        steps.append(Send(wire, sizes))
    if framing == "close":
        steps.append(Close())
    return Script(tuple(steps), keep=keep and framing != "close")


def split(data: bytes, sizes: Iterable[int]) -> list[bytes]:
    """``data`` in pieces of the given sizes; the last size repeats; no sizes means one piece."""
    pieces, at, size = [], 0, len(data)
    following = iter(sizes)
    while at < len(data):
        size = next(following, size)
        pieces.append(data[at : at + size])
        at += size
    return pieces


def json_answer(value: Any, status: int = 200, headers: Headers = ()) -> Script:
    """A JSON body with its length."""
    return answer(status, [("Content-Type", "application/json"), *headers], json.dumps(value).encode())


def gzipped(body: bytes, headers: Headers = ()) -> Script:
    """A body in gzip."""
    return answer(200, [("Content-Encoding", "gzip"), *headers], gzip.compress(body, mtime=0))


def sse(
    events: Sequence[bytes], *, gates: bool = False, pause_s: float = 0.0, done: bool = True, cut: Step | None = None
) -> Script:
    """An event stream, one chunk an event.

    ``gates``: before event i the script awaits gate ``event-i``. ``cut``: what happens in place
    of the last chunk (``Close()``, ``Reset()``, ``Stall()``).
    """
    steps: list[Step] = [Send(head(200, [("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked")]))]
    for index, data in enumerate([*events, *([b"[DONE]"] if done else [])]):
        if gates:
            steps.append(Await(f"event-{index}"))
        elif pause_s:
            steps.append(Pause(pause_s))
        steps.append(Send(chunk(b"data: " + data + b"\n\n")))
    steps.append(cut or Send(LAST_CHUNK))
    return Script(tuple(steps))


# --- a small model of a chat API -----------------------------------------------------------------


def chat_completion(request: dict[str, Any], words: Sequence[str]) -> dict[str, Any]:
    """The answer object to a chat request: ``words`` joined, usage counted in words."""
    usage = _usage(request, words)
    message = {"role": "assistant", "content": "".join(words)}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return {**_envelope(request, "chat.completion"), "choices": [choice], "usage": usage}


def chat_chunks(request: dict[str, Any], words: Sequence[str]) -> list[bytes]:
    """The events of a streamed answer, usage last when the request asks for it."""
    envelope = _envelope(request, "chat.completion.chunk")
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}, *({"content": word} for word in words), {}]
    chunks = [
        {**envelope, "choices": [{"index": 0, "delta": delta, "finish_reason": None if delta else "stop"}]}
        for delta in deltas
    ]
    if (request.get("stream_options") or {}).get("include_usage"):
        chunks.append({**envelope, "choices": [], "usage": _usage(request, words)})
    return [json.dumps(each, separators=(",", ":")).encode() for each in chunks]


def chat(body: bytes, words: Sequence[str] = ("Hel", "lo ", "there", ".")) -> Script:
    """Answer a chat request as its ``stream`` asks; a body that is not one gets a 400."""
    try:
        request = json.loads(body)
        request["messages"]
    except (ValueError, TypeError, KeyError, RecursionError):
        error = {"message": "messages is missing", "type": "invalid_request_error", "param": None, "code": None}
        return json_answer({"error": error}, 400)
    if request.get("stream"):
        return sse(chat_chunks(request, words))
    return json_answer(chat_completion(request, words), headers=[("x-request-id", "req_fake")])


def _envelope(request: dict[str, Any], kind: str) -> dict[str, Any]:
    model = request.get("model") or "fake-model"
    return {"id": "chatcmpl-fake", "object": kind, "created": 1_700_000_000, "model": model}


def _usage(request: dict[str, Any], words: Sequence[str]) -> dict[str, int]:
    prompt = sum(len(str(message.get("content", "")).split()) for message in request["messages"])
    return {"prompt_tokens": prompt, "completion_tokens": len(words), "total_tokens": prompt + len(words)}
