"""How values lie, in 256 buckets of 6 %: percentiles within 3 %, whatever the number of values.

Packed, few values are a byte each, in the order in which they came, so that one more is one byte
more; many are counts of consecutive buckets. What is packed anew says the same in any order of
coming and going.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from operator import add

_PER_E = 17  # buckets while values grow by e: a bucket's middle is within 3 % of all in it
_LAST = 255
_SAMPLES = 0  # packed: this byte, then a byte a value
_WIDTHS = {1: "B", 2: "H", 4: "I", 8: "Q"}  # packed: this byte, the first bucket, counts of so many bytes
_FEW = 100  # values that are kept one by one
_EMPTY = bytes([_SAMPLES])
_HALF = math.exp(0.5 / _PER_E)
_MOST = math.exp((_LAST - 1) / _PER_E)
_log = math.log


def bucket(value: float) -> int:
    """The number of the bucket of a value: 0 of what is below 1, 255 of what is beyond 3 million."""
    if value < 1:
        return 0
    return int(_log(value) * _PER_E) + 1 if value < _MOST else _LAST


def value_of(number: int) -> float:
    """The middle of a bucket; the beginning of the last one, and of the first one its end, halved."""
    if not number:
        return 0.5
    return math.exp((number - 1) / _PER_E) * _HALF if number < _LAST else _MOST


class Spread:
    """Counts of consecutive buckets from ``first`` on."""

    __slots__ = ("counts", "first")

    def __init__(self) -> None:
        self.first = 0
        self.counts: Sequence[int] = ()

    def add_counts(self, first: int, counts: Sequence[int]) -> None:
        """Add counts of consecutive buckets, no more than there are buckets."""
        if not self.counts:
            self.first, self.counts = first, counts
            return
        own = self._reaching(first, first + len(counts))
        start = first - self.first
        place = slice(start, start + len(counts))
        own[place] = map(add, own[place], counts)

    def add_buckets(self, numbers: Mapping[int, int]) -> None:
        """Add so many values of each bucket; negative numbers take them away."""
        if numbers:
            own = self._reaching(min(numbers), max(numbers) + 1)
            for number, count in numbers.items():
                own[number - self.first] += count

    def _reaching(self, first: int, end: int) -> list[int]:
        """The counts, of these buckets too."""
        own = list(self.counts)
        if not own:
            self.first = first
        if first < self.first:
            own[:0] = [0] * (self.first - first)
            self.first = first
        own.extend([0] * (end - self.first - len(own)))
        self.counts = own
        return own

    def percentiles(self, percents: Sequence[int]) -> list[float | None]:
        """Of each, the value of the first bucket up to which at least so many of 100 values lie."""
        upto = list(accumulate(self.counts))
        if not upto or upto[-1] <= 0:
            return [None] * len(percents)
        ranks = (-(-upto[-1] * percent // 100) for percent in percents)
        return [value_of(self.first + bisect_left(upto, max(1, rank))) for rank in ranks]

    def packed(self) -> bytes | None:
        """None when nothing is in it."""
        used = [place for place, count in enumerate(self.counts) if count > 0]
        if not used:
            return None
        # Of damaged ones, more may have been taken than were there.
        counts = [max(0, count) for count in self.counts[used[0] : used[-1] + 1]]
        first = self.first + used[0]
        if sum(counts) <= min(_FEW, len(counts)):
            numbers = (number for number, count in enumerate(counts, first) for _ in range(count))
            return bytes([_SAMPLES, *numbers])
        width = next(width for width in _WIDTHS if max(counts) < 1 << 8 * width)
        return bytes([width, first]) + array(_WIDTHS[width], counts).tobytes()


def changed(packed: bytes | None, more: bytes, less: bytes) -> bytes | None:
    """What is kept after values came and went, by their buckets."""
    if not less:
        if not more:
            return packed
        if len(packed or b"") + len(more) <= _FEW and (not packed or packed[0] == _SAMPLES):
            return (packed or _EMPTY) + more
        if packed and packed[0] != _SAMPLES and (counts := _counts(packed)) and _counted(counts, packed[1], more):
            return packed[:2] + counts.tobytes()
    spread = merged([packed])
    numbers = Counter(more)
    numbers.subtract(less)
    spread.add_buckets(numbers)
    return spread.packed()


def _counted(counts: array[int], first: int, more: bytes) -> bool:
    """Add values in place; whether they all fit there."""
    if min(more) < first or max(more) >= first + len(counts):
        return False
    try:
        for number in more:
            counts[number - first] += 1
    except OverflowError:
        return False
    return True


def merged(packed: Iterable[bytes | None]) -> Spread:
    """All of them together; what is damaged is left out."""
    spread, samples = Spread(), bytearray()
    for some in packed:
        if not some:
            continue
        if some[0] == _SAMPLES:
            samples += some[1:]
        elif (counts := _counts(some)) is not None:
            spread.add_counts(some[1], counts)
    if samples:
        spread.add_buckets(Counter(samples))
    return spread


def counts_of(packed: bytes | None) -> dict[int, int] | None:
    """By bucket, however it is packed: to be compared. None: it is damaged."""
    if packed and packed[0] != _SAMPLES and _counts(packed) is None:
        return None
    spread = merged([packed])
    return {number: count for number, count in enumerate(spread.counts, spread.first) if count}


def _counts(packed: bytes) -> array[int] | None:
    """Of what is not packed one by one."""
    code, body = _WIDTHS.get(packed[0]), packed[2:]
    if code is None or not body or len(body) % packed[0] or packed[1] + len(body) // packed[0] > _LAST + 1:
        return None
    return array(code, body)
