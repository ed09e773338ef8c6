"""What a dialect is: a function from the bytes of an exchange to what they mean.

A dialect never raises on what a peer sent: what it cannot understand it leaves unknown and
says so in ``Parsed.notes``. It sees decoded bodies (``wire.encoding``), never sockets or files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Protocol, TypeVar

from msgspec import Struct

from ..records import Parsed
from .json_values import Notes

Told = TypeVar("Told")


class Bodies(Struct, frozen=True, kw_only=True):
    """The decoded halves of an exchange, and the headers a dialect may need (lower-case names)."""

    path: str  #: at the upstream, without query
    method: str = "POST"
    request: bytes
    response: bytes
    request_headers: Mapping[str, str] = {}
    response_headers: Mapping[str, str] = {}
    http_status: int | None = None
    notes: tuple[str, ...] = ()  #: from decoding


class Dialect(Protocol):
    """One wire format."""

    name: str

    def parse(self, bodies: Bodies) -> Parsed:
        """Read both halves; unknown is None."""
        ...


_READ_BYTES = 65_536  # fed at once, so that what was read is still in the processor's cache


class Decoder(Protocol[Told]):
    """What cuts a stream into events, lines or chunks: ``wire.sse``, ``wire.ndjson``."""

    oversized: int

    def feed(self, data: bytes) -> list[Told]:
        """Those that the next bytes complete."""
        ...

    def finish(self) -> list[Told]:
        """What the end completes."""
        ...


def fed(decoder: Decoder[Told], body: bytes, notes: Notes, what: str = "events") -> Iterator[list[Told]]:
    """All that a body holds, some at a time; what was too large is noted at the end."""
    for at in range(0, len(body), _READ_BYTES):
        yield decoder.feed(body[at : at + _READ_BYTES])
    yield decoder.finish()
    if decoder.oversized:
        notes.add(f"{decoder.oversized} {what} were too large to be read")


def is_event_stream(headers: Mapping[str, str]) -> bool:
    """Whether an answer is server-sent events, by its Content-Type."""
    return headers.get("content-type", "").split(";")[0].strip().lower() == "text/event-stream"


def looks_like_events(bodies: Bodies) -> bool:
    """Whether the answer is server-sent events, by Content-Type or by looks.

    An error object in place of events is none, and some servers forget the header.
    """
    start = start_of(bodies.response)
    return start.startswith(_EVENT_STARTS) or (
        not start.startswith(_OTHER_STARTS) and is_event_stream(bodies.response_headers)
    )


def start_of(body: bytes) -> bytes:
    """The first bytes behind blanks and a byte order mark, however many blanks there are."""
    at = _BLANKS.match(body).end()  # type: ignore[union-attr]  # it matches the empty text too
    return body[at : at + 16]


_BLANKS = re.compile(rb"[\xef\xbb\xbf\r\n\t ]*+")
_EVENT_STARTS = (b"data:", b"event:", b"id:", b"retry:", b":")
_OTHER_STARTS = (b"{", b"[", b"<")
