"""How an answer came, from the marks that the relay took of its reads: first token, pauses, pace."""

from __future__ import annotations

from itertools import pairwise

from ..records import Exchange, Parsed

_LEAST_US = 1000  #: a stream that came within a millisecond has no pace worth the name


def first_token_us(exchange: Exchange, content_offset: int | None) -> int | None:
    """Time of the read that brought the first token of content."""
    if content_offset is None:
        return None
    return next((at_us for end, at_us in exchange.marks if end >= content_offset), None)


def longest_gap_us(exchange: Exchange, first_us: int | None) -> int | None:
    """Longest pause between reads from the first token on; None when only one read followed."""
    times = [at_us for _, at_us in exchange.marks if first_us is not None and at_us >= first_us]
    return max((after - before for before, after in pairwise(times)), default=None)


def tokens_per_s(exchange: Exchange, first_us: int | None, parsed: Parsed) -> float | None:
    """Output tokens over the time from the first to the last of them; reasoning that was not shown came before."""
    usage = parsed.usage
    if first_us is None or usage is None or not usage.output_tokens or not exchange.marks:
        return None
    shown = usage.output_tokens - (0 if parsed.reasoning else usage.reasoning_tokens or 0)
    took_us = exchange.marks[-1][1] - first_us
    return round(shown * 1e6 / took_us, 2) if took_us >= _LEAST_US and shown > 0 else None
