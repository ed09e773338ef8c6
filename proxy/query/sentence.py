"""A filter as an English sentence, so that people see how it was understood."""

from __future__ import annotations

from ..clock import rfc3339
from .fields import FIELDS, Field, Kind
from .tree import And, Comparison, Filter, Match, Not, Or, Scalar
from .values import shown

_WORDS = {
    "=": "is",
    "!=": "is not",
    "<": "is below",
    "<=": "is at most",
    ">": "is above",
    ">=": "is at least",
    "in": "is one of",
    "not in": "is none of",
    "between": "is between",
    "not between": "is not between",
    "like": "is like",
    "not like": "is not like",
    "ilike": "is, in any case, like",
    "not ilike": "is not, in any case, like",
}
_TIME_WORDS = _WORDS | {"<": "is before", "<=": "is not after", ">": "is after", ">=": "is not before"}
_SEVERAL_WORDS = {
    "=": "include",
    "!=": "do not include",
    "in": "include one of",
    "not in": "include none of",
    "like": "include one like",
    "not like": "include none like",
    "ilike": "include one that is, in any case, like",
    "not ilike": "include none that is, in any case, like",
}
_SEVERAL = (Kind.TAGS, Kind.TOOL, Kind.REVIEWER, Kind.JUDGED)
_OF_KIND = {Kind.TIME: _TIME_WORDS, **dict.fromkeys(_SEVERAL, _SEVERAL_WORDS)}
_NAMES = {"tool": "tools asked for", "reviewer": "reviewers", "judged": "judgements"}
_UNITS = {Kind.MONEY: " US dollars", Kind.DURATION: " ms"}
_SEARCHED = {
    "text": "text",
    "input": "new input",
    "output": "output",
    "system": "system prompt",
    "tools": "offered tools",
}


def sentence(where: Filter | None) -> str:
    """``calls whose model is 'gpt-5' and whose status is not 'ok'``."""
    return "all calls" if where is None else f"calls {_phrase(where)}"


def _phrase(where: Filter, *, inner: bool = False) -> str:
    match where:
        case Comparison():
            return f"whose {_comparison(where)}"
        case Match(field, words):
            return f"whose {_SEARCHED[field]} matches {words!r}"
        case Not(child):
            text = f"except those {_phrase(child, inner=True)}"
        case And(children):
            text = " and ".join(_phrase(child, inner=True) for child in children)
        case Or(children):
            text = " or ".join(_phrase(child, inner=True) for child in children)
    return f"({text})" if inner else text


def _comparison(where: Comparison) -> str:
    field = FIELDS[where.field]
    name = f"{field.name}.{where.key}" if where.key else _NAMES.get(field.name, field.name)
    words = _OF_KIND.get(field.kind, _WORDS)
    if where.value is None:
        verb = "are" if words is _SEVERAL_WORDS else "is"
        return f"{name} {verb} {'known' if where.negated else 'unknown'}"
    return f"{name} {words[where.op]} {_values(field, where)}"


def _values(field: Field, where: Comparison) -> str:
    *others, last = [_value(field, value) for value in where.values]
    if where.positive == "between":
        return f"{' '.join(others)} and {last}"
    return f"{', '.join(others)} or {last}" if others else last


def _value(field: Field, value: Scalar) -> str:
    if field.kind is Kind.TIME and isinstance(value, int):
        return rfc3339(value)
    return f"'{value}'" if isinstance(value, str) else shown(value) + _UNITS.get(field.kind, "")
