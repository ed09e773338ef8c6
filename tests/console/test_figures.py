"""Numbers as people read them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.console import figures


@pytest.mark.parametrize(
    ("us", "shown"),
    [
        (None, "-"),
        (0, "0.0ms"),
        (400, "0.4ms"),
        (9_940, "9.9ms"),
        (9_960, "10ms"),
        (812_000, "812ms"),
        (999_600, "1.00s"),
        (1_234_000, "1.23s"),
        (12_340_000, "12.3s"),
        (99_960_000, "1m40s"),
        (125_000_000, "2m05s"),
        (3_599_600_000, "1h00m"),
        (7_380_000_000, "2h03m"),
    ],
)
def test_durations(us: int | None, shown: str) -> None:
    assert figures.duration(us) == shown


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (None, "-"),
        (0, "0"),
        (999, "999"),
        (1000, "1.0k"),
        (1234, "1.2k"),
        (9_999, "10k"),
        (123_456, "123k"),
        (999_600, "1.0M"),
        (1_250_000, "1.2M"),
    ],
)
def test_counts(number: int | None, shown: str) -> None:
    assert figures.count(number) == shown


@pytest.mark.parametrize(
    ("nano_usd", "shown"),
    [
        (None, "-"),
        (0, "$0"),
        (400, "$0.0000004"),
        (12_345, "$0.0000123"),
        (12_300_000, "$0.0123"),
        (120_000_000, "$0.12"),
        (1_000_000_000, "$1.00"),
        (12_345_678_901, "$12.35"),
        (1_234_567_000_000_000, "$1,234,567.00"),
    ],
)
def test_money(nano_usd: int | None, shown: str) -> None:
    assert figures.money(nano_usd) == shown


@pytest.mark.parametrize(
    ("number", "shown"), [(None, "-"), (0, "0 B"), (512, "512 B"), (12_345, "12 kB"), (4_100_000, "4.1 MB")]
)
def test_sizes(number: int | None, shown: str) -> None:
    assert figures.size(number) == shown


@given(st.integers(0, 10**15))
def test_exact_dollars_lose_nothing(nano_usd: int) -> None:
    assert Decimal(figures.exact_dollars(nano_usd)) * 10**9 == nano_usd


@given(st.integers(0, 99 * 3_600_000_000))
def test_durations_fit_their_column(us: int) -> None:
    assert len(figures.duration(us)) <= 6


@given(st.integers(0, 999_000_000))
def test_counts_fit_their_column(number: int) -> None:
    assert len(figures.count(number)) <= 4


def test_estimated_tokens_say_so() -> None:
    assert figures.tokens(1234, 87, "upstream") == "1.2k→87"
    assert figures.tokens(1234, None, "estimated") == "~1.2k→-"
    assert figures.tokens(None, None, None) == "-"


def test_a_short_id_is_the_random_end() -> None:
    assert figures.short_id("0199f6a1-0000-7000-8000-0123456789ab") == "456789ab"
