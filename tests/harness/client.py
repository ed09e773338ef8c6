"""A raw HTTP/1.1 client: sends exact bytes, reads exact bytes, and says how an answer ended.

Blocking sockets, one per ``RawClient``. It never repairs anything: header lines come back as
sent, and an answer that is cut is reported as cut.
"""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Self

STATUS_LINE = re.compile(rb"HTTP/[01]\.[0-9] ([0-9]{3})(?: ([^\r\n]*))?\r\n")
Ending = Literal["whole", "eof", "reset"]


@dataclass
class Answer:
    """One answer as it came.

    ``ending``: ``whole`` (its own framing says it is complete), ``eof`` (the peer closed first;
    for a body delimited by close this is the regular end), ``reset``.
    ``reads``: (body bytes so far, monotonic seconds) at each read that brought body bytes.
    """

    status: int = 0
    reason: bytes = b""
    head: bytes = b""
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    framing: str = "none"  #: none length chunked close
    trailers: bytes = b""
    ending: Ending = "eof"
    interim: list[int] = field(default_factory=list)
    reads: list[tuple[int, float]] = field(default_factory=list)

    def values(self, name: str) -> list[bytes]:
        """Every value of a header, in order."""
        return [value for key, value in self.headers if key.lower() == name.encode().lower()]

    def value(self, name: str) -> bytes | None:
        """The first value of a header."""
        return next(iter(self.values(name)), None)

    @property
    def whole(self) -> bool:
        """Whether a careful client would take it for complete."""
        return self.ending == "whole" or (self.ending == "eof" and self.framing == "close" and bool(self.head))

    @property
    def call_id(self) -> str | None:
        """The id that llmtap gave the call."""
        value = self.value("x-llmtap-call-id")
        return value.decode() if value else None


def request(
    method: str, target: str, headers: Sequence[tuple[str | bytes, str | bytes]] = (), body: bytes | None = None
) -> bytes:
    """A well-formed request with ``Host: relay`` first, and Content-Length when there is a body."""
    lines = [f"{method} {target} HTTP/1.1".encode(), b"Host: relay"]
    lines += [_raw(name) + b": " + _raw(value) for name, value in headers]
    if body is not None:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + (body or b"")


