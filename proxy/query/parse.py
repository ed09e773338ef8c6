"""From a filter as people write it to a tree. sqlglot reads, a whitelist of nodes decides.

The language is SQL's: comparisons (``= != < <= > >=``, ``is null``) of a field with a literal,
joined by and, or, not and parentheses. Anything else is refused with the column where it
stands. Unlike SQL there are two truth values: no comparison matches an unknown value, also not
``!=``, and ``not`` turns that; ``is null`` finds the unknown. Loading sqlglot takes a third of a
second: import this module only when there is a filter to parse.
"""

from __future__ import annotations

import math
import re
import uuid
from datetime import UTC, datetime, tzinfo
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, TokenError

from ..errors import QueryError
from ..records import Status
from .fields import NUMERIC, Field, Kind, known_field, nearest
from .tree import And, Comparison, Filter, Not, Or, Value

MAX_LENGTH = 4000  #: characters of a filter
MAX_DEPTH = 32  #: brackets and nots inside each other
MAX_COMPARISONS = 200

_OPERATORS: dict[type[Any], str] = {
    exp.EQ: "=",
    exp.NEQ: "!=",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
    exp.Is: "=",
}
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_LINE_END = re.compile(r"\r\n?|\n")
_COMPARISONS = "comparisons are = != < <= > >= joined by and, or, not"
_EXPECTED = "write comparisons such as model = 'gpt-5' and latency_ms > 1000, joined by and, or, not"


def parse_filter(text: str, zone: tzinfo = UTC) -> Filter:
    """Read a filter; times without an offset are in ``zone``.

    In the tree, times are µs since 1970, ids canonical UUIDs, all else as written.
    Raises ``QueryError`` with the column, counted from 1, and what to write instead.
    """
    if len(text) > MAX_LENGTH:
        raise QueryError(f"a filter has at most {MAX_LENGTH} characters, this one has {len(text)}")
    return _Builder(text, zone).build(_read(text))


def _read(text: str) -> Any:
    if not text.strip():
        raise QueryError(f"the filter is empty: {_EXPECTED}", 1)
    try:
        return sqlglot.parse_one(text, read="duckdb", into=exp.Condition)
    except ParseError as error:
        column, near = _place(text, error)
        raise QueryError(f"cannot understand the filter near {near!r}: {_EXPECTED}", column) from None
    except TokenError:
        raise QueryError("the filter cannot be read: is a quote left open?", _open_quote(text)) from None
    except RecursionError:
        raise QueryError(f"the filter is nested too deeply: at most {MAX_DEPTH} levels") from None


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


