"""genai-prices' table of published prices, read into ``Rates``. Never fetches another one.

Asking the library for every call is a hundred times slower than the rest of pricing, so what it
says is kept by model, upstream, modifiers and day — by minute for the few models whose price
depends on the hour. Models that are paid by the page, the hour or the character have no rates
here: no answer says how many there were.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from ..records import evolve
from .fees import EDITION, fees, once
from .modifiers import MULTIPLIERS, context
from .rates import NANO_PER_DOLLAR, Rates, Tiers

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, Provider

_LONGEST_MODEL = 256
_MOST_KEPT = 4096
_MINUTE_US = 60_000_000
_DAY_US = 24 * 60 * _MINUTE_US
_LAST_US = 253_402_300_799_000_000  # the end of the year 9999, where datetime ends
#: Ollama's own address: what answers there runs on this machine, whatever its model is called.
_UNPAID = re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\]):11434(/|$)")

#: Our count → the library's name for its price.
_TOKENS = {
    "input_tokens": "input_mtok",
    "cached_tokens": "cache_read_mtok",
    "cache_write_tokens": "cache_write_mtok",
    "cache_write_1h_tokens": "cache_write_1h_mtok",
    "input_audio_tokens": "input_audio_mtok",
    "input_image_tokens": "input_image_mtok",
    "output_tokens": "output_mtok",
    "reasoning_tokens": "output_reasoning_mtok",
    "output_audio_tokens": "output_audio_mtok",
    "output_image_tokens": "output_image_mtok",
}
#: A tool's name in ``Usage.requests`` → the library's name for its fee.
_TOOLS = {
    "web_search": "web_searches_kcount",
    "file_search": "storage_searches_kcount",
    "x_search": "social_searches_kcount",
    "code_execution": "code_executions_kcount",
    "search_units": "rerank_searches_kcount",
}


_RERANKING = "search_units"  # a reranker has no price but this


class Listed(Struct, frozen=True, kw_only=True):
    """What is published of a model at one time, with modifiers."""

    rates: Rates | None = None  #: None when it is not known, or not paid by the token
    tables: tuple[str, ...] = ()  #: which say so, with their versions
    tools: Mapping[str, int] = {}  #: fees, by name in ``Usage.requests``
    tool_tables: Mapping[str, str] = {}  #: which of them says so
    once: frozenset[str] = frozenset()  #: tools that are paid once a call, however often they were used
    paid_by: str | None = None  #: a tool that is all one pays for: without its count there is no cost
    unknown: tuple[str, ...] = ()  #: modifiers that are charged as standard because nobody says how


_NOTHING = Listed()


def listed(model: str, base: str, at_us: int, modifiers: tuple[str, ...]) -> Listed:
    """The rates of ``model`` at ``at_us`` (µs since 1970).

    ``base``: URL of the upstream, which tells the provider; where it tells none, the model's name does.
    """
    if not 0 < len(model) <= _LONGEST_MODEL:
        return _NOTHING
    entry = _entry(model, base)
    step_us = _MINUTE_US if entry and entry.by_hour else _DAY_US
    return _published(model, base, min(max(at_us, 0), _LAST_US) // step_us * step_us, modifiers)


@lru_cache(_MOST_KEPT)
def _published(model: str, base: str, at_us: int, modifiers: tuple[str, ...]) -> Listed:
    if _UNPAID.match(base):
        return _NOTHING
    found = _resolved(model, base, at_us, modifiers)
    return found if not base or _provider(base) or not found.tables else evolve(found, tables=_guessed(found.tables))


def _guessed(tables: tuple[str, ...]) -> tuple[str, ...]:
    """The address is nobody's that is known: the model's name told the price, and the cost says so."""
    return (f"{tables[0]} by the model's name", *tables[1:])


def _resolved(model: str, base: str, at_us: int, modifiers: tuple[str, ...]) -> Listed:
    entry = _entry(model, base)
    if entry is not None:
        found = _read(entry, datetime.fromtimestamp(at_us / 1_000_000, UTC), modifiers)
        return _with_fees(found, fees(entry.provider, model))
    provider = _provider(base)
    found = _with_fees(_NOTHING, fees(provider.id, model) if provider else {})
    if _RERANKING not in found.tools:
        return found
    return evolve(found, rates=Rates(), tables=(EDITION,), paid_by=_RERANKING)


# --- finding a model ------------------------------------------------------------------------------


#: Who makes models, in the order in which they are asked.
_MAKERS = ("openai", "anthropic", "google", "mistral", "cohere", "deepseek", "x-ai", "voyageai")


class _Entry(Struct, frozen=True):
    model: Any  #: a ``ModelInfo``
    provider: str
    own: bool  #: the provider's own row: rows lent by another provider lend no tiers
    by_hour: bool


@lru_cache(_MOST_KEPT)
def _entry(model: str, base: str) -> _Entry | None:
    if _UNPAID.match(base):
        return None
    # Imported on first use: it takes 0.2 s and 40 MB.
    from genai_prices.data import providers
    from genai_prices.data_snapshot import DataSnapshot

    # By "litellm" the library means: tell the provider from the model's name, or from a prefix of it.
    asked = (None, base) if _provider(base) else ("litellm", None)
    # A snapshot remembers every name it was ever asked for: this one is thrown away.
    snapshot = DataSnapshot(providers, from_auto_update=False)
    try:
        provider, found = snapshot.find_provider_model(model, None, *asked)
    except LookupError:
        return None if _provider(base) else _of_this_name(model)
    own = any(found is each for each in provider.models)
    return _Entry(found, provider.id, own, _is_by_hour(found))


def _of_this_name(model: str) -> _Entry | None:
    """Where neither address nor pattern tells the provider: its maker's model of exactly this name."""
    from genai_prices.data import providers

    listed_by = {provider.id: provider for provider in providers if provider.id in _MAKERS}
    for name in filter(listed_by.__contains__, _MAKERS):
        provider = listed_by[name]
        found = next((each for each in provider.models if each.id == model), None)
        if found is not None:
            return _Entry(found, provider.id, own=True, by_hour=_is_by_hour(found))
    return None


