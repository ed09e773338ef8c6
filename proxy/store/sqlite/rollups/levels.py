"""Which sums are kept: a table of levels, each with its span of time and the columns it tells apart.

A question is answered by the first level that tells apart what it speaks of, so few columns come
before many. Endpoints are not told apart: some hold ids. Nor are other fields: see ``answers``.
Bytes: a row is some 40 bytes and one or two more for each of its calls; minutes are kept for days.
"""

from __future__ import annotations

from msgspec import Struct

MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US

#: What combinations are made of, in the order of ``rollup_combo``; a level tells some of them apart.
DIMENSIONS = ("excluded", "model", "model_requested", "project", "upstream", "dialect", "status", "key", "user")
Combo = tuple[int | None, ...]  #: a value for each of ``DIMENSIONS``, None where it is not told apart

COUNTS = ("calls", "errors", "calls_with_cost", "calls_without_cost")
AMOUNTS = ("input_tokens", "output_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens", "cost_nano_usd")
SUMS = (*COUNTS, *AMOUNTS)
SPREADS = ("latency_us", "ttft_us", "tokens_per_s")

#: The columns of ``call`` that sums are made of, in the order that ``tally`` takes them.
COUNTED = ("started_at_us", *DIMENSIONS, *AMOUNTS, *SPREADS)

_ALL, _BY_MODEL, _BY_STATUS, _BY_KEY = (DIMENSIONS[:places] for places in (1, 3, 7, 8))
_BY_USER = ("excluded", "user")


class Level(Struct, frozen=True, kw_only=True):
    """One kind of sums. ``number``: written to disk, never change one."""

    number: int
    grain_us: int
    dimensions: tuple[str, ...]
    combos_most: int  #: of one span; what is beyond counts together
    spreads: bool = True  #: percentiles too
    source: int | None = None  #: the level whose sums add up to these; None: rows do

    @property
    def fields(self) -> frozenset[str]:
        """What it tells apart."""
        return frozenset(self.dimensions)


_MOST_A_DAY, _MOST_AN_HOUR, _MOST_A_MINUTE = 2000, 1000, 300

_TABLE = (
    Level(number=1, grain_us=DAY_US, dimensions=_ALL, combos_most=_MOST_A_DAY, source=2),
    Level(number=2, grain_us=DAY_US, dimensions=_BY_MODEL, combos_most=_MOST_A_DAY, source=3),
    Level(number=3, grain_us=DAY_US, dimensions=_BY_STATUS, combos_most=_MOST_A_DAY, source=8),
    Level(number=4, grain_us=DAY_US, dimensions=_BY_USER, combos_most=_MOST_A_DAY),
    Level(number=5, grain_us=DAY_US, dimensions=_BY_KEY, combos_most=_MOST_A_DAY),
    Level(number=6, grain_us=HOUR_US, dimensions=_ALL, combos_most=_MOST_AN_HOUR, source=7),
    Level(number=7, grain_us=HOUR_US, dimensions=_BY_MODEL, combos_most=_MOST_AN_HOUR, source=8),
    Level(number=8, grain_us=HOUR_US, dimensions=_BY_STATUS, combos_most=_MOST_AN_HOUR, source=10),
    Level(number=9, grain_us=MINUTE_US, dimensions=_ALL, combos_most=_MOST_A_MINUTE, spreads=False, source=10),
    Level(number=10, grain_us=MINUTE_US, dimensions=_BY_STATUS, combos_most=_MOST_A_MINUTE, spreads=False),
)
LEVELS = {level.number: level for level in _TABLE}
#: Every level behind the one that it is made of.
FOLDED = sorted((level for level in _TABLE if level.source), key=lambda level: level.source or 0, reverse=True)
DAYS = LEVELS[1]  #: the coarsest sums: one row for most days
MINUTES_KEPT = 2 * 24 * 60


def fitting(grain_us: int, fields: frozenset[str]) -> Level | None:
    """The smallest level with this span that tells these columns apart."""
    return next((level for level in _TABLE if level.grain_us == grain_us and fields <= level.fields), None)
