"""What an answer says went wrong: error objects of many shapes, HTML pages, nothing at all."""

from __future__ import annotations

import html
import re
from http import HTTPStatus
from typing import Any

from msgspec import Struct

from .json_values import compact, mapping, text

_LONGEST_MESSAGE = 2000
_LONGEST_PAGE = 8192  # keeps the patterns below quick on any bytes
_LONGEST_EXCERPT = 300
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_HIDDEN = re.compile(r"<(script|style)\b.*?</\1>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^<>]*>")


class Failure(Struct, frozen=True):
    """An error as the row will show it."""

    type: str
    message: str


def failure(value: Any, body: bytes, status: int | None) -> Failure | None:
    """The failure that an answer reports; None when it reports none.

    ``value`` is the JSON value of ``body``, None when it has none. An error object counts with
    any status, everything else with those from 400 on.
    """
    found = failure_in(value)
    if found or status is None or status < 400:
        return found
    fields = mapping(value)
    described = fields.get("message") or fields.get("detail") or fields.get("errors") or excerpt(body) or phrase(status)
    return Failure(_label(fields) or f"http_{status}", _message(described))


def failure_in(value: Any) -> Failure | None:
    """The failure in ``{"error": …}``, also when that stands in a list, or in ``{"object": "error", …}``."""
    if isinstance(value, list) and value:
        value = value[0]
    fields = mapping(value)
    error = fields.get("error")
    if not error and fields.get("object") == "error":
        error = fields
    return failure_of(error) if error else None


def failure_of(error: Any) -> Failure:
    """The failure that an error value tells of: an object, or a mere string."""
    fields = mapping(error)
    return Failure(_label(fields) or "error", _message(text(fields.get("message")) or error))


def phrase(status: int) -> str:
    """``502 Bad Gateway``."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"HTTP status {status}"


def excerpt(body: bytes) -> str:
    """The first words of a page or text, readable; its title, if it has one."""
    page = body[:_LONGEST_PAGE].decode("utf-8", "replace")
    title = _TITLE.search(page)
    words = title[1] if title and title[1].strip() else _TAG.sub(" ", _HIDDEN.sub(" ", page))
    return " ".join(html.unescape(words).split())[:_LONGEST_EXCERPT]


def _label(fields: dict[str, Any]) -> str | None:
    for key in ("type", "code", "status"):
        label = fields.get(key)
        if isinstance(label, (str, int)) and not isinstance(label, bool) and label != "":
            return str(label)[:100]
    return None


def _message(described: Any) -> str:
    return (compact(described) or "unreadable")[:_LONGEST_MESSAGE]
