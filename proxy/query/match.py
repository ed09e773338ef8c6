"""A filter against one call, without a store: the same answer as a store gives for that row.

Words, tools and what people say do not lie in the row: ``needs_store`` says when a filter speaks of them.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable
from typing import Any

from ..records import Call
from .fields import FIELDS, Field, Kind, stored
from .patterns import is_like
from .tree import And, Comparison, Filter, Match, Not, Or, Scalar, leaves

_BESIDE = (Kind.WORDS, Kind.SCORE, Kind.TOOL, Kind.REVIEW, Kind.REVIEWER, Kind.JUDGED)
_OF_OTHERS = ("conversation",)  # any call of a conversation may name it
_DATED = r"(?:-\d{4}-\d\d-\d\d|-\d{8})?"
_NUMBER = re.compile(r"[ \t\n\v\f\r]*([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)[ \t\n\v\f\r]*", re.IGNORECASE | re.ASCII)
_WHOLE = re.compile(r"[+-]?\d+", re.ASCII)


def needs_store(where: Filter) -> bool:
    """Whether the row of a call is not enough to tell."""
    return any(_is_beside(FIELDS[leaf.field], leaf) for leaf in leaves(where))


def _is_beside(field: Field, leaf: Comparison | Match) -> bool:
    named = field.name in _OF_OTHERS and isinstance(leaf, Comparison) and leaf.value is not None
    return named or field.kind in _BESIDE


def matches(where: Filter, call: Call) -> bool:
    """Whether the call is one of those meant. Raises ValueError where ``needs_store``."""
    match where:
        case Comparison():
            return _compared(where, call)
        case Match(field):
            raise ValueError(f"{field} does not lie in the row")
        case Not(child):
            return not matches(child, call)
        case And(children):
            return all(matches(child, call) for child in children)
        case Or(children):
            return any(matches(child, call) for child in children)


def _compared(where: Comparison, call: Call) -> bool:
    field = FIELDS[where.field]
    known = _known(field, where, call)
    if where.value is None:
        return where.negated == bool(known)
    if field.kind is Kind.TAGS:  # a call without tags carries none of them
        return _any(field, where, known) is not where.negated
    return bool(known) and _any(field, where, known) is not where.negated


def _known(field: Field, where: Comparison, call: Call) -> list[Any]:
    """What the call has under this name, in stored units."""
    if _is_beside(field, where):
        raise ValueError(f"{field.name} does not lie in the row")
    if field.kind is Kind.TAGS:
        return list(call.tags)
    if field.kind is Kind.METADATA:
        text = call.metadata.get(where.key or "")
        found: list[Any] = (
            [as_number(text)] if text is not None and not isinstance(_first(where), str | None) else [text]
        )
    elif field.kind is Kind.MODEL and where.value is not None and where.positive in _EITHER_MODEL:
        found = [call.model, call.model_requested]
    else:
        found = [getattr(call, field.column)]
    return [value for value in found if value is not None]


_EITHER_MODEL = ("=", "in", "like", "ilike")


def _first(where: Comparison) -> Scalar:
    return where.values[0]


def as_number(text: str) -> int | float | None:
    """A text that is nothing but a decimal number, with blanks around it or not."""
    found = _NUMBER.fullmatch(text)
    if found is None:
        return None
    if _WHOLE.fullmatch(found[1]) and -(1 << 63) <= int(found[1]) < 1 << 63:
        return int(found[1])
    return float(found[1])


def _any(field: Field, where: Comparison, known: Iterable[Any]) -> bool:
    test = _TESTS[where.positive]
    if field.kind is Kind.MODEL and where.positive in ("=", "in"):
        test = _is_model
    wanted = [stored(field, value) for value in where.values]
    return any(test(value, wanted) for value in known)


def _is_model(name: str, wanted: list[Scalar]) -> bool:
    """A model of this name, or a dated version of it."""
    return any(re.fullmatch(re.escape(str(want)) + _DATED, name) for want in wanted)


def _one(compare: Callable[[Any, Any], bool]) -> Callable[[Any, list[Any]], bool]:
    return lambda value, wanted: compare(value, wanted[0])


_TESTS: dict[str, Callable[[Any, list[Any]], bool]] = {
    "=": _one(operator.eq),
    "<": _one(operator.lt),
    "<=": _one(operator.le),
    ">": _one(operator.gt),
    ">=": _one(operator.ge),
    "in": lambda value, wanted: value in wanted,
    "between": lambda value, wanted: wanted[0] <= value <= wanted[1],
    "like": _one(is_like),
    "ilike": lambda value, wanted: is_like(value, wanted[0], ignore_case=True),
}
