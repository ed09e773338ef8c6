"""A filter as an English sentence, so that people see how it was understood."""

from __future__ import annotations

from ..clock import rfc3339
from .fields import FIELDS, Field, Kind
from .tree import And, Comparison, Filter, Not, Or

_WORDS = {"=": "is", "!=": "is not", "<": "is below", "<=": "is at most", ">": "is above", ">=": "is at least"}
_TIME_WORDS = {
    "=": "is",
    "!=": "is not",
    "<": "is before",
    "<=": "is not after",
    ">": "is after",
    ">=": "is not before",
}
_TAG_WORDS = {"=": "include", "!=": "do not include"}
_UNITS = {Kind.MONEY: " US dollars", Kind.DURATION: " ms"}


def sentence(where: Filter | None) -> str:
    """``calls whose model is 'gpt-5' and whose status is not 'ok'``."""
    return "all calls" if where is None else f"calls {_phrase(where)}"


def _phrase(where: Filter, *, inner: bool = False) -> str:
    match where:
        case Comparison():
            return f"whose {_comparison(where)}"
        case Not(child):
            text = f"except those {_phrase(child, inner=True)}"
        case And(children):
            text = " and ".join(_phrase(child, inner=True) for child in children)
        case Or(children):
            text = " or ".join(_phrase(child, inner=True) for child in children)
    return f"({text})" if inner else text


def _comparison(where: Comparison) -> str:
    field = FIELDS[where.field]
    name = f"{field.name}.{where.key}" if where.key else field.name
    if where.value is None:
        return f"{name} is {'unknown' if where.op == '=' else 'known'}"
    words = {Kind.TIME: _TIME_WORDS, Kind.TAGS: _TAG_WORDS}.get(field.kind, _WORDS)
    return f"{name} {words[where.op]} {_value(field, where)}"


def _value(field: Field, where: Comparison) -> str:
    if field.kind is Kind.TIME and isinstance(where.value, int):
        return rfc3339(where.value)
    if isinstance(where.value, bool):
        return "true" if where.value else "false"
    shown = f"'{where.value}'" if isinstance(where.value, str) else str(where.value)
    return shown + _UNITS.get(field.kind, "")
