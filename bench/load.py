"""A load generator that is cheap enough not to be what is measured: raw protocols, fixed bytes."""

from __future__ import annotations

import asyncio
import time

CHAT = (
    b'{"model":"gpt-5-mini","messages":[{"role":"user","content":"'
    + b"Tell me what you know of tides. " * 34
    + b'"}]%s}'
)


def request(*, stream: bool = False, padding: int = 0) -> bytes:
    """One chat call of about 1.2 KB, or of ``padding`` bytes more."""
    body = CHAT % (b',"stream":true' if stream else b"")
    if padding:
        body = body.replace(b"tides. ", b"tides. " + b"x" * padding, 1)
    head = (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer sk-bench-key\r\n"
        b"Content-Type: application/json\r\nAccept: application/json\r\nUser-Agent: OpenAI/Python 2.0\r\n"
        b"Content-Length: %d\r\n\r\n"
    )
    return head % len(body) + body


class Client(asyncio.Protocol):
    """Sends the same request again and again; knows just enough framing to see an answer's end."""

    def __init__(self, data: bytes, calls: int, done: asyncio.Future[None], latencies_s: list[float]) -> None:
        self._data = data
        self._left = calls
        self._done = done
        self._latencies_s = latencies_s
        self._need: int | None = None
        self._buffer = b""
        self._sent = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(exc or ConnectionError("the relay closed the connection"))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._need is None:
            head_end = self._buffer.find(b"\r\n\r\n")
            if head_end < 0:
                return
            head = self._buffer[:head_end].lower()
            if not head.startswith(b"http/1.1 200"):
                self._done.set_exception(ConnectionError(head.decode("latin-1")))
                return
            _, found, rest = head.partition(b"content-length:")
            self._need = head_end + 4 + int(rest.split(b"\r\n")[0]) if found else -1
        if self._need == -1:
            finished = self._buffer.endswith(b"0\r\n\r\n")
            self._buffer = self._buffer[-16:]
        else:
            finished = len(self._buffer) >= self._need
        if finished:
            self._finish()

    def _finish(self) -> None:
        self._latencies_s.append(time.perf_counter() - self._sent)
        self._buffer, self._need = b"", None
        self._left -= 1
        if self._left:
            self._send()
        elif not self._done.done():
            self._done.set_result(None)

    def _send(self) -> None:
        assert self._transport is not None
        self._sent = time.perf_counter()
        self._transport.write(self._data)


async def run(port: int, data: bytes, *, connections: int, calls: int) -> list[float]:
    """``calls`` calls over ``connections`` connections; the latency of each, in seconds, sorted."""
    loop = asyncio.get_running_loop()
    latencies_s: list[float] = []
    waits = []
    transports = []
    for index in range(connections):
        share = calls // connections + (index < calls % connections)
        if share:
            done = loop.create_future()
            transport, _ = await loop.create_connection(
                lambda done=done, share=share: Client(data, share, done, latencies_s), "127.0.0.1", port
            )
            waits.append(done)
            transports.append(transport)
    await asyncio.gather(*waits)
    for transport in transports:
        transport.close()
    return sorted(latencies_s)
