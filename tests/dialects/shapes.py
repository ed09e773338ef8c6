"""Golden cases of another shape: each node of each JSON value in them replaced by each of a few awkward values."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import orjson

from proxy.dialects.base import Bodies
from proxy.records import evolve

from .golden import Case, parse
from .mutations import check

REPLACEMENTS = (
    b"null", b"true", b"-1", b"1e999", b"NaN", b'""', b'"' + b"x" * 1000 + b'"', b'"\\ud800"', b"[]", b"{}",
    b"[[]]", b"[null]", b"[1]", b'{"a":1}', b"9" * 400, b"9" * 5000,
)  # fmt: skip
_MARK = "@@here@@"
_ENTRIES = 6  # of a list: more are alike
_VALUES = 14  # of a stream: from its beginning and its end


def shapes(case: Case) -> Iterator[Bodies]:
    """All of a case."""
    bodies = case.bodies
    for side in ("request", "response"):
        for before, value, after in _values(getattr(bodies, side)):
            for path in _places(value):
                marked = orjson.dumps(_put(value, path))
                for replacement in REPLACEMENTS:
                    put = marked.replace(b'"%s"' % _MARK.encode(), replacement)
                    yield evolve(bodies, **{side: before + put + after})


def sample(cases: list[Case], seeded: random.Random, number: int) -> Iterator[Bodies]:
    """Some, of cases that are chosen with a seed."""
    for _ in range(number):
        bodies = seeded.choice(cases).bodies
        side = seeded.choice(["request", "response"])
        values = _values(getattr(bodies, side))
        if values:
            before, value, after = seeded.choice(values)
            marked = orjson.dumps(_put(value, seeded.choice(list(_places(value)))))
            put = marked.replace(b'"%s"' % _MARK.encode(), seeded.choice(REPLACEMENTS))
            yield evolve(bodies, **{side: before + put + after})


def reads(bodies: Bodies) -> None:
    """Read it, and check what must hold of anything that was read."""
    check(parse(bodies))


def _values(body: bytes) -> list[tuple[bytes, Any, bytes]]:
    """The JSON values of a body, whole or by lines, each with what stands before and behind it."""
    if (whole := _loaded(body)) is not None:
        return [(b"", whole, b"")]
    found, at = [], 0
    for line in body.splitlines(keepends=True):
        data = line.removeprefix(b"data: ").rstrip(b"\r\n")
        start = at + line.index(data)
        if (value := _loaded(data)) is not None:
            found.append((body[:start], value, body[start + len(data) :]))
        at += len(line)
    return found if len(found) <= _VALUES else found[: _VALUES // 2] + found[-_VALUES // 2 :]


def _loaded(data: bytes) -> Any:
    try:
        value = orjson.loads(data)
        orjson.dumps(value)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):  # which some are too deep for
        return None
    return value if isinstance(value, (dict, list)) else None


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value[:_ENTRIES]) if isinstance(value, list) else ()
    for key, each in inner:
        yield from _places(each, (*path, key))


def _put(value: Any, path: tuple[Any, ...]) -> Any:
    """A copy with the mark at a place."""
    if not path:
        return _MARK
    key, *rest = path
    put = _put(value[key], tuple(rest))
    if isinstance(value, dict):
        return {**value, key: put}
    return [*value[:key], put, *value[key + 1 :]]
