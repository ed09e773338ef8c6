"""Tiers, speeds, regions, caches and tools, against published prices worked out by hand.

Each case says its arithmetic: dollars for a million tokens, or for a thousand uses, in force on
2026-11-20, times counts of thousands of tokens, in millionths of a dollar.
"""

from __future__ import annotations

from datetime import UTC, datetime

import genai_prices
import pytest

from proxy.pricing.fees import EDITION
from proxy.pricing.prices import Priced, price, receipt
from proxy.records import Usage

AT_US = int(datetime(2026, 11, 20, tzinfo=UTC).timestamp() * 1e6)
TABLE = f"genai-prices {genai_prices.__version__}"
BASES = {
    "openai": "https://api.openai.com",
    "anthropic": "https://api.anthropic.com",
    "google": "https://generativelanguage.googleapis.com",
    "groq": "https://api.groq.com/openai",
    "xai": "https://api.x.ai",
    "cohere": "https://api.cohere.com",
    "aws": "https://bedrock-runtime.eu-west-1.amazonaws.com",
    "": "http://127.0.0.1:4000",
}
#: 10,000 in, of which 4,000 from the cache; 1,000 out.
PLAIN = Usage(input_tokens=10_000, cached_tokens=4_000, output_tokens=1_000)
#: 10,000 in, of which 4,000 from the cache and 3,000 into it, 1,000 of those for an hour; 1,000 out.
CACHING = Usage(
    input_tokens=10_000, cached_tokens=4_000, cache_write_tokens=3_000, cache_write_1h_tokens=1_000, output_tokens=1_000
)


def cost(where: str, model: str, usage: Usage, tier: str = "", speed: str = "", region: str = "") -> tuple[int, str]:
    """Millionths of a dollar, and the source."""
    found = price(
        Priced(
            model=model,
            usage=usage,
            at_us=AT_US,
            base=BASES[where],
            service_tier=tier or None,
            speed=speed or None,
            region=region or None,
        )
    )
    assert found is not None
    assert found.nano_usd % 1000 == 0
    return found.nano_usd // 1000, found.source


# gpt-5: 1.25 in, 0.125 cached, 10 out. Flex and batch half, priority and fast double.
STANDARD = 6 * 1250 + 4 * 125 + 1 * 10_000


@pytest.mark.parametrize("tier", ["", "default", "auto", "standard", "scale", "on_demand", "ON_DEMAND", "STANDARD"])
def test_an_ordinary_tier_has_the_ordinary_price(tier: str) -> None:
    assert cost("openai", "gpt-5", PLAIN, tier) == (STANDARD, TABLE)


@pytest.mark.parametrize(("tier", "times"), [("flex", 0.5), ("batch", 0.5), ("priority", 2), ("fast", 2)])
def test_openai_tiers(tier: str, times: float) -> None:
    assert cost("openai", "gpt-5", PLAIN, tier) == (STANDARD * times, TABLE)
    assert cost("", "openai/gpt-5", PLAIN, tier) == (STANDARD * times, f"{TABLE} by the model's name")


def test_a_tier_may_have_prices_of_its_own_for_a_model() -> None:
    # gpt-4.1, 2 in, 0.5 cached, 8 out; priority: 3.5, 0.875, 14
    assert cost("openai", "gpt-4.1", PLAIN, "priority") == (6 * 3500 + 4 * 875 + 14_000, TABLE)


def test_a_long_prompt_in_a_cheap_tier() -> None:
    # gpt-5.4 above 272,000: 5 in, 0.5 cached, 22.5 out; flex half of that, 0.25 in place of 0.26 cached
    long = Usage(input_tokens=272_001, cached_tokens=1, output_tokens=1_000)
    short = Usage(input_tokens=272_000, output_tokens=1_000)
    assert cost("openai", "gpt-5.4", short, "flex") == (272 * 1250 + 7_500, TABLE)
    found = price(Priced(model="gpt-5.4", usage=long, at_us=AT_US, base=BASES["openai"], service_tier="flex"))
    assert found is not None
    assert found.nano_usd == 272_000 * 2_500 + 1 * 250 + 1_000 * 11_250


