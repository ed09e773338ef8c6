"""A filter as a condition of SQL with bound values.

Unknown values match no comparison, and ``not`` turns that: two truth values, where SQL has
three. Shared texts are compared in ``dim``, so that a condition on them is one on few numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from ...query.fields import FIELDS, Field, Kind, stored
from ...query.tree import And, Comparison, Filter, Not, Or, fields_of
from . import rows


class Condition(Struct, frozen=True):
    """SQL for a WHERE clause, and its values in order."""

    sql: str
    values: tuple[Any, ...] = ()


ALL = Condition("1")
_SHARED_IDS = "SELECT id FROM dim WHERE kind = ? AND val"
_DIGIT = "[0-9]"
_DATES = (f"-{_DIGIT * 4}-{_DIGIT * 2}-{_DIGIT * 2}", f"-{_DIGIT * 8}")
#: Models of a name: those named so, and those whose name goes on with a dash and a date.
_MODEL_IDS = (
    "SELECT id FROM dim WHERE kind = ? AND (val = ? OR "
    "(val > ? AND val < ? AND (substr(val, ?) GLOB ? OR substr(val, ?) GLOB ?)))"
)


def compiled(where: Filter | None) -> Condition:
    """The condition on ``call`` that a filter means."""
    match where:
        case None:
            return ALL
        case Comparison():
            return _comparison(where)
        case Not(child):
            inner = compiled(child)
            return Condition(f"NOT coalesce({inner.sql}, 0)", inner.values)
        case And(children):
            return joined(" AND ", [compiled(child) for child in children])
        case Or(children):
            return joined(" OR ", [compiled(child) for child in children])


def counted(where: Filter | None) -> list[Condition]:
    """The same, without excluded calls, unless the filter itself speaks of them."""
    conditions = [compiled(where)]
    if "excluded" not in fields_of(where):
        conditions.append(Condition("excluded IS NULL"))
    return conditions


def joined(word: str, conditions: Sequence[Condition]) -> Condition:
    """Conditions in one pair of brackets."""
    sql = word.join(condition.sql for condition in conditions)
    return Condition(f"({sql})", tuple(value for condition in conditions for value in condition.values))


def _comparison(where: Comparison) -> Condition:
    field = FIELDS[where.field]
    if field.kind is Kind.METADATA:
        return _metadata(where)
    if where.value is None:
        return Condition(f"{field.column} IS {'' if where.op == '=' else 'NOT '}NULL")
    if field.kind is Kind.TAGS:
        return _tag(where)
    if field.kind is Kind.ID:
        return Condition(f"uuid {where.op} ?", (rows.uuid_bytes(str(where.value)),))
    if field.kind is Kind.MODEL and where.op in ("=", "!="):
        return _model(where)
    if kind := rows.SHARED.get(field.column):
        return _shared(field, kind, where)
    value = stored(field, where.value)
    return Condition(f"{field.column} {where.op} ?", (int(value) if isinstance(value, bool) else value,))


def _shared(field: Field, kind: int, where: Comparison) -> Condition:
    value = rows.fit(str(where.value))
    if where.op == "!=":
        return Condition(f"({field.column} IS NOT NULL AND {field.column} NOT IN ({_SHARED_IDS} = ?))", (kind, value))
    return Condition(f"{field.column} IN ({_SHARED_IDS} {where.op} ?)", (kind, value))


def _model(where: Comparison) -> Condition:
    """Served or requested; unknown only when neither is known."""
    name = rows.fit(str(where.value))
    suffix = len(name) + 1
    ids = (rows.KINDS["model"], name, f"{name}-", f"{name}-:", suffix, _DATES[0], suffix, _DATES[1])
    found = f"(coalesce(model IN ({_MODEL_IDS}), 0) OR coalesce(model_requested IN ({_MODEL_IDS}), 0))"
    if where.op == "=":
        return Condition(found, ids * 2)
    return Condition(f"(coalesce(model, model_requested) IS NOT NULL AND NOT {found})", ids * 2)


def _tag(where: Comparison) -> Condition:
    carried = f"id IN (SELECT call FROM posting WHERE dim IN ({_SHARED_IDS} = ?))"
    sql = carried if where.op == "=" else f"NOT {carried}"
    return Condition(sql, (rows.KINDS["tags"], rows.fit(str(where.value))))


def _metadata(where: Comparison) -> Condition:
    first, last = rows.metadata_range(where.key or "")
    of_key = "SELECT call FROM posting JOIN dim ON dim.id = posting.dim WHERE kind = ? AND val > ? AND val < ?"
    values: tuple[Any, ...] = (rows.KINDS["metadata"], first, last)
    if where.value is None:
        return Condition(f"id {'NOT IN' if where.op == '=' else 'IN'} ({of_key})", values)
    if where.op == "=":
        pair = rows.metadata_text(where.key or "", str(where.value))
        return Condition(
            f"id IN (SELECT call FROM posting WHERE dim IN ({_SHARED_IDS} = ?))", (rows.KINDS["metadata"], pair)
        )
    return Condition(
        f"id IN ({of_key} AND json_extract(val, '$[1]') {where.op} ?)", (*values, rows.fit(str(where.value)))
    )
