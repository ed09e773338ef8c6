"""Usage objects of many vendors, and what is none."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.dialects.json_values import Notes
from proxy.dialects.openai_usage import usage
from proxy.records import Usage

REASONED = {"reasoning_tokens": 10}


@pytest.mark.parametrize(
    ("reported", "counts"),
    [
        ({"prompt_tokens": 0, "completion_tokens": 0}, Usage(input_tokens=0, output_tokens=0)),
        ({"prompt_tokens": 7.0}, Usage(input_tokens=7)),
        ({"input_tokens": 3, "output_tokens": 4}, Usage(input_tokens=3, output_tokens=4)),
        ({"prompt_tokens": 9, "cached_tokens": 4}, Usage(input_tokens=9, cached_tokens=4)),
        ({"prompt_tokens": 9, "prompt_tokens_details": None}, Usage(input_tokens=9)),
        ({"prompt_tokens": 9, "prompt_tokens_details": [1]}, Usage(input_tokens=9)),
        (
            {"prompt_tokens": 9, "prompt_cache_hit_tokens": 4, "prompt_tokens_details": {"cached_tokens": 5}},
            Usage(input_tokens=9, cached_tokens=5),
        ),
        (
            {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 15, "completion_tokens_details": REASONED},
            Usage(input_tokens=2, output_tokens=13, reasoning_tokens=10),
        ),
        (
            {"prompt_tokens": 2, "completion_tokens": 13, "total_tokens": 15, "completion_tokens_details": REASONED},
            Usage(input_tokens=2, output_tokens=13, reasoning_tokens=10),
        ),
    ],
)  # fmt: skip
def test_counts(reported: Any, counts: Usage) -> None:
    notes = Notes()
    assert usage(reported, notes) == counts
    assert notes.all() == ()


@pytest.mark.parametrize("reported", [None, {}, {"prompt_tokens": None}, {"total_tokens": 5}, {"cost": 1}])
def test_no_counts_are_no_usage(reported: Any) -> None:
    notes = Notes()
    assert usage(reported, notes) is None
    assert notes.all() == ()


@pytest.mark.parametrize("bad", [-1, "5", 1.5, True, float("nan"), float("inf"), 1e300, 1 << 64, [], {}, [5]])
def test_what_is_no_count_is_unknown_and_noted(bad: Any) -> None:
    notes = Notes()
    assert usage({"prompt_tokens": bad, "completion_tokens": 0}, notes) == Usage(output_tokens=0)
    assert len(notes.all()) == 1
    assert notes.all()[0].startswith("usage.prompt_tokens is ")


@pytest.mark.parametrize("bad", [5, "x", [1], True])
def test_what_is_no_object_is_noted(bad: Any) -> None:
    notes = Notes()
    assert usage(bad, notes) is None
    assert len(notes.all()) == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["cached_tokens", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)
NAMES = ["prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details", "completion_tokens_details"]


@settings(deadline=None)
@given(reported=JSON | st.dictionaries(st.sampled_from(NAMES), JSON))
def test_any_json_is_read(reported: Any) -> None:
    found = usage(reported, Notes())
    counts = [getattr(found, field) for field in found.__struct_fields__ if field != "requests"] if found else []
    assert all(count is None or (type(count) is int and count >= 0) for count in counts)


def test_a_count_that_is_none_gives_way_to_the_next_place_with_a_note() -> None:
    notes = Notes()
    reported = {"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": "4"}, "cached_tokens": 3}
    assert usage(reported, notes) == Usage(input_tokens=9, cached_tokens=3)
    assert [note.partition(" ")[0] for note in notes.all()] == ["usage.prompt_tokens_details.cached_tokens"]
