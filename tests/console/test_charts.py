"""Charts: what they hold, and how they are drawn."""

from __future__ import annotations

import json
import re
from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.console.charts import (
    HEIGHT,
    KINDS,
    WIDTH,
    Chart,
    Series,
    as_json,
    drawn,
    edges_of,
    of_all,
    over_time,
    span_of,
    trend,
)
from proxy.console.reports.figures import nothing
from proxy.records import evolve
from proxy.store.base import ReportRow

HOUR_US = 3_600_000_000
NOON_US = 1_795_262_400_000_000  # 2026-11-21 12:00 UTC
CALLS = KINDS[0]


def row(label: str, *group: str | None, **more: object) -> ReportRow:
    return evolve(nothing((label, *group)), **more)


@pytest.mark.parametrize(
    ("hours", "span", "points"), [(1, "minute", 61), (24, "hour", 25), (24 * 30, "day", 31), (24 * 400, "week", 58)]
)
def test_a_period_is_shown_by_spans_that_fit_it(hours: int, span: str, points: int) -> None:
    first_us, last_us = NOON_US - hours * HOUR_US, NOON_US
    assert span_of(first_us, last_us) == span
    assert len(edges_of(first_us, last_us, UTC, span)) == points


def test_a_span_without_calls_is_a_gap_and_no_nought() -> None:
    edges_us = edges_of(NOON_US, NOON_US + 3 * HOUR_US, UTC, "hour")
    rows = [
        row("2026-11-21 12:00", calls=3),
        row("2026-11-21 14:00", calls=5, errors=1),
        row("2031-01-01 00:00", calls=9),
    ]
    spans = over_time(rows, edges_us, UTC, "hour")[()]
    calls, failed = of_all(CALLS, spans)
    assert calls.values == (3, None, 5, None)
    assert failed.values == (None, None, 1, None)
    latency = next(kind for kind in KINDS if kind.name == "latency")
    picture = drawn(Chart(latency, edges_us, (Series("p95", (10, None, 20, 30)),)), UTC)
    assert picture.paths[0].count("M") == 2, "the line breaks where nothing is known"


def test_groups_are_told_apart() -> None:
    edges_us = edges_of(NOON_US, NOON_US + HOUR_US, UTC, "hour")
    rows = [row("2026-11-21 12:00", "a", calls=1), row("2026-11-21 13:00", None, calls=2)]
    found = over_time(rows, edges_us, UTC, "hour")
    assert [[each and each.calls for each in found[group]] for group in (("a",), (None,))] == [[1, None], [None, 2]]


values = st.lists(st.none() | st.integers(0, 10**15) | st.floats(0, 1e12, allow_nan=False), min_size=1, max_size=60)


@given(values, st.booleans())
def test_nothing_is_drawn_beyond_the_picture(drawn_values: list[float | None], bars: bool) -> None:
    edges_us = tuple(NOON_US + place * HOUR_US for place in range(len(drawn_values)))
    chart = Chart(CALLS, edges_us, (Series("x", tuple(drawn_values)),), bars=bars)
    picture = drawn(chart, UTC)
    known = [value for value in drawn_values if value is not None]
    assert chart.top >= max(known, default=0) * 0.999999
    for x, y in re.findall(r"[ML]([-\d.]+) ([-\d.]+)", picture.paths[0]):
        assert -2 <= float(x) <= WIDTH + 2
        assert -0.1 <= float(y) <= HEIGHT + 0.1
    assert len(picture.spans) == len(edges_us)
    assert len(picture.marks_x) <= 7
    if not bars:
        dots_and_points = len(re.findall(r"[ML]", picture.paths[0]))
        assert dots_and_points == len(known)
    shown = json.loads(as_json(chart))
    assert len(shown["at"]) == len(shown["series"][0]["values"]) == len(edges_us)


@given(st.lists(st.integers(0, 10**15), max_size=40))
def test_a_trend_keeps_within_its_picture(numbers: list[int]) -> None:
    path = trend(numbers, 96, 18)
    assert bool(path) == (len(numbers) > 1 and max(numbers) > 0)
    for x, y in re.findall(r"([-\d.]+) ([-\d.]+)", path):
        assert 0 <= float(x) <= 96
        assert 0 <= float(y) <= 18
