"""What can be written next in a filter, in either of its forms. Values only: the caller brings what is known.

``asked`` finds out what stands before the caret: a name, the part behind a dot, an operator, or a value;
``options`` says what fits there.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Sequence
from typing import TypeVar

from msgspec import Struct

from ...query.fields import FIELDS, KEYED, NUMERIC, OPERATORS, SHORT, Field, Kind
from ...query.parse import is_sql
from ...records import Status
from .terms import quoted

OPTIONS = 12
T = TypeVar("T")


class Wanted(enum.Enum):
    """What comes next."""

    NAME = "name"
    KEY = "key"
    OPERATOR = "operator"
    VALUE = "value"


class Asked(Struct, frozen=True, kw_only=True):
    """What stands before the caret, and what it is."""

    wanted: Wanted
    start: int  #: of what an option takes the place of
    end: int
    typed: str
    field: str = ""
    key: str = ""
    sql: bool = False


class Option(Struct, frozen=True):
    """One thing to write. ``more``: something else comes behind it."""

    insert: str
    label: str
    help: str = ""
    more: bool = False


_TERM = re.compile(
    r'-?(?P<name>[a-z_]\w*+)(?:\.(?P<key>"(?:[^"]|"")*+"|[^\s:"]++))?:(?P<values>(?:"(?:[^"]|"")*+("|$)|[^\s"])*+)$',
    re.IGNORECASE | re.ASCII,
)
_WORD = re.compile(r"(?<![\w.])-?(?P<word>[\w.]*)$")
_SQL_VALUE = re.compile(
    r"(?P<name>[a-z_]\w*)(?:\.(?P<key>\"[^\"]*\"|\w+))?\s*"
    r"(?P<op>=|!=|<>|<=|>=|<|>|\b(?:has|is|match|(?:not\s+)?(?:like|ilike|in\s*\((?:\s*'[^']*'\s*,)*)))"
    r"\s*'?(?P<typed>[^']*)$",
    re.IGNORECASE,
)
_SQL_OPERATOR = re.compile(r"(?P<name>[a-z_]\w*)(?:\.(?:\"[^\"]*\"|\w+))?\s+(?P<typed>[\w=<>!]*)$", re.IGNORECASE)
_JOINTS = ("and", "or", "not")


def asked(text: str, at: int) -> Asked:
    """What is wanted at a place of a filter, counted from 0."""
    before = text[:at]
    if (term := _TERM.search(before)) and (field := _field(term["name"])):
        start = term.start("values") + _last_value(term["values"])
        typed = before[start:].lstrip('<>="')
        key = (term["key"] or "").strip('"')
        return Asked(wanted=Wanted.VALUE, start=start, end=_end(text, at), typed=typed, field=field.name, key=key)
    sql = is_sql(text) or bool(re.search(r"\b(?:and|or|not)\s", before, re.IGNORECASE))
    if found := _sql(text, before, at):
        return found
    word = _WORD.search(before)
    typed = word["word"] if word else ""
    start = at - len(typed)
    name, dot, rest = typed.partition(".")
    if dot and (field := _field(name)) and field.kind in KEYED:
        return Asked(wanted=Wanted.KEY, start=start, end=_end(text, at), typed=rest, field=field.name, sql=sql)
    return Asked(wanted=Wanted.NAME, start=start, end=_end(text, at), typed=typed, sql=sql)


def _sql(text: str, before: str, at: int) -> Asked | None:
    value = _SQL_VALUE.search(before)
    if value and (field := _field(value["name"])):
        start = at - len(value["typed"]) - before[: at - len(value["typed"])].endswith("'")
        end = at + text[at:].startswith("'")
        typed, key = value["typed"], (value["key"] or "").strip('"')
        return Asked(
            wanted=Wanted.VALUE, start=start, end=end, typed=typed, field=field.name, key=key, sql=True
        )  # fmt: skip
    operator = _SQL_OPERATOR.search(before)
    if operator and (field := _field(operator["name"])):
        typed = operator["typed"]
        known = OPERATORS[field.kind]
        if typed.lower() not in _JOINTS and any(op.startswith(typed.lower()) for op in (*known, "is", "has", "match")):
            start = at - len(typed)
            return Asked(wanted=Wanted.OPERATOR, start=start, end=at, typed=typed, field=field.name, sql=True)
    return None


def _field(name: str) -> Field | None:
    return FIELDS.get(name.lower()) or SHORT.get(name.lower())


def _last_value(values: str) -> int:
    """Where the last of several values begins, behind commas that stand in no quotes."""
    quoted, place = False, 0
    for index, char in enumerate(values):
        if char == '"':
            quoted = not quoted
        elif char == "," and not quoted:
            place = index + 1
    return place


def _end(text: str, at: int) -> int:
    """The end of the word that the caret stands in."""
    rest = re.match(r"[\w.\-]*", text[at:])
    return at + (rest.end() if rest else 0)


# --- what fits -------------------------------------------------------------------------------------------


def options(wanted: Asked, known: Sequence[tuple[str, str]] = ()) -> list[Option]:
    """``known``: keys or values that calls have, and what is said of each, the likeliest first."""
    made = {Wanted.NAME: _names, Wanted.KEY: _keys, Wanted.OPERATOR: _operators, Wanted.VALUE: _values}
    return made[wanted.wanted](wanted, known)[:OPTIONS]


def _names(wanted: Asked, _known: Sequence[tuple[str, str]]) -> list[Option]:
    names = {field.short or name: field for name, field in FIELDS.items()} if not wanted.sql else FIELDS
    names = dict(sorted(names.items(), key=lambda each: len(each[0]))) if wanted.typed else names
    return [
        Option(f"{name}{_after(field, wanted.sql)}", name, field.help, more=True)
        for name, field in _fitting(names.items(), wanted.typed)
    ]


def _after(field: Field, sql: bool) -> str:
    return "." if field.kind in KEYED else " " if sql else ":"


def _keys(wanted: Asked, known: Sequence[tuple[str, str]]) -> list[Option]:
    plain = re.compile(r"[a-z_][a-z0-9_]*" if wanted.sql else r'[^\s:"]+')
    found = []
    for key, said in _fitting(known, wanted.typed):
        name = key if plain.fullmatch(key) else '"' + key.replace('"', '""') + '"'
        found.append(Option(f"{wanted.field}.{name}{' ' if wanted.sql else ':'}", key, said, more=True))
    return found


def _operators(wanted: Asked, _known: Sequence[tuple[str, str]]) -> list[Option]:
    kind = FIELDS[wanted.field].kind
    first = {Kind.WORDS: ("match",), Kind.TAGS: ("has",)}.get(kind, ())
    found = [*first, *OPERATORS[kind], "is null", "is not null"]
    return [Option(f"{op} ", op, more=True) for op in found if op.startswith(wanted.typed.lower())]


_EXAMPLES: dict[Kind, tuple[tuple[str, str], ...]] = {
    Kind.DURATION: ((">1s", "longer than a second"), ("<200ms", "shorter"), ("1s..5s", "between")),
    Kind.MONEY: ((">0.01", "more than a cent"), ("0.001..0.01", "between")),
    Kind.NUMBER: ((">1000", "more than"), ("<10", "less than"), ("100..500", "between")),
    Kind.SCORE: (("<0.5", "less than"), (">=0.8", "at least")),
    Kind.TIME: ((">1h", "less than an hour ago"), (">7d", "less than a week ago")),
    Kind.FLAG: (("true", ""), ("false", "")),
}


def _values(wanted: Asked, known: Sequence[tuple[str, str]]) -> list[Option]:
    field = FIELDS[wanted.field]
    if field.name == "status" and not known:
        known = [(status.value, "") for status in Status]
    found = [Option(_written(value, wanted.sql), value, said) for value, said in _fitting(known, wanted.typed)]
    if found or wanted.sql or field.kind not in _EXAMPLES:
        return found
    if field.kind in NUMERIC and wanted.typed:
        return []
    return [Option(text, text, said) for text, said in _EXAMPLES[field.kind] if text.startswith(wanted.typed)]


def _written(value: str, sql: bool) -> str:
    return "'" + value.replace("'", "''") + "' " if sql else f"{quoted(value)} "


def _fitting(known: Iterable[tuple[str, T]], typed: str) -> list[tuple[str, T]]:
    """Those that begin so, then those that hold it."""
    typed = typed.strip('"').lower()
    every = list(known)
    first = [each for each in every if each[0].lower().startswith(typed)]
    return first + [each for each in every if typed in each[0].lower() and each not in first]
