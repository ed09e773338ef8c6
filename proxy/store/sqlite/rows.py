"""A ``Call`` as a row and back: the one table of columns.

Texts that many rows share are numbers in ``dim``. Everything is fitted to what SQLite can hold
and to a bound: a text that is no text (lone surrogates) or endless, a count beyond 64 bits.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import compress
from operator import itemgetter
from typing import Any
from uuid import UUID

import msgspec
import orjson

from ...records import Call, Status

#: Kinds of texts in ``dim``. Written to disk: never change a number, nor use 15, which was another's.
KINDS = {
    "project": 1, "upstream": 2, "dialect": 3, "endpoint": 4, "method": 5, "path": 6, "status": 7, "error_type": 8,
    "model": 9, "model_requested": 9, "tokens_source": 10, "cost_source": 11, "finish_reason": 12, "user": 13,
    "session": 14, "key": 16, "metadata": 20, "tags": 21, "segment": 22, "journal": 23,
    "trace": 24, "parent": 25, "prompt": 26, "prompt_version": 27, "agent": 28, "program": 29, "cwd": 30, "branch": 31,
    "excluded": 32, "service_tier": 33, "system_fingerprint": 34, "filtered": 35, "tool": 36,
    "score": 37, "author": 38, "follows_by": 39,
    "client": 40, "label": 41,
}  # fmt: skip
RUNNING_ID = 1  #: of the state ``running`` in ``dim``, by the first migration

_POSTED = ("metadata", "tags")
#: What is found out when calls are linked: numbers of rows, shown as ids.
LINKS = {
    "conversation": "(SELECT begun.uuid FROM conversation AS own"
    " JOIN call AS begun ON begun.id = coalesce(first, own.id) WHERE own.id = call.conversation)",
    "follows": "(SELECT before.uuid FROM call AS before WHERE before.id = call.follows)",
    "follows_by": "follows_by",
    "system_version": "system_version",
}
_NOT_COLUMNS = ("id", "updated_at_us", "rev", *LINKS)
#: The columns that hold a ``Call``'s own fields, in their order.
COLUMNS = tuple(name for name in Call.__struct_fields__ if name not in _NOT_COLUMNS)
SHARED = {name: KINDS[name] for name in (*COLUMNS, *LINKS) if name in KINDS and name not in _POSTED}
_NAMES = (*COLUMNS, *LINKS)  # of what is read
_IDS = ("conversation", "follows")
_DOCUMENTS = ("metadata", "tags", "notes")
_FLAGS = ("stream", "background")
_TEXTS = ("error_message", "request_id", "response_id", "preview_input", "preview_output", "retry_of")

Shared = Callable[[int, str], int]

_KEYS = 500  # of metadata, whose form is remembered
SHARED_CHARS = 1000  #: of a shared text
TEXT_CHARS = 10_000  #: of a text of its own
METADATA_PAIRS = 64  #: of one call
TAGS = 64
NOTES = 64
KEY_CHARS = 200
KEY_JSON_CHARS = 600  #: of the same as JSON, where a strange character takes six

SELECT = f"SELECT uuid, updated_at_us, rev, {', '.join((*COLUMNS, *LINKS.values()))} FROM call"
WRITTEN = ("id", "uuid", "rev", "news_rev", "updated_at_us", "journal", "seq", "segment", *COLUMNS)
UPSERT = (
    f"INSERT INTO call ({', '.join(WRITTEN)}) VALUES ({', '.join('?' * len(WRITTEN))}) "
    f"ON CONFLICT (id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in WRITTEN[2:])}"
)
#: What else a new row has: what it is tied to others by.
TIED = ("conversation", "follows", "follows_by", "answered", "continues", "system_version")
AS_WRITTEN = f"SELECT {', '.join(COLUMNS)} FROM call WHERE id = ?"
REWRITE = f"UPDATE call SET rev = ?, updated_at_us = ?, {', '.join(f'{name} = ?' for name in COLUMNS)} WHERE id = ?"
_UUID = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def uuid_bytes(call_id: str) -> bytes:
    """16 bytes of an id as people write it. Raises ValueError."""
    return bytes.fromhex(call_id.replace("-", "")) if _UUID.fullmatch(call_id) else UUID(call_id).bytes


def uuid_text(uuid: bytes) -> str:
    """The id as people write it."""
    text = uuid.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def fit(text: str, chars: int = SHARED_CHARS) -> str:
    """A text that can be stored: at most ``chars`` characters, the last an ellipsis if some are missing."""
    if len(text) > chars:
        text = text[: chars - 1] + "…"
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode("utf-8")
    return text


def fitted(call: Call) -> Call:
    """The call with its metadata, tags and notes in their bounds."""
    pairs = list(call.metadata.items())[:METADATA_PAIRS]
    return msgspec.structs.replace(
        call,
        metadata={metadata_key(key): fit(str(value)) for key, value in pairs},
        tags=tuple(fit(tag) for tag in call.tags[:TAGS]),
        notes=tuple(fit(note) for note in call.notes[:NOTES]),
    )


def postings(metadata: Mapping[str, str], tags: Iterable[str]) -> set[tuple[int, str]]:
    """What a call can be found by: (kind, text) of its metadata and tags."""
    pairs = {(KINDS["metadata"], metadata_text(key, value)) for key, value in metadata.items()}
    return pairs | {(KINDS["tags"], tag) for tag in tags}


def metadata_key(key: str) -> str:
    """A name as it stands in a row and in ``dim``."""
    return _key(fit(key, KEY_CHARS))


@lru_cache(_KEYS)
def _key(fitted: str) -> str:
    return _shortened(fitted, KEY_JSON_CHARS, _json)


def metadata_text(key: str, value: str) -> str:
    """A piece of metadata as it stands in ``dim``: JSON of at most ``SHARED_CHARS``, its value shortened if need be."""
    name = metadata_key(key)
    return _json((name, _shortened(fit(value), SHARED_CHARS, lambda text: _json((name, text)))))


#: GLOB of the ends of texts in ``dim`` that hold a whole value; of others the row has more of it.
WHOLE = '*[^…]"]'


def is_whole(text: str) -> bool:
    """Whether a text of ``metadata_text`` is that of one value only."""
    return not text.endswith('…"]')


def _shortened(text: str, most: int, form: Callable[[str], str]) -> str:
    """The text, or so much of it that its form has at most ``most`` characters."""
    if len(form(text)) <= most:
        return text
    fitting = bisect_right(range(len(text)), most, key=lambda chars: len(form(text[:chars] + "…")))
    return text[: fitting - 1] + "…"


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def metadata_range(key: str) -> tuple[str, str]:
    """All postings of a piece of metadata lie between these two texts."""
    name = _json(metadata_key(key))
    return f"[{name},", f"[{name}-"


def stored_postings(metadata: str | None, tags: str | None) -> set[tuple[int, str]]:
    """``postings`` of a row as it was read."""
    return postings(orjson.loads(metadata or "{}"), orjson.loads(tags or "[]"))


def encode(call: Call, shared: Shared) -> list[Any]:
    """The values of ``COLUMNS``; ``shared`` gives the number of a (kind, text) and fits the text."""
    values = list(_columns(msgspec.structs.astuple(call)))
    for place, kind in _SHARED_CODES:
        if (text := values[place]) is not None:
            values[place] = shared(kind, text)
    for place, code in _OWN_CODES:
        if (value := values[place]) is not None:
            values[place] = code(value)
    for place in _NUMBERS:
        if (number := values[place]) is not None and not -(1 << 63) <= number < 1 << 63:
            values[place] = None
    return values


def leave_previews_out(values: list[Any]) -> None:
    """Of values of ``COLUMNS``, the first words."""
    for place in _PREVIEWS:
        values[place] = None


def keep_previews(values: list[Any], before: tuple[Any, ...]) -> None:
    """Leave the first words of a row as they are; both are values of ``COLUMNS``."""
    for place in _PREVIEWS:
        values[place] = before[place]


def _real(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _own_text(value: str) -> str:
    return fit(value, TEXT_CHARS)


def _document(value: Any) -> str | None:
    return orjson.dumps(value).decode() if value else None


_OWN: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(_TEXTS, _own_text),
    **dict.fromkeys(_DOCUMENTS, _document),
    **dict.fromkeys(_FLAGS, int),
    "tokens_per_s": _real,
}
_PREVIEWS = [COLUMNS.index(name) for name in ("preview_input", "preview_output")]
_columns = itemgetter(*map(Call.__struct_fields__.index, COLUMNS))
_SHARED_CODES = [(place, SHARED[name]) for place, name in enumerate(COLUMNS) if name in SHARED]
_OWN_CODES = [(place, _OWN[name]) for place, name in enumerate(COLUMNS) if name in _OWN]
_NUMBERS = [place for place, name in enumerate(COLUMNS) if name not in SHARED and name not in _OWN]
_INSERTED = (*WRITTEN, *TIED)
_SHAPES = 100  # of rows; Python keeps about as many statements


class Inserts:
    """Statements that write only what a row has: most columns of most rows are empty."""

    def __init__(self) -> None:
        self._statements: dict[tuple[bool, ...], str] = {}

    def of(self, row: Sequence[Any]) -> tuple[str, Sequence[Any]]:
        """For a new row, the values of ``WRITTEN`` and ``TIED``. Of rarer kinds of rows all columns are written."""
        shape = tuple([value is not None for value in row])
        statement = self._statements.get(shape)
        if statement is None:
            if len(self._statements) >= _SHAPES:
                return _INSERT, row
            statement = self._statements[shape] = _insert(tuple(compress(_INSERTED, shape)))
        return statement, tuple(compress(row, shape))


def _insert(names: Sequence[str]) -> str:
    return f"INSERT INTO call ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"


_INSERT = _insert(_INSERTED)


def shared_ids(row: tuple[Any, ...]) -> list[int]:
    """The numbers in a row of ``SELECT`` whose texts ``decode`` will ask for."""
    return [value for index in _SHARED_PLACES if (value := row[index]) is not None]


def decode(row: tuple[Any, ...], texts: Mapping[int, str]) -> Call:
    """A row of ``SELECT`` as a call."""
    values = dict(zip(_NAMES, row[3:], strict=True))
    for name in SHARED:
        values[name] = texts.get(values[name])
    flags = {name: None if values[name] is None else bool(values[name]) for name in _FLAGS}
    return Call(
        id=uuid_text(row[0]),
        updated_at_us=row[1],
        rev=row[2],
        **values
        | flags
        | {
            "status": values["status"] or Status.RUNNING,
            "metadata": orjson.loads(values["metadata"] or "{}"),
            "tags": tuple(orjson.loads(values["tags"] or "[]")),
            "notes": tuple(orjson.loads(values["notes"] or "[]")),
            **{name: None if values[name] is None else uuid_text(values[name]) for name in _IDS},
        },
    )


_SHARED_PLACES = [3 + _NAMES.index(name) for name in SHARED]
