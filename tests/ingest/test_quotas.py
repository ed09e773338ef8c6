"""Quotas, pauses and the upstream's own time, out of the headers that providers send."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.ingest.quotas import SOURCES, quotas
from proxy.records import Call

NOON_US = 1_795_262_400_000_000  # 2026-11-21 12:00 UTC
OPENAI = {
    "x-ratelimit-limit-requests": "10000",
    "x-ratelimit-limit-tokens": "2000000",
    "x-ratelimit-remaining-requests": "9999",
    "x-ratelimit-remaining-tokens": "0",
    "x-ratelimit-reset-requests": "6ms",
    "x-ratelimit-reset-tokens": "6m0s",
    "openai-processing-ms": "1234",
}
ANTHROPIC = {
    "anthropic-ratelimit-requests-limit": "50",
    "anthropic-ratelimit-requests-remaining": "49",
    "anthropic-ratelimit-requests-reset": "2026-11-21T12:00:01Z",
    "anthropic-ratelimit-input-tokens-limit": "30000",
    "anthropic-ratelimit-input-tokens-remaining": "29000",
    "anthropic-ratelimit-input-tokens-reset": "2026-11-21T12:01:00Z",
}


def test_openai() -> None:
    assert quotas(OPENAI, NOON_US) == {
        "limit_requests": 10_000,
        "limit_tokens": 2_000_000,
        "remaining_requests": 9999,
        "remaining_tokens": 0,
        "reset_requests_us": 6_000,
        "reset_tokens_us": 360_000_000,
        "upstream_us": 1_234_000,
    }


def test_openai_through_litellm() -> None:
    assert quotas({f"llm_provider-{name}": value for name, value in OPENAI.items()}, 0) == quotas(OPENAI, 0)


def test_anthropic() -> None:
    assert quotas(ANTHROPIC, NOON_US) == {
        "limit_requests": 50,
        "remaining_requests": 49,
        "reset_requests_us": 1_000_000,
        "limit_tokens": 30_000,
        "remaining_tokens": 29_000,
        "reset_tokens_us": 60_000_000,
    }


@pytest.mark.parametrize(
    ("header", "value", "expected_us"),
    [
        ("retry-after", "20", 20_000_000),
        ("retry-after", "Sat, 21 Nov 2026 12:00:05 GMT", 5_000_000),
        ("retry-after", "Sat, 21 Nov 2026 11:00:00 GMT", 0),
        ("retry-after-ms", "1500", 1_500_000),
        ("x-ms-retry-after-ms", "250", 250_000),
        ("retry-after", "soon", None),
        ("retry-after", "-1", None),
        ("retry-after", "9" * 400, None),
    ],
)
def test_pauses(header: str, value: str, expected_us: int | None) -> None:
    assert quotas({header: value}, NOON_US).get("retry_after_us") == expected_us


@pytest.mark.parametrize(
    ("value", "expected_us"),
    [
        ("1s", 1_000_000),
        ("1h2m3.5s", 3_723_500_000),
        ("120ms", 120_000),
        ("1795262460", 60_000_000),
        ("1795262460000", 60_000_000),
    ],
)
def test_spans_and_moments(value: str, expected_us: int) -> None:
    assert quotas({"x-ratelimit-reset-requests": value}, NOON_US) == {"reset_requests_us": expected_us}


def test_every_source_fills_a_column() -> None:
    assert {source.column for source in SOURCES} <= set(Call.__struct_fields__)


@given(st.dictionaries(st.sampled_from([source.header for source in SOURCES]), st.text()))
def test_nothing_in_a_value_raises(headers: dict[str, str]) -> None:
    assert all(value >= 0 for value in quotas(headers, NOON_US).values())


PASSED_ON = [f"llm_provider-{source.header}" for source in SOURCES]


@given(
    st.dictionaries(
        st.sampled_from([source.header for source in SOURCES] + PASSED_ON + ["date", "x-request-id"]),
        st.sampled_from(["", " ", "7", "6m0s", "1.5", "never", "9" * 40, " 20ms "]),
    )
)
def test_sources_are_asked_in_their_order_and_a_providers_own_header_first(headers: dict[str, str]) -> None:
    expected: dict[str, int] = {}
    for source in SOURCES:
        sent = headers.get(source.header) or headers.get(f"llm_provider-{source.header}") or ""
        expected = quotas({source.header: sent}, NOON_US) | expected
    assert quotas(headers, NOON_US) == expected
