"""Coordinates of a stream's reads, inside of the drawing whatever came."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.console.detail.timeline import HEIGHT, WIDTH, timeline
from proxy.records import evolve
from tests.cli.recorded import exchanged, new_call

MARKS = st.lists(st.tuples(st.integers(1, 10**6), st.integers(1, 10**9)), max_size=50).map(
    lambda pairs: tuple(zip(sorted(offset for offset, _ in pairs), sorted(us for _, us in pairs), strict=True))
)


@given(MARKS)
def test_everything_lies_inside(marks: tuple[tuple[int, int], ...]) -> None:
    stored = exchanged(new_call(latency_us=None, ttft_us=None), marks=marks)
    assert stored.exchange is not None
    made = timeline(stored.call, stored.exchange)
    assert made is not None
    points = [tuple(map(float, point.split(","))) for point in made.curve.split()]
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in points)
    assert all(gap.x >= 0 and gap.x + gap.width <= WIDTH + 0.2 for gap in made.gaps)
    assert made.reads == len(marks)


def test_pauses_are_told_longest_first() -> None:
    marks = ((10, 100_000), (20, 110_000), (30, 500_000), (40, 510_000), (50, 700_000))
    stored = exchanged(new_call(latency_us=700_000, ttft_us=100_000), marks=marks)
    assert stored.exchange is not None
    made = timeline(stored.call, stored.exchange)
    assert made is not None
    assert [(gap.took_us, gap.from_us, gap.after_bytes) for gap in made.gaps] == [
        (390_000, 110_000, 20),
        (190_000, 510_000, 40),
    ]
    assert made.first_x == round(WIDTH / 7, 1)


def test_without_an_answer_there_is_none() -> None:
    stored = exchanged(new_call())
    assert stored.exchange is not None
    assert timeline(stored.call, evolve(stored.exchange, head=None)) is None
