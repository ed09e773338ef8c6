"""Receipts sum to their costs; who says a price; what other models would have cost."""

from __future__ import annotations

from datetime import UTC, datetime

import genai_prices
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.pricing.overrides import overrides
from proxy.pricing.prices import Cost, Priced, Receipt, nano_usd, price, receipt, what_if
from proxy.pricing.rates import MOST_NANO_USD
from proxy.records import Usage, evolve
from proxy.settings import Price

AT_US = int(datetime(2026, 11, 20, tzinfo=UTC).timestamp() * 1e6)
TABLE = f"genai-prices {genai_prices.__version__}"
OPENAI = "https://api.openai.com"
HELLO = Usage(input_tokens=10_000, cached_tokens=4_000, output_tokens=1_000, reasoning_tokens=200)
CALL = Priced(model="gpt-5", usage=HELLO, at_us=AT_US, base=OPENAI, upstream="openai")
GPT_5 = Cost(18_000_000, TABLE)


def test_the_lines_of_a_receipt() -> None:
    found = receipt(CALL)
    assert found is not None
    assert [(line.kind, line.count, line.nano_per_million, line.nano_usd) for line in found.lines] == [
        ("cached_tokens", 4_000, 125_000_000, 500_000),
        ("input_tokens", 6_000, 1_250_000_000, 7_500_000),
        ("output_tokens", 1_000, 10_000_000_000, 10_000_000),
    ]
    assert found.cost.nano_usd == 18_000_000
    assert found.unpriced == ()


# --- who says so ----------------------------------------------------------------------------------


@pytest.mark.parametrize("reported", [0, 1, 123_456_789, MOST_NANO_USD])
def test_the_upstreams_own_figure_wins(reported: int) -> None:
    own = overrides((Price(model="*", input=1.0),))
    for call in (CALL, evolve(CALL, usage=None), evolve(CALL, model=None), evolve(CALL, model="unheard-of")):
        assert price(evolve(call, reported_nano_usd=reported), own) == Cost(reported, "upstream")


@pytest.mark.parametrize("reported", [-1, MOST_NANO_USD + 1])
def test_a_figure_that_cannot_be_is_not_believed(reported: int) -> None:
    assert price(evolve(CALL, reported_nano_usd=reported)) == GPT_5


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.00042", 420_000),
        ("0", 0),
        ("0.0", 0),
        ("1e-9", 1),
        ("4.2e-05", 42_000),
        (None, None),
        ("", None),
        ("None", None),
        ("-1", None),
        ("NaN", None),
        ("Infinity", None),
        ("1e999999", None),
        ("$1", None),
    ],
)
def test_dollars_of_a_header(text: str | None, expected: int | None) -> None:
    assert nano_usd(text) == expected


ROWS = (
    Price(model="gpt-5*", input=2.0, cached=0.5, output=4.0),
    Price(model="GPT-5", upstream="azure", input=100.0),
    Price(model="gpt-5", since="2026-11-20", input=3.0, output=5.0, request=0.01),
    Price(model="gpt-5", since="2026-11-21", input=1000.0),
    Price(model="gpt-5", tier="flex", input=0.1),
    Price(model="local-*", input=0.0),
    Price(model="embedder", input=0.07),
)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"model": "gpt-5-mini"}, Cost(6_000 * 2_000 + 4_000 * 500 + 1_000 * 4_000, "prices[1] gpt-5*")),
        ({}, Cost(10_000 * 3_000 + 1_000 * 5_000 + 10_000_000, "prices[3] gpt-5")),
        ({"at_us": AT_US - 1}, Cost(6_000 * 2_000 + 4_000 * 500 + 1_000 * 4_000, "prices[1] gpt-5*")),
        ({"at_us": AT_US - 1, "upstream": "azure"}, Cost(10_000 * 100_000, "prices[2] GPT-5")),
        ({"at_us": AT_US + 86_400_000_000}, Cost(10_000 * 1_000_000, "prices[4] gpt-5")),
        ({"service_tier": "FLEX"}, Cost(10_000 * 100, "prices[5] gpt-5")),
        ({"service_tier": "priority"}, Cost(10_000 * 3_000 + 1_000 * 5_000 + 10_000_000, "prices[3] gpt-5")),
        ({"model": "local-llama", "base": "http://127.0.0.1:11434"}, Cost(0, "prices[6] local-*")),
        ({"model": "embedder", "usage": Usage(input_tokens=1_000)}, Cost(70_000, "prices[7] embedder")),
        ({"model": "embedder", "usage": Usage()}, None),
    ],
)
def test_prices_of_ones_own(changes: dict[str, object], expected: Cost | None) -> None:
    assert price(evolve(CALL, **changes), overrides(ROWS)) == expected


def test_a_kind_without_a_price_of_its_own_is_charged_as_the_kind_it_is_part_of() -> None:
    usage = Usage(
        input_tokens=1_000, cache_write_tokens=600, cache_write_1h_tokens=100, input_audio_tokens=50, output_tokens=1
    )
    for row, expected in (
        (Price(model="m", input=1.0), 1_000),
        (Price(model="m", input=1.0, cache_write=2.0), 400 + 600 * 2),
        (Price(model="m", input=1.0, cache_write_1h=3.0), 900 + 100 * 3),
        (Price(model="m", input=1.0, cache_write=2.0, cache_write_1h=3.0, input_audio=5.0), 350 + 1_000 + 300 + 250),
    ):
        found = price(evolve(CALL, model="m", usage=usage), overrides((row,)))
        assert found is not None
        assert found.nano_usd == expected * 1_000


