"""Stream quality out of the marks of reads."""

from __future__ import annotations

from proxy.ingest.quality import first_token_us, longest_gap_us, tokens_per_s
from proxy.records import Begin, Exchange, Parsed, Usage

BEGIN = Begin(id=b"", started_at_us=0, accepted_us=0, method="POST", target="/")
MARKS = ((10, 100_000), (20, 150_000), (30, 450_000), (40, 1_100_000), (50, 1_150_000))
EXCHANGE = Exchange(begin=BEGIN, marks=MARKS)


def test_the_first_token_is_the_read_that_brought_the_end_of_its_event() -> None:
    assert first_token_us(EXCHANGE, 10) == 100_000
    assert first_token_us(EXCHANGE, 11) == 150_000
    assert first_token_us(EXCHANGE, 51) is None
    assert first_token_us(EXCHANGE, None) is None


def test_the_longest_gap_counts_from_the_first_token_on() -> None:
    assert longest_gap_us(EXCHANGE, 150_000) == 650_000
    assert longest_gap_us(EXCHANGE, 1_150_000) is None
    assert longest_gap_us(EXCHANGE, None) is None


def test_the_pace_is_that_of_the_tokens_after_the_first() -> None:
    assert tokens_per_s(EXCHANGE, 150_000, Parsed(usage=Usage(output_tokens=50))) == 50.0
    assert tokens_per_s(EXCHANGE, 150_000, Parsed(usage=Usage(output_tokens=0))) is None
    assert tokens_per_s(EXCHANGE, 1_150_000, Parsed(usage=Usage(output_tokens=5))) is None
    assert tokens_per_s(EXCHANGE, 150_000, Parsed()) is None


def test_reasoning_that_was_not_shown_came_before_the_first_token() -> None:
    usage = Usage(output_tokens=5000, reasoning_tokens=4950)
    assert tokens_per_s(EXCHANGE, 150_000, Parsed(usage=usage)) == 50.0
    assert tokens_per_s(EXCHANGE, 150_000, Parsed(usage=usage, reasoning="hm")) == 5000.0
    assert tokens_per_s(EXCHANGE, 150_000, Parsed(usage=Usage(output_tokens=5, reasoning_tokens=5))) is None
