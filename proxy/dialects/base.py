"""What a dialect is: a function from the bytes of an exchange to what they mean.

A dialect never raises on what a peer sent: what it cannot understand it leaves unknown and
says so in ``Parsed.notes``. It sees decoded bodies (``wire.encoding``), never sockets or files.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct

from ..records import Parsed


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


def is_event_stream(headers: Mapping[str, str]) -> bool:
    """Whether an answer is server-sent events, by its Content-Type."""
    return headers.get("content-type", "").split(";")[0].strip().lower() == "text/event-stream"


def looks_like_events(bodies: Bodies) -> bool:
    """Whether the answer is server-sent events, by Content-Type or by looks.

    An error object in place of events is none, and some servers forget the header.
    """
    start = bodies.response[:64].lstrip(b"\xef\xbb\xbf\r\n\t ")
    return start.startswith(_EVENT_STARTS) or (is_event_stream(bodies.response_headers) and start[:1] not in b"{[<")


_EVENT_STARTS = (b"data:", b"event:", b"id:", b"retry:", b":")
