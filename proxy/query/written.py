"""A filter in SQL's words, in one form: what ``parse_filter`` reads back as the same tree."""

from __future__ import annotations

import re

from ..clock import rfc3339
from .fields import FIELDS, Field, Kind
from .tree import And, Comparison, Filter, Match, Not, Or, Scalar
from .values import shown

_PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_]*", re.ASCII)


def written(where: Filter) -> str:
    """``model = 'gpt-5' and not (status = 'ok' or cost_usd > 1)``."""
    match where:
        case Comparison():
            return _comparison(where)
        case Match(field, words):
            return f"{field} match {_quoted(words)}"
        case Not(child):
            return f"not {_inner(child)}"
        case And(children):
            return " and ".join(map(_inner, children))
        case Or(children):
            return " or ".join(map(_inner, children))


def _inner(where: Filter) -> str:
    text = written(where)
    return f"({text})" if isinstance(where, And | Or) else text


def _comparison(where: Comparison) -> str:
    field = FIELDS[where.field]
    name = field.name if where.key is None else f"{field.name}.{_name(where.key)}"
    if where.value is None:
        return f"{name} is {'not ' if where.negated else ''}null"
    values = [_value(field, value) for value in where.values]
    if where.positive == "in":
        return f"{name} {where.op} ({', '.join(values)})"
    return f"{name} {where.op} {' and '.join(values)}"


def _value(field: Field, value: Scalar) -> str:
    if field.kind is Kind.TIME and isinstance(value, int):
        return f"'{rfc3339(value)}'"
    return _quoted(value) if isinstance(value, str) else shown(value)


def _name(key: str) -> str:
    return key if _PLAIN_NAME.fullmatch(key) else '"' + key.replace('"', '""') + '"'


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
