"""Who asked: headers and body fields, by the table of ``wire.identity``, as columns of the row.

The first row of the table that gives a value wins; metadata and tags gather from all of them.
Values off the allow-list arrive as fingerprints, and group calls just as well.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from itertools import islice
from operator import itemgetter
from typing import Any
from urllib.parse import unquote

import orjson
from msgspec import Struct

from ..dialects.json_values import compact
from ..records import Header
from ..wire.headers import LOWER
from ..wire.identity import BODY, HEADERS, ROWS, VENDOR_SESSION_VALUE, Row
from ..wire.remembered import Remembered

_LONGEST = 1000  #: characters of a value; the store cuts there as well
_MOST = 200  #: values of one header
_SESSION_IN_ACCOUNT = re.compile(r"^(?P<user>.*?)_session_(?P<session>[A-Za-z0-9-]{8,})$", re.DOTALL)
_TRACEPARENT = re.compile(r"^[0-9a-f]{2}-(?P<trace>[0-9a-f]{32})-(?P<parent>[0-9a-f]{16})-[0-9a-f]{2}")
_NAMES = {"user_id": "user", "_user": "user", "session_id": "session", "thread_id": "session", "trace_id": "trace"}
_FALSE = frozenset({"", "0", "false", "no", "off"})

#: Of every meaning but those that gather: the attribute of ``records.Call``.
COLUMNS = ("user", "session", "trace", "parent", "project", "prompt", "prompt_version", "agent", "excluded")


class Who(Struct, frozen=True):
    """What was found: columns by name, and what gathers."""

    columns: dict[str, str]
    metadata: dict[str, str]
    tags: tuple[str, ...]
    request_id: str | None  #: the client's own id of the request


Said = tuple[str, str]  # (meaning, or "metadata.NAME", or one tag as "tags"; value)


def identify(headers: Iterable[Header], body: Mapping[str, str]) -> Who:
    """Who asks, by a request's recorded headers and the identity fields of its body."""
    columns: dict[str, str] = {}
    metadata: dict[str, str] = {}
    tags: dict[str, None] = {}
    for meaning, value in _said(headers, body):
        if meaning == "tags":
            tags.setdefault(value)
        elif meaning.startswith("metadata."):
            metadata.setdefault(meaning.removeprefix("metadata."), value)
        else:
            columns.setdefault(meaning, value)
    request_id = columns.pop("request", None)
    return Who(columns, metadata, tuple(tags), request_id)


def _said(headers: Iterable[Header], body: Mapping[str, str]) -> Iterator[Said]:
    """All that is said, the most binding first."""
    sent: dict[str, list[bytes]] = {}
    for header in headers:
        sent.setdefault(LOWER[header.name], []).append(header.value)
    agent = _text(b" ".join(sent.get("user-agent", ()))).lower()
    found = [(_PLACES[row.name], name, row) for name in sent if (row := ROWS[name]) is not None]
    for _, name, row in sorted(found, key=_place):
        if row.only_for in agent:
            for line in sent[name]:
                yield from _read(row, name, _text(line))
    fields = [(place, name, BODY[place]) for name in body if (place := _BODY_PLACES[name]) is not None]
    for _, name, row in sorted(fields, key=_place):
        yield from _read(row, name, body[name])


_PLACES = {row.name: place for place, row in enumerate(HEADERS)}
_place = itemgetter(0)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _body_place(name: str) -> int | None:
    """Of the first row of a body's fields that this one fits."""
    return next((place for place, row in enumerate(BODY) if fnmatchcase(name, row.name)), None)


_BODY_PLACES = Remembered(_body_place)


def _read(row: Row, name: str, value: str) -> Iterator[Said]:
    value = value.strip()
    if value and row.reads in _READERS:
        said = islice(_READERS[row.reads](row, name, value), _MOST)
        yield from ((meaning, text[:_LONGEST]) for meaning, text in said)
    elif value:
        yield from _plain(row, name, value[:_LONGEST])


def _plain(row: Row, name: str, value: str) -> Iterator[Said]:
    for meaning in row.means:
        if meaning == "extra":
            yield f"metadata.{name}", value
        elif meaning == "excluded":
            if value.lower() not in _FALSE:
                yield "excluded", "header" if value.lower() in ("1", "true", "yes", "on") else value
        elif meaning != "none" and _fits(row, value):
            yield meaning, value


def _fits(row: Row, value: str) -> bool:
    """Another vendor's session header counts when its value looks like an id, or is hidden."""
    return row.name != "x-*-session-id" or value.startswith("fp:") or bool(VENDOR_SESSION_VALUE.fullmatch(value))


# --- how values are written -----------------------------------------------------------------------


def _csv(row: Row, _: str, value: str) -> Iterator[Said]:
    tags = _object(value)
    listed = tags if isinstance(tags, list) else value.split(",")
    for tag in listed:
        if isinstance(tag, str) and tag.strip():
            yield row.means[0], tag.strip()


def _json(_: Row, name: str, value: str) -> Iterator[Said]:
    """An object: names that everybody knows are what they say, all others metadata."""
    fields = _object(value)
    if not isinstance(fields, dict):
        yield f"metadata.{name}", value
        return
    for key, item in fields.items():
        text = "" if item is None else compact(item) or ""
        if key == "tags" and isinstance(item, list):
            yield from (("tags", tag) for tag in item if isinstance(tag, str))
        elif key in _NAMES and text:
            yield _NAMES[key], text
        elif text:
            yield f"metadata.{key}", text


def _pair(row: Row, name: str, value: str) -> Iterator[Said]:
    yield f"metadata.{name[len(row.name) - 1 :]}", value


def _baggage(_: Row, __: str, value: str) -> Iterator[Said]:
    """W3C baggage: ``session.id=a,user.id=b;property``."""
    for member in value.split(","):
        name, _sign, rest = member.partition("=")
        meaning = {"session.id": "session", "user.id": "user"}.get(name.strip().lower())
        text = unquote(rest.partition(";")[0].strip())
        if meaning and text:
            yield meaning, text


def _traceparent(_: Row, __: str, value: str) -> Iterator[Said]:
    if match := _TRACEPARENT.match(value.lower()):
        yield "trace", match["trace"]
        yield "parent", match["parent"]


def _account(_: Row, __: str, value: str) -> Iterator[Said]:
    """Anthropic's ``user_id``: plain, ``user_…_session_<id>``, or JSON that names both."""
    fields = _object(value)
    if isinstance(fields, dict):
        for key, meaning in (("session_id", "session"), ("account_uuid", "user"), ("user_id", "user")):
            if isinstance(text := fields.get(key), str) and text:
                yield meaning, text
        if isinstance(device := fields.get("device_id"), str) and device:
            yield "user", device
    elif match := _SESSION_IN_ACCOUNT.match(value):
        yield "session", match["session"]
        yield "user", match["user"]
    else:
        yield "user", value


def _object(value: str) -> Any:
    if value[:1] not in "{[":
        return None
    try:
        return orjson.loads(value)
    except ValueError:
        return None


_READERS: dict[str, Callable[[Row, str, str], Iterator[Said]]] = {
    "csv": _csv,
    "json": _json,
    "pair": _pair,
    "baggage": _baggage,
    "traceparent": _traceparent,
    "account": _account,
}
