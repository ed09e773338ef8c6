"""JSON as peers really send it, read without ever raising.

``loads`` takes what orjson refuses (NaN, lone surrogates, a byte order mark, bytes that are not
UTF-8); the readers take a value of any type and give the wanted one or None. What was refused is
told to ``Notes``. Strings that leave this module can always be encoded as UTF-8.
"""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

LONGEST_NAME = 256  #: characters of a model, an id, a role: longer ones are somebody's joke
_LARGEST_COUNT = 1 << 53
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

    def add(self, text: str) -> None:
        """Note it; further notes are dropped when there are many."""
        text = text[:_LONGEST_NOTE]
        if text in self._times or len(self._times) < _MOST_NOTES:
            self._times[text] = self._times.get(text, 0) + 1

    def all(self) -> tuple[str, ...]:
        """In the order they were met first."""
        return tuple(text if times == 1 else f"{text} ({times} times)" for text, times in self._times.items())


def loads(data: bytes, what: str, notes: Notes) -> Any:
    """The value of a JSON text; None, and a note that names ``what``, when it is not one."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        pass
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
    """A list; None is an empty one, and so is anything else, with a note."""
    if isinstance(value, list):
        return value
    if value is not None:
        notes.add(f"{what} is {kind(value)}, not a list")
    return []


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


def count(value: Any, what: str, notes: Notes) -> int | None:
    """A number of things: not negative, whole, below 2**53. 0 stays 0."""
    if value is None:
        return None
    if (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and 0 <= value < _LARGEST_COUNT
        and value == int(value)
    ):
        return int(value)
    shown = value if isinstance(value, (int, float)) else kind(value)
    notes.add(f"{what} is {shown}, not a count")
    return None


def compact(value: Any) -> str | None:
    """A value as one line of JSON, a string as it is; None when it is nested too deeply to be written."""
    if isinstance(value, str):
        return value
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        return None


def writable(value: Any, what: str, notes: Notes) -> Any:
    """A value that can be written as JSON again; None and a note for one that cannot."""
    if value is not None and compact(value) is None:
        notes.add(f"{what} is nested too deeply")
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
