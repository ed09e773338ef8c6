"""What an upstream itself says that a call cost, in nano-dollars.

OpenRouter's ``usage.cost`` is all that it charges. Where the caller brought a key of the provider's
(``is_byok``), that is OpenRouter's fee only, and the provider charges ``upstream_inference_cost``
besides: the sum is what the call costs its user. A figure that is negative, not finite or absurd is
left out with a note.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from .json_values import Notes, kind, mapping, number

_MOST_USD = 1_000_000


def cost_nano_usd(reported: Any, notes: Notes) -> int | None:
    """The cost that a usage object tells; None when it tells none."""
    fields = mapping(reported)
    cost = fields.get("cost")
    if isinstance(cost, dict):  # Perplexity
        cost = cost.get("total_cost")
    if cost is None:
        cost = fields.get("estimated_cost")  # DeepInfra
    if cost is None and fields.get("cost_in_usd_ticks") is not None:  # xAI
        return _nano(fields["cost_in_usd_ticks"], "usage.cost_in_usd_ticks", -1, notes)
    charged = _nano(cost, "usage.cost", 9, notes)
    if charged is None or fields.get("is_byok") is not True:
        return charged
    upstream = mapping(fields.get("cost_details")).get("upstream_inference_cost")
    return charged + (_nano(upstream, "usage.cost_details.upstream_inference_cost", 9, notes) or 0)


def _nano(value: Any, what: str, exponent: int, notes: Notes) -> int | None:
    """A number of 10**(exponent - 9) dollars."""
    if value is None:
        return None
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        notes.add(f"{what} is {kind(value)}, not a number")
        return None
    known = number(value)
    if known is None or not 0 <= Decimal(str(known)).scaleb(exponent) <= _MOST_USD * 10**9:
        shown = "too large" if known is None and isinstance(value, int) else value
        notes.add(f"{what} is {shown}, not a sum of dollars")
        return None
    return round(Decimal(str(known)).scaleb(exponent))
