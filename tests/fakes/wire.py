"""A strict reader of HTTP/1.1 requests, written apart from the code under test.

Whatever a careful server may refuse is a violation here: the relay must never send it. Reads
from a ``Source`` (the connection's buffer) and keeps the exact bytes.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import Protocol

TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
REQUEST_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21-\x7e]+) (HTTP/1\.[01])\Z")
CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})((?:[ \t]*;[^\x00-\x08\x0a-\x1f\x7f]*)?)\Z")
MAX_HEAD_BYTES = 1 << 20


class ViolationError(Exception):
    """The peer sent what no careful client sends; the text says what."""


class Source(Protocol):
    """Bytes of a connection, in order. ``b""`` and short answers mean that the peer is done."""

    async def until(self, end: bytes, limit: int) -> bytes: ...
    async def exactly(self, size: int) -> bytes: ...
    async def some(self, limit: int) -> bytes: ...


@dataclass
class Seen:
    """One request, as its bytes came, and what became of the connection.

    Times are ``time.monotonic()`` seconds. ``closed_at``: when the client closed or broke the
    connection; ``finished_at``: when the script's last step was done (None if the client left).
    """

    number: int
    connection: int
    began_at: float
    head: bytes = b""
    method: bytes = b""
    target: bytes = b""
    version: bytes = b""
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    framing: str = "none"  #: none length chunked
    body: bytearray = field(default_factory=bytearray)
    reads: list[tuple[int, float]] = field(default_factory=list)  #: (body bytes so far, when)
    trailers: bytes = b""
    whole_at: float | None = None
    finished_at: float | None = None
    closed_at: float | None = None
    reset: bool = False
    sent: int = 0  #: bytes that the script has written
    violation: str | None = None

    @property
    def whole(self) -> bool:
        """Whether the request arrived to its end."""
        return self.whole_at is not None

    @property
    def path(self) -> str:
        """The target without its query, as sent."""
        return self.target.partition(b"?")[0].decode("latin-1")

    def values(self, name: bytes) -> list[bytes]:
        """Every value of a header, in order."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def value(self, name: bytes) -> bytes | None:
        """The first value of a header."""
        return next(iter(self.values(name)), None)

    @property
    def left_early(self) -> bool:
        """Whether the client went before the script was done."""
        return self.closed_at is not None and (self.finished_at is None or self.closed_at < self.finished_at)


def parse_head(seen: Seen, raw: bytes) -> None:
    """Fill in the request line, headers and framing. Raises ``ViolationError``."""
    seen.head = raw
    if re.search(rb"[\r\n]", raw.replace(b"\r\n", b"")):
        raise ViolationError("bare CR or LF in the head")
    first, *lines = raw[:-4].split(b"\r\n")
    match = REQUEST_LINE.match(first)
    if not match:
        raise ViolationError(f"request line {first[:200]!r}")
    seen.method, seen.target, seen.version = match.groups()
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not TOKEN.match(name):
            raise ViolationError(f"header line {line[:80]!r}")
        if any((byte < 32 and byte != 9) or byte == 127 for byte in value):
            raise ViolationError(f"control byte in the value of {name!r}")
        seen.headers.append((name, value.strip(b" \t")))
    _frame(seen)


def _frame(seen: Seen) -> None:
    hosts, lengths, codings = (seen.values(name) for name in (b"host", b"content-length", b"transfer-encoding"))
    if len(hosts) != 1 and seen.version == b"HTTP/1.1":
        raise ViolationError(f"{len(hosts)} Host headers")
    if codings and (lengths or len(codings) > 1 or codings[0].lower() != b"chunked"):
        raise ViolationError(f"Transfer-Encoding {codings!r} with Content-Length {lengths!r}")
    if len(lengths) > 1 or (lengths and not re.fullmatch(rb"[0-9]{1,18}", lengths[0])):
        raise ViolationError(f"Content-Length {lengths!r}")
    if b"#" in seen.target or not (seen.target.startswith(b"/") or seen.target == b"*"):
        raise ViolationError(f"target {seen.target[:200]!r}")
    seen.framing = "chunked" if codings else "length" if lengths and lengths[0] != b"0" else "none"


async def read_body(seen: Seen, source: Source, at_least: int | None = None) -> None:
    """Read the body on, to its end or until ``at_least`` bytes are there. Raises ``ViolationError``."""
    if seen.whole:
        return
    if seen.framing == "length":
        await _read_length(seen, source, at_least)
    elif seen.framing == "chunked":
        await _read_chunked(seen, source, at_least)
    else:
        seen.whole_at = time.monotonic()


async def _read_length(seen: Seen, source: Source, at_least: int | None) -> None:
    total = int(seen.value(b"content-length") or 0)
    while len(seen.body) < (total if at_least is None else min(at_least, total)):
        data = await source.some(min(total - len(seen.body), 1 << 18))
        if not data:
            return
        _keep(seen, data)
    if len(seen.body) == total:
        seen.whole_at = time.monotonic()


async def _read_chunked(seen: Seen, source: Source, at_least: int | None) -> None:
    while at_least is None or len(seen.body) < at_least:
        line = await source.until(b"\r\n", 4096)
        if not line:
            return
        match = CHUNK_LINE.match(line[:-2])
        if not match:
            raise ViolationError(f"chunk line {line[:80]!r}")
        size = int(match[1], 16)
        if size == 0:
            await _read_trailers(seen, source)
            return
        data = await source.exactly(size + 2)
        if len(data) == size + 2 and not data.endswith(b"\r\n"):
            raise ViolationError("chunk data longer than its size")
        _keep(seen, data[:size])
        if len(data) < size + 2:
            return


async def _read_trailers(seen: Seen, source: Source) -> None:
    while line := await source.until(b"\r\n", 65_536):
        if line == b"\r\n":
            seen.whole_at = time.monotonic()
            return
        seen.trailers += line


def _keep(seen: Seen, data: bytes) -> None:
    seen.body += data
    seen.reads.append((len(seen.body), time.monotonic()))
