"""Sums and exact percentiles per group, by one statement over the rows that count.

SQLite adds up by the raw values of a row; what these mean to people — the days of a zone, the
model that a failed call would have reached, each of several tags — is found per group. Roll-ups
will answer the common reports without the pass; until then a million calls take seconds.
"""

from __future__ import annotations

import math
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import tzinfo
from functools import partial
from itertools import pairwise, product
from typing import Any

import orjson
from msgspec import Struct

from ...query.fields import FIELDS, METADATA, SPANS, TAG, Kind, check_groups
from ...query.spans import QUARTER_US, Labels
from ...query.tree import Filter
from ..base import Layout, ReportRow
from . import rows
from .compile import Condition, compiled, counted, joined
from .files import transaction
from .find import Texts
from .sums import PARTS, SELECTED, Sums

Group = tuple[str | None, ...]
#: From the raw values of one field to the groups that its calls count in.
Naming = Callable[..., Sequence[str | None]]


class Question(Struct, frozen=True, kw_only=True):
    """Which calls, in which groups. See ``Reader.report``."""

    by: tuple[str, ...]
    since_us: int | None
    until_us: int | None
    where: Filter | None
    zone: tzinfo
    every: bool


def report(connection: sqlite3.Connection, texts: Texts, question: Question, layout: Layout) -> list[ReportRow]:
    """See ``Reader.report``."""
    check_groups(question.by)
    columns = [_columns(name) for name in question.by]
    with transaction(connection, "DEFERRED"):
        parts = _parts(connection, question, columns, layout.edges_us)
        groups = _grouped(parts, _namings(connection, texts, question, columns, parts), columns, layout.edges_us)
    return _laid_out(groups, question.by, layout)


# --- the statement -----------------------------------------------------------------------------------


def _columns(name: str) -> tuple[Condition, ...]:
    """The raw values that name a group of this field."""
    if name.startswith(METADATA):
        key = rows.fit(name[len(METADATA) :], rows.KEY_CHARS)
        return (Condition("(SELECT value FROM json_each(metadata) WHERE key = ?)", (key,)),)
    if name in SPANS:
        return (Condition(f"started_at_us / {QUARTER_US} * {QUARTER_US}"),)
    if name == "model":
        return Condition("model"), Condition("model_requested")
    return (Condition("tags" if name == TAG else FIELDS[name].column),)


def _parts(
    connection: sqlite3.Connection, question: Question, columns: Sequence[tuple[Condition, ...]], edges: Sequence[int]
) -> list[tuple[Any, ...]]:
    """Of each combination of raw values, and of each bin: ``SELECTED``, then the values."""
    keys = [column for some in columns for column in some]
    if len(edges) > 1:
        width = math.gcd(*(after - before for before, after in pairwise(edges)))
        keys.append(Condition("max(started_at_us - ?, 0) / ?", (edges[0], width)))
    condition = _condition(question)
    sql = f"SELECT {', '.join([SELECTED, *(key.sql for key in keys)])} FROM call WHERE {condition.sql}"
    if keys:
        sql += f" GROUP BY {', '.join(str(PARTS + place) for place in range(1, len(keys) + 1))}"
    values = (value for part in (*keys, condition) for value in part.values)
    return [part for part in connection.execute(sql, tuple(values)) if part[0]]


def _condition(question: Question) -> Condition:
    conditions = [compiled(question.where)] if question.every else counted(question.where)
    for op, at_us in ((">=", question.since_us), ("<", question.until_us)):
        if at_us is not None:
            conditions.append(Condition(f"started_at_us {op} ?", (at_us,)))
    return joined(" AND ", conditions)


# --- what raw values mean ----------------------------------------------------------------------------


def _grouped(
    parts: Iterable[tuple[Any, ...]],
    namings: Sequence[Naming],
    columns: Sequence[tuple[Condition, ...]],
    edges: Sequence[int],
) -> dict[Group, Sums]:
    places = _places(columns)
    groups: defaultdict[Group, Sums] = defaultdict(partial(Sums, edges))
    for part in parts:
        names = (naming(*part[place]) for naming, place in zip(namings, places, strict=True))
        for group in product(*names):
            groups[group].add(part)
    return groups


def _places(columns: Sequence[tuple[Condition, ...]]) -> list[slice]:
    """Where the raw values of each field stand in a part."""
    ends = [PARTS]
    for some in columns:
        ends.append(ends[-1] + len(some))
    return [slice(start, end) for start, end in pairwise(ends)]