class _Builder:
    """Turns sqlglot's nodes into ours, and counts what is bounded."""

    def __init__(self, text: str, zone: tzinfo) -> None:
        self._text = text
        self._zone = zone
        self._comparisons = 0

    def build(self, node: Any, depth: int = 0) -> Filter:
        if depth > MAX_DEPTH:
            raise QueryError(f"the filter is nested too deeply: at most {MAX_DEPTH} levels", self._column(node))
        match node:
            case exp.Paren():
                return self.build(node.this, depth + 1)
            case exp.Not(this=exp.Is(expression=exp.Null()) as inner):
                return self._comparison(inner, "!=")
            case exp.Not():
                return Not(self.build(node.this, depth + 1))
            case exp.And() | exp.Or():
                children = tuple(self.build(child, depth + 1) for child in node.flatten(unnest=False))
                return And(children) if isinstance(node, exp.And) else Or(children)
            case _ if type(node) in _OPERATORS:
                return self._comparison(node, _OPERATORS[type(node)])
        if isinstance(node, exp.Binary | exp.Predicate | exp.Func):
            raise QueryError(f"{self._shown(node)} is not supported yet; {_COMPARISONS}", self._column(node))
        raise QueryError(f"not a comparison: {self._shown(node)}; {_EXPECTED}", self._column(node))

    def _comparison(self, node: Any, op: str) -> Comparison:
        self._comparisons += 1
        if self._comparisons > MAX_COMPARISONS:
            raise QueryError(f"a filter has at most {MAX_COMPARISONS} comparisons", self._column(node))
        left, right = node.this, node.expression
        if isinstance(right, exp.Column) and not isinstance(left, exp.Column):
            left, right, op = right, left, _MIRRORED.get(op, op)
        field, key = self._field(left)
        return Comparison(field.name, op, self._value(field, op, right), key)

    def _field(self, node: Any) -> tuple[Field, str | None]:
        at = self._column(node)
        if not isinstance(node, exp.Column):
            raise QueryError(f"a field is expected instead of {self._shown(node)}; {_EXPECTED}", at)
        first, *rest = [part.name for part in node.parts]
        field = known_field(first, at)
        if rest and field.kind is not Kind.METADATA:
            raise QueryError(f"{field.name} has no parts: write {field.name} alone", at)
        if not rest and field.kind is Kind.METADATA:
            raise QueryError('say which metadata: write metadata.NAME, or metadata."NAME" if it holds a dash', at)
        return field, ".".join(rest) or None

    def _value(self, field: Field, op: str, node: Any) -> Value:
        value = self._literal(field, node)
        at = self._column(node)
        if value is None:
            if op not in ("=", "!="):
                raise QueryError(f"null is neither more nor less: write {field.name} is null, or is not null", at)
            return None
        if field.kind in (Kind.FLAG, Kind.TAGS, Kind.ID) and op not in ("=", "!="):
            raise QueryError(f"{field.name} can only be compared by = and !=", at)
        return self._typed(field, value, at)

    def _literal(self, field: Field, node: Any) -> Value:
        match node:
            case exp.Null():
                return None
            case exp.Boolean():
                return bool(node.this)
            case exp.Literal(is_string=True):
                return str(node.this)
            case exp.Literal():
                return _number(node.this)
            case exp.Neg(this=exp.Literal(is_string=False) as inner):
                return -_number(inner.this)
            case exp.Column():
                hint = f"; a text stands in single quotes: '{node.name}'"
            case _:
                hint = ""
        raise QueryError(
            f"{field.name} is compared with {field.kind.value}, not with {self._shown(node)}{hint}", self._column(node)
        )

    def _typed(self, field: Field, value: str | float | bool, at: int | None) -> Value:
        if field.kind in NUMERIC and isinstance(value, int | float) and not isinstance(value, bool):
            return value
        if field.kind is Kind.FLAG and isinstance(value, bool):
            return value
        if field.kind not in NUMERIC and field.kind is not Kind.FLAG and isinstance(value, str):
            return self._worded(field, value, at)
        raise QueryError(f"{field.name} is compared with {field.kind.value}, not with {_written(value)}", at)

    def _worded(self, field: Field, value: str, at: int | None) -> Value:
        if field.kind is Kind.TIME:
            return _time_us(value, self._zone, at)
        if field.kind is Kind.ID:
            return _uuid(value, at)
        if field.name == "status" and value not in tuple(Status):
            raise QueryError(
                f"there is no status {value!r}{nearest(value, tuple(Status))}; known: {', '.join(Status)}", at
            )
        return value

    def _column(self, node: Any) -> int | None:
        while node is not None:
            if starts := [found.meta["start"] for found in node.walk() if "start" in found.meta]:
                return int(min(starts)) + 1
            node = node.parent
        return None

    def _shown(self, node: Any) -> str:
        places = [found.meta for found in node.walk() if "end" in found.meta]
        if not places:
            return "this"
        return repr(self._text[min(place["start"] for place in places) : max(place["end"] for place in places) + 1])


def _number(text: str) -> int | float:
    if text.isdigit() and len(text) < 19:
        return int(text)
    number = float(text)
    if not math.isfinite(number):
        raise QueryError(f"{text} is too large a number")
    return number


def _time_us(text: str, zone: tzinfo, at: int | None) -> int:
    try:
        moment = datetime.fromisoformat(text.strip())
        moment = moment if moment.tzinfo else moment.replace(tzinfo=zone)
        whole = int(moment.replace(microsecond=0).timestamp())
    except (ValueError, OverflowError, OSError):
        raise QueryError(f"{text!r} is not a time: write {Kind.TIME.value}", at) from None
    return whole * 1_000_000 + moment.microsecond


def _uuid(text: str, at: int | None) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise QueryError(f"{text!r} is not a full call id; llmtap show finds a call by a part of it", at) from None


def _written(value: Value) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value)