def test_a_price_of_ones_own_leaves_the_fees_of_tools() -> None:
    own = overrides((Price(model="gpt-5", input=1.0),))
    usage = Usage(input_tokens=1_000, output_tokens=0, requests={"web_search": 1, "code_interpreter": 1})
    assert price(evolve(CALL, usage=usage), own) == Cost(
        1_000_000 + 10_000_000, f"prices[1] gpt-5 + {TABLE}; no price for code_interpreter"
    )


# --- what others would have cost --------------------------------------------------------------------


def test_what_if_prices_sums_as_short_prompts() -> None:
    # gemini-2.5-pro: 1.25 in, 0.125 cached, 10 out; its long tier does not apply to a sum of short prompts
    many = Usage(input_tokens=5_000_000, cached_tokens=1_000_000, output_tokens=100_000)
    assert what_if("gemini-2.5-pro", many, AT_US) == 5_000_000_000 + 125_000_000 + 1_000_000_000
    assert what_if("gpt-5", HELLO, AT_US) == GPT_5.nano_usd
    assert what_if("unheard-of", many, AT_US) is None
    assert what_if("gpt-5", Usage(), AT_US) is None
    assert what_if("mine", many, AT_US, overrides((Price(model="mine", input=1.0, request=0.5),)), calls=3) == (
        5_000_000_000 + 1_500_000_000
    )


# --- any usage --------------------------------------------------------------------------------------

COUNT = st.none() | st.integers(-5, 5_000_000) | st.integers(2**40, 2**63)
PART = st.none() | st.integers(0, 3_000)
MODELS = st.sampled_from(
    [
        ("gpt-5", OPENAI),
        ("gpt-realtime", OPENAI),
        ("claude-opus-5-5", "https://api.anthropic.com"),
        ("gemini-2.5-pro", "https://generativelanguage.googleapis.com"),
        ("sonar-pro", "https://api.perplexity.ai"),
        ("deepseek-chat", "https://api.deepseek.com"),
        ("gemma-3", "https://generativelanguage.googleapis.com"),
        ("own", ""),
    ]
)
MODIFIERS = st.fixed_dictionaries(
    {
        "service_tier": st.sampled_from([None, "flex", "batch", "priority", "on_demand", ""]) | st.text(max_size=10),
        "speed": st.sampled_from([None, "fast", "standard"]) | st.text(max_size=10),
        "region": st.sampled_from([None, "us", "global"]) | st.text(max_size=10),
    }
)
REQUESTS = st.dictionaries(st.sampled_from(["web_search", "file_search", "x"]), st.integers(-1, 10_000), max_size=3)
OWN = overrides((Price(model="own", input=0.123456, cached=0.000001, output=1e6, request=0.333),))
KINDS = [name for name in Usage.__struct_fields__ if name != "requests"]


def found_for(model: tuple[str, str], usage: Usage, modifiers: dict[str, str | None]) -> Receipt | None:
    return receipt(Priced(model=model[0], base=model[1], usage=usage, at_us=AT_US, **modifiers), OWN)


@settings(max_examples=300, deadline=None)
@given(MODELS, st.fixed_dictionaries(dict.fromkeys(KINDS, COUNT)), REQUESTS, MODIFIERS, st.integers(-(2**62), 2**62))
def test_any_usage_has_a_receipt_that_sums_to_its_cost_or_none(
    model: tuple[str, str],
    counts: dict[str, int | None],
    requests: dict[str, int],
    modifiers: dict[str, str | None],
    at_us: int,
) -> None:
    call = Priced(model=model[0], base=model[1], usage=Usage(**counts, requests=requests), at_us=at_us, **modifiers)
    check(receipt(call, OWN))


@settings(max_examples=300, deadline=None)
@given(MODELS, st.fixed_dictionaries(dict.fromkeys(KINDS, PART)), MODIFIERS)
def test_more_tokens_never_cost_less(
    model: tuple[str, str], parts: dict[str, int | None], modifiers: dict[str, str | None]
) -> None:
    usage = Usage(**{**parts, "input_tokens": 20_000, "output_tokens": 20_000, "cache_write_tokens": 3_000})
    found = found_for(model, usage, modifiers)
    more = found_for(model, evolve(usage, input_tokens=20_001, output_tokens=20_007), modifiers)
    assert found is not None
    assert more is not None
    check(found)
    check(more)
    assert more.cost.nano_usd >= found.cost.nano_usd


def check(found: Receipt | None) -> None:
    if found is not None:
        assert sum(line.nano_usd for line in found.lines) == found.cost.nano_usd <= MOST_NANO_USD
        for line in found.lines:
            assert line.count > 0
            exact = line.count * line.nano_per_million / 1_000_000
            assert line.nano_usd >= 0
            assert abs(line.nano_usd - exact) <= max(1, exact * 1e-9)