# claude-opus-4-8: 5 in, 0.5 read, 6.25 written for five minutes, 10 for an hour, 25 out.
OPUS = 3 * 5_000 + 4 * 500 + 2 * 6_250 + 1 * 10_000 + 1 * 25_000


@pytest.mark.parametrize(
    ("tier", "speed", "region", "times", "source"),
    [
        ("standard", "standard", "global", 1, TABLE),
        ("standard", "", "not_available", 1, TABLE),
        ("batch", "", "", 0.5, TABLE),
        ("standard", "fast", "", 2, TABLE),
        ("standard", "standard", "us", 1.1, f"{TABLE} + {EDITION}"),
        ("batch", "", "us", 0.55, f"{TABLE} + {EDITION}"),
        ("standard", "fast", "us", 2.2, f"{TABLE} + {EDITION}"),
        ("priority", "", "", 1, f"{TABLE}; no price for tier priority"),
        ("priority", "", "us", 1.1, f"{TABLE} + {EDITION}; no price for tier priority"),
        ("standard", "", "mars", 1, f"{TABLE}; no price for region mars"),
    ],
)
def test_anthropic_modifiers(tier: str, speed: str, region: str, times: float, source: str) -> None:
    assert cost("anthropic", "claude-opus-4-8", CACHING, tier, speed, region) == (round(OPUS * times), source)


def test_an_hour_in_the_cache_costs_twice_the_input_wherever_claude_is_sold() -> None:
    # the table has no price for it at Google: twice 5
    assert cost("google", "claude-opus-4-6", CACHING)[0] == OPUS


