"""JSON as peers really send it, read without ever raising.

``loads`` takes what orjson refuses (NaN, lone surrogates, a byte order mark, bytes that are not
UTF-8); the readers take a value of any type and give the wanted one or None. What was refused is
told to ``Notes``. Strings that leave this module can always be encoded as UTF-8.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

import orjson

LONGEST_NAME = 256  #: characters of a model, an id, a role: longer ones are somebody's joke
MOST_ENTRIES = 20_000  #: of a list: what has more is no prompt and no answer
_LARGEST_COUNT = 1 << 53
_BEYOND_64_BITS = 1 << 63
_MOST_RETRIES = 20_000  # of one exchange: reading what orjson refuses takes fifty times as long
_SHORT = 16  # entries: lists of no more are never cut
_MOST_IN_ALL = 200_000  # entries of an exchange's longer lists
_MOST_NOTES = 32
_LONGEST_NOTE = 300

#: The backslash first: the pattern is then looked for at backslashes alone.
_ESCAPE = re.compile(
    r"\\(?:"
    r"(?P<kept>u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"  # a pair: one character
    r"|(?P<lone>u[dD][89a-fA-F][0-9a-fA-F]{2})"
    r"|.)"
)


class Notes:
    """What could not be understood: each thing once, with how often it was met."""

    def __init__(self, first: tuple[str, ...] = ()) -> None:
        self._times: dict[str, int] = dict.fromkeys(first, 1)
        self._retries = _MOST_RETRIES
        self._room = _MOST_IN_ALL

    def add(self, text: str) -> None:
        """Note it; further notes are dropped when there are many."""
        text = text[:_LONGEST_NOTE]
        if text in self._times or len(self._times) < _MOST_NOTES:
            self._times[text] = self._times.get(text, 0) + 1

    def may_retry(self) -> bool:
        """Whether there is patience left for a text that was refused; each time asked takes some of it."""
        self._retries -= 1
        return self._retries >= 0

    def room_for(self, entries: int) -> int:
        """How many entries of a list are to be read; they are counted as read."""
        if entries <= _SHORT:
            return entries
        room = min(entries, MOST_ENTRIES, self._room)
        self._room -= room
        return room

    def all(self) -> tuple[str, ...]:
        """In the order they were met first."""
        return tuple(text if times == 1 else f"{text} ({times} times)" for text, times in self._times.items())


def loads(data: bytes, what: str, notes: Notes) -> Any:
    """The value of a JSON text; None, and a note that names ``what``, when it is not one."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        if not data or not notes.may_retry():
            notes.add(f"{what} is not JSON: {error if data else 'it is empty'}")
            return None
    try:
        text = data.decode(json.detect_encoding(data), "replace").removeprefix("\ufeff")
        return json.loads(_ESCAPE.sub(_without_lone, text), parse_int=_integer, strict=False)
    except RecursionError:
        notes.add(f"{what} is nested too deeply")
    except ValueError as error:
        notes.add(f"{what} is not JSON: {error}")
    return None


def _without_lone(match: re.Match[str]) -> str:
    return "\\ufffd" if match["lone"] else match[0]


def _integer(digits: str) -> int | float:
    """Integers that are no integer of 64 bits become floats, as in orjson; str → int of many digits is slow."""
    return int(digits) if len(digits) < 19 else float(digits)


# --- readers: a value of any type → the wanted type or None -------------------------------------


def mapping(value: Any) -> dict[str, Any]:
    """An object; anything else is an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: Any, what: str, notes: Notes) -> list[Any]:
    """A list, or its beginning where it is too long; None is an empty one, and so is anything else, with a note."""
    if isinstance(value, list):
        room = notes.room_for(len(value))
        if room == len(value):
            return value
        notes.add(f"{what} has {len(value)} entries, of which {len(value) - room} are left out")
        return value[:room]
    if value is not None:
        notes.add(f"{what} is {kind(value)}, not a list")
    return []


def listed(value: Any) -> list[Any]:
    """The same without a word, for what another reader notes."""
    return value[:MOST_ENTRIES] if isinstance(value, list) else []


def text(value: Any) -> str | None:
    """A string that is not empty."""
    return value if isinstance(value, str) and value else None


def name(value: Any, what: str, notes: Notes) -> str | None:
    """A string that is not empty and not absurdly long."""
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        notes.add(f"{what} is {kind(value)}, not a string")
    elif len(value) > LONGEST_NAME:
        notes.add(f"{what} has {len(value)} characters")
    else:
        return value
    return None


def number(value: Any) -> int | float | None:
    """A number that can be reckoned with: finite, and an integer only of 64 bits. Python's own know no bounds."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if type(value) is int and -_BEYOND_64_BITS <= value < _BEYOND_64_BITS else None


def count(value: Any, what: str, notes: Notes) -> int | None:
    """A number of things: not negative, whole, below 2**53. 0 stays 0."""
    if value is None or (type(value) is int and 0 <= value < _LARGEST_COUNT):
        return value
    known = number(value)
    if known is not None and 0 <= known < _LARGEST_COUNT and known == int(known):
        return int(known)
    shown = value if isinstance(value, (bool, float)) or known is not None else kind(value)
    notes.add(f"{what} is {shown}, not a count")
    return None


def compact(value: Any) -> str | None:
    """A value as one line of JSON, a string as it is; None for what is nested too deeply, or has too large a number."""
    if isinstance(value, str):
        return value
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        return None


def writable(value: Any, what: str, notes: Notes) -> Any:
    """A value that can be written as JSON again; None and a note for one that cannot."""
    if value is None or isinstance(value, str):
        return value
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError as error:
        why = "holds a number beyond 64 bits" if "64-bit" in str(error) else "is nested too deeply"
        notes.add(f"{what} {why}")
        return None
    return value


def kind(value: Any) -> str:
    """What JSON calls a value's type, with its article."""
    return _KINDS.get(type(value), "something else")


_KINDS = {
    dict: "an object",
    list: "a list",
    str: "a string",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    type(None): "null",
}
