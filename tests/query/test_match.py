"""Filters against one call, in plain Python. That a store says the same is tested there."""

from __future__ import annotations

import time

import pytest

from proxy.query.match import as_number, matches, needs_store
from proxy.query.parse import parse_filter
from proxy.query.patterns import canonical, glob, is_like
from proxy.records import Call

CALL = Call(
    id="01990000-0000-7000-8000-00000000aaaa",
    started_at_us=1_795_262_400_000_000,
    status="ok",
    model="gpt-5-2025-08-07",
    model_requested="alias",
    latency_us=1500,
    cost_nano_usd=100_000_000,
    metadata={"turn": "12", "team": "blue"},
    tags=("prod",),
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("model = 'gpt-5'", True),
        ("model = 'alias'", True),
        ("model != 'gpt-5'", False),
        ("model in ('x', 'gpt-5')", True),
        ("model like 'ali%'", True),
        ("model > 'h'", False),
        ("user = 'a' or user != 'a' or user not in ('a') or user not like 'a'", False),
        ("not user = 'a'", True),
        ("user is null", True),
        ("latency_ms between 1 and 1.5", True),
        ("cost_usd > 0.1", False),
        ("cost_usd >= 0.1", True),
        ("metadata.turn > 3", True),
        ("metadata.turn > '3'", False),
        ("metadata.turn between 2 and 12.0", True),
        ("metadata.team > 3 or metadata.team <= 3 or metadata.team != 3", False),
        ("metadata.none is null and metadata.team is not null", True),
        ("tags has 'prod' and tags != 'x' and tags like 'p%'", True),
        ("tags not in ('prod', 'x')", False),
        ("created = '2026-11-21 12:00'", True),
        ("id = '01990000-0000-7000-8000-00000000aaaa'", True),
    ],
)
def test_one_call(text: str, expected: bool) -> None:
    assert matches(parse_filter(text), CALL) is expected
    assert not needs_store(parse_filter(text))


@pytest.mark.parametrize(
    "text",
    ["refund", "tool = 'a'", "scores.x > 1", "user = 'a' and not output match 'b'", f"conversation = '{CALL.id}'"],
)
def test_what_a_row_cannot_tell(text: str) -> None:
    assert needs_store(parse_filter(text))
    with pytest.raises(ValueError, match="does not lie in the row"):
        matches(parse_filter(text.rpartition("and not ")[2]), CALL)


@pytest.mark.parametrize(
    ("text", "pattern", "expected"),
    [
        ("", "", True),
        ("", "%", True),
        ("a", "_", True),
        ("ab", "_", False),
        ("abc", "a%c", True),
        ("abcbc", "a%bc", True),
        ("ab", "a%b%b", False),
        ("aXbYb", "a%b_b", True),
        ("a%", "a\\%", True),
        ("ab", "a\\%", False),
        ("a\\", "a\\", True),
        ("A", "a", False),
        ("a\0b", "a", True),
        ("a\nb", "a_b", True),
        ("é", "_", True),
        ("[x]*?", "[x]*?", True),
    ],
)
def test_patterns(text: str, pattern: str, expected: bool) -> None:
    assert is_like(text, pattern) is expected
    assert is_like(text, canonical(pattern)) is expected


def test_without_case_only_ascii_letters_are_the_same() -> None:
    assert is_like("GPT-5", "gpt%", ignore_case=True)
    assert not is_like("É", "é", ignore_case=True)


def test_a_pattern_as_glob() -> None:
    assert glob("a%_*?[x]\\%") == "a*?[*][?][[]x]%"


def test_no_pattern_takes_forever() -> None:
    begun = time.monotonic()
    assert not is_like("a" * 10_000, "%a" * 500 + "%b")
    assert time.monotonic() - begun < 30  # a backtracking matcher would take years


@pytest.mark.parametrize(
    ("text", "expected"),
    [("7", 7), (" -7.50 ", -7.5), ("+.5", 0.5), ("1e3", 1000.0), ("", None), ("7x", None), ("0x1", None), ("nan", None),
     ("1_0", None), ("٣", None), ("9223372036854775808", 2.0**63)],
)  # fmt: skip
def test_texts_that_are_numbers(text: str, expected: float | None) -> None:
    assert as_number(text) == expected
