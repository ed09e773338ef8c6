"""The exact bytes of a call, and what may be missing from them."""

from __future__ import annotations

from typing import Literal

from ..console import figures
from ..records import Begin, Call, Exchange, Head, Header, Status
from ..store.policy import Absence

Side = Literal["request", "response"]
_IN_WORDS = {"request": "request", "response": "answer"}


def body(exchange: Exchange, side: Side) -> bytes:
    """The body as it crossed llmtap."""
    return exchange.request_body if side == "request" else exchange.response_body


def head(exchange: Exchange, side: Side) -> bytes:
    """Request or status line and header lines, ended by an empty line; empty when no answer came.

    Values of secrets and of headers off the allow-list are fingerprints, as they are kept.
    """
    if side == "request":
        return _lines(_request_line(exchange.begin), exchange.begin.headers)
    return b"" if exchange.head is None else _lines(_status_line(exchange.head), exchange.head.headers)


def missing(call: Call, exchange: Exchange | None, side: Side, absence: Absence | None = None) -> str | None:
    """Why this side cannot be given back whole; None when it can. ``absence``: why there is no exchange, if known."""
    if exchange is None:
        return "still runs: its bytes are kept when it ends" if call.status == Status.RUNNING else _gone(absence)
    if exchange.begin.no_log:
        return f"has no {side}: its caller asked that no content be kept"
    if side == "response" and exchange.head is None:
        return "has no response: none came"
    if _omitted(exchange, side):
        return f"has no {side}: its caller asked that no {_IN_WORDS[side]} be kept"
    if exchange.holes:
        return f"lost a part of its {side} before it could be written"
    if call.status == Status.OK or _whole(exchange, side):
        return None
    return f"has the first {len(body(exchange, side))} bytes of its {side} only: it broke off there"


def _gone(absence: Absence | None) -> str:
    if absence is not None and absence.since_us is not None:
        return f"has no bodies any more: its bodies expired on {figures.local(absence.since_us):%Y-%m-%d}"
    if absence is not None and absence.reason == "damaged":
        return "has no bodies any more: the file that held them is damaged or missing, see llmtap verify"
    return "has no bodies any more"


def _omitted(exchange: Exchange, side: Side) -> bool:
    return exchange.begin.omit_request if side == "request" else exchange.begin.omit_response


def _whole(exchange: Exchange, side: Side) -> bool:
    end = exchange.end
    return end is not None and (end.request_complete if side == "request" else end.response_complete)


def _request_line(begin: Begin) -> str:
    return f"{begin.method} {begin.target} HTTP/{begin.http_version}"


def _status_line(answer: Head) -> str:
    return f"HTTP/{answer.http_version} {answer.status} {answer.reason}"


def _lines(first: str, headers: tuple[Header, ...]) -> bytes:
    lines = [first.encode("utf-8", "surrogateescape"), *(header.name + b": " + header.value for header in headers)]
    return b"\r\n".join([*lines, b"", b""])
