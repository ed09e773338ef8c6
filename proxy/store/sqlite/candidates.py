"""What indexes know of a filter: for parts that must hold, SELECTs of the rows that can match.

Each gives all rows that match, and maybe others: it says where to look, not what is found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import Struct

from ...query.fields import FIELDS, Kind
from ...query.tree import And, Comparison, Filter, fields_of
from . import rows
from .compile import (
    NAMED,
    Condition,
    compiled,
    dims,
    joined,
    judged,
    of_key,
    pairs,
    put,
    reviewed_by,
    scored,
    texts,
)
from .people.filters import REVIEWS
from .queries import QUERIES


class Candidates(Struct, frozen=True):
    """Rows of one part of a filter."""

    ids: Condition  #: SELECT of ``id``
    held: Condition | None = None  #: the same as a condition on ``call.id`` alone, where an index answers it
    last: Condition | None = None  #: SELECT of the highest ``id``, where that takes one look


def candidates(where: Filter | None) -> Iterator[Candidates]:
    """Of each part that an index knows."""
    parts = list(_parts(where))
    kinds = [part for part in parts if fields_of(part) <= _KIND_FIELDS]
    if kinds:
        yield _of_kinds(kinds)
    for part in parts:
        if isinstance(part, Comparison) and (find := _FINDERS.get(FIELDS[part.field].kind)):
            yield from find(part)
        elif isinstance(part, Comparison) and part.field in _OWN_INDEX and part.value is not None:
            yield from _own(part)


def _parts(where: Filter | None) -> Iterator[Filter]:
    """What must all hold."""
    if isinstance(where, And):
        for child in where.children:
            yield from _parts(child)
    elif where is not None:
        yield where


_KIND_FIELDS = {"status", "model", "model_requested"}
_OF_KIND = (
    "SELECT call.id AS id FROM ({} WHERE {}) AS kind CROSS JOIN call ON call.status = kind.status "
    "AND call.model IS kind.model AND call.model_requested IS kind.model_requested"
)


def _of_kinds(parts: list[Filter]) -> Candidates:
    """Calls of some states and models, whatever the filter says of these."""
    condition = joined(" AND ", [compiled(part, each=True) for part in parts])
    return Candidates(put(_OF_KIND, Condition(QUERIES["kinds"]), condition))


_OWN_INDEX = ("id", "conversation", *NAMED)


def _own(where: Comparison) -> Iterator[Candidates]:
    if where.op in ("=", "in"):
        yield Candidates(put("SELECT id FROM call WHERE {}", compiled(where)))


def _posted(table: str, column: str, where: Comparison, numbers: Condition) -> Candidates:
    return Candidates(
        ids=put(f"SELECT call AS id FROM {table} WHERE {column} IN ({{}})", numbers),
        held=compiled(where, each=True),
        last=put(
            f"SELECT max((SELECT max(call) FROM {table} WHERE {column} = wanted.id)) FROM ({{}}) AS wanted", numbers
        ),
    )


def _tags(where: Comparison) -> Iterator[Candidates]:
    if where.value is not None and not where.negated:
        yield _posted("posting", "dim", where, dims(rows.KINDS["tags"], texts(where)))


def _tool(where: Comparison) -> Iterator[Candidates]:
    if where.value is not None and not where.negated:
        yield _posted("tool_call", "name", where, dims(rows.KINDS["tool"], texts(where)))


def _metadata(where: Comparison) -> Iterator[Candidates]:
    if where.op in ("=", "in") and isinstance(where.values[0], str):
        yield _posted("posting", "dim", where, pairs(where))
    elif where.value is not None or where.negated:
        yield Candidates(of_key(where))


def _scores(where: Comparison) -> Iterator[Candidates]:
    if where.value is not None or where.negated:
        yield Candidates(scored(where), compiled(where, each=True))


def _review(where: Comparison) -> Iterator[Candidates]:
    if where.value is not None or where.negated:
        yield Candidates(Condition(REVIEWS), compiled(where, each=True))


def _reviewer(where: Comparison) -> Iterator[Candidates]:
    yield from _said(where, reviewed_by(where))


def _judged(where: Comparison) -> Iterator[Candidates]:
    yield from _said(where, judged(where))


def _said(where: Comparison, calls: Condition) -> Iterator[Candidates]:
    if where.negated is (where.value is None):
        yield Candidates(calls, compiled(where, each=True))


_FINDERS: dict[Kind, Callable[[Comparison], Iterator[Candidates]]] = {
    Kind.TAGS: _tags,
    Kind.TOOL: _tool,
    Kind.METADATA: _metadata,
    Kind.SCORE: _scores,
    Kind.REVIEW: _review,
    Kind.REVIEWER: _reviewer,
    Kind.JUDGED: _judged,
}
