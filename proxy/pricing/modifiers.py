"""What changes a price besides model and date: service tiers, speed, region.

genai-prices lists tiers by model, from the date on which they were read. Before that date, and for
what it does not list, the rules below hold, which their providers publish for all models. A tier
that neither knows is charged as standard, and the cost's source says so: a total that leaves the
call out would be further off, and no reader of it would see why.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

#: Names of the ordinary tier. ``scale`` is OpenAI's tier for capacity paid in advance, at list price.
_STANDARD = frozenset(
    {"", "auto", "default", "global", "not_available", "on_demand", "scale", "standard", "unspecified"}
)
#: Google says ``SERVICE_TIER_FLEX``, ``ON_DEMAND_FLEX``, ``TRAFFIC_TYPE_UNSPECIFIED``.
_PREFIX = re.compile(r"^(service_tier_|traffic_type_)?(on_demand_)?")
_READABLE = re.compile(r"[a-z0-9_.]{1,32}")

_HALF = Fraction(1, 2)
#: (provider, modifier) → what all tokens are multiplied with.
MULTIPLIERS = {
    ("openai", "tier batch"): _HALF,  # Batch API guide
    ("openai", "tier flex"): _HALF,  # "priced at Batch API rates", flex processing guide
    ("anthropic", "tier batch"): _HALF,  # Message Batches guide, caching included
    ("anthropic", "region us"): Fraction(11, 10),  # data residency guide: every kind of token
    ("google", "tier batch"): _HALF,  # Gemini API, optimization guide
    ("google", "tier flex"): _HALF,  # the same
    ("groq", "tier batch"): _HALF,  # batch guide
    ("groq", "tier flex"): Fraction(1),  # "pricing matches the on-demand tier"
    ("aws", "tier batch"): _HALF,  # Bedrock, cost optimization guide
}


@lru_cache(256)
def modifiers(tier: str | None, speed: str | None, region: str | None) -> tuple[str, ...]:
    """What is out of the ordinary: ``("tier flex", "region us")``."""
    named = (("tier", _plain(tier)), ("speed", _plain(speed)), ("region", _plain(region)))
    return tuple(f"{kind} {value}" for kind, value in named if value)


def _plain(value: str | None) -> str:
    """One name for one thing; empty for what is ordinary."""
    name = (value or "").lower().replace("-", "_")
    name = name if name in _STANDARD else _PREFIX.sub("", name)
    if name in _STANDARD:
        return ""
    return name if _READABLE.fullmatch(name) else "unreadable"


def context(modifier: str) -> dict[str, str]:
    """What genai-prices calls it: ``{"processing": "batch"}``, ``{"service_tier": "flex"}``, ``{"speed": "fast"}``."""
    kind, _, value = modifier.partition(" ")
    if modifier == "tier batch":
        return {"processing": "batch"}
    return {"service_tier" if kind == "tier" else kind: value}
