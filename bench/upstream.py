"""A fast mock upstream for measuring: answers chat calls with fixed bytes, streams at a set pace.

``python -m bench.upstream PORT``. Not for correctness (``tests/fakes/upstream.py`` is): it reads
just enough HTTP to frame requests.
"""

from __future__ import annotations

import asyncio
import json
import sys

import uvloop

CHUNKS = 60
CHUNKS_PER_S = 20
_TEXT = "All work and no play makes for very plain prose. " * 18


def _chat() -> bytes:
    body = json.dumps(
        {
            "id": "chatcmpl-bench",
            "object": "chat.completion",
            "model": "gpt-5-mini-2025-08-07",
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": _TEXT}}],
            "usage": {"prompt_tokens": 250, "completion_tokens": 200, "total_tokens": 450},
        }
    ).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _event(text: str) -> bytes:
    delta = {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}
    chunk = {"id": "chatcmpl-bench", "object": "chat.completion.chunk", "model": "gpt-5-mini-2025-08-07", **delta}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def _framed(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


UNARY = _chat()
STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNK = _framed(_event("word and more "))
STREAM_END = _framed(b"data: [DONE]\n\n") + b"0\r\n\r\n"


class Upstream(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (request := self._take()) is not None:
            if b'"stream":true' in request:
                self._stream(0)
            elif self._transport is not None:
                self._transport.write(UNARY)

    def _take(self) -> bytes | None:
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return None
        head = bytes(self._buffer[:head_end]).lower()
        body_at = head_end + 4
        if b"transfer-encoding: chunked" in head:
            end = self._buffer.find(b"0\r\n\r\n", body_at)
            size = end + 5 if end >= 0 else -1
        else:
            _, _, rest = head.partition(b"content-length:")
            size = body_at + int(rest.split(b"\r\n")[0] or b"0")
        if size < 0 or len(self._buffer) < size:
            return None
        request = bytes(self._buffer[:size])
        del self._buffer[:size]
        return request

    def _stream(self, sent: int) -> None:
        if self._transport is None:
            return
        if sent == 0:
            self._transport.write(STREAM_HEAD)
        if sent == CHUNKS:
            self._transport.write(STREAM_END)
            return
        self._transport.write(CHUNK)
        asyncio.get_running_loop().call_later(1 / CHUNKS_PER_S, self._stream, sent + 1)


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
