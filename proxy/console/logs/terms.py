"""Filters with one more term, or one less: for links such as "only this user". Values only.

A term is written in the short form where that reads back as what is meant, else in SQL's words.
"""

from __future__ import annotations

import re
from functools import lru_cache

from ...errors import QueryError
from ...query.parse import is_sql, parse_filter
from ...query.tree import Comparison, Or
from ...query.written import written

_PLAIN = re.compile(r"""[^\s",*<>=()'-][^\s",*<>=()']*""")
_AT_US = 0  # terms of values bear no spans of time


@lru_cache(maxsize=4096)
def term(where: Comparison) -> str:
    """``model:gpt-5``; empty when the short form cannot say it."""
    name = where.field if where.key is None else f"{where.field}.{_key(where.key)}"
    sign = "" if where.op in ("=", "in") else where.op
    values = ",".join(quoted(str(value)) for value in where.values)
    for text in (f"{name}:{sign}{values}", f'{name}:{sign}"{_doubled(str(where.value))}"'):
        if _means(text, where):
            return text
    return ""


def quoted(text: str) -> str:
    """A value as the short form has it: in double quotes, where signs in it would mean something."""
    return text if _PLAIN.fullmatch(text) and ".." not in text else f'"{_doubled(text)}"'


def _key(name: str) -> str:
    return name if re.fullmatch(r'[^\s:"]+', name) else f'"{_doubled(name)}"'


def _doubled(text: str) -> str:
    return text.replace('"', '""')


def _means(text: str, where: Comparison) -> bool:
    try:
        return not is_sql(text) and parse_filter(text, now_us=_AT_US) == where
    except QueryError:
        return False


class Terms:
    """A filter that can be narrowed to single values, again and again."""

    def __init__(self, q: str) -> None:
        self._q = q
        self._sql = bool(q) and is_sql(q)

    def only(self, where: Comparison) -> str:
        """The filter, narrowed to a value."""
        short = term(where)
        if self.has(where):
            return self._q
        if not self._q:
            return short or written(where)
        if short and not self._sql:
            return f"{self._q} {short}"
        return f"{self._as_sql()} and {written(where)}"

    def has(self, where: Comparison) -> bool:
        """Whether the term stands in the filter."""
        return (term(where) or written(where)) in self._split()

    def without(self, where: Comparison) -> str:
        """The filter without a term that stands in it."""
        gone = term(where) or written(where)
        joint = " and " if self._sql else " "
        return joint.join(part for part in self._split() if part != gone)

    def _split(self) -> list[str]:
        if self._sql:
            return re.split(r" and ", self._q) if "(" not in self._q else [self._q]
        return re.findall(r'(?:[^\s"]|"[^"]*")+', self._q)

    def _as_sql(self) -> str:
        if self._sql:
            return f"({self._q})" if re.search(r"\bor\b", self._q, re.IGNORECASE) else self._q
        meant = parse_filter(self._q, now_us=_AT_US)
        return f"({written(meant)})" if isinstance(meant, Or) else written(meant)