@pytest.mark.parametrize(
    ("where", "model", "tier", "expected", "source"),
    [
        # gemini-2.5-flash: 0.3 in, 0.03 cached, 2.5 out
        ("google", "gemini-2.5-flash", "ON_DEMAND", 6 * 300 + 4 * 30 + 2_500, TABLE),
        ("google", "gemini-2.5-flash", "SERVICE_TIER_STANDARD", 6 * 300 + 4 * 30 + 2_500, TABLE),
        ("google", "gemini-2.5-flash", "ON_DEMAND_FLEX", (6 * 300 + 4 * 30 + 2_500) // 2, f"{TABLE} + {EDITION}"),
        ("google", "gemini-2.5-flash", "flex", (6 * 300 + 4 * 30 + 2_500) // 2, f"{TABLE} + {EDITION}"),
        (
            "google",
            "gemini-2.5-flash",
            "PROVISIONED_THROUGHPUT",
            6 * 300 + 4 * 30 + 2_500,
            f"{TABLE}; no price for tier provisioned_throughput",
        ),
        # gpt-oss-120b at Groq: 0.15 in, 0.075 cached, 0.6 out; flex costs the same
        ("groq", "openai/gpt-oss-120b", "flex", 6 * 150 + 4 * 75 + 600, f"{TABLE} + {EDITION}"),
        ("groq", "openai/gpt-oss-120b", "on_demand", 6 * 150 + 4 * 75 + 600, TABLE),
        (
            "groq",
            "openai/gpt-oss-120b",
            "performance",
            6 * 150 + 4 * 75 + 600,
            f"{TABLE}; no price for tier performance",
        ),
    ],
)
def test_tiers_elsewhere(where: str, model: str, tier: str, expected: int, source: str) -> None:
    assert cost(where, model, PLAIN, tier) == (expected, source)


def test_before_the_table_lists_a_tier_the_providers_own_rule_holds() -> None:
    may = int(datetime(2026, 5, 1, tzinfo=UTC).timestamp() * 1e6)
    base = BASES["openai"]
    flex = price(Priced(model="gpt-5", usage=PLAIN, at_us=may, base=base, service_tier="flex"))
    first = price(Priced(model="gpt-5", usage=PLAIN, at_us=may, base=base, service_tier="priority"))
    assert flex is not None
    assert (flex.nano_usd, flex.source) == (STANDARD * 500, f"{TABLE} + {EDITION}")
    assert first is not None
    assert (first.nano_usd, first.source) == (STANDARD * 1000, f"{TABLE}; no price for tier priority")


@pytest.mark.parametrize("tier", ["\x00", "flex\n", "f" * 100, "flex; no price", "💸"])
def test_a_tier_that_is_no_name_is_not_repeated(tier: str) -> None:
    assert cost("openai", "gpt-5", PLAIN, tier) == (STANDARD, f"{TABLE}; no price for tier unreadable")


@pytest.mark.parametrize(
    ("where", "model", "requests", "fees", "source"),
    [
        ("anthropic", "claude-opus-4-8", {"web_search": 2, "web_fetch": 5}, 2 * 10_000, f"{TABLE} + {EDITION}"),
        ("anthropic", "claude-opus-4-8", {"code_execution": 1}, 0, f"{TABLE}; no price for code_execution"),
        ("anthropic", "claude-opus-4-8", {"code_execution": 0}, 0, TABLE),
        ("openai", "gpt-5", {"web_search": 3, "file_search": 2}, 3 * 10_000 + 2 * 2_500, TABLE),
        ("openai", "gpt-5", {"code_interpreter": 1}, 0, f"{TABLE}; no price for code_interpreter"),
        ("xai", "grok-4.3", {"x_search": 2}, 2 * 5_000, f"{TABLE} + {EDITION}"),
        ("google", "gemini-3.1-pro-preview", {"web_search": 3}, 3 * 14_000, TABLE),  # by query
        ("google", "gemini-2.5-pro", {"web_search": 3}, 35_000, TABLE),  # by prompt
    ],
)
def test_tools_of_the_provider(where: str, model: str, requests: dict[str, int], fees: int, source: str) -> None:
    plain = cost(where, model, PLAIN)[0]
    assert cost(
        where, model, Usage(input_tokens=10_000, cached_tokens=4_000, output_tokens=1_000, requests=requests)
    ) == (
        plain + fees,
        source,
    )


def test_no_discount_for_tools() -> None:
    searched = Usage(input_tokens=1_000, output_tokens=0, requests={"web_search": 1})
    assert cost("anthropic", "claude-opus-4-8", searched, "batch", region="us")[0] == 2_750 + 10_000


def test_a_reranker_is_paid_by_its_searches() -> None:
    searches = Usage(requests={"search_units": 3})
    assert cost("cohere", "rerank-v3.5", searches) == (3 * 2_000, EDITION)
    assert cost("cohere", "rerank-v4.0-pro", searches) == (3 * 2_500, EDITION)
    uncounted = Usage(input_tokens=1_000)
    assert price(Priced(model="rerank-v3.5", usage=uncounted, at_us=AT_US, base=BASES["cohere"])) is None
    assert price(Priced(model="rerank-v9", usage=searches, at_us=AT_US, base=BASES["cohere"])) is None


def test_sound_and_pictures() -> None:
    # gpt-realtime: 4 in, 32 for sound, 5 for pictures; 16 out, 64 for sound
    heard = Usage(
        input_tokens=10_000,
        input_audio_tokens=6_000,
        input_image_tokens=1_000,
        output_tokens=1_000,
        output_audio_tokens=900,
    )
    assert cost("openai", "gpt-realtime", heard)[0] == 3 * 4_000 + 6 * 32_000 + 5_000 + 1_600 + 900 * 64
    # gemini-2.5-flash-image: 0.3 in; 2.5 out, 30 for pictures
    drawn = Usage(input_tokens=1_000, output_tokens=1_300, output_image_tokens=1_290)
    assert cost("google", "gemini-2.5-flash-image", drawn)[0] == 300 + 1_290 * 30 + 10 * 5 // 2


def test_a_fee_for_each_call() -> None:
    # sonar: 1 in, 1 out, 12 for a thousand calls
    found = receipt(
        Priced(
            model="sonar",
            usage=Usage(input_tokens=1_000, output_tokens=1_000),
            at_us=AT_US,
            base="https://api.perplexity.ai",
        )
    )
    assert found is not None
    assert [(line.kind, line.nano_usd) for line in found.lines] == [
        ("input_tokens", 1_000_000),
        ("output_tokens", 1_000_000),
        ("call", 12_000_000),
    ]
