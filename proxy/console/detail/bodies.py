"""Requests and answers as they crossed the relay: heads, bodies pretty or as sent, events of a stream.

Bounded: a page shows the beginning of a large body, and files have all of it.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Mapping, Sequence

import orjson
from msgspec import Struct

from ...dialects.base import is_event_stream
from ...records import Exchange, Header, Side
from ...wire.encoding import decode
from ...wire.headers import header_maps
from ...wire.sse import MESSAGE, Decoder
from .folds import Fold

SHOWN = 200_000  #: characters of a body
PRETTY_BYTES = 8 << 20  #: larger bodies are shown as sent
EVENTS = 500  #: of a stream
EVENT_CHARACTERS = 2_000


class Line(Struct, frozen=True):
    """A header. ``hidden``: the value is a fingerprint."""

    name: str
    value: str
    hidden: bool


class Event(Struct, frozen=True):
    """One of a stream. ``at_us``: when the read came that completed it."""

    number: int
    type: str
    at_us: int | None
    text: str
    hidden: int


class Half(Struct, frozen=True, kw_only=True):
    """One side of a call."""

    side: str
    first_line: str
    headers: tuple[Line, ...]
    size: int
    media_type: str
    form: str  #: how the body is shown: pretty sent events
    forms: tuple[str, ...]  #: how it can be shown
    body: Fold
    events: tuple[Event, ...] = ()
    events_more: int = 0
    notes: tuple[str, ...] = ()


def half(exchange: Exchange, side: Side, form: str, limit_bytes: int) -> Half | None:
    """A side in the wanted form, or in the one that fits it; None when nothing of it came."""
    if side is Side.RESPONSE and exchange.head is None:
        return None
    maps = header_maps(exchange)
    known = maps.request if side is Side.REQUEST else maps.response
    sent = exchange.request_body if side is Side.REQUEST else exchange.response_body
    decoded = decode(sent, known.get("content-encoding", ""), limit_bytes)
    forms = _forms(decoded.data, known)
    chosen = form if form in forms else forms[0]
    events, more = _events(decoded.data, exchange.marks, known) if chosen == "events" else ((), 0)
    return Half(
        side=side.name.lower(),
        first_line=_first_line(exchange, side),
        headers=_headers(
            exchange.begin.headers if side is Side.REQUEST or not exchange.head else exchange.head.headers
        ),
        size=len(sent),
        media_type=known.get("content-type", ""),
        form=chosen,
        forms=forms,
        body=_body(decoded.data, chosen),
        events=events,
        events_more=more,
        notes=decoded.notes,
    )


def _forms(body: bytes, headers: Mapping[str, str]) -> tuple[str, ...]:
    if is_event_stream(headers):
        return ("events", "sent")
    is_json = body[:1] in (b"{", b"[") and len(body) <= PRETTY_BYTES
    return ("pretty", "sent") if is_json else ("sent",)


def _first_line(exchange: Exchange, side: Side) -> str:
    begin, head = exchange.begin, exchange.head
    if side is Side.REQUEST or head is None:
        return f"{begin.method} {begin.target} HTTP/{begin.http_version}"
    return f"HTTP/{head.http_version} {head.status} {head.reason}"


def _headers(headers: Sequence[Header]) -> tuple[Line, ...]:
    return tuple(
        Line(line.name.decode("utf-8", "replace"), line.value.decode("utf-8", "replace"), line.hidden)
        for line in headers
    )


def _body(body: bytes, form: str) -> Fold:
    if form == "events":
        return Fold("")
    if form == "pretty":
        with contextlib.suppress(ValueError):
            body = orjson.dumps(orjson.loads(body), option=orjson.OPT_INDENT_2)
    text = body[: SHOWN * 4].decode("utf-8", "replace")
    return Fold(text[:SHOWN], max(0, len(body) - len(text[:SHOWN].encode("utf-8", "replace"))))


def _events(body: bytes, marks: Sequence[tuple[int, int]], headers: Mapping[str, str]) -> tuple[tuple[Event, ...], int]:
    decoder = Decoder()
    found = [*decoder.feed(body), *decoder.finish()]
    plain = "content-encoding" not in headers  # marks count in the bytes that were sent
    ends = iter(marks)
    mark = next(ends, None)
    shown = []
    for number, event in enumerate(itertools.islice(found, EVENTS)):
        while mark is not None and mark[0] < event.end:
            mark = next(ends, None)
        text = event.data.decode("utf-8", "replace")
        kind = "" if event.type == MESSAGE else event.type
        at_us = mark[1] if mark is not None and plain else None
        shown.append(Event(number + 1, kind, at_us, text[:EVENT_CHARACTERS], max(0, len(text) - EVENT_CHARACTERS)))
    return tuple(shown), max(0, len(found) - EVENTS)
