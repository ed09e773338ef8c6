"""Sums and percentiles per group: from the roll-ups where they say what is asked, from the rows where not.

Rows are read by one statement: SQLite adds up by the raw values of a row; what these mean to
people — the days of a zone, the model that a failed call would have reached, each of several
tags — is found per group. Of a million rows that takes seconds. Percentiles of rows are exact,
those of roll-ups within 3 %; few rows are always read.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, tzinfo
from itertools import accumulate, pairwise

from msgspec import Struct

from ...query.fields import SPANS, check_groups
from ...query.tree import Filter
from ...records import evolve
from ..base import Bin, Layout, ReportRow
from .compile import Condition, compiled, counted, joined
from .files import transaction
from .find import Texts
from .groups import Group, Part, columns_of, grouped
from .rollups import answers
from .rollups.levels import DAY_US
from .sums import PARTS, Sums, selected

EXACT_BELOW = 20_000  #: calls in a period: to read so few takes a tenth of a second at most


class Question(Struct, frozen=True, kw_only=True):
    """Which calls, in which groups. See ``Reader.report``."""

    by: tuple[str, ...]
    since_us: int | None
    until_us: int | None
    where: Filter | None
    zone: tzinfo
    every: bool
    exact_below: int = EXACT_BELOW


def report(connection: sqlite3.Connection, texts: Texts, question: Question, layout: Layout) -> list[ReportRow]:
    """See ``Reader.report``."""
    check_groups(question.by)
    with transaction(connection, "DEFERRED"):
        groups = _groups(connection, texts, question, layout)
        if () in groups and groups[()].is_approximate:
            _narrow(connection, question, groups[()])
    return _laid_out(groups, question.by, layout)


def histogram(
    connection: sqlite3.Connection,
    texts: Texts,
    edges_us: Sequence[int],
    until_us: int | None,
    where: Filter | None,
    every: bool,
) -> list[Bin]:
    """See ``Reader.histogram``."""
    question = Question(
        by=(),
        since_us=edges_us[0] if edges_us else None,
        until_us=until_us,
        where=where,
        zone=UTC,
        every=every,
    )
    with transaction(connection, "DEFERRED"):
        groups = _groups(connection, texts, question, Layout(edges_us=tuple(edges_us), percentiles=False))
    found = groups.get(())
    return [Bin(*values) for values in found.row(()).series] if found else [Bin(0, 0, 0)] * len(edges_us)


# --- from roll-ups, and from rows --------------------------------------------------------------------


def _groups(connection: sqlite3.Connection, texts: Texts, question: Question, layout: Layout) -> Mapping[Group, Sums]:
    columns = [columns_of(name) for name in question.by]
    parts = _parts(connection, question, columns, layout)
    return grouped(connection, texts, question.by, question.zone, parts, layout.edges_us)


def _parts(
    connection: sqlite3.Connection, question: Question, columns: Sequence[tuple[Condition, ...]], layout: Layout
) -> list[Part]:
    """One for each combination of raw values, and each bin."""
    asked = answers.Asked(
        by=question.by,
        period=(question.since_us, question.until_us),
        where=question.where,
        condition=_matching(question),
        zone=question.zone,
        edges_us=layout.edges_us,
        percentiles=layout.percentiles,
        exact_below=question.exact_below if layout.percentiles else 0,
    )
    plan = answers.answerable(connection, asked)
    if plan is None:
        return _scanned(connection, question, columns, layout)
    own = [
        [column.sql for column in some] for name, some in zip(question.by, columns, strict=True) if name not in SPANS
    ]
    found: list[Part] = list(answers.parts(connection, asked, plan, own))
    for since_us, until_us in plan.scanned:
        found += _scanned(connection, evolve(question, since_us=since_us, until_us=until_us), columns, layout)
    return found


def _narrow(connection: sqlite3.Connection, question: Question, sums: Sums) -> None:
    """Roll-ups know the hour or the day of the first call and the last; of a sum of all, the rows tell more."""
    if sums.first_us is None or sums.last_us is None:
        return
    ends = (sums.first_us, sums.first_us + DAY_US, "ASC"), (sums.last_us - DAY_US, sums.last_us + 1, "DESC")
    found = []
    for since_us, until_us, order in ends:
        condition = _condition(evolve(question, since_us=since_us, until_us=until_us))
        sql = f"SELECT started_at_us FROM call INDEXED BY call_started WHERE {condition.sql}"
        found.append(connection.execute(f"{sql} ORDER BY started_at_us {order} LIMIT 1", condition.values).fetchone())
    if all(found):
        sums.first_us, sums.last_us = (row[0] for row in found)


# --- the statement -----------------------------------------------------------------------------------


def _scanned(
    connection: sqlite3.Connection, question: Question, columns: Sequence[tuple[Condition, ...]], layout: Layout
) -> list[Part]:
    """The same of the rows of a period."""
    keys, edges = [column for some in columns for column in some], layout.edges_us
    if len(edges) > 1:
        width = math.gcd(*(after - before for before, after in pairwise(edges)))
        keys.append(Condition("max(started_at_us - ?, 0) / ?", (edges[0], width)))
    condition = _condition(question)
    chosen = ", ".join([selected(percentiles=layout.percentiles), *(key.sql for key in keys)])
    sql = f"SELECT {chosen} FROM call WHERE {condition.sql}"
    if keys:
        sql += f" GROUP BY {', '.join(str(PARTS + place) for place in range(1, len(keys) + 1))}"
    values = (value for part in (*keys, condition) for value in part.values)
    ends = list(accumulate(map(len, columns), initial=PARTS))
    places = [slice(start, end) for start, end in pairwise(ends)]
    found = connection.execute(sql, tuple(values))
    return [(row[:PARTS], tuple([row[place] for place in places])) for row in found if row[0]]


def _matching(question: Question) -> Condition:
    conditions = [compiled(question.where)] if question.every else counted(question.where)
    return joined(" AND ", conditions)


def _condition(question: Question) -> Condition:
    conditions = [_matching(question)]
    for op, at_us in ((">=", question.since_us), ("<", question.until_us)):
        if at_us is not None:
            conditions.append(Condition(f"started_at_us {op} ?", (at_us,)))
    return joined(" AND ", conditions)


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
