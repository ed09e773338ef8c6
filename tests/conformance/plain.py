"""Plain readers of what goes over a connection, written apart from the code under test and as strict as HTTP is.

They say of bytes what a careful peer must make of them, so that a fuzzer knows which answers to wait
for, and which of two readings of a damaged message are excusable. ``tests.fakes.wire`` does the reading.
"""

from __future__ import annotations

import re
from collections.abc import Coroutine
from dataclasses import dataclass, field
from enum import Enum

from tests.fakes.wire import MAX_HEAD_BYTES, TOKEN, Seen, ViolationError, parse_head, read_body

STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2}) ([\t -~\x80-\xff]*)\Z")


class State(Enum):
    """What a message is."""

    WHOLE = "whole"
    CUT = "cut"  #: the bytes end before it does
    BAD = "bad"  #: no careful peer takes it


class Bytes:
    """A ``Source`` that has come to its end."""

    def __init__(self, data: bytes) -> None:
        self.rest = data

    def _take(self, size: int) -> bytes:
        taken, self.rest = self.rest[:size], self.rest[size:]
        return taken

    async def until(self, end: bytes, limit: int) -> bytes:
        at = self.rest.find(end)
        if at > limit:
            raise ViolationError(f"no {end!r} within {limit} bytes")
        return self._take(at + len(end)) if at >= 0 else b""

    async def exactly(self, size: int) -> bytes:
        return self._take(size)

    async def some(self, limit: int) -> bytes:
        return self._take(limit)


def run(coroutine: Coroutine[None, None, None]) -> None:
    """To its end at once: reading ``Bytes`` never waits."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise RuntimeError("there was something to wait for")


# --- requests ------------------------------------------------------------------------------------


@dataclass
class Requests:
    """The whole requests in some bytes, and what follows them; None when nothing does."""

    whole: list[Seen] = field(default_factory=list)
    tail: State | None = None


def requests_in(data: bytes) -> Requests:
    """Read pipelined requests to the first that is not whole."""
    found, source = Requests(), Bytes(data)
    while source.rest and found.tail is None:
        seen = Seen(len(found.whole), 0, 0.0)
        try:
            raw = source.rest[: source.rest.find(b"\r\n\r\n") + 4] if b"\r\n\r\n" in source.rest else b""
            if raw:
                run(_drop(source, len(raw)))
                parse_head(seen, raw)
                run(read_body(seen, source))
        except ViolationError:
            found.tail = State.BAD
        else:
            found.tail = None if seen.whole else State.CUT
            if seen.whole:
                found.whole.append(seen)
    return found


async def _drop(source: Bytes, size: int) -> None:
    await source.exactly(size)


def closes(seen: Seen) -> bool:
    """Whether the client wants no further answer."""
    listed = b",".join(seen.values(b"connection")).lower().split(b",")
    names = {name.strip() for name in listed}
    return b"close" in names or (seen.version != b"HTTP/1.1" and b"keep-alive" not in names)


# --- answers --------------------------------------------------------------------------------------


@dataclass
class Reading:
    """The final answer in some bytes, after which the connection ends."""

    state: State
    status: int = 0
    reason: bytes = b""
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    utf8: bool = True  #: its head
    surplus: bool = False  #: bytes follow that belong to no answer

    @property
    def has_head(self) -> bool:
        return self.status > 0


def answer_in(data: bytes, method: str, *, reset: bool = False) -> Reading:
    """Read the answer to a request of this method; ``reset``: the connection does not end well."""
    source = Bytes(data)
    reading = Reading(State.CUT)
    try:
        while not reading.has_head and b"\r\n\r\n" in source.rest:
            at = source.rest.find(b"\r\n\r\n") + 4
            raw = source.rest[:at]
            run(_drop(source, at))
            reading = _head(raw)
        if not reading.has_head and re.search(rb"\r[^\n]|(?<!\r)\n", source.rest):
            raise ViolationError("bare CR or LF")
        if reading.has_head:
            _body(reading, source, method, reset=reset)
            reading.surplus = bool(source.rest)
    except ViolationError:
        reading.state = State.BAD
    return reading


def _head(raw: bytes) -> Reading:
    """A final head, or an empty reading for an interim one."""
    if len(raw) > MAX_HEAD_BYTES or re.search(rb"[\r\n]", raw.replace(b"\r\n", b"")):
        raise ViolationError("bare CR or LF")
    first, *lines = raw[:-4].split(b"\r\n")
    match = STATUS_LINE.match(first)
    if not match:
        raise ViolationError("status line")
    headers = [_line(line) for line in lines]
    status = int(match[2])
    framing = [name.lower() for name, _ in headers if name.lower() in (b"content-length", b"transfer-encoding")]
    if status == 101 or len(framing) > 1 or (framing and (status < 200 or status == 204)):
        raise ViolationError("framing")
    if b"transfer-encoding" in framing and match[1] == b"0":
        raise ViolationError("chunked in HTTP/1.0")
    if status < 200:
        return Reading(State.CUT)
    return Reading(State.CUT, status, match[3], headers, utf8=_is_utf8(raw))


def _line(line: bytes) -> tuple[bytes, bytes]:
    name, colon, value = line.partition(b":")
    if not colon or not TOKEN.match(name) or re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", value):
        raise ViolationError("header line")
    return name, value.strip(b" \t")


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _body(reading: Reading, source: Bytes, method: str, *, reset: bool) -> None:
    seen = Seen(0, 0, 0.0, headers=reading.headers)
    coding, length = seen.value(b"transfer-encoding"), seen.value(b"content-length")
    if (coding is not None and coding.lower() != b"chunked") or (
        length is not None and not re.fullmatch(rb"[0-9]{1,15}", length)
    ):
        raise ViolationError("framing")
    if method == "HEAD" or reading.status in (204, 304):
        reading.state = State.WHOLE
    elif coding is None and length is None:
        reading.body, source.rest = source.rest, b""
        reading.state = State.CUT if reset else State.WHOLE
    else:
        seen.framing = "chunked" if coding is not None else "length"
        try:
            run(read_body(seen, source))
        finally:
            reading.body = bytes(seen.body)
        reading.state = State.WHOLE if seen.whole else State.CUT
