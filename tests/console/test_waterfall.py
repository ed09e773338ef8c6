"""The axis of time: every bar lies on it, in the order of time, and idle time takes a third at most."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.console.traces.waterfall import LEAST_BAR, MOST_FOLDS, WHOLE, axis

SECOND = 1_000_000
HOUR = 3600 * SECOND
START = 1_795_262_400_000_000

spans = st.lists(
    st.tuples(st.integers(0, 1 << 52), st.integers(0, 1 << 45)).map(lambda pair: (pair[0], pair[0] + pair[1])),
    max_size=60,
)


@settings(deadline=None)
@given(spans, st.booleans())
def test_bars_lie_within_the_axis_and_none_is_negative(found: list[tuple[int, int]], folded: bool) -> None:
    made = axis(found, folded=folded)
    for begin, end in found:
        bar = made.bar(begin, end)
        assert bar.x >= 0
        assert bar.width >= LEAST_BAR
        assert bar.x + bar.width <= WHOLE + 0.01


@settings(deadline=None)
@given(spans, st.booleans())
def test_what_came_later_never_stands_before(found: list[tuple[int, int]], folded: bool) -> None:
    made = axis(found, folded=folded)
    moments = sorted({moment for span in found for moment in span})
    places = [made.at(moment) for moment in moments]
    assert all(one <= other for one, other in pairwise(places))
    assert all(one[0] < other[0] and one[1] <= other[1] for one, other in pairwise(made.knots))


@settings(deadline=None)
@given(spans)
def test_folds_and_ticks_lie_within_the_axis_in_order(found: list[tuple[int, int]]) -> None:
    made = axis(found)
    assert len(made.folds) <= MOST_FOLDS
    assert all(fold.x >= 0 and fold.x + fold.width <= WHOLE + 0.01 and fold.idle_us > 0 for fold in made.folds)
    assert all(one.x + one.width <= other.x + 0.01 for one, other in pairwise(made.folds))
    assert all(0 <= tick.x <= WHOLE for tick in made.ticks)
    assert len({tick.label for tick in made.ticks}) == len(made.ticks)


@settings(deadline=None)
@given(spans)
def test_a_whole_axis_is_used(found: list[tuple[int, int]]) -> None:
    made = axis(found)
    if len({moment for span in found for moment in span}) > 1:
        assert made.at(min(begin for begin, _ in found)) == 0
        assert made.at(max(max(span) for span in found)) == WHOLE


def test_a_night_between_two_calls_is_cut_short_and_said() -> None:
    made = axis([(START, START + 2 * SECOND), (START + 8 * HOUR, START + 8 * HOUR + 2 * SECOND)])
    (fold,) = made.folds
    assert fold.idle_us == 8 * HOUR - 2 * SECOND
    assert 30 < fold.width < 34
    assert made.bar(START, START + 2 * SECOND).width > 30
    assert "0" in [tick.label for tick in made.ticks]


def test_time_to_scale_has_no_folds() -> None:
    made = axis([(START, START + SECOND), (START + HOUR, START + HOUR + SECOND)], folded=False)
    assert made.folds == ()
    assert made.at(START + HOUR // 2) == 100 * (HOUR / 2) / (HOUR + SECOND)


def test_short_pauses_are_drawn_as_they_were() -> None:
    made = axis([(START, START + 4 * SECOND), (START + 5 * SECOND, START + 9 * SECOND)])
    assert made.folds == ()
    assert [(tick.elapsed_us, tick.label) for tick in made.ticks][:2] == [(0, "0"), (2 * SECOND, "2s")]


def test_moments_outside_stand_at_the_ends() -> None:
    made = axis([(START, START + SECOND)])
    assert made.at(START - HOUR) == 0
    assert made.at(START + HOUR) == WHOLE
    assert made.bar(START + HOUR, START).x <= WHOLE - LEAST_BAR
