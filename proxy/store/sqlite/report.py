"""Sums and exact percentiles per group, by one pass over the rows that count.

Roll-ups will answer the common reports without the pass; until then a million calls take
seconds.
"""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from ...query.fields import FIELDS, SPANS, Kind, check_groups
from ...query.tree import Filter
from ...records import Status
from ..base import ReportRow
from . import rows
from .compile import Condition, compiled, joined
from .files import transaction
from .find import Texts

_SUMS = ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens", "cost_nano_usd")
_ERRORS = {Status.ERROR, Status.TRUNCATED, Status.INTERRUPTED}
_HOUR_US = 3_600_000_000

Label = Callable[[Any], Any]


def report(
    connection: sqlite3.Connection,
    texts: Texts,
    by: Sequence[str],
    since_us: int | None,
    where: Filter | None,
    zone: tzinfo,
) -> list[ReportRow]:
    """See ``Reader.report``."""
    check_groups(tuple(by))
    conditions = [compiled(where)]
    if since_us is not None:
        conditions.append(Condition("started_at_us >= ?", (since_us,)))
    condition = joined(" AND ", conditions)
    columns = ", ".join((*_SUMS, *map(_expression, by)))
    sql = f"SELECT status, latency_us, ttft_us, {columns} FROM call WHERE {condition.sql}"
    groups: dict[tuple[Any, ...], _Sums] = {}
    with transaction(connection, "DEFERRED"):
        labels: dict[int, Label] = {index: _Spans(name, zone).label for index, name in enumerate(by) if name in SPANS}
        if "model" in by:
            labels[by.index("model")] = _served(connection, condition)
        for row in connection.execute(sql, condition.values):
            key = row[8:]
            for index, label in labels.items():
                key = (*key[:index], label(key[index]), *key[index + 1 :])
            sums = groups.get(key)
            if sums is None:
                sums = groups[key] = _Sums()
            sums.add(row)
        named = _named(connection, texts, by, groups)
    return _sorted(named, by)


def _expression(name: str) -> str:
    if name == "model":
        return "coalesce(model, -model_requested)"  # below 0: nothing served, see _served
    return "started_at_us" if name in SPANS else FIELDS[name].column


def _served(connection: sqlite3.Connection, condition: Condition) -> Label:
    """Where a call counts that no model served: for the only model that its name otherwise led to, or for its name."""
    sql = (
        "SELECT model_requested, min(model) FROM call "
        f"WHERE {condition.sql} AND model IS NOT NULL AND model_requested IS NOT NULL "
        "GROUP BY model_requested HAVING min(model) = max(model)"
    )
    only = dict(connection.execute(sql, condition.values))
    return lambda model: model if model is None or model > 0 else only.get(-model, -model)


def _named(
    connection: sqlite3.Connection, texts: Texts, by: Sequence[str], groups: dict[tuple[Any, ...], _Sums]
) -> list[ReportRow]:
    states = texts.of(connection, {status for sums in groups.values() for status in sums.states})
    shared = [index for index, name in enumerate(by) if name in rows.SHARED]
    known = texts.of(connection, {key[index] for key in groups for index in shared if key[index] is not None})
    labels = [_label(name, known) for name in by]
    return [
        sums.row(
            tuple(None if value is None else label(value) for label, value in zip(labels, key, strict=True)), states
        )
        for key, sums in groups.items()
    ]


def _label(name: str, known: Any) -> Callable[[Any], str]:
    if name in rows.SHARED:
        return lambda value: str(known.get(value))
    if name not in SPANS and FIELDS[name].kind is Kind.FLAG:
        return lambda value: "true" if value else "false"
    return str


def _sorted(found: list[ReportRow], by: Sequence[str]) -> list[ReportRow]:
    """Spans of time in their order, other groups by what they cost, then by calls."""
    times = [index for index, name in enumerate(by) if name in SPANS]
    return sorted(
        found,
        key=lambda row: (
            [row.group[index] or "" for index in times],
            -row.cost_nano_usd,
            -row.calls,
            [value or "" for value in row.group],
        ),
    )


class _Spans:
    """From a moment to the label of its hour, day, week or month; computed once a quarter of an hour."""

    def __init__(self, name: str, zone: tzinfo) -> None:
        self._text = _SPAN_LABELS[name]
        self._zone = zone
        self._known: dict[int, str] = {}

    def label(self, at_us: int) -> str:
        quarter = at_us // (_HOUR_US // 4)  # every zone's offset is a multiple of a quarter of an hour
        known = self._known.get(quarter)
        if known is None:
            known = self._known[quarter] = self._text(datetime.fromtimestamp(quarter * 900, UTC).astimezone(self._zone))
        return known


_SPAN_LABELS: dict[str, Callable[[datetime], str]] = {
    "hour": lambda moment: moment.strftime("%Y-%m-%d %H:00"),
    "day": lambda moment: moment.strftime("%Y-%m-%d"),
    "week": lambda moment: (moment - timedelta(days=moment.weekday())).strftime("%Y-%m-%d"),
    "month": lambda moment: moment.strftime("%Y-%m"),
}


class _Sums:
    """One group while rows are added. Rows: status, latency, ttft, then ``_SUMS``."""

    def __init__(self) -> None:
        self.states: dict[int, int] = {}
        self._sums = [0] * len(_SUMS)
        self._with_cost = 0
        self._without_cost = 0
        self._latencies = array("q")
        self._ttfts = array("q")

    def add(self, row: tuple[Any, ...]) -> None:
        status, latency, ttft = row[:3]
        self.states[status] = self.states.get(status, 0) + 1
        self._sums = [total + (value or 0) for total, value in zip(self._sums, row[3:8], strict=True)]
        has_tokens = row[3] is not None or row[4] is not None
        self._without_cost += row[7] is None and has_tokens and status != rows.RUNNING_ID
        self._with_cost += row[7] is not None
        if latency is not None:
            self._latencies.append(latency)
        if ttft is not None:
            self._ttfts.append(ttft)

    def row(self, group: tuple[str | None, ...], states: Any) -> ReportRow:
        latencies, ttfts = sorted(self._latencies), sorted(self._ttfts)
        return ReportRow(
            group=group,
            calls=sum(self.states.values()),
            errors=sum(count for status, count in self.states.items() if states.get(status) in _ERRORS),
            **dict(zip(_SUMS, self._sums, strict=True)),
            calls_with_cost=self._with_cost,
            calls_without_cost=self._without_cost,
            latency_p50_us=percentile(latencies, 50),
            latency_p95_us=percentile(latencies, 95),
            latency_p99_us=percentile(latencies, 99),
            ttft_p50_us=percentile(ttfts, 50),
            ttft_p95_us=percentile(ttfts, 95),
            ttft_p99_us=percentile(ttfts, 99),
        )


def percentile(ordered: Sequence[int], percent: int) -> int | None:
    """The smallest value that at least ``percent`` of 100 values do not exceed (nearest rank)."""
    return ordered[-(-len(ordered) * percent // 100) - 1] if ordered else None
