"""Which part of a question the sums answer, and which part the rows must. Decides; reads nothing.

Days come first, hours where a day does not fit (it begins before the period, or where the viewer's
day does not), minutes where they are allowed; what is left is read from the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import tzinfo

from msgspec import Struct

from ....query.spans import QUARTER_US, Labels
from .levels import DAY_US, HOUR_US, MINUTE_US, Level, fitting

_PIECES = 200  #: of rows to be read: more of them are read sooner in one go
_NEVER_US = 1 << 62

Span = tuple[int, int]


class Plan(Struct, frozen=True):
    """``rolled``: spans of levels (first, and the one behind the last); ``scanned``: µs, the end not included."""

    rolled: tuple[tuple[Level, Span], ...]
    scanned: tuple[Span, ...]


class Fit:
    """Whether the calls of a span all belong to the same groups, and to the same bin."""

    def __init__(self, spans: Iterable[str], zone: tzinfo, bin_of: Callable[[int], int]) -> None:
        self._labels = [Labels(name, zone).label for name in spans]
        self._bin_of = bin_of

    def fits(self, first_us: int, end_us: int) -> bool:
        """Of one span."""
        last_us = max(first_us, end_us - QUARTER_US)
        return self._bin_of(first_us) == self._bin_of(end_us - 1) and all(
            label(first_us) == label(last_us) for label in self._labels
        )


def rungs(fields: frozenset[str], *, minutes: bool) -> list[Level]:
    """The levels that tell these columns apart, the longest spans first; minutes hold no percentiles."""
    grains = (DAY_US, HOUR_US, MINUTE_US) if minutes else (DAY_US, HOUR_US)
    return [level for grain in grains if (level := fitting(grain, fields))]


def planned(
    levels: Sequence[Level],
    days: Iterable[int],
    period: tuple[int | None, int | None],
    usable: Callable[[Level, int], bool],
) -> Plan | None:
    """How to answer for a period; None when the rows had better be read in one go."""
    since_us = -_NEVER_US if period[0] is None else period[0]
    until_us = _NEVER_US if period[1] is None else period[1]
    found: list[tuple[Level | None, Span]] = []
    for day in days:
        first, end = max(since_us, day * DAY_US), min(until_us, (day + 1) * DAY_US)
        if first < end:
            found += _covered(levels, first, end, usable)
    pieces = _joined(found)
    rolled = tuple((level, span) for level, span in pieces if level is not None)
    scanned = tuple(span for level, span in pieces if level is None)
    return Plan(rolled, scanned) if len(scanned) <= _PIECES and _is_worth_it(rolled, scanned) else None


def _is_worth_it(rolled: Iterable[tuple[Level, Span]], scanned: Iterable[Span]) -> bool:
    """Unless most of the time must be read anyway: all of it is then exact, for little more."""
    in_sums = sum((end - first) * level.grain_us for level, (first, end) in rolled)
    return in_sums > sum(end - first for first, end in scanned)


def _covered(
    levels: Sequence[Level], first_us: int, end_us: int, usable: Callable[[Level, int], bool]
) -> list[tuple[Level | None, Span]]:
    if first_us >= end_us:
        return []
    if not levels:
        return [(None, (first_us, end_us))]
    level, *finer = levels
    grain = level.grain_us
    first, end = -(-first_us // grain), end_us // grain
    if first >= end:
        return _covered(finer, first_us, end_us, usable)
    found = _covered(finer, first_us, first * grain, usable)
    for span in range(first, end):
        if usable(level, span):
            found.append((level, (span, span + 1)))
        else:
            found += _covered(finer, span * grain, (span + 1) * grain, usable)
    return found + _covered(finer, end * grain, end_us, usable)


def _joined(pieces: Iterable[tuple[Level | None, Span]]) -> list[tuple[Level | None, Span]]:
    """Neighbours of one kind as one."""
    last: dict[int, int] = {}
    found: list[tuple[Level | None, Span]] = []
    for level, (first, end) in pieces:
        number = level.number if level else 0
        place = last.get(number)
        if place is not None and found[place][1][1] == first:
            found[place] = (level, (found[place][1][0], end))
        else:
            last[number] = len(found)
            found.append((level, (first, end)))
    return found


def worth_reading(days: Mapping[int, int], period: tuple[int | None, int | None], most: int) -> bool:
    """Whether so few calls lie in a period that reading all of them is quick, and exact."""
    since, until = (None if at_us is None else at_us // DAY_US for at_us in period)
    inside = (
        calls for day, calls in days.items() if (since is None or day >= since) and (until is None or day <= until)
    )
    return sum(inside) < most
