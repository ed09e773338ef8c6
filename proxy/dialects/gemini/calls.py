"""Function calls whose arguments were streamed, made whole.

A call that says ``willContinue`` goes on in the parts that follow. These bring ``partialArgs``: each a
JSON path within the arguments, and a value or, of a text, a piece of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

from ..json_values import Notes, items, mapping, text

_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d{1,6})\]|\['([^']*)'\]")
_MOST_STEPS = 64
_VALUES = ("stringValue", "numberValue", "boolValue")


def joined_calls(parts: Iterable[dict[str, Any]], notes: Notes) -> list[dict[str, Any]]:
    """The parts, with one call for each that came in several."""
    return list(_joined(parts, notes))


def _joined(parts: Iterable[dict[str, Any]], notes: Notes) -> Iterator[dict[str, Any]]:
    growing: _Call | None = None
    for part in parts:
        call = mapping(part.get("functionCall"))
        if growing and ("functionCall" not in part or call.get("name")):
            yield growing.value()
            growing = None
        if growing or call.get("willContinue") is True or call.get("partialArgs"):
            growing = growing or _Call(call, notes)
            growing.take(call)
            if call.get("willContinue") is not True:
                yield growing.value()
                growing = None
        else:
            yield part
    if growing:
        yield growing.value()


class _Call:
    """A call under way."""

    def __init__(self, begun: dict[str, Any], notes: Notes) -> None:
        self._notes = notes
        self._begun = begun
        self._arguments: dict[str, Any] = dict(mapping(begun.get("args")))
        self._path = ""
        self._pieces: list[str] = []  # of the text at that path

    def take(self, call: dict[str, Any]) -> None:
        """Add what a part brings."""
        for item in items(call.get("partialArgs"), "partialArgs", self._notes):
            argument = mapping(item)
            path = text(argument.get("jsonPath")) or ""
            if path != self._path:
                self._flush()
                self._path = path
            value = next((argument[key] for key in _VALUES if key in argument), None)
            if isinstance(value, str):
                self._pieces.append(value)
            else:
                self._place(path, value)

    def _flush(self) -> None:
        if self._pieces:
            self._place(self._path, "".join(self._pieces))
            self._pieces.clear()

    def _place(self, path: str, value: Any) -> None:
        steps = _steps(path)
        at: Any = self._arguments
        for step, following in pairwise(steps):
            at = _child(at, step, {} if isinstance(following, str) else [])
        if not steps or not _put(at, steps[-1], value):
            self._notes.add("a streamed argument has no place")

    def value(self) -> dict[str, Any]:
        """The part as it would have come whole."""
        self._flush()
        return {"functionCall": {"id": self._begun.get("id"), "name": self._begun.get("name"), "args": self._arguments}}


def _steps(path: str) -> list[str | int]:
    """``$.a[0]['b']`` as names and indexes; none for what is no such path."""
    found = list(_STEP.finditer(path, 1))
    if not path.startswith("$") or len(found) > _MOST_STEPS or sum(len(step[0]) for step in found) != len(path) - 1:
        return []
    return [int(step[2]) if step[2] else step[1] or step[3] or "" for step in found]


def _child(holder: Any, step: str | int, empty: Any) -> Any:
    """What lies at a step, made when it is not there; None when there is no such place."""
    if isinstance(holder, dict) and isinstance(step, str):
        return holder.setdefault(step, empty)
    if isinstance(holder, list) and isinstance(step, int) and step <= len(holder):
        if step == len(holder):
            holder.append(empty)
        return holder[step]
    return None


def _put(holder: Any, step: str | int, value: Any) -> bool:
    """Whether there was a place for it. Lists only grow by one."""
    if isinstance(holder, dict) and isinstance(step, str):
        holder[step] = value
        return True
    if isinstance(holder, list) and isinstance(step, int) and step <= len(holder):
        holder[step : step + 1] = [value]
        return True
    return False
