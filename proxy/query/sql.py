"""Filters in SQL's words. sqlglot reads, a whitelist of nodes decides.

Comparisons of a field with literals (``= != < <= > >=``, ``in``, ``between``, ``like``, ``ilike``,
``is null``), ``tags has 'prod'``, ``text match 'refund policy'``, and moments such as
``CURRENT_DATE - INTERVAL 1 DAY``, joined by and, or, not and parentheses. Anything else is refused
with the column where it stands. Unlike SQL there are two truth values: no comparison matches an
unknown value, also not ``!=`` or ``not in``, and ``not`` before a comparison turns that; ``is
null`` finds the unknown. Loading sqlglot takes a third of a second: import this module only when
there is such a filter to read.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import ParseError, TokenError

from ..errors import QueryError
from .fields import FIELDS, KEYED, Field, Kind, known_field, nearest
from .spans import microseconds
from .tokens import Asked, our_words
from .tree import And, Comparison, Filter, Match, Not, Or, Scalar, Value
from .values import Viewer, check_alike, check_operator, number, shifted, time_us, value

MAX_DEPTH = 32  #: brackets and nots inside each other
MAX_COMPARISONS = 200  #: values in lists count too

_OPERATORS: dict[type[Any], str] = {
    exp.EQ: "=",
    exp.NEQ: "!=",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
    exp.Is: "=",
    exp.Like: "like",
    exp.ILike: "ilike",
    exp.In: "in",
    exp.Between: "between",
}
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_OPERATOR = re.compile(r"(?:is\b|not\b|i?like\b|in\b|between\b|match\b|has\b|[=!<>]|\s|\()*", re.IGNORECASE)
_LINE_END = re.compile(r"\r\n?|\n")
WORDS = ("is", "in", "not", "like", "ilike", "between", "has", "match", "and", "or", "null")
_EXPECTED = "write comparisons such as model = 'gpt-5' and latency_ms > 1000, joined by and, or, not"
_COMPARISONS = "comparisons are = != < <= > >= in between like is null has match, joined by and, or, not"
_DIALECT = Dialect.get_or_raise("duckdb")


def read_sql(text: str, viewer: Viewer) -> Filter:
    """The tree. Raises ``QueryError`` with the column, counted from 1, and what to write instead."""
    try:
        tokens = _DIALECT.tokenize(text)
    except TokenError:
        raise QueryError("the filter cannot be read: is a quote left open?", _open_quote(text)) from None
    asked = our_words(tokens)
    try:
        (node,) = _DIALECT.parser().parse_into(exp.Condition, asked.tokens, text)
    except ParseError as error:
        column, near = _place(text, error)
        hint = _hint(near)
        raise QueryError(f"cannot understand the filter near {near!r}{hint}: {_EXPECTED}", column) from None
    except RecursionError:
        raise QueryError(f"the filter is nested too deeply: at most {MAX_DEPTH} levels") from None
    except ValueError:
        raise QueryError(f"a filter is one condition: {_EXPECTED}") from None
    if node is None:
        raise QueryError(f"the filter is empty: {_EXPECTED}", 1)
    return _Builder(text, viewer, asked).build(node)


def _hint(near: str) -> str:
    close = nearest(near, WORDS) if near.lower() not in WORDS else ""
    return close.removesuffix("?")


def _place(text: str, error: ParseError) -> tuple[int | None, str]:
    if not error.errors:
        return None, text[:20]
    first = error.errors[0]
    starts = [0, *(found.end() for found in _LINE_END.finditer(text))]
    at = starts[min(first["line"], len(starts)) - 1] + first["col"] - len(first["highlight"]) + 1
    return min(max(1, at), len(text) + 1), first["highlight"]


def _open_quote(text: str) -> int | None:
    for quote in "'\"":
        if text.count(quote) % 2:
            return text.rindex(quote) + 1
    return None


# --- from sqlglot's nodes to ours ---------------------------------------------------------------------


class _Builder:
    """Takes what is in the language, and counts what is bounded."""

    def __init__(self, text: str, viewer: Viewer, asked: Asked) -> None:
        self._text = text
        self._viewer = viewer
        self._asked = asked
        self._comparisons = 0
        self._behind: int | None = None  # where the values of the comparison begin

    def build(self, node: Any, depth: int = 0) -> Filter:
        if depth > MAX_DEPTH:
            raise QueryError(f"the filter is nested too deeply: at most {MAX_DEPTH} levels", self._column(node))
        match node:
            case exp.Paren():
                return self.build(node.this, depth + 1)
            case exp.Not():
                return Not(self.build(node.this, depth + 1))
            case exp.And() | exp.Or():
                children = tuple(self.build(child, depth + 1) for child in node.flatten(unnest=False))
                return And(children) if isinstance(node, exp.And) else Or(children)
            case _ if type(node) in _OPERATORS:
                return self._comparison(node, _OPERATORS[type(node)])
        if isinstance(node, exp.Binary | exp.Predicate | exp.Func):
            raise QueryError(f"{self._shown(node)} is not supported; {_COMPARISONS}", self._column(node))
        raise QueryError(f"not a comparison: {self._shown(node)}; {_EXPECTED}", self._column(node))

    def _comparison(self, node: Any, op: str) -> Filter:
        at, self._behind = self._column(node), None
        left, right = node.this, node.expression
        if isinstance(right, exp.Column) and not isinstance(left, exp.Column):
            left, right, op = right, left, _MIRRORED.get(op, op)
        elif operator := _OPERATOR.match(self._text, self._end(left) + 1):
            self._behind = operator.end() + 1
        field, key = self._field(left)
        word = self._asked.words.get(self._end(left))
        if word == "match":
            found = Match(field.name, self._words(field, right))
            return Not(found) if self._end(left) in self._asked.negated else found
        if word == "has" and field.kind is not Kind.TAGS:
            raise QueryError(f"only tags has 'x' is known: write {field.name} = 'x'", at)
        if self._end(left) in self._asked.negated:
            op = "!=" if op == "=" else f"not {op}"
        check_operator(field, op, at)
        return Comparison(field.name, op, self._values(field, op, node, right), key)

    def _values(self, field: Field, op: str, node: Any, right: Any) -> Value:
        if isinstance(node, exp.In):
            if not node.expressions:
                raise QueryError(
                    f"in is followed by values in brackets: {field.name} in ('a', 'b')", self._column(node)
                )
            return self._several(field, op, node.expressions)
        if isinstance(node, exp.Between):
            return self._several(field, op, [node.args["low"], node.args["high"]])
        return self._value(field, op, right)

    def _several(self, field: Field, op: str, nodes: list[Any]) -> Value:
        values = tuple(self._value(field, op, one) for one in nodes)
        check_alike(field, values, self._column(nodes[0]))
        return values

    def _words(self, field: Field, node: Any) -> str:
        if field.kind is not Kind.WORDS:
            known = ", ".join(name for name, row in FIELDS.items() if row.kind is Kind.WORDS)
            raise QueryError(f"{field.name} cannot be searched by words; {known} can", self._column(node.parent))
        self._count(node)
        if not node.name.strip():
            raise QueryError("no words are given to search for", self._column(node))
        return str(node.name)

    def _count(self, node: Any) -> None:
        self._comparisons += 1
        if self._comparisons > MAX_COMPARISONS:
            raise QueryError(f"a filter has at most {MAX_COMPARISONS} comparisons", self._column(node))

    def _field(self, node: Any) -> tuple[Field, str | None]:
        at = self._column(node)
        if not isinstance(node, exp.Column):
            raise QueryError(f"a field is expected instead of {self._shown(node)}; {_EXPECTED}", at)
        first, *rest = [part.name for part in node.parts]
        field = known_field(first, at)
        key = ".".join(rest)
        if key and field.kind not in KEYED:
            raise QueryError(f"{field.name} has no parts: write {field.name} alone", at)
        if not key and field.kind in KEYED:
            name = field.name
            raise QueryError(f'say which: write {name}.NAME, or {name}."NAME" if it holds a dash', at)
        return field, key or None

    # --- values ---------------------------------------------------------------------------------------

    def _value(self, field: Field, op: str, node: Any) -> Scalar:
        self._count(node)
        at = self._column(node)
        if field.kind is Kind.TIME and (found := self._moment(node)) is not None:
            return microseconds(found)
        return value(field, op, self._literal(field, node), self._viewer, at)

    def _literal(self, field: Field, node: Any) -> Scalar:
        match node:
            case exp.Null():
                return None
            case exp.Boolean():
                return bool(node.this)
            case exp.Literal(is_string=True):
                return str(node.this)
            case exp.Literal():
                return self._number(node)
            case exp.Neg(this=exp.Literal(is_string=False) as inner):
                return -self._number(inner)
            case exp.Column():
                hint = f"; a text stands in single quotes: '{node.name}'"
            case _:
                hint = ""
        raise QueryError(
            f"{field.name} is compared with {field.kind.value}, not with {self._shown(node)}{hint}", self._column(node)
        )

    def _number(self, node: Any) -> int | float:
        try:
            return number(node.this, self._column(node))
        except ValueError:
            raise QueryError(f"{node.this} is not a number", self._column(node)) from None

    def _moment(self, node: Any) -> datetime | None:
        """What ``CURRENT_DATE``, ``now()`` and sums with intervals mean; None for anything else."""
        at = self._column(node)
        match node:
            case exp.CurrentDate(this=None):
                return self._viewer.today(at)
            case exp.CurrentTimestamp(this=None):
                return self._viewer.now(at)
            case exp.Anonymous() if node.name.lower() == "now" and not node.expressions:
                return self._viewer.now(at)
            case exp.Paren():
                return self._moment(node.this)
            case exp.Add() | exp.Sub():
                return self._sum(node, -1 if isinstance(node, exp.Sub) else 1)
        return None

    def _sum(self, node: Any, sign: int) -> datetime:
        at = self._column(node)
        start = self._moment(node.this)
        if start is None and isinstance(node.this, exp.Literal) and node.this.is_string:
            start_us = time_us(node.this.this, self._viewer.zone, at)
            start = Viewer(self._viewer.zone, start_us).now(at)
        if start is None or not isinstance(node.expression, exp.Interval):
            raise QueryError("times are moved by intervals: write CURRENT_DATE - INTERVAL 1 DAY", at)
        interval = node.expression
        amount = interval.this.unnest() if interval.this else None
        if not isinstance(amount, exp.Literal) or not isinstance(interval.args.get("unit"), exp.Var | None):
            raise QueryError("an interval is a number and a unit: INTERVAL 1 DAY, or INTERVAL '2 hours'", at)
        unit = interval.args.get("unit")
        return shifted(start, f"{amount.name} {unit.name if unit else ''}", sign, at)

    # --- places ---------------------------------------------------------------------------------------

    def _end(self, node: Any) -> int:
        return max((found.meta["end"] for found in node.walk() if "end" in found.meta), default=-1)

    def _column(self, node: Any) -> int | None:
        """Where a node begins. sqlglot does not say it of words such as true, null and CURRENT_DATE."""
        while node is not None:
            if starts := [found.meta["start"] for found in node.walk() if "start" in found.meta]:
                return int(min(starts)) + 1
            if self._behind is not None:
                return self._behind
            node = node.parent
        return None

    def _shown(self, node: Any) -> str:
        places = [found.meta for found in node.walk() if "end" in found.meta]
        if not places:
            return "this"
        return repr(self._text[min(place["start"] for place in places) : max(place["end"] for place in places) + 1])