@lru_cache(_MOST_KEPT)
def _provider(base: str) -> Provider | None:
    from genai_prices.data import providers

    return next((provider for provider in providers if re.match(provider.api_pattern, base)), None)


def _is_by_hour(model: ModelInfo) -> bool:
    from genai_prices.types import ModelPrice, TimeOfDateConstraint

    prices = () if isinstance(model.prices, ModelPrice) else model.prices
    return any(isinstance(each.constraint, TimeOfDateConstraint) for each in (*prices, *(model.price_variants or ())))


# --- reading its price ----------------------------------------------------------------------------


def _read(entry: _Entry, moment: datetime, modifiers: tuple[str, ...]) -> Listed:
    """The library's price; what it does not say of the modifiers, by our rules."""
    model: ModelInfo = entry.model
    theirs = [modifier for modifier in modifiers if entry.own and _lists(model, context(modifier), moment)]
    ours = [modifier for modifier in modifiers if modifier not in theirs and (entry.provider, modifier) in MULTIPLIERS]
    price = model.get_prices(moment, {key: value for each in theirs for key, value in context(each).items()})
    if not _is_by_tokens(price):
        return _NOTHING
    tools = _tools(price)
    return Listed(
        rates=_rates(model, price).scaled(
            prod((MULTIPLIERS[entry.provider, modifier] for modifier in ours), start=Fraction(1))
        ),
        tables=(_table(), EDITION) if ours else (_table(),),
        tools=tools,
        tool_tables=dict.fromkeys(tools, _table()),
        once=once(entry.provider, model.id),
        unknown=tuple(modifier for modifier in modifiers if modifier not in (*theirs, *ours)),
    )


def _lists(model: ModelInfo, asked: dict[str, str], moment: datetime) -> bool:
    """Whether the model has a price for that in force."""
    return any(
        variant.when == asked and (variant.constraint is None or variant.constraint.active(moment))
        for variant in model.price_variants or ()
    )


def _is_by_tokens(price: ModelPrice) -> bool:
    """A model without any price is free."""
    charged = {name for name, value in vars(price).items() if value is not None}
    return not charged or any(name.endswith("_mtok") for name in charged)


def _rates(model: ModelInfo, price: ModelPrice) -> Rates:
    tokens = {kind: _tiers(getattr(price, name)) for kind, name in _TOKENS.items()}
    if not tokens["cache_write_1h_tokens"] and tokens["cache_write_tokens"] and "claude" in model.id:
        # Anthropic: "1-hour cache write tokens are 2 times the base input tokens price", wherever it is sold.
        tokens["cache_write_1h_tokens"] = tuple((above, 2 * rate) for above, rate in tokens["input_tokens"])
    return Rates(
        tokens={kind: tiers for kind, tiers in tokens.items() if tiers},
        call=_fee(price.requests_kcount or Decimal(0)),
    )


def _tools(price: ModelPrice) -> dict[str, int]:
    found = {tool: getattr(price, name) for tool, name in _TOOLS.items()}
    return {tool: _fee(fee) for tool, fee in found.items() if fee is not None}


def _tiers(value: Any) -> Tiers:
    if value is None:
        return ()
    if isinstance(value, Decimal):
        return ((-1, _nano(value)),)
    return (*((tier.start, _nano(tier.price)) for tier in reversed(value.tiers)), (-1, _nano(value.base)))


def _fee(dollars: Any) -> int:
    """Of dollars for a thousand. No fee has tiers; should one get some, the first holds."""
    return 1000 * _nano(getattr(dollars, "base", dollars))


def _nano(dollars: Decimal) -> int:
    return round(dollars * NANO_PER_DOLLAR)


def _with_fees(found: Listed, ours: Mapping[str, int]) -> Listed:
    """Where the library knows a tool's fee, that holds."""
    tables = dict.fromkeys(ours, EDITION) | dict(found.tool_tables)
    return evolve(found, tools={**ours, **found.tools}, tool_tables=tables)


@lru_cache(1)
def _table() -> str:
    from genai_prices import __version__

    return f"genai-prices {__version__}"
