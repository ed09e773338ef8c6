"""Where things stand on one axis of time, in percent of its width: bars, ticks, and folds. Values only.

Between the calls of a chat somebody reads, thinks or sleeps: drawn to scale, the calls would be too thin to see.
So time in which nothing ran takes a third of the width at most: the longest such stretches are cut to one
length, and each is a fold that says how long it was.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from msgspec import Struct

WHOLE = 100.0  #: percent
LEAST_BAR = 0.4  #: what is shorter is drawn so wide
MOST_FOLDS = 60  #: that are marked, the longest
_TICKS = 5
_APART = 14.0  #: percent between the labels of ticks, and folds
_STEPS_US = tuple(
    scale * step
    for scale, steps in (
        (1_000, (1, 2, 5, 10, 20, 50, 100, 200, 500)),
        (1_000_000, (1, 2, 5, 10, 15, 30)),
        (60_000_000, (1, 2, 5, 10, 15, 30)),
        (3_600_000_000, (1, 2, 6, 12, 24, 48, 24 * 7, 24 * 30, 24 * 365)),
    )
    for step in steps
)

Span = tuple[int, int]  #: from when to when, µs


class Bar(Struct, frozen=True):
    """A stretch of the axis."""

    x: float
    width: float


class Fold(Struct, frozen=True):
    """A stretch in which nothing ran, cut short."""

    x: float
    width: float
    idle_us: int
    labelled: bool  #: there is room to say how long it was


class Tick(Struct, frozen=True):
    """A moment that is written at the axis."""

    x: float
    elapsed_us: int

    @property
    def label(self) -> str:
        """Since the beginning: ``0 500ms 15s 2m 1h30m 3d``."""
        return _round(self.elapsed_us)


class Axis(Struct, frozen=True):
    """From moments to places. ``knots``: (moment, percent), both ascending; between them it is even."""

    knots: tuple[tuple[int, float], ...]
    folds: tuple[Fold, ...] = ()
    ticks: tuple[Tick, ...] = ()

    def at(self, moment_us: int) -> float:
        """The place of a moment; what lies outside stands at the end that is nearer."""
        after = bisect_right(self.knots, (moment_us, WHOLE))
        if after == 0:
            return 0.0
        if after == len(self.knots):
            return WHOLE
        (first_us, low), (last_us, high) = self.knots[after - 1], self.knots[after]
        return low + (high - low) * (moment_us - first_us) / (last_us - first_us)

    def bar(self, begin_us: int, end_us: int) -> Bar:
        """The bar of a span, wide enough to be seen, and never beyond the axis."""
        first = self.at(begin_us)
        width = max(self.at(max(begin_us, end_us)) - first, LEAST_BAR)
        first = min(first, WHOLE - width)
        return Bar(round(first, 3), round(width, 3))


def _round(us: int) -> str:
    if us < 1_000_000:
        return f"{us // 1000}ms" if us else "0"
    parts, left = [], us
    for name, unit_us in (("d", 86_400_000_000), ("h", 3_600_000_000), ("m", 60_000_000)):
        count, left = divmod(left, unit_us)
        parts += [f"{count}{name}"] if count else []
    return "".join([*parts, f"{left / 1_000_000:g}s"] if left else parts)


def axis(spans: Iterable[Span], *, folded: bool = True) -> Axis:
    """The axis that holds all spans; ``folded``: long stretches between them are cut short."""
    busy = _merged(spans)
    if not busy:
        return Axis(((0, 0.0), (1, WHOLE)))
    lengths = [(begin, end - begin) for begin, end in busy]
    idle = [after[0] - before[1] for before, after in pairwise(busy)]
    cap = _cap(idle, sum(length for _, length in lengths)) if folded else None
    knots, cut = _knots(busy, idle, cap)
    folds = tuple(_folds(knots, cut))
    return Axis(knots, folds, tuple(_ticks(knots, cut, folds)))


def _merged(spans: Iterable[Span]) -> list[Span]:
    """Stretches in which something ran, in order, none touching another."""
    merged: list[Span] = []
    for begin, end in sorted((begin, max(begin, end)) for begin, end in spans):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((begin, end))
    return merged


def _cap(idle: Sequence[int], busy_us: int) -> int | None:
    """To what the longest idle stretches are cut, so that all together are half as long as what ran; None: they are."""
    allowed = max(busy_us // 2, len(idle))
    if sum(idle) <= allowed:
        return None
    ordered, left = sorted(idle), allowed
    for place, length in enumerate(ordered):
        share = left // (len(ordered) - place)
        if length > share:
            return max(share, 1)
        left -= length
    return None


def _knots(
    busy: Sequence[Span], idle: Sequence[int], cap: int | None
) -> tuple[tuple[tuple[int, float], ...], frozenset[int]]:
    """The ends of all stretches, and the numbers of knots at which one begins that is cut."""
    drawn = [length if cap is None else min(length, cap) for length in idle]
    whole = max(sum(end - begin for begin, end in busy) + sum(drawn), 1)
    knots, cut, at = [(busy[0][0], 0.0)], set(), 0
    for place, (begin, end) in enumerate(busy):
        if place:
            if drawn[place - 1] < idle[place - 1]:
                cut.add(len(knots) - 1)
            at += drawn[place - 1]
            knots.append((begin, WHOLE * at / whole))
        if end > begin:
            at += end - begin
            knots.append((end, WHOLE * at / whole))
    knots[-1] = (knots[-1][0], WHOLE if len(knots) > 1 else 0.0)
    return tuple(knots), frozenset(cut)


def _folds(knots: Sequence[tuple[int, float]], cut: Iterable[int]) -> Iterator[Fold]:
    found = [(knots[place + 1][0] - knots[place][0], place) for place in cut]
    last = -WHOLE
    for idle_us, place in sorted(sorted(found, reverse=True)[:MOST_FOLDS], key=lambda pair: pair[1]):
        first, end = knots[place][1], knots[place + 1][1]
        middle = (first + end) / 2
        labelled = middle - last >= _APART and middle <= WHOLE - _APART / 3
        last = middle if labelled else last
        yield Fold(round(first, 3), round(end - first, 3), idle_us, labelled)


def _ticks(knots: Sequence[tuple[int, float]], cut: Iterable[int], folds: Sequence[Fold]) -> Iterator[Tick]:
    """Round numbers of time since the beginning, where no fold is labelled."""
    begin_us, end_us = knots[0][0], knots[-1][0]
    shown_us = end_us - begin_us - sum(knots[place + 1][0] - knots[place][0] for place in cut)
    step = next((step for step in _STEPS_US if step * _TICKS >= shown_us), _STEPS_US[-1])
    taken = [fold.x + fold.width / 2 for fold in folds if fold.labelled]
    for place, ((first_us, low), (last_us, high)) in enumerate(pairwise(knots)):
        if place in cut:
            continue
        number = -(-(first_us - begin_us) // step)
        while (elapsed := number * step) <= last_us - begin_us:
            x = low + (high - low) * (begin_us + elapsed - first_us) / (last_us - first_us)
            if x <= WHOLE - _APART / 2 and all(abs(x - other) >= _APART for other in taken):
                taken.append(x)
                yield Tick(round(x, 3), elapsed)
            number += 1
