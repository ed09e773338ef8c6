"""What an answer says went wrong: error objects of many shapes, HTML pages, nothing at all."""

from __future__ import annotations

import html
import re
from http import HTTPStatus
from typing import Any

from msgspec import Struct

from .json_values import compact, mapping, number

_LONGEST_MESSAGE = 2000
_LONGEST_LABEL = 100
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
    failed = status is not None and status >= 400
    label = f"http_{status}" if failed else "error"
    error = _error_in(value)
    if error:
        return failure_of(error, label)
    if status is None or not failed:
        return None
    fields = mapping(value)
    described = fields.get("message") or fields.get("detail") or fields.get("errors") or excerpt(body) or phrase(status)
    return Failure(_label(fields) or label, _message(described))


def failure_of(error: Any, label: str = "error") -> Failure:
    """The failure that an error value tells of, an object or a mere string; ``label`` when it has no type."""
    fields = mapping(error)
    return Failure(_label(fields) or label, _message(fields.get("message") or error))


def page(body: bytes) -> Failure | None:
    """A page for people in place of an answer, though its status says that all is well."""
    if not body[:64].lstrip().startswith(b"<"):
        return None
    return Failure("invalid_response", excerpt(body))


def _error_in(value: Any) -> Any:
    """``{"error": …}``, also when that stands in a list, or ``{"object": "error", …}`` itself."""
    if isinstance(value, list) and value:
        value = value[0]
    fields = mapping(value)
    return fields.get("error") or (fields if fields.get("object") == "error" else None)


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
    """The most telling of what names the kind of an error: words before numbers."""
    named = [fields.get(key) for key in ("type", "code", "status")]
    words = [name for name in named if isinstance(name, str) and name]
    numbers = [str(name) for name in named if isinstance(name, int) and number(name) is not None]
    return next((name[:_LONGEST_LABEL] for name in (*words, *numbers)), None)


def _message(described: Any) -> str:
    return (compact(described) or "unreadable")[:_LONGEST_MESSAGE]
