"""Names of hours and days, and bins over a period, also where clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.query.spans import Labels, bins, microseconds, moment

KNOWS_ZONES = "Europe/Zurich" in available_timezones()
INDIA = timezone(timedelta(hours=5, minutes=30))
ZONES: list[tzinfo] = [
    UTC,
    INDIA,
    *([ZoneInfo("Europe/Zurich"), ZoneInfo("Australia/Lord_Howe")] if KNOWS_ZONES else []),
]
needs_zones = pytest.mark.skipif(not KNOWS_ZONES, reason="this machine has no table of time zones")


def at(text: str) -> int:
    return microseconds(datetime.fromisoformat(text))


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        ("minute", "2027-01-01 05:15"),
        ("hour", "2027-01-01 05:00"),
        ("day", "2027-01-01"),
        ("week", "2026-12-28"),
        ("month", "2027-01"),
    ],
)
def test_labels(span: str, expected: str) -> None:
    assert Labels(span, INDIA).label(at("2026-12-31T23:45:00+00:00")) == expected


@needs_zones
def test_days_have_as_many_hours_as_they_have() -> None:
    zurich = ZoneInfo("Europe/Zurich")
    days = Labels("day", zurich)
    first = at("2026-10-24T22:00:00+00:00")
    assert [days.label(first + hour * 3_600_000_000) for hour in (-1, 0, 24, 25)] == [
        "2026-10-24",
        "2026-10-25",
        "2026-10-25",
        "2026-10-26",
    ]
    hours = Labels("hour", zurich)
    assert hours.label(at("2026-10-25T00:30:00+00:00")) == "2026-10-25 02:00+0200"
    assert hours.label(at("2026-10-25T01:30:00+00:00")) == "2026-10-25 02:00+0100"
    name, edges = bins(first, at("2026-10-26T22:59:59+00:00"), zurich, 2)
    assert (name, edges) == ("day", (first, at("2026-10-25T23:00:00+00:00")))


@pytest.mark.parametrize(
    ("last", "most", "name", "count"),
    [
        ("2026-11-21T12:00:59+00:00", 16, "minute", 1),
        ("2026-11-21T12:15:59+00:00", 16, "minute", 16),
        ("2026-11-21T12:16:00+00:00", 16, "2 min", 9),
        ("2026-11-22T11:59:00+00:00", 31, "hour", 24),
        ("2026-11-28T11:59:00+00:00", 16, "12 h", 14),
        ("2026-12-20T12:00:00+00:00", 31, "day", 30),
        ("2026-12-20T12:00:00+00:00", 16, "2 days", 15),
        ("2027-11-20T12:00:00+00:00", 16, "4 weeks", 14),
        ("9999-12-30T12:00:00+00:00", 16, "52 weeks", 16),
    ],
)
def test_the_finest_bins_that_are_few_enough(last: str, most: int, name: str, count: int) -> None:
    found, edges = bins(at("2026-11-21T12:00:00+00:00"), at(last), UTC, most)
    assert (found, len(edges)) == (name, count)


@given(
    st.integers(0, 4_000_000_000_000_000),
    st.integers(0, 400 * 86_400_000_000),
    st.sampled_from(ZONES),
    st.integers(2, 40),
)
def test_bins_hold_the_period_and_rise(first_us: int, length_us: int, zone: tzinfo, most: int) -> None:
    name, edges = bins(first_us, first_us + length_us, zone, most)
    assert name
    assert 1 <= len(edges) <= most
    assert all(before < after for before, after in pairwise(edges))
    assert edges[0] <= first_us <= first_us + length_us
    assert edges[-1] <= first_us + length_us
    assert all(moment(edge, zone).second == 0 for edge in edges)
