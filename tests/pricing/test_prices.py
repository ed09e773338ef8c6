"""Costs equal those of genai-prices itself, to the nano-dollar; what cannot be priced has none."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal

import genai_prices
import pytest
from genai_prices.data import providers
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.pricing.prices import Priced, price
from proxy.records import Usage

AT_US = int(datetime(2026, 7, 1, 12, tzinfo=UTC).timestamp() * 1e6)
OPENAI = "https://api.openai.com"
HELLO = Usage(input_tokens=10_000, cached_tokens=4_000, output_tokens=1_000)


def nano(
    model: str, base: str = OPENAI, usage: Usage = HELLO, at_us: int = AT_US, tier: str | None = None
) -> int | None:
    cost = price(Priced(model=model, base=base, usage=usage, at_us=at_us, service_tier=tier))
    return cost.nano_usd if cost else None


def test_a_cost_names_its_table_and_version() -> None:
    cost = price(Priced(model="gpt-5", base=OPENAI, usage=HELLO, at_us=AT_US))
    assert cost is not None
    assert cost.source == f"genai-prices {genai_prices.__version__}"
    assert cost.nano_usd == 18_000_000


@pytest.mark.parametrize(
    ("model", "base"),
    [
        ("gpt-5", OPENAI),
        ("gpt-5-2025-08-07", OPENAI),
        ("gpt-5", "http://127.0.0.1:4000"),
        ("openai/gpt-5", "http://127.0.0.1:4000"),
        ("gpt-5", "https://gateway.example.com/v1"),
    ],
)
def test_the_provider_is_told_by_the_base_or_else_by_the_model(model: str, base: str) -> None:
    assert nano(model, base) == 18_000_000


def test_each_provider_has_its_own_price_for_a_model() -> None:
    groq = nano("llama-3.1-8b-instant", "https://api.groq.com/openai")
    assert groq is not None
    assert nano("llama-3.1-8b-instant", OPENAI) is None
    assert nano("openai/gpt-4o", "https://openrouter.ai/api") is not None


@pytest.mark.parametrize("model", ["llama3.2", "", "my-deployment", "gpt", "m" * 100_000, "\x00", "'; drop table"])
def test_an_unknown_model_costs_nothing_that_is_known(model: str) -> None:
    assert nano(model) is None
    assert nano(model, "http://127.0.0.1:4000") is None


def test_what_runs_in_ollama_is_not_priced_by_its_name() -> None:
    assert nano("deepseek-chat", "http://127.0.0.1:11434") is None
    assert nano("deepseek-chat", "http://localhost:11434/x") is None
    assert nano("deepseek-chat", "http://127.0.0.1:114340") is not None


@pytest.mark.parametrize(
    "usage",
    [
        Usage(),
        Usage(output_tokens=5),
        Usage(input_tokens=5),
        Usage(input_tokens=5, cached_tokens=6, output_tokens=1),
        Usage(input_tokens=5, cached_tokens=3, input_audio_tokens=3, output_tokens=1),
        Usage(input_tokens=5, output_tokens=1, output_audio_tokens=2),
        Usage(input_tokens=5, output_tokens=1, reasoning_tokens=2),
    ],
)
def test_incomplete_and_contradicting_usage_has_no_cost(usage: Usage) -> None:
    assert nano("gpt-realtime", usage=usage) is None


@pytest.mark.parametrize("model", ["gpt-4", "gpt-5"])
def test_more_cached_than_sent_has_no_cost_whatever_is_charged_for_it(model: str) -> None:
    assert nano(model, usage=Usage(input_tokens=5, cached_tokens=6, output_tokens=1)) is None
    assert nano(model, usage=Usage(input_tokens=5, cached_tokens=5, output_tokens=1)) is not None


def test_sound_has_a_price_of_its_own() -> None:
    plain = nano("gpt-realtime", usage=Usage(input_tokens=1000, output_tokens=1000))
    sound = nano(
        "gpt-realtime",
        usage=Usage(input_tokens=1000, input_audio_tokens=600, output_tokens=1000, output_audio_tokens=900),
    )
    assert plain is not None
    assert sound is not None
    assert sound > plain
    assert nano("gpt-4o", usage=Usage(input_tokens=1000, input_audio_tokens=600, output_tokens=0)) == nano(
        "gpt-4o", usage=Usage(input_tokens=1000, output_tokens=0)
    )


def test_what_is_paid_by_the_hour_or_the_page_has_no_cost_by_tokens() -> None:
    assert nano("whisper-1") is None
    assert nano("mistral-ocr-2505", "https://api.mistral.ai") is None


def test_a_model_that_the_table_lists_without_a_price_is_free() -> None:
    assert nano("gemma-3", "https://generativelanguage.googleapis.com") == 0


def test_no_tokens_cost_nothing() -> None:
    assert nano("gpt-5", usage=Usage(input_tokens=0, output_tokens=0)) == 0


def test_an_embedding_has_no_output_to_pay_for() -> None:
    assert nano("text-embedding-3-small", usage=Usage(input_tokens=1_000_000)) == 20_000_000


def test_a_long_prompt_is_charged_by_its_tier_throughout() -> None:
    base = "https://generativelanguage.googleapis.com"
    short = nano("gemini-2.5-pro", base, Usage(input_tokens=200_000, output_tokens=0))
    long = nano("gemini-2.5-pro", base, Usage(input_tokens=200_001, output_tokens=0))
    assert (short, long) == (250_000_000, 500_002_500)


MODELS = [
    (provider.id, model.id)
    for provider in providers
    if provider.id in {"openai", "anthropic", "google", "deepseek", "mistral", "groq", "x-ai"}
    for model in provider.models
    if provider.find_model(model.id)  # a few are known by other names only
]
BASES = {
    "openai": OPENAI,
    "anthropic": "https://api.anthropic.com",
    "google": "https://generativelanguage.googleapis.com",
    "deepseek": "https://api.deepseek.com",
    "mistral": "https://api.mistral.ai",
    "groq": "https://api.groq.com/openai",
    "x-ai": "https://api.x.ai",
}
TOKENS = st.integers(0, 400_000)
#: Our name of a tier → what the library calls it.
CONTEXTS = {
    None: {},
    "batch": {"processing": "batch"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
}


def lists(model: genai_prices.types.ModelInfo, context: dict[str, str], at: datetime) -> bool:
    return any(
        variant.when == context and (variant.constraint is None or variant.constraint.active(at))
        for variant in model.price_variants or ()
    )


@settings(max_examples=300, deadline=None)
@given(
    model=st.sampled_from(MODELS),
    rest=TOKENS,
    cached=TOKENS,
    written=TOKENS,
    output=TOKENS,
    tier=st.sampled_from(list(CONTEXTS)),
    at=st.datetimes(datetime(2024, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001
)
def test_costs_are_those_of_the_library(
    model: tuple[str, str], rest: int, cached: int, written: int, output: int, tier: str | None, at: datetime
) -> None:
    provider, name = model
    tokens = rest + cached + written
    kept = written // 3 if provider == "anthropic" else 0  # elsewhere the table may not have that price
    usage = Usage(
        input_tokens=tokens,
        cached_tokens=cached,
        cache_write_tokens=written,
        cache_write_1h_tokens=kept,
        output_tokens=output,
    )
    calculated = genai_prices.calc_price(
        genai_prices.Usage(
            input_tokens=tokens,
            cache_read_tokens=cached,
            cache_write_tokens=written,
            cache_write_1h_tokens=kept,
            output_tokens=output,
        ),
        name,
        provider_id=provider,
        genai_request_timestamp=at,
        price_context=CONTEXTS[tier],
    )
    if tier and not lists(calculated.model, CONTEXTS[tier], at):
        return  # priced by rules of ours, where it is priced
    ours = nano(name, BASES[provider], usage, int(at.timestamp() * 1_000_000), tier)
    if ours is not None:  # models that charge by the hour or the page have no cost by tokens
        assert ours == int((calculated.total_price * 10**9).quantize(Decimal(1), ROUND_HALF_UP))


def test_most_models_have_a_cost() -> None:
    priced = [nano(name, BASES[provider]) is not None for provider, name in MODELS]
    assert sum(priced) > 0.85 * len(priced)