def chunked_request(method: str, target: str, headers: Sequence[tuple[str, str]], pieces: Sequence[bytes]) -> bytes:
    """A well-formed request whose body is sent in these chunks."""
    head = request(method, target, [*headers, ("Transfer-Encoding", "chunked")])
    return head + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def _raw(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


class RawClient:
    """One connection. ``timeout_s`` is a guard against hanging, not a measurement."""

    def __init__(self, port: int, host: str = "127.0.0.1", timeout_s: float = 20.0, receive_bytes: int = 0) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(timeout_s)
        try:
            self.socket.connect((host, port))
        except OSError:
            self.socket.close()
            raise
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""
        self._ended: Ending | None = None
        self._chunk_left = 0  #: bytes of the chunk that is being read
        self._between = False  #: behind a chunk, whose line end was not read

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # -- sending

    def send(self, data: bytes) -> None:
        """Send all of it."""
        self.socket.sendall(data)

    def finish(self) -> None:
        """Say that nothing more will be sent (FIN), but go on reading."""
        self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Hang up."""
        self.socket.close()

    def reset(self) -> None:
        """Hang up with RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    # -- reading

    def answer(self, method: str = "GET") -> Answer:
        """Read one answer to its end, interim ones first."""
        answer = self.head(method)
        while self.body_piece(answer):
            pass
        return answer

    def ask(self, data: bytes, method: str = "") -> Answer:
        """Send and read; a peer that stops reading half-way may still have answered."""
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            self.send(data)
        return self.answer(method or data.split(b" ", 1)[0].decode("latin-1"))

    def head(self, method: str = "GET") -> Answer:
        """Read to the end of the final head."""
        answer = Answer()
        while True:
            raw = self._until(b"\r\n\r\n")
            if raw is None:
                answer.ending = self._ended or "eof"
                return answer
            _parse_head(answer, raw)
            if answer.status >= 200 or answer.status == 101:
                break
            answer.interim.append(answer.status)
        _frame(answer, method)
        return answer

    def body_piece(self, answer: Answer) -> bytes:
        """The next piece of the body as soon as there is one; empty at the end, however it came."""
        if answer.ending == "whole" or not answer.head:
            return b""
        piece = {"length": self._length_piece, "chunked": self._chunk, "close": self._close_piece}[answer.framing](
            answer
        )
        if piece:
            answer.body += piece
            answer.reads.append((len(answer.body), time.monotonic()))
        return piece

    def at_end(self) -> Ending | None:
        """Wait until the peer closes: ``eof`` or ``reset``. Fails when more bytes come."""
        while self._ended is None:
            self._receive()
        assert not self._buffer, self._buffer[:200]
        return self._ended

    def _length_piece(self, answer: Answer) -> bytes:
        left = int(answer.value("content-length") or 0) - len(answer.body)
        piece = self._some(left) if left else b""
        if len(piece) == left:
            answer.ending = "whole"
        elif not piece:
            answer.ending = self._ended or "eof"
        return piece

    def _close_piece(self, answer: Answer) -> bytes:
        piece = self._some(1 << 20)
        if not piece:
            answer.ending = self._ended or "eof"
        return piece

    def _chunk(self, answer: Answer) -> bytes:
        """What is there of a chunk, as SDKs get it too."""
        if not self._chunk_left:
            size = self._next_chunk(answer)
            if not size:
                return b""
            self._chunk_left = size
        piece = self._some(self._chunk_left)
        self._chunk_left -= len(piece)
        self._between = not self._chunk_left
        if not piece:
            answer.ending = self._ended or "eof"
        return piece

    def _next_chunk(self, answer: Answer) -> int:
        """Its size; 0 when there is none."""
        if self._between and len(self._exactly(2)) < 2:
            answer.ending = self._ended or "eof"
            return 0
        self._between = False
        line = self._until(b"\r\n")
        if line is None:
            answer.ending = self._ended or "eof"
            return 0
        size = int(line.split(b";")[0], 16)
        if size == 0:
            self._trailers(answer)
        return size

    def _trailers(self, answer: Answer) -> None:
        while (line := self._until(b"\r\n")) is not None:
            if line == b"\r\n":
                answer.ending = "whole"
                return
            answer.trailers += line
        answer.ending = self._ended or "eof"

    def _receive(self) -> bool:
        if self._ended is not None:
            return False
        try:
            data = self.socket.recv(1 << 18)
        except ConnectionResetError:
            self._ended = "reset"
            return False
        if not data:
            self._ended = "eof"
            return False
        self._buffer += data
        return True

    def _take(self, size: int) -> bytes:
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def _until(self, end: bytes) -> bytes | None:
        while (at := self._buffer.find(end)) < 0:
            if not self._receive():
                return None
        return self._take(at + len(end))

    def _exactly(self, size: int) -> bytes:
        pieces, have = [self._buffer], len(self._buffer)
        self._buffer = b""
        while have < size and self._receive():
            pieces.append(self._buffer)
            have += len(self._buffer)
            self._buffer = b""
        self._buffer = b"".join(pieces)
        return self._take(size)

    def _some(self, limit: int) -> bytes:
        if not self._buffer:
            self._receive()
        return self._take(limit)


def _parse_head(answer: Answer, raw: bytes) -> None:
    match = STATUS_LINE.match(raw)
    assert match, f"no status line: {raw[:200]!r}"
    answer.head, answer.status, answer.reason = raw, int(match[1]), match[2] or b""
    answer.headers = []
    for line in raw[match.end() : -4].split(b"\r\n"):
        if line:
            name, colon, value = line.partition(b":")
            assert colon, f"header line {line!r}"
            answer.headers.append((name, value.strip(b" \t")))


def _frame(answer: Answer, method: str) -> None:
    if method == "HEAD" or answer.status in (204, 304) or answer.status < 200:
        answer.framing, answer.ending = "none", "whole"
    elif answer.value("transfer-encoding"):
        answer.framing = "chunked"
    elif (length := answer.value("content-length")) is not None:
        answer.framing = "length"
        if int(length) == 0:
            answer.ending = "whole"
    else:
        answer.framing = "close"


def ask(port: int, data: bytes, method: str = "") -> Answer:
    """One request on a connection of its own."""
    with RawClient(port) as client:
        return client.ask(data, method)
