"""What rows add to the sums. Plain values in and out: nothing is read or written here.

Rows are told apart by the smallest spans and most columns first; coarser sums are sums of these,
so that a batch of rows costs little more than once through it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from operator import add
from typing import Any

from .levels import COUNTED, DAY_US, DIMENSIONS, FOLDED, LEVELS, MINUTE_US, SUMS, Combo
from .spreads import bucket

#: Of one level: the span and the combination.
Place = tuple[int, Combo]
Buckets = tuple[bytes, bytes, bytes]  #: for each of ``SPREADS``
Facts = tuple[Any, ...]  #: what one row adds to ``SUMS``, and its bucket of each of ``SPREADS``
Counted = Sequence[Any]  #: the values of ``COUNTED``

_RUNNING = 1  # numbers of states: the first migration gave them out
_FAILED = frozenset({3, 5, 6})  # error, truncated, interrupted
_SUMS = len(SUMS)
_ONE: dict[int | None, bytes] = {None: b"", **{number: bytes([number]) for number in range(256)}}
_ZEROS = (0,) * len(SUMS)
_NO_BUCKETS: Buckets = (b"", b"", b"")
_NOTHING: tuple[None, ...] = (None,) * len(DIMENSIONS)
_TIME_SCALE = 1000  # buckets tell 1 ms from 2 ms, and 50 minutes from 60
_SPEED_SCALE = 100  # and 0.01 tokens a second from 0.02, and 30,000 from 32,000
assert COUNTED[1 : 1 + len(DIMENSIONS)] == DIMENSIONS


class Tally:
    """Changes of one combination's sums in one span."""

    __slots__ = ("less", "more", "sums")

    def __init__(self) -> None:
        self.sums: Sequence[int] = _ZEROS
        self.more: Buckets = _NO_BUCKETS  #: of values that came
        self.less: Buckets = _NO_BUCKETS  #: and of those that went

    def add(self, other: Tally) -> None:
        """Add all of another one."""
        self.sums = list(map(add, self.sums, other.sums))
        self.more = _joined(self.more, other.more)
        if other.less is not _NO_BUCKETS:
            self.less = _joined(self.less, other.less)

    @property
    def is_nothing(self) -> bool:
        """Whether it changes nothing."""
        return not any(self.sums) and all(map(_equal, self.more, self.less))


def _joined(one: Buckets, other: Buckets) -> Buckets:
    return one[0] + other[0], one[1] + other[1], one[2] + other[2]


def _equal(one: bytes, other: bytes) -> bool:
    return one == other or sorted(one) == sorted(other)


Tallies = dict[int, dict[Place, Tally]]  #: by the number of the level


def tallies(added: Iterable[Counted], removed: Iterable[Counted] = ()) -> Tallies:
    """What rows that came, and old values of rows that are no longer so, do to every level."""
    found: Tallies = {level: {} for level in LEVELS}
    for values, sign in ((added, 1), (removed, -1)):
        _count(found, values, sign)
    for level in FOLDED:
        source = LEVELS[level.source or 0]
        ratio = level.grain_us // source.grain_us
        places = len(level.dimensions)
        into = found[level.number]
        for (span, combo), tally in found[source.number].items():
            place = span // ratio, combo[:places] + _NOTHING[places:]
            if (total := into.get(place)) is None:
                total = into[place] = Tally()
            total.add(tally)
    return found


def _count(found: Tallies, rows: Iterable[Counted], sign: int) -> None:
    groups: defaultdict[tuple[int, int, Combo], list[Facts]] = defaultdict(list)
    for row in rows:
        facts = _facts(row)
        minute, day = row[0] // MINUTE_US, row[0] // DAY_US
        groups[10, minute, (*row[1:8], None, None)].append(facts)
        groups[5, day, (*row[1:9], None)].append(facts)
        groups[4, day, (row[1], *_NOTHING[2:], row[9])].append(facts)
    for (level, span, combo), some in groups.items():
        tally = found[level].get((span, combo))
        if tally is None:
            tally = found[level][span, combo] = Tally()
        _put(tally, some, sign)


def _facts(row: Counted) -> Facts:
    status = row[7]
    received, sent, cached, cache_write, reasoning, cost, latency, ttft, speed = row[10:]
    unpriced = cost is None and status != _RUNNING and (received is not None or sent is not None)
    return (
        1, status in _FAILED, cost is not None, unpriced,
        received or 0, sent or 0, cached or 0, cache_write or 0, reasoning or 0, cost or 0,
        None if latency is None else bucket(latency / _TIME_SCALE),
        None if ttft is None else bucket(ttft / _TIME_SCALE),
        None if speed is None else bucket(speed * _SPEED_SCALE),
    )  # fmt: skip


def _put(tally: Tally, rows: list[Facts], sign: int) -> None:
    if len(rows) == 1 and sign > 0 and tally.sums is _ZEROS:  # as most of those by user or key
        row = rows[0]
        tally.sums, tally.more = row[:_SUMS], (_ONE[row[_SUMS]], _ONE[row[_SUMS + 1]], _ONE[row[_SUMS + 2]])
        return
    columns = list(zip(*rows, strict=True))
    tally.sums = [total + sign * sum(more) for total, more in zip(tally.sums, columns[:_SUMS], strict=True)]
    latencies, ttfts, speeds = columns[_SUMS:]
    buckets = _bytes(latencies), _bytes(ttfts), _bytes(speeds)
    if sign > 0:
        tally.more = _joined(tally.more, buckets)
    else:
        tally.less = _joined(tally.less, buckets)


def _bytes(numbers: Iterable[int | None]) -> bytes:
    return bytes([number for number in numbers if number is not None])


def scaled(name: str, value: float) -> float:
    """A value of a spread in the unit that its buckets count: ms, or tokens in 100 s."""
    return value * _SPEED_SCALE if name == "tokens_per_s" else value / _TIME_SCALE


def unscaled(name: str, value: float) -> float:
    """The opposite."""
    return value / _SPEED_SCALE if name == "tokens_per_s" else round(value * _TIME_SCALE)
