"""What upstreams say that a call cost, and sums that cannot be meant."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.dialects.json_values import Notes
from proxy.dialects.openai_charges import cost_nano_usd

BYOK = {"is_byok": True, "cost_details": {"upstream_inference_cost": 0.00006}}


@pytest.mark.parametrize(
    ("usage", "nano_usd"),
    [
        (None, None),
        ({}, None),
        ({"cost": 0}, 0),
        ({"cost": 4e-05}, 40_000),
        ({"cost": 0.1 + 0.2}, 300_000_000),
        ({"cost": 1e-12}, 0),
        ({"cost": 0.000003, **BYOK}, 63_000),
        ({"cost": 0.000003, **BYOK, "is_byok": False}, 3000),
        ({"cost": {"input_tokens_cost": 0.1, "total_cost": 0.5}}, 500_000_000),
        ({"cost": {"input_tokens_cost": 0.1}}, None),
        ({"estimated_cost": 2.6e-06}, 2600),
        ({"cost_in_usd_ticks": 37_756_000}, 3_775_600),
    ],
)
def test_charges(usage: Any, nano_usd: int | None) -> None:
    notes = Notes()
    assert cost_nano_usd(usage, notes) == nano_usd
    assert notes.all() == ()


@pytest.mark.parametrize("bad", [-1, -0.5, float("nan"), float("inf"), 1e300, 1_000_001, "0.5", True, [1]])
def test_what_is_no_sum_is_unknown_and_noted(bad: Any) -> None:
    notes = Notes()
    assert cost_nano_usd({"cost": bad}, notes) is None
    assert len(notes.all()) == 1


@pytest.mark.parametrize("usage", [5, "x", [], True])
def test_what_is_no_object_tells_nothing(usage: Any) -> None:
    assert cost_nano_usd(usage, Notes()) is None
