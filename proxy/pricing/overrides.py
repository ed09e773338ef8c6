"""Prices that the user has set under ``[[prices]]``: they win over the published ones.

A row is a whole price: a kind that it does not name is charged as the kind that it is a part of,
and half of a call that it does not name is free. A row holds for all tiers, regions and lengths
of prompt, unless it names its tier. Fees for a provider's own tools are not its matter.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from fnmatch import translate
from functools import lru_cache

from msgspec import Struct

from ..settings import Price
from .modifiers import modifiers
from .rates import MILLION, NANO_PER_DOLLAR, Rates

_TOKENS = {
    "input_tokens": "input",
    "cached_tokens": "cached",
    "cache_write_tokens": "cache_write",
    "cache_write_1h_tokens": "cache_write_1h",
    "input_audio_tokens": "input_audio",
    "output_tokens": "output",
    "output_audio_tokens": "output_audio",
}


class Override(Struct, frozen=True):
    """One row, ready for use."""

    model: re.Pattern[str]
    upstream: str
    modifiers: tuple[str, ...] | None  #: None: whatever they are
    since_us: int
    rates: Rates
    source: str  #: ``prices[2] gpt-5*``: its place and its model

    def fits(self, model: str, upstream: str, at_us: int, modifiers: tuple[str, ...]) -> bool:
        """Whether it is for such a call."""
        return (
            at_us >= self.since_us
            and self.upstream in ("", upstream)
            and self._fits_tier(modifiers)
            and self.model.match(model.lower()) is not None
        )

    def _fits_tier(self, modifiers: tuple[str, ...]) -> bool:
        """A row for the ordinary tier is for calls of no other."""
        if self.modifiers is None or self.modifiers:
            return self.modifiers is None or set(self.modifiers) <= set(modifiers)
        return not any(modifier.startswith("tier ") for modifier in modifiers)


Overrides = tuple[Override, ...]


@lru_cache(8)
def overrides(prices: tuple[Price, ...]) -> Overrides:
    """The rows of the settings, last first: the first that fits holds. Raises ValueError for a date that is none."""
    return tuple(_override(place, price) for place, price in reversed(list(enumerate(prices, 1))))


def _override(place: int, price: Price) -> Override:
    tokens = {kind: getattr(price, name) for kind, name in _TOKENS.items()}
    return Override(
        model=re.compile(translate(price.model.lower())),
        upstream=price.upstream,
        modifiers=(modifiers(price.tier, None, None) if price.tier else None),
        since_us=_midnight_us(price.since) if price.since else 0,
        rates=Rates(
            tokens={kind: ((-1, _nano(dollars)),) for kind, dollars in tokens.items() if dollars is not None},
            call=_nano(price.request or 0) * MILLION,
        ),
        source=f"prices[{place}] {price.model}",
    )


def _midnight_us(day: str) -> int:
    begin = date.fromisoformat(day)
    return int(datetime(begin.year, begin.month, begin.day, tzinfo=UTC).timestamp()) * 1_000_000


def _nano(dollars: float) -> int:
    """By way of its digits: 0.1 in the settings means a tenth."""
    return int(Decimal(str(dollars)) * NANO_PER_DOLLAR)
