"""Small pictures of numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.cli.report.sparklines import bar, can_draw, spark
from proxy.cli.terminal import width


@pytest.mark.parametrize(
    ("values", "drawn"),
    [([], ""), ([0, 0], "··"), ([1, 0, 8], "▁·█"), ([5], "█"), ([1, 2, 3, 4, 5, 6, 7, 8], "▁▂▃▄▅▆▇█"), ([-1, 1], "·█")],
)
def test_sparks(values: list[int], drawn: str) -> None:
    assert spark(values) == drawn


@pytest.mark.parametrize(
    ("value", "drawn"), [(0, ""), (-1, ""), (1, "▏"), (100, "████"), (50, "██"), (60, "██▍"), (200, "████")]
)
def test_bars(value: int, drawn: str) -> None:
    assert bar(value, 100, 4) == drawn


@given(st.lists(st.integers(0, 2**70), max_size=40))
def test_a_picture_is_as_wide_as_it_must_be(values: list[int]) -> None:
    most = max(values, default=0)
    assert width(spark(values)) == len(values)
    assert all(width(bar(value, most, 16)) <= 16 for value in values)
    assert [char == "·" for char in spark(values)] == [value == 0 for value in values]


def test_narrow_encodings_have_no_pictures() -> None:
    assert can_draw("utf-8")
    assert not can_draw("latin-1")
    assert not can_draw("no such encoding")
    assert not can_draw(None)
