"""A filter as a condition of SQL with bound values.

Unknown values match no comparison, and ``not`` turns that: two truth values, where SQL has
three. Shared texts are compared in ``dim``, so that a condition on them is one on few numbers.
What lies beside the row (tags, metadata, tools, scores) can be asked for in two ways: as the set
of all rows that have it, good where rows are few or all are read, and of one row after another,
good where rows come in order and reading stops early.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from ...errors import QueryError
from ...query.fields import FIELDS, Field, Kind, stored
from ...query.patterns import canonical, glob
from ...query.tree import And, Comparison, Filter, Match, Not, Or, Scalar, fields_of
from ..heard import NAME_CHARS
from . import rows
from .names import bearing
from .people.filters import REVIEWED, REVIEWS, REVIEWS_BY, SAID


class Condition(Struct, frozen=True):
    """SQL for a WHERE clause, and its values in order."""

    sql: str
    values: tuple[Any, ...] = ()


ALL = Condition("1")
#: How words are searched for: the condition on ``call`` that a match means.
Matches = Callable[[Match], Condition]


def no_words(where: Match) -> Condition:
    """Where there is nothing to search in."""
    raise QueryError(f"{where.field} cannot be searched by words here")


def compiled(where: Filter | None, matches: Matches = no_words, *, each: bool = False) -> Condition:
    """The condition on ``call`` that a filter means. ``each``: ask of one row after another."""
    match where:
        case None:
            return ALL
        case Comparison():
            return _comparison(where, each)
        case Match():
            return matches(where)
        case Not(child):
            inner = compiled(child, matches, each=each)
            return Condition(f"NOT coalesce({inner.sql}, 0)", inner.values)
        case And(children):
            return joined(" AND ", [compiled(child, matches, each=each) for child in children])
        case Or(children):
            return joined(" OR ", [compiled(child, matches, each=each) for child in children])


def counted(where: Filter | None, matches: Matches = no_words, *, each: bool = False) -> list[Condition]:
    """The same, without excluded calls, unless the filter itself speaks of them."""
    conditions = [compiled(where, matches, each=each)]
    if "excluded" not in fields_of(where):
        conditions.append(Condition("excluded IS NULL"))
    return conditions


def joined(word: str, conditions: Sequence[Condition]) -> Condition:
    """Conditions in one pair of brackets."""
    return put(f"({word.join('{}' for _ in conditions)})", *conditions)


def put(sql: str, *conditions: Condition) -> Condition:
    """Conditions in the places of ``{}``."""
    values = tuple(value for condition in conditions for value in condition.values)
    return Condition(sql.format(*(condition.sql for condition in conditions)), values)


# --- one comparison ----------------------------------------------------------------------------------


def _comparison(where: Comparison, each: bool) -> Condition:
    field = FIELDS[where.field]
    if beside := _BESIDE.get(field.kind):
        return beside(where, each)
    if where.value is None:
        return Condition(f"{field.column} IS {'NOT ' if where.negated else ''}NULL")
    if field.kind is Kind.MODEL and where.positive in _EITHER_MODEL:
        return _model(where)
    if kind := rows.SHARED.get(field.column):
        return _shared(field, kind, where)
    if field.kind is Kind.ID:
        return _id(field, where)
    if field.column in NAMED and where.op in ("=", "in") and not each:
        own = put(f"{field.column} {{}}", tested(where.op, list(where.values)))
        return put("(id IN ({}) AND {})", named(where), own)
    return put(f"{field.column} {{}}", tested(where.op, [_own(field, value) for value in where.values]))


#: Which rows are of some calls (``{}``: a condition on their ids): by an index where one helps.
_OF_CALLS = {
    "follows": "follows IN (SELECT id FROM call WHERE uuid {})",
    "conversation": "id IN (WITH own (id) AS (SELECT conversation FROM call WHERE uuid {})"
    " SELECT call.id FROM own JOIN call ON call.id = own.id AND call.conversation = own.id UNION ALL"
    " SELECT call.id FROM own JOIN call ON call.conversation = own.id AND call.conversation <> call.id)",
}


def _id(field: Field, where: Comparison) -> Condition:
    values = [_own(field, value) for value in where.values]
    if field.column == "id":
        return put("uuid {}", tested(where.op, values))
    found = put(_OF_CALLS[field.column], tested(where.positive, values))
    return put(f"({field.column} IS NOT NULL AND NOT {{}})", found) if where.negated else found


def _own(field: Field, value: Scalar) -> Any:
    if field.kind is Kind.ID:
        return rows.uuid_bytes(str(value))
    value = stored(field, value)
    return int(value) if isinstance(value, bool) else value


def tested(op: str, values: Sequence[Any]) -> Condition:
    """What follows the name of a column."""
    word = "NOT " if op.startswith("not ") else ""
    match op.removeprefix("not "):
        case "in":
            return Condition(f"{word}IN ({', '.join('?' * len(values))})", tuple(values))
        case "between":
            return Condition(f"{word}BETWEEN ? AND ?", tuple(values))
        case "like":
            return Condition(f"{word}GLOB ?", (glob(values[0]),))
        case "ilike":
            return Condition(f"{word}LIKE ? ESCAPE '\\'", (canonical(values[0]),))
    return Condition(f"{op} ?", tuple(values))


# --- shared texts ------------------------------------------------------------------------------------


def dims(kind: int, test: Condition) -> Condition:
    """The numbers of some shared texts."""
    return put("SELECT id FROM dim WHERE kind = {} AND val {}", Condition("?", (kind,)), test)


def texts(where: Comparison) -> Condition:
    """What shared texts must be."""
    return tested(where.positive, [rows.fit(str(value)) for value in where.values])


def _shared(field: Field, kind: int, where: Comparison) -> Condition:
    numbers = dims(kind, texts(where))
    if where.negated:
        return put(f"({field.column} IS NOT NULL AND {field.column} NOT IN ({{}}))", numbers)
    return put(f"{field.column} IN ({{}})", numbers)


#: Ids that others gave to calls, by which these are found.
NAMED = ("response_id", "request_id")


def named(where: Comparison) -> Condition:
    """SELECT of the rows that may bear one of these ids."""
    sql, values = bearing([str(value) for value in where.values])
    return Condition(f"SELECT id FROM ({sql})", values)


_EITHER_MODEL = ("=", "in", "like", "ilike")
_DIGIT = "[0-9]"
_DATES = (f"-{_DIGIT * 4}-{_DIGIT * 2}-{_DIGIT * 2}", f"-{_DIGIT * 8}")
_NAMED = "(val = ? OR (val > ? AND val < ? AND (substr(val, ?) GLOB ? OR substr(val, ?) GLOB ?)))"


def _model(where: Comparison) -> Condition:
    """Served or requested; unknown only when neither is known."""
    numbers = _models(where)
    found = put("(coalesce(model IN ({}), 0) OR coalesce(model_requested IN ({}), 0))", numbers, numbers)
    if not where.negated:
        return found
    return put("(coalesce(model, model_requested) IS NOT NULL AND NOT {})", found)


def _models(where: Comparison) -> Condition:
    """Models of some names: those named so, and those whose name goes on with a dash and a date."""
    if where.positive not in ("=", "in"):
        return dims(rows.KINDS["model"], texts(where))
    names = joined(" OR ", [_named(rows.fit(str(value))) for value in where.values])
    return put("SELECT id FROM dim WHERE kind = {} AND {}", Condition("?", (rows.KINDS["model"],)), names)


def _named(name: str) -> Condition:
    suffix = len(name) + 1
    return Condition(_NAMED, (name, f"{name}-", f"{name}-:", suffix, _DATES[0], suffix, _DATES[1]))


# --- beside the row ----------------------------------------------------------------------------------


def _tags(where: Comparison, each: bool) -> Condition:
    if where.value is None:
        return Condition(f"tags IS {'NOT ' if where.negated else ''}NULL")
    return _carried("posting", "dim", dims(rows.KINDS["tags"], texts(where)), each, where.negated)


def _tool(where: Comparison, each: bool) -> Condition:
    if where.value is None:
        asked = "EXISTS (SELECT 1 FROM tool_call WHERE tool_call.call = call.id)"
        return Condition(asked if where.negated else f"NOT {asked}")
    return _carried("tool_call", "name", dims(rows.KINDS["tool"], texts(where)), each, where.negated)


def _carried(table: str, column: str, numbers: Condition, each: bool, negated: bool) -> Condition:
    """Rows with, or without, one of these numbers beside them."""
    if each:
        held = f"EXISTS (SELECT 1 FROM {table} WHERE {table}.call = call.id AND {column} IN ({{}}))"
    else:
        held = f"id IN (SELECT call FROM {table} WHERE {column} IN ({{}}))"
    return put(f"NOT {held}" if negated else held, numbers)


def _metadata(where: Comparison, each: bool) -> Condition:
    if where.op in ("=", "in") and isinstance(where.values[0], str) and all(map(rows.is_whole, _pair_texts(where))):
        return _carried("posting", "dim", pairs(where), each, False)
    value = _metadata_test("value", where)
    if each:  # a name may have as many values as there are calls
        key = Condition("?", (rows.metadata_key(where.key or ""),))
        found = put("EXISTS (SELECT 1 FROM json_each(metadata) WHERE key = {} AND {})", key, value)
    else:
        found = put("id IN ({})", of_key(where))
    return put("NOT {}", found) if where.value is None and not where.negated else found


def pairs(where: Comparison) -> Condition:
    """The numbers of some pieces of metadata; of long ones, they may be those of others too."""
    return dims(rows.KINDS["metadata"], tested("in", _pair_texts(where)))


def _pair_texts(where: Comparison) -> list[str]:
    return [rows.metadata_text(where.key or "", str(value)) for value in where.values]


_VALUES_OF_KEY = (
    "SELECT call, CASE WHEN val GLOB ? THEN json_extract(val, '$[1]') ELSE (SELECT pair.value FROM call AS own,"
    " json_each(own.metadata) AS pair WHERE own.id = posting.call AND pair.key = ?) END AS value"
    " FROM posting JOIN dim ON dim.id = posting.dim WHERE kind = ? AND val > ? AND val < ?"
)


def of_key(where: Comparison) -> Condition:
    """Rows whose value under the name passes the test; any value, where none is compared."""
    first, last = rows.metadata_range(where.key or "")
    key = rows.metadata_key(where.key or "")
    values = Condition(_VALUES_OF_KEY, (rows.WHOLE, key, rows.KINDS["metadata"], first, last))
    return put("SELECT call FROM ({}) WHERE {}", values, _metadata_test("value", where))


def _metadata_test(value: str, where: Comparison) -> Condition:
    if where.value is None:
        return ALL
    if not isinstance(where.values[0], str):
        return _numeric(value, where)
    return put(f"{value} {{}}", tested(where.op, [rows.fit(str(each)) for each in where.values]))


def _numeric(value: str, where: Comparison) -> Condition:
    """Compared with a number, a text counts as one if it is one: SQLite then takes it for less than any text."""
    words = {"in": (" OR ", "="), "between": (" AND ", None)}
    join, op = words.get(where.positive, (" AND ", where.positive))
    ops = (">=", "<=") if op is None else (op,) * len(where.values)
    tests = joined(
        join,
        [
            Condition(f"{value} {each} CAST(? AS NUMERIC)", (number,))
            for each, number in zip(ops, where.values, strict=True)
        ],
    )
    return put(f"{value} <= CAST(9e999 AS NUMERIC) AND {'NOT ' if where.negated else ''}{{}}", tests)


def _scores(where: Comparison, each: bool) -> Condition:
    name = Condition("SELECT id FROM dim WHERE kind = ? AND val = ?", _score_name(where))
    mean = put("(SELECT avg(value) FROM score WHERE score.call = call.id AND score.name = ({}))", name)
    if where.value is None:
        return put(f"{{}} IS {'NOT ' if where.negated else ''}NULL", mean)
    found = put("{} {}", mean, tested(where.op, where.values))
    return found if each else put("(id IN ({}) AND {})", scored(where), found)


def _score_name(where: Comparison) -> tuple[int, str]:
    return rows.KINDS["score"], rows.fit(where.key or "", NAME_CHARS)


def scored(where: Comparison) -> Condition:
    """Rows that have such a score at all; where several judged, one of them at least is so high, or so low."""
    named = Condition("name = (SELECT id FROM dim WHERE kind = ? AND val = ?)", _score_name(where))
    bound = {">": ">=", ">=": ">=", "<": "<=", "<=": "<=", "=": ">=", "between": ">="}.get(where.op)
    test = Condition(f"value {bound} ?", (where.values[0],)) if bound else ALL
    return put("SELECT call FROM score WHERE {} AND {}", named, test)


def _review(where: Comparison, each: bool) -> Condition:
    if where.value is None:
        return Condition(f"{REVIEWED} IS {'NOT ' if where.negated else ''}NULL")
    found = put(f"{REVIEWED} {{}}", tested(where.op, where.values))
    return found if each else put(f"(id IN ({REVIEWS}) AND {{}})", found)


def _reviewer(where: Comparison, each: bool) -> Condition:
    return _said(reviewed_by(where), where, each)


def reviewed_by(where: Comparison) -> Condition:
    """SELECT of the calls that some have reviewed; anybody, where none is named."""
    return Condition(REVIEWS) if where.value is None else put(REVIEWS_BY, dims(rows.KINDS["author"], texts(where)))


def _judged(where: Comparison, each: bool) -> Condition:
    return _said(judged(where), where, each)


def judged(where: Comparison) -> Condition:
    """SELECT of the calls of which some such things were said; anything, where none is named."""
    kinds = SAID if where.value is None else [str(value) for value in where.values if value in SAID]
    return Condition(" UNION ALL ".join(SAID[kind] for kind in kinds) or "SELECT NULL WHERE 0")


def _said(calls: Condition, where: Comparison, each: bool) -> Condition:
    """Calls that are among some, or not; of null, it is the other way round."""
    found = put("EXISTS (SELECT 1 FROM ({}) AS said WHERE said.call = call.id)" if each else "id IN ({})", calls)
    return put("NOT {}", found) if where.negated is (where.value is not None) else found


_BESIDE: dict[Kind, Callable[[Comparison, bool], Condition]] = {
    Kind.TAGS: _tags,
    Kind.TOOL: _tool,
    Kind.METADATA: _metadata,
    Kind.SCORE: _scores,
    Kind.REVIEW: _review,
    Kind.REVIEWER: _reviewer,
    Kind.JUDGED: _judged,
}
