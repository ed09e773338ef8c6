"""What the price of a recorded call depends on, out of its bytes' headers and what its dialect read."""

from __future__ import annotations

from ..records import Exchange, Parsed
from ..wire.headers import HeaderMaps
from .prices import Priced, nano_usd


def priced(exchange: Exchange, headers: HeaderMaps, parsed: Parsed) -> Priced:
    """What a call's price depends on."""
    begin, reported = exchange.begin, parsed.cost_nano_usd
    if reported is None and not parsed.stream:  # a stream's head comes before its cost
        reported = nano_usd(headers.response.get("x-litellm-response-cost"))
    named = headers.request.get("helicone-model-override")  # what a private deployment is charged as
    return Priced(
        model=named or parsed.model or parsed.model_requested,
        usage=parsed.usage,
        at_us=begin.started_at_us,
        base=begin.base,
        upstream=begin.upstream,
        service_tier=parsed.service_tier,
        speed=parsed.speed,
        region=parsed.region,
        reported_nano_usd=reported,
    )
