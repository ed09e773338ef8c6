"""The sums as parts of a report.

What cannot be asked of them: groups and filters of columns that no level tells apart, spans of a
zone that are no whole hours, spans in which combinations beyond the bound were counted together.
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import tzinfo
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

from msgspec import Struct

from ....query.fields import FIELDS, SPANS
from ....query.spans import Labels
from ....query.tree import Filter, fields_of
from ..compile import Condition
from ..queries import QUERIES
from .ledger import VALUES, whole
from .levels import DAY_US, DIMENSIONS, MINUTE_US, SPREADS, SUMS, Level
from .plan import Fit, Plan, planned, rungs, worth_reading

Raw = tuple[Any, ...]  #: values as they are stored
_AFTER_SUMS = 1 + len(SUMS)
_BEHIND = _AFTER_SUMS + len(SPREADS)
_ALL_DAYS = (-(1 << 62), 1 << 62)


class Asked(Struct, frozen=True, kw_only=True):
    """What is asked of the sums. ``condition`` is ``where`` as it stands for rows."""

    by: tuple[str, ...]
    period: tuple[int | None, int | None]
    where: Filter | None
    condition: Condition
    zone: tzinfo
    edges_us: Sequence[int]
    percentiles: bool
    exact_below: int  #: of so few calls the rows are read


def answerable(connection: sqlite3.Connection, asked: Asked) -> Plan | None:
    """How to answer; None when the rows must."""
    fields = _columns(asked)
    if not fields <= frozenset(DIMENSIONS) or not connection.execute(QUERIES["are_rollups_built"]).fetchone()[0]:
        return None
    days = _days(connection, asked.period)
    thinned = {day for (day,) in connection.execute(QUERIES["thinned_days"])}
    if thinned.isdisjoint(days) and worth_reading(days, asked.period, asked.exact_below):
        return None
    levels = rungs(fields, minutes=not asked.percentiles)
    fit = Fit([name for name in asked.by if name in SPANS], asked.zone, _bins(asked.edges_us))
    return planned(levels, days, asked.period, _Usable(connection, levels, fit))


def _columns(asked: Asked) -> frozenset[str]:
    """The columns that a question speaks of."""
    names = {*asked.by} - SPANS.keys() | fields_of(asked.where) | {"excluded"}
    columns = {FIELDS[name].column if name in FIELDS else name for name in names}
    return frozenset(columns | {"model_requested"} if "model" in columns else columns)


def _days(connection: sqlite3.Connection, period: tuple[int | None, int | None]) -> dict[int, int]:
    ends = (end if at_us is None else at_us // DAY_US for at_us, end in zip(period, _ALL_DAYS, strict=True))
    return {day: whole(calls) for day, calls in connection.execute(QUERIES["rollup_days"], tuple(ends))}


def _bins(edges_us: Sequence[int]) -> Any:
    return lambda at_us: max(bisect_right(edges_us, at_us) - 1, 0)


class _Usable:
    """Whether a span's sums say what is asked."""

    def __init__(self, connection: sqlite3.Connection, levels: Iterable[Level], fit: Fit) -> None:
        self._fit = fit
        (self._minutes_since,) = connection.execute(QUERIES["rollup_minutes_since"]).fetchone()
        self._full = {
            (level.number, span)
            for level in levels
            for (span,) in connection.execute(QUERIES["full_rollups"], (level.number, *_ALL_DAYS))
        }

    def __call__(self, level: Level, span: int) -> bool:
        if (level.number, span) in self._full or (level.grain_us == MINUTE_US and span < self._minutes_since):
            return False
        return self._fit.fits(span * level.grain_us, (span + 1) * level.grain_us)


# --- parts -----------------------------------------------------------------------------------------------


class Rolled(NamedTuple):
    """What some calls of one group add up to. Times are the ends of spans."""

    totals: Sequence[int]  #: as ``SUMS``
    spreads: Sequence[Sequence[bytes | None]] | None  #: packed, of each of ``SPREADS``; None: not asked for
    first_us: int
    last_us: int


def parts(
    connection: sqlite3.Connection, asked: Asked, plan: Plan, columns: Sequence[Sequence[str]]
) -> Iterator[tuple[Rolled, tuple[Raw, ...]]]:
    """One for each combination of raw values and each bin. ``columns``: those of each field that is no span."""
    spans, places = _Spans(asked), _places(columns)
    groups: defaultdict[tuple[Any, ...], list[Raw]] = defaultdict(list)
    for level, (first, end) in plan.rolled:
        grain_us = level.grain_us
        for row in _rows(connection, asked, level, (first, end), columns):
            groups[spans.of(row[0] * grain_us), row[_BEHIND:], grain_us].append(row)
    for ((moments, _), values, grain_us), some in groups.items():
        rolled = _rolled(some, grain_us, asked.percentiles)
        if rolled.totals[0]:
            own, at = iter(places), iter(moments)
            yield rolled, tuple([(next(at),) if name in SPANS else values[next(own)] for name in asked.by])


def _places(columns: Sequence[Sequence[str]]) -> list[slice]:
    """Where the values of each field stand behind the sums."""
    ends = list(accumulate(map(len, columns), initial=0))
    return [slice(first, end) for first, end in pairwise(ends)]


def _rows(
    connection: sqlite3.Connection, asked: Asked, level: Level, span: tuple[int, int], columns: Sequence[Sequence[str]]
) -> Iterable[Raw]:
    values = VALUES if level.spreads and asked.percentiles else _WITHOUT_SPREADS
    chosen = ", ".join(["span", values, *(column for some in columns for column in some)])
    sql = (
        f"SELECT {chosen} FROM rollup JOIN rollup_combo ON rollup_combo.id = combo "
        f"WHERE level = ? AND span >= ? AND span < ? AND {asked.condition.sql}"
    )
    return connection.execute(sql, (level.number, *span, *asked.condition.values))


_WITHOUT_SPREADS = ", ".join((*SUMS, *("NULL" for _ in SPREADS)))


class _Spans:
    """Of a moment: the first moment seen of each span that it lies in, and its bin."""

    def __init__(self, asked: Asked) -> None:
        self._labels = [Labels(name, asked.zone).label for name in asked.by if name in SPANS]
        self._bin = _bins(asked.edges_us)
        self._known: dict[int, tuple[tuple[int, ...], int]] = {}
        self._firsts: dict[tuple[int, str], int] = {}

    def of(self, at_us: int) -> tuple[tuple[int, ...], int]:
        known = self._known.get(at_us)
        if known is None:
            named = ((place, label(at_us)) for place, label in enumerate(self._labels))
            firsts = tuple(self._firsts.setdefault(name, at_us) for name in named)
            known = self._known[at_us] = firsts, self._bin(at_us)
        return known


def _rolled(rows: list[Raw], grain_us: int, percentiles: bool) -> Rolled:
    if len(rows) == 1:
        row, first = rows[0], rows[0][0]
        totals, last = _whole(row[1:_AFTER_SUMS]), first
        spreads = [[packed] for packed in row[_AFTER_SUMS:_BEHIND]] if percentiles else None
    else:
        columns = list(zip(*rows, strict=True))
        totals = [sum(_whole(column)) for column in columns[1:_AFTER_SUMS]]
        first, last = min(columns[0]), max(columns[0])
        spreads = list(map(list, columns[_AFTER_SUMS:_BEHIND])) if percentiles else None
    return Rolled(totals, spreads, first * grain_us, (last + 1) * grain_us - 1)


def _whole(values: Sequence[Any]) -> Sequence[int]:
    """Stored sums: nearly always they are numbers already."""
    return list(map(whole, values)) if str in map(type, values) else values
