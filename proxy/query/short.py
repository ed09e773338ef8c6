"""The short form of filters, for typing: ``model:gpt-5 status:error cost:>0.1 -tag:test "refund policy"``.

All terms must hold. A term is ``NAME:VALUE``; ``-`` before it turns it. Several values with commas
are any of them, ``>`` ``>=`` ``<`` ``<=`` compare, ``1..5`` is a range, ``*`` in a value stands for
any text, and alone for whatever is known. Durations take ms s m h d, numbers k and M; a time is a
date, or a span such as ``2h``: that long ago. Words and quoted phrases without a name are searched
for. It is the same tree as that of the filter in SQL's words, and needs no sqlglot.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta

from ..errors import QueryError
from .fields import KEYED, NUMERIC, OPERATORS, Field, Kind, known_field
from .patterns import escaped
from .spans import microseconds
from .tree import And, Comparison, Filter, Match, Not, Or, Scalar
from .values import Viewer, check_alike, check_operator, number, shifted, time_us, value

MAX_VALUES = 200

_TERM = re.compile(
    r"""(?P<blank>\s+)|(?P<minus>-?)(?:"""
    r"""(?P<name>[a-z_]\w*)(?:\.(?P<key>"(?:[^"]|"")*"|[^\s:"]+))?:(?P<values>(?:"(?:[^"]|"")*"|[^\s"])*)"""
    r"""|(?P<phrase>"[^"]*")|(?P<word>[^\s"]+))(?=\s|$)""",
    re.IGNORECASE | re.ASCII,
)
_VALUE = re.compile(
    r"""(?P<op>>=|<=|>|<|)(?:"(?P<quoted>(?:[^"]|"")*)"|(?P<plain>(?![<>])[^",]+))(?:,(?=.)|$)""", re.DOTALL
)
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_JOINING = ("and", "or", "not")


def read_short(text: str, viewer: Viewer) -> Filter:
    """The tree. Raises ``QueryError`` with the column, counted from 1, and what to write instead."""
    terms: list[Filter] = []
    words: list[re.Match[str]] = []
    searched: list[str] = []
    for found in _terms(text):
        if found["name"]:
            term = _Term(viewer, found).read()
            terms += [Not(term)] if found["minus"] else term.children if isinstance(term, And) else [term]
        elif found["minus"]:
            terms.append(Not(Match("text", found["phrase"] or found["word"])))
        else:
            if not searched:
                terms.append(_WORDS)
            words.append(found)
            searched.append(found[0])
    if len(terms) > 1:
        _check_words(words)
    terms = [Match("text", " ".join(searched)) if term is _WORDS else term for term in terms]
    return terms[0] if len(terms) == 1 else And(tuple(terms))


_WORDS = Match("text", "")  # where the words stand that are searched for together


def _terms(text: str) -> Iterator[re.Match[str]]:
    place = count = 0
    while place < len(text):
        found = _TERM.match(text, place)
        if found is None:
            raise QueryError("a quote is left open, or stands inside a word", text.index('"', place) + 1)
        if not found["blank"]:
            count += 1
            if count > MAX_VALUES:
                raise QueryError(f"a filter has at most {MAX_VALUES} terms", place + 1)
            yield found
        place = found.end()


def _check_words(words: list[re.Match[str]]) -> None:
    for found in words:
        if found[0].lower() in _JOINING:
            raise QueryError(
                f"all terms of the short form must hold, {found[0]!r} says nothing there: write status:error,ok for "
                "either, -status:ok for not, or a filter such as status = 'error' or cost_usd > 1",
                found.start() + 1,
            )


# --- one term ----------------------------------------------------------------------------------------


class _Term:
    """``name:values``."""

    def __init__(self, viewer: Viewer, found: re.Match[str]) -> None:
        self._viewer = viewer
        self._found = found
        self._at = found.start("name") + 1
        self._field = _field(found["name"], self._at)
        self._key = self._named()

    def _named(self) -> str | None:
        key, field = self._found["key"], self._field
        if key and key.startswith('"'):
            key = key[1:-1].replace('""', '"')
        if key and field.kind not in KEYED:
            raise QueryError(f"{field.name} has no parts: write {field.name}:VALUE", self._at)
        if not key and field.kind in KEYED:
            raise QueryError(f"say which: write {field.name}.NAME:VALUE", self._at)
        return key or None

    def read(self) -> Filter:
        """Any of its values."""
        each = [self._one(found) for found in self._values()]
        if len(each) == 1:
            return each[0]
        equal = [one for one in each if isinstance(one, Comparison) and one.op == "="]
        if len(equal) == len(each) and "in" in OPERATORS[self._field.kind]:
            values = tuple(one.values[0] for one in equal)
            check_alike(self._field, values, self._at)
            return Comparison(self._field.name, "in", values, self._key)
        return Or(tuple(each))

    def _values(self) -> Iterator[re.Match[str]]:
        text, start, place = self._found["values"], self._found.start("values"), 0
        while place < len(text) or not place:
            found = _VALUE.match(text, place)
            if found is None:
                raise QueryError(
                    f"a value is expected behind {text[:place] or self._found['name'] + ':'}, without a blank",
                    start + place + 1,
                )
            yield found
            place = found.end()

    def _one(self, found: re.Match[str]) -> Filter:
        at = self._found.start("values") + found.start() + 1
        op, plain = found["op"], found["plain"]
        text = found["quoted"].replace('""', '"') if plain is None else plain
        if self._field.kind is Kind.WORDS:
            return Match(self._field.name, self._words(op, text, plain is None, at))
        if plain is not None and not op:
            if plain == "*":
                return self._compared("!=", None, at)
            if ".." in plain and (span := self._range(plain, at)) is not None:
                return span
            if "*" in plain and "like" in OPERATORS[self._field.kind]:
                return self._compared("like", "%".join(map(escaped, plain.split("*"))), at)
            if self._field.kind is Kind.TIME:
                return self._day(plain, at)
        return self._compared(op or "=", self._scalar(op, text, plain is None, at), at)

    def _compared(self, op: str, scalar: Scalar, at: int) -> Comparison:
        check_operator(self._field, op, at)
        return Comparison(self._field.name, op, self._valued(op, scalar, at), self._key)

    def _valued(self, op: str, scalar: Scalar, at: int) -> Scalar:
        if self._field.kind is Kind.TIME and isinstance(scalar, int):  # a span, reckoned back already
            return scalar
        return value(self._field, op, scalar, self._viewer, at)

    def _words(self, op: str, text: str, quoted: bool, at: int) -> str:
        if op or not text.strip():
            raise QueryError(f'words are searched for: write {self._field.name}:refund or {self._field.name}:"a b"', at)
        return f'"{text}"' if quoted else text

    def _range(self, text: str, at: int) -> Filter | None:
        """``1..5 1.. ..5``; None for a text that only looks so."""
        if self._field.kind not in _RANGED or text.count("..") != 1 or text == "..":
            return None
        low, high = (self._scalar(">", end, False, at) if end else None for end in text.split(".."))
        if self._field.kind is Kind.METADATA and (isinstance(low, str) or isinstance(high, str)):
            return None
        if low is None:
            return self._compared("<=", high, at)
        return self._compared(">=", low, at) if high is None else self._between(low, high, at)

    def _between(self, low: Scalar, high: Scalar, at: int) -> Filter:
        ends = (self._valued("between", low, at), self._valued("between", high, at))
        check_alike(self._field, ends, at)
        return Comparison(self._field.name, "between", ends, self._key)

    def _day(self, text: str, at: int) -> Filter:
        """A date alone is its whole day."""
        if not _DATE.fullmatch(text):
            raise QueryError(
                f"{self._field.name} is a moment: write {self._field.name}:>{text} for what came after it, "
                "a range such as 2d..1d, or a day such as 2026-11-21",
                at,
            )
        start_us = time_us(text, self._viewer.zone, at)
        end = Viewer(self._viewer.zone, start_us).today(at) + timedelta(days=1)
        name = self._field.name
        return And((Comparison(name, ">=", start_us), Comparison(name, "<", microseconds(end))))

    def _scalar(self, op: str, text: str, quoted: bool, at: int) -> Scalar:
        kind = self._field.kind
        if quoted or kind not in _SCALARS:
            return text
        if kind is Kind.METADATA and not op:
            return text
        return _SCALARS[kind](text, self._viewer, at)


def _field(name: str, at: int) -> Field:
    try:
        return known_field(name, at, short=True)
    except QueryError as error:
        raise QueryError(f"{error}; a word that holds a colon stands in double quotes", at) from None


# --- values with units ----------------------------------------------------------------------------------

_RANGED = {*NUMERIC, Kind.TIME, Kind.METADATA}
_MILLISECONDS = {"": 1, "ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_COUNTS = {"": 1, "k": 1000, "M": 1_000_000}
_AMOUNT = re.compile(r"(-?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?)([a-zA-Z]*)", re.ASCII)
_AGO = re.compile(r"(\d{1,9})([smhdw])", re.ASCII)
_AGO_UNITS = {"s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week"}


def _amount(units: dict[str, int], example: str) -> Callable[[str, Viewer, int], Scalar]:
    def read(text: str, _: Viewer, at: int) -> Scalar:
        found = _AMOUNT.fullmatch(text)
        if found is None or found[2] not in units:
            raise QueryError(f"{text!r} is not a number: write one such as {example}", at)
        count, factor = number(found[1], at), units[found[2]]
        scaled = round(count * factor, 9) if factor > 1 else count
        return int(scaled) if isinstance(scaled, float) and factor > 1 and scaled.is_integer() else scaled

    return read


def _money(text: str, viewer: Viewer, at: int) -> Scalar:
    return _amount({"": 1}, "0.1")(text.removeprefix("$"), viewer, at)


def _loose(text: str, _: Viewer, at: int) -> Scalar:
    """A piece of metadata is a number where it looks like one."""
    return number(text, at) if (found := _AMOUNT.fullmatch(text)) and not found[2] else text


def _moment(text: str, viewer: Viewer, at: int) -> Scalar:
    found = _AGO.fullmatch(text)
    if found is None:
        return text
    return microseconds(shifted(viewer.now(at), f"{found[1]} {_AGO_UNITS[found[2]]}", -1, at))


def _flag(text: str, _: Viewer, __: int) -> Scalar:
    return {"true": True, "false": False}.get(text.lower(), text)


_SCALARS: dict[Kind, Callable[[str, Viewer, int], Scalar]] = {
    Kind.NUMBER: _amount(_COUNTS, "1500 or 1.5k"),
    Kind.SCORE: _amount({"": 1}, "0.5"),
    Kind.MONEY: _money,
    Kind.DURATION: _amount(_MILLISECONDS, "250ms or 2s"),
    Kind.METADATA: _loose,
    Kind.TIME: _moment,
    Kind.FLAG: _flag,
}
