"""What a call cost, who says so, and what it is made of.

The upstream's own figure wins over the user's ``[[prices]]``, and those over the published prices
in genai-prices. Whatever is known is charged: a tier or a tool that has no price here is named in
the source, so that such calls can be found, and priced again once it has one.
"""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from ..records import Usage, evolve
from .catalogue import Listed, listed
from .modifiers import modifiers
from .overrides import Override, Overrides
from .rates import MILLION, MOST_NANO_USD, NANO_PER_DOLLAR, Line

_MOST_NAMED = 4  # in a source


class Cost(Struct, frozen=True):
    """What a call cost, and who says so."""

    nano_usd: int
    source: str  #: the price table and its version


class Receipt(Struct, frozen=True, kw_only=True):
    """A cost and its lines, which sum to it exactly."""

    cost: Cost
    lines: tuple[Line, ...]
    unpriced: tuple[str, ...] = ()  #: ``tier priority`` was charged as standard, ``code_execution`` not at all


class Priced(Struct, frozen=True, kw_only=True):
    """All that a price depends on."""

    model: str | None  #: as served
    usage: Usage | None
    at_us: int  #: when the call began: µs since 1970
    base: str = ""  #: URL of the upstream, which tells the provider
    upstream: str = ""  #: its name in the settings
    service_tier: str | None = None  #: as the answer says; ``batch`` for what came by a batch
    speed: str | None = None
    region: str | None = None
    reported_nano_usd: int | None = None  #: the upstream's own figure


def nano_usd(dollars: str | None) -> int | None:
    """Nano-dollars of a header such as ``0.00042``; None when it holds no amount."""
    if not dollars:
        return None
    try:
        nano = Decimal(dollars) * NANO_PER_DOLLAR
    except ArithmeticError:
        return None
    return round(nano) if nano.is_finite() and 0 <= nano <= MOST_NANO_USD else None


def price(call: Priced, own: Overrides = ()) -> Cost | None:
    """What a call cost; None when nobody knows, or the usage is incomplete or contradicts itself."""
    found = receipt(call, own)
    return found.cost if found else None


def receipt(call: Priced, own: Overrides = ()) -> Receipt | None:
    """The same with its lines. ``own``: of ``overrides``."""
    reported = call.reported_nano_usd
    if reported is not None and 0 <= reported <= MOST_NANO_USD:
        line = Line("reported", 1, reported * MILLION, reported)
        return Receipt(cost=Cost(reported, "upstream"), lines=(line,))
    if call.usage is None or not call.model:
        return None
    return _receipt(call, call.usage, own, call.usage.input_tokens or 0)


def what_if(model: str, usage: Usage, at_us: int, own: Overrides = (), calls: int = 1) -> int | None:
    """Nano-dollars for the summed ``usage`` of many calls, had ``model`` answered them; None when it has no price.

    The provider is told by the model's name. No single prompt's length is known in a sum: all are
    taken to be short, and of the standard tier.
    """
    found = _receipt(Priced(model=model, usage=usage, at_us=at_us), usage, own, 0, calls)
    return found.cost.nano_usd if found else None


def _receipt(call: Priced, usage: Usage, own: Overrides, prompt_tokens: int, calls: int = 1) -> Receipt | None:
    model = call.model or ""
    changed = modifiers(call.service_tier, call.speed, call.region)
    published = listed(model, call.base, call.at_us, changed)
    override = next((row for row in own if row.fits(model, call.upstream, call.at_us, changed)), None)
    rates = override.rates if override else published.rates
    if not override and published.paid_by and published.paid_by not in usage.requests:
        return None
    if published.once:
        usage = _once(usage, published.once, calls)
    lines = rates.lines(usage, prompt_tokens, published.tools, calls) if rates else None
    total = sum(line.nano_usd for line in lines or ())
    if lines is None or total > MOST_NANO_USD:
        return None
    feeless = tuple(tool for tool, count in usage.requests.items() if count and tool not in published.tools)
    unpriced = feeless if override else published.unknown + feeless
    return Receipt(
        cost=Cost(total, _source(override, published, usage) + _doubt(unpriced)), lines=lines, unpriced=unpriced
    )


def _once(usage: Usage, tools: frozenset[str], calls: int) -> Usage:
    counts = {tool: min(count, calls) if tool in tools else count for tool, count in usage.requests.items()}
    return evolve(usage, requests=counts)


def _source(override: Override | None, published: Listed, usage: Usage) -> str:
    """The tables that were used: ``genai-prices 0.2.3 + llmtap 2026-11``."""
    rates = (override.source,) if override else published.tables
    tools = (published.tool_tables[tool] for tool in usage.requests if tool in published.tool_tables)
    return " + ".join(dict.fromkeys((*rates, *tools)))


def _doubt(unpriced: tuple[str, ...]) -> str:
    return f"; no price for {', '.join(unpriced[:_MOST_NAMED])}" if unpriced else ""
