"""Cost of a call, by the price table that genai-prices carries. Never fetches another one.

A model's prices are looked up once and kept as a few decimals, because asking the library for
every call is a hundred times slower. Its rules hold all the same: tokens of a kind that has a
price of its own are not charged as plain ones, a long prompt is charged by its tier throughout,
and a price with a start date or an hour of the day holds then. Not priced yet: batch, flex and
priority tiers, images, tools of the provider.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from ..records import Usage

if TYPE_CHECKING:
    from genai_prices.types import ModelPrice

_LONGEST_MODEL = 256
_MOST_SCHEDULES = 4096
_NANO_PER_MILLION = 1000  # dollars for a million tokens → nano-dollars for one
_NANO_PER_THOUSAND = 1_000_000
#: Ollama's own address: what answers there runs on this machine, whatever its model is called.
_UNPAID = re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\]):11434(/|$)")


class Cost(Struct, frozen=True):
    """What a call cost, and who says so."""

    nano_usd: int
    source: str  #: the price table and its version


def price(model: str, base: str, usage: Usage, at_us: int) -> Cost | None:
    """The cost of ``usage``, at the price in force at ``at_us`` (µs since 1970).

    ``base``: URL of the upstream, which tells the provider; where it tells none, the model's name
    does. None when the model has no known price, or the usage is incomplete or contradicts itself.
    """
    schedule = _schedule(model, base) if len(model) <= _LONGEST_MODEL and not _UNPAID.match(base) else ()
    rates = _in_force(schedule, at_us)
    nano_usd = rates.cost(usage) if rates else None
    return None if nano_usd is None else Cost(nano_usd, _source())


# --- rates ----------------------------------------------------------------------------------------

Tiers = tuple[tuple[int, Decimal], ...]  # (for prompts longer than so many tokens, dollars per million), longest first

#: Our count → the library's name for its price. Inner kinds of input and of output are charged first.
_INPUT_KINDS = {
    "cached_tokens": "cache_read_mtok",
    "cache_write_tokens": "cache_write_mtok",
    "input_audio_tokens": "input_audio_mtok",
}
_OUTPUT_KINDS = {
    "output_audio_tokens": "output_audio_mtok",
    "reasoning_tokens": "output_reasoning_mtok",
}


class Rates(Struct, frozen=True):
    """What one model charges."""

    input: Mapping[str, Tiers]  #: by count of ``Usage``; ``input_tokens`` is what is left
    output: Mapping[str, Tiers]
    request: Tiers  #: per thousand requests

    def cost(self, usage: Usage) -> int | None:
        """Nano-dollars; None when they cannot be told."""
        if usage.input_tokens is None or (usage.output_tokens is None and self._charges_output()):
            return None
        if not _is_consistent(usage):
            return None
        inputs = _charge(self.input, "input_tokens", usage, usage.input_tokens)
        outputs = _charge(self.output, "output_tokens", usage, usage.input_tokens)
        if inputs is None or outputs is None:
            return None
        return round((inputs + outputs) * _NANO_PER_MILLION + _rate(self.request, 0) * _NANO_PER_THOUSAND)

    def _charges_output(self) -> bool:
        return any(rate for tiers in self.output.values() for _, rate in tiers)


def _is_consistent(usage: Usage) -> bool:
    """Whether no part is larger than its whole, priced apart or not."""
    asked, answered = usage.input_tokens or 0, usage.output_tokens or 0
    return (
        (usage.cached_tokens or 0) + (usage.cache_write_tokens or 0) <= asked
        and (usage.input_audio_tokens or 0) <= asked
        and (usage.reasoning_tokens or 0) <= answered
        and (usage.output_audio_tokens or 0) <= answered
    )


def _charge(kinds: Mapping[str, Tiers], whole: str, usage: Usage, prompt_tokens: int) -> Decimal | None:
    """Dollars per million times tokens, over all kinds; None when the parts exceed the whole."""
    rest = getattr(usage, whole) or 0
    total = Decimal(0)
    for kind, tiers in kinds.items():
        if kind != whole:
            tokens = getattr(usage, kind) or 0
            rest -= tokens
            total += tokens * _rate(tiers, prompt_tokens)
    if rest < 0:
        return None
    return total + rest * _rate(kinds.get(whole, ()), prompt_tokens)


def _rate(tiers: Tiers, prompt_tokens: int) -> Decimal:
    return next((rate for start, rate in tiers if prompt_tokens > start), Decimal(0))


# --- looking them up ------------------------------------------------------------------------------


class _Period(Struct, frozen=True):
    """Prices, and when they hold; ``constraint`` is the library's, None means always."""

    constraint: Any
    rates: Rates

    def holds(self, moment: datetime) -> bool:
        return self.constraint is None or self.constraint.active(moment)


def _in_force(schedule: tuple[_Period, ...], at_us: int) -> Rates | None:
    if len(schedule) <= 1:
        return schedule[0].rates if schedule else None
    moment = datetime.fromtimestamp(at_us / 1_000_000, UTC)
    return next((period.rates for period in schedule if period.holds(moment)), schedule[-1].rates)


@lru_cache(_MOST_SCHEDULES)
def _schedule(model: str, base: str) -> tuple[_Period, ...]:
    """A model's prices, the latest first, the first-ever last; empty when none are known."""
    # Imported on first use: it takes 0.2 s and 40 MB.
    from genai_prices.data import providers
    from genai_prices.data_snapshot import DataSnapshot
    from genai_prices.types import ModelPrice

    known = any(re.match(provider.api_pattern, base) for provider in providers)
    # By "litellm" the library means: tell the provider from the model's name, or from a prefix of it.
    asked = (None, base) if known else ("litellm", None)
    # A snapshot remembers every name it was ever asked for: this one is thrown away.
    snapshot = DataSnapshot(providers, from_auto_update=False)
    try:
        prices = snapshot.find_provider_model(model, None, *asked)[1].prices
    except LookupError:
        return ()
    if isinstance(prices, ModelPrice):
        return _periods([(None, prices)])
    return _periods([*((each.constraint, each.prices) for each in reversed(prices)), (None, prices[0].prices)])


def _periods(prices: list[tuple[Any, ModelPrice]]) -> tuple[_Period, ...]:
    """Empty where tokens are not what is paid for, but pages or hours of sound."""
    if not all(_is_by_tokens(price) for _, price in prices):
        return ()
    return tuple(_Period(constraint, _rates(price)) for constraint, price in prices)


def _is_by_tokens(price: ModelPrice) -> bool:
    """A model without any price is free."""
    charged = {name for name, value in vars(price).items() if value is not None}
    return not charged or any(name.endswith("_mtok") for name in charged)


def _rates(price: ModelPrice) -> Rates:
    return Rates(
        input=_tiers_by_kind(price, _INPUT_KINDS | {"input_tokens": "input_mtok"}),
        output=_tiers_by_kind(price, _OUTPUT_KINDS | {"output_tokens": "output_mtok"}),
        request=_tiers(price.requests_kcount),
    )


def _tiers_by_kind(price: ModelPrice, names: Mapping[str, str]) -> dict[str, Tiers]:
    found = {kind: _tiers(getattr(price, name)) for kind, name in names.items()}
    return {kind: tiers for kind, tiers in found.items() if tiers}


def _tiers(value: Any) -> Tiers:
    if value is None:
        return ()
    if isinstance(value, Decimal):
        return ((-1, value),)
    return (*((tier.start, tier.price) for tier in reversed(value.tiers)), (-1, value.base))


@lru_cache(1)
def _source() -> str:
    from genai_prices import __version__

    return f"genai-prices {__version__}"
