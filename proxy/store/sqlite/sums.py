"""One group of a report while parts of it are added up: sums, and the values that percentiles need.

SQLite's ``sum`` fails beyond 64 bits, so each sum comes as two halves; values for percentiles
come as one text, which costs less than a row each.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

import orjson

from ..base import ReportRow

_COUNTS = ("calls", "errors", "calls_with_cost", "calls_without_cost")
_SUMS = ("input_tokens", "output_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens", "cost_nano_usd")
_SPREADS = {"latency_us": "q", "ttft_us": "q", "tokens_per_s": "d"}
_LOW = (1 << 32) - 1
_AFTER_COUNTS = len(_COUNTS)
_AFTER_SUMS = _AFTER_COUNTS + 2 * len(_SUMS)
_AFTER_SPREADS = _AFTER_SUMS + len(_SPREADS)

_FAILED = "SELECT id FROM dim WHERE kind = 7 AND val IN ('error', 'truncated', 'interrupted')"
#: What to select for each part of a group.
SELECTED = ", ".join((
    "count(*)",
    f"sum(status IN ({_FAILED}))",
    "count(cost_nano_usd)",
    "sum(cost_nano_usd IS NULL AND status <> 1 AND coalesce(input_tokens, output_tokens) IS NOT NULL)",
    *(half for name in _SUMS for half in (f"sum({name} >> 32)", f"sum({name} & {_LOW})")),
    *(f"group_concat({name})" for name in _SPREADS),
    "min(started_at_us)",
    "max(started_at_us)",
))  # fmt: skip
PARTS = _AFTER_SPREADS + 2


class Sums:
    """What has been added of one group. ``edges``: where the bins of its series begin."""

    __slots__ = ("_bins", "_counts", "_edges", "_first_us", "_last_us", "_spreads", "_sums")

    def __init__(self, edges: Sequence[int] = ()) -> None:
        self._counts = [0] * len(_COUNTS)
        self._sums = [0] * len(_SUMS)
        self._spreads = [array(code) for code in _SPREADS.values()]
        self._first_us: int | None = None
        self._last_us: int | None = None
        self._edges = edges
        self._bins = [(0, 0)] * len(edges)

    def add(self, part: Sequence[Any]) -> None:
        """Add values of ``SELECTED``; a part lies in one bin."""
        sums = [((part[place] or 0) << 32) + (part[place + 1] or 0) for place in range(_AFTER_COUNTS, _AFTER_SUMS, 2)]
        self._counts = [count + more for count, more in zip(self._counts, part, strict=False)]
        self._sums = [total + more for total, more in zip(self._sums, sums, strict=True)]
        for spread, text in zip(self._spreads, part[_AFTER_SUMS:_AFTER_SPREADS], strict=True):
            if text:
                spread.extend(orjson.loads(f"[{text}]"))
        self._reach(*part[_AFTER_SPREADS:PARTS])
        self._put(max(bisect_right(self._edges, part[_AFTER_SPREADS]) - 1, 0), part[0], sums[-1])

    def merge(self, other: Sums) -> None:
        """Add a whole group."""
        self._counts = [count + more for count, more in zip(self._counts, other._counts, strict=True)]
        self._sums = [total + more for total, more in zip(self._sums, other._sums, strict=True)]
        for spread, more in zip(self._spreads, other._spreads, strict=True):
            spread.extend(more)
        self._reach(other._first_us, other._last_us)
        for place, (calls, cost) in enumerate(other._bins):
            self._put(place, calls, cost)

    def _reach(self, first_us: int | None, last_us: int | None) -> None:
        self._first_us = min((at for at in (self._first_us, first_us) if at is not None), default=None)
        self._last_us = max((at for at in (self._last_us, last_us) if at is not None), default=None)

    def _put(self, place: int, calls: int, cost_nano_usd: int) -> None:
        if self._bins:
            before = self._bins[place]
            self._bins[place] = before[0] + calls, before[1] + cost_nano_usd

    def row(self, group: tuple[str | None, ...], merged: int = 0) -> ReportRow:
        """The line of the report."""
        latencies, ttfts, speeds = map(sorted, self._spreads)
        return ReportRow(
            group=group,
            **dict(zip(_COUNTS, self._counts, strict=True)),
            **dict(zip(_SUMS, self._sums, strict=True)),
            latency_p50_us=percentile(latencies, 50),
            latency_p95_us=percentile(latencies, 95),
            latency_p99_us=percentile(latencies, 99),
            ttft_p50_us=percentile(ttfts, 50),
            ttft_p95_us=percentile(ttfts, 95),
            ttft_p99_us=percentile(ttfts, 99),
            tokens_per_s_p50=percentile(speeds, 50),
            tokens_per_s_p5=percentile(speeds, 5),
            first_us=self._first_us,
            last_us=self._last_us,
            series=tuple(self._bins),
            merged=merged,
        )


def percentile(ordered: Sequence[Any], percent: int) -> Any:
    """The smallest value that at least ``percent`` of 100 values do not exceed (nearest rank); None of none."""
    return ordered[-(-len(ordered) * percent // 100) - 1] if ordered else None