def _namings(
    connection: sqlite3.Connection,
    texts: Texts,
    question: Question,
    columns: Sequence[tuple[Condition, ...]],
    parts: Sequence[tuple[Any, ...]],
) -> list[Naming]:
    found = [{part[place] for part in parts} for place in _places(columns)]
    fields = list(zip(question.by, found, strict=True))
    numbers = {number for name, raw in fields if name in rows.SHARED for values in raw for number in values}
    known = texts.of(connection, numbers - {None})
    return [_naming(name, raw, question.zone, known) for name, raw in fields]


def _naming(name: str, found: set[tuple[Any, ...]], zone: tzinfo, texts: Mapping[int, str]) -> Naming:
    if name in SPANS:
        label = Labels(name, zone).label
        return lambda at_us: (label(at_us),)
    if name == "model":
        return partial(_served, _only(found), texts)
    if name == TAG:
        return _tags
    if name in rows.SHARED:
        return lambda number: (None if number is None else str(texts.get(number)),)
    if name in FIELDS and FIELDS[name].kind is Kind.FLAG:
        return lambda flag: (None if flag is None else "true" if flag else "false",)
    return lambda value: (None if value is None else str(value),)


def _tags(tags: str | None) -> Sequence[str | None]:
    return tuple(dict.fromkeys(orjson.loads(tags))) if tags else (None,)


def _only(found: Iterable[tuple[int | None, int | None]]) -> dict[int, int]:
    """The only model that a name led to, of names that led to one."""
    served: defaultdict[int, set[int]] = defaultdict(set)
    for model, requested in found:
        if model is not None and requested is not None:
            served[requested].add(model)
    return {requested: min(models) for requested, models in served.items() if len(models) == 1}


def _served(
    only: Mapping[int, int], texts: Mapping[int, str], model: int | None, requested: int | None
) -> Sequence[str | None]:
    """A call that no model served counts for the only model that its name otherwise led to, or for its name."""
    if model is None and requested is not None:
        model = only.get(requested, requested)
    return (None if model is None else str(texts.get(model)),)


# --- order -------------------------------------------------------------------------------------------

_ORDERS: dict[str, Callable[[ReportRow], int]] = {
    "cost": lambda row: row.cost_nano_usd,
    "calls": lambda row: row.calls,
    "errors": lambda row: row.errors,
    "tokens": lambda row: row.input_tokens + row.output_tokens,
    "latency": lambda row: -1 if row.latency_p95_us is None else row.latency_p95_us,
}


def _laid_out(groups: Mapping[Group, Sums], by: Sequence[str], layout: Layout) -> list[ReportRow]:
    value = _ORDERS[layout.order or "cost"]
    found = [sums.row(group) for group, sums in groups.items()]
    found.sort(key=lambda row: (-value(row), -row.calls, [name or "" for name in row.group]))
    kept, rest = _parted(found, layout)
    if layout.order is None:
        times = [place for place, name in enumerate(by) if name in SPANS]
        first = _firsts(found, times)
        kept.sort(key=lambda row: [first[place, row.group[place]] for place in times])
    if rest:
        kept.append(_together([groups[row.group] for row in rest], len(by), layout))
    return kept


def _parted(found: list[ReportRow], layout: Layout) -> tuple[list[ReportRow], list[ReportRow]]:
    if layout.keep is not None:
        return [row for row in found if row.group in layout.keep], [
            row for row in found if row.group not in layout.keep
        ]
    if layout.limit is None or len(found) <= layout.limit + 1:  # a line for one group is that group's
        return found, []
    return found[: layout.limit], found[layout.limit :]


def _firsts(found: Iterable[ReportRow], times: Sequence[int]) -> dict[tuple[int, str | None], int]:
    """When the first call of each span came: names of hours do not sort when clocks go back."""
    first: dict[tuple[int, str | None], int] = {}
    for row in found:
        for place in times:
            span = place, row.group[place]
            first[span] = min(first.get(span, row.first_us or 0), row.first_us or 0)
    return first


def _together(groups: Sequence[Sums], names: int, layout: Layout) -> ReportRow:
    rest = Sums(layout.edges_us)
    for sums in groups:
        rest.merge(sums)
    return rest.row((None,) * names, len(groups))
