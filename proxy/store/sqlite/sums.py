"""One group of a report while parts of it are added up: sums, and the values that percentiles need.

SQLite's ``sum`` fails beyond 64 bits, so each sum comes as two halves; values for percentiles
come as one text, which costs less than a row each. Parts that come from roll-ups hold packed
spreads in place of such a text; then all values of the group are put into their buckets.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from operator import add
from typing import Any

import orjson

from ..base import ReportRow
from .rollups.answers import Rolled
from .rollups.levels import AMOUNTS, COUNTS, SPREADS, SUMS
from .rollups.spreads import bucket, merged
from .rollups.tally import scaled, unscaled

_SPREADS = dict(zip(SPREADS, "qqd", strict=True))
_PERCENTS = {"latency_us": (50, 95, 99), "ttft_us": (50, 95, 99), "tokens_per_s": (50, 5)}
_CALLS, _ERRORS, _COST = map(SUMS.index, ("calls", "errors", "cost_nano_usd"))
_NO_SPREADS: Sequence[Sequence[bytes | None]] = ((),) * len(SPREADS)
_LOW = (1 << 32) - 1
_AFTER_COUNTS = len(COUNTS)
_AFTER_SUMS = _AFTER_COUNTS + 2 * len(AMOUNTS)
_AFTER_SPREADS = _AFTER_SUMS + len(_SPREADS)

_FAILED = "SELECT id FROM dim WHERE kind = 7 AND val IN ('error', 'truncated', 'interrupted')"
_SELECTED = (
    "count(*)",
    f"sum(status IN ({_FAILED}))",
    "count(cost_nano_usd)",
    "sum(cost_nano_usd IS NULL AND status <> 1 AND coalesce(input_tokens, output_tokens) IS NOT NULL)",
    *(half for name in AMOUNTS for half in (f"sum({name} >> 32)", f"sum({name} & {_LOW})")),
    *(f"group_concat({name})" for name in _SPREADS),
    "min(started_at_us)",
    "max(started_at_us)",
)  # fmt: skip
PARTS = _AFTER_SPREADS + 2


Facts = tuple[Any, ...]  #: values of ``selected``


def selected(*, percentiles: bool) -> str:
    """What to select for each part of a group."""
    spreads = _SELECTED[_AFTER_SUMS:_AFTER_SPREADS] if percentiles else ("NULL",) * len(_SPREADS)
    return ", ".join((*_SELECTED[:_AFTER_SUMS], *spreads, *_SELECTED[_AFTER_SPREADS:]))


class Sums:
    """What has been added of one group. ``edges``: where the bins of its series begin."""

    __slots__ = ("_bins", "_edges", "_rolled", "_spreads", "_totals", "first_us", "last_us")

    def __init__(self, edges: Sequence[int] = ()) -> None:
        self._totals = [0] * len(SUMS)
        self._spreads = [array(code) for code in _SPREADS.values()]
        self._rolled: list[list[bytes | None]] = []
        self.first_us: int | None = None
        self.last_us: int | None = None
        self._edges = edges
        self._bins = [(0, 0, 0)] * len(edges)

    def add(self, facts: Facts | Rolled) -> None:
        """Add what some calls add up to; all of them lie in one bin."""
        if isinstance(facts, Rolled):
            self._add(facts.totals, facts.first_us, facts.last_us)
            self._add_rolled(facts.spreads or _NO_SPREADS)
            return
        halves = zip(facts[_AFTER_COUNTS:_AFTER_SUMS:2], facts[_AFTER_COUNTS + 1 : _AFTER_SUMS : 2], strict=True)
        amounts = (((high or 0) << 32) + (low or 0) for high, low in halves)
        self._add([*(count or 0 for count in facts[:_AFTER_COUNTS]), *amounts], *facts[_AFTER_SPREADS:])
        for spread, text in zip(self._spreads, facts[_AFTER_SUMS:_AFTER_SPREADS], strict=True):
            if text:
                spread.extend(orjson.loads(f"[{text}]"))

    def _add(self, totals: Sequence[int], first_us: int, last_us: int) -> None:
        self._totals = list(map(add, self._totals, totals))
        self._reach(first_us, last_us)
        if self._bins:
            place = max(bisect_right(self._edges, first_us) - 1, 0)
            self._put(place, (totals[_CALLS], totals[_COST], totals[_ERRORS]))

    def _add_rolled(self, spreads: Sequence[Sequence[bytes | None]]) -> None:
        if not self._rolled:
            self._rolled = [[] for _ in _SPREADS]
        for packed, more in zip(self._rolled, spreads, strict=True):
            packed += more

    def merge(self, other: Sums) -> None:
        """Add a whole group."""
        self._totals = list(map(add, self._totals, other._totals))
        for spread, more in zip(self._spreads, other._spreads, strict=True):
            spread.extend(more)
        if other._rolled:
            self._add_rolled(other._rolled)
        self._reach(other.first_us, other.last_us)
        for place, values in enumerate(other._bins):
            self._put(place, values)

    def _reach(self, first_us: int | None, last_us: int | None) -> None:
        if first_us is not None and (self.first_us is None or first_us < self.first_us):
            self.first_us = first_us
        if last_us is not None and (self.last_us is None or last_us > self.last_us):
            self.last_us = last_us

    def _put(self, place: int, values: tuple[int, int, int]) -> None:
        before = self._bins[place]
        self._bins[place] = before[0] + values[0], before[1] + values[1], before[2] + values[2]

    @property
    def is_approximate(self) -> bool:
        """Whether some of it comes from roll-ups."""
        return bool(self._rolled)

    def row(self, group: tuple[str | None, ...], merged: int = 0) -> ReportRow:
        """The line of the report."""
        latencies, ttfts, speeds = self._percentiles()
        return ReportRow(
            group=group,
            **dict(zip(SUMS, self._totals, strict=True)),
            latency_p50_us=latencies[0],
            latency_p95_us=latencies[1],
            latency_p99_us=latencies[2],
            ttft_p50_us=ttfts[0],
            ttft_p95_us=ttfts[1],
            ttft_p99_us=ttfts[2],
            tokens_per_s_p50=speeds[0],
            tokens_per_s_p5=speeds[1],
            first_us=self.first_us,
            last_us=self.last_us,
            series=tuple(self._bins),
            merged=merged,
            approximate=self.is_approximate,
        )

    def _percentiles(self) -> list[list[Any]]:
        """Those of each of ``SPREADS``."""
        if self._rolled:
            return [self._rolled_percentiles(place, name) for place, name in enumerate(SPREADS)]
        ordered = zip(SPREADS, map(sorted, self._spreads), strict=True)
        return [[percentile(values, percent) for percent in _PERCENTS[name]] for name, values in ordered]

    def _rolled_percentiles(self, place: int, name: str) -> list[Any]:
        spread, exact = merged(self._rolled[place]), self._spreads[place]
        if exact:
            spread.add_buckets(Counter(bucket(scaled(name, value)) for value in exact))
        found = spread.percentiles(_PERCENTS[name])
        return [None if value is None else unscaled(name, value) for value in found]


def percentile(ordered: Sequence[Any], percent: int) -> Any:
    """The smallest value that at least ``percent`` of 100 values do not exceed (nearest rank); None of none."""
    return ordered[-(-len(ordered) * percent // 100) - 1] if ordered else None
