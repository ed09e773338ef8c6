"""Calls, tokens and money as counters, from sums that the store keeps anyway.

Sums of a store go down: calls are pruned, priced again, found to be others. Counters must not, or a
rate shows what never was. So a tally looks at the sums of the last days again and again and adds
up by how much they grew. It begins with 0 when it is first asked, as counters of a new process do.

The names of models, upstreams and projects are whatever clients send. ``MOST`` of each have a counter
of their own: those with the most calls at the first look, then whoever comes first. The others count
together, and stay there: a name that left them would take its calls out of their sum.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC

from msgspec import Struct

from ...query.tree import Comparison
from ...records import Status
from ...store.base import Layout, ReportRow
from ..scoped import ScopedReader
from .exposition import Family, Metric, Sample, label

MOST = 50  #: values of a label that are counted apart
OTHER = "other"  #: all further ones
UNKNOWN = "unknown"
_DAY_US = 86_400_000_000


class Dimension(Struct, frozen=True):
    """Something that calls are counted by."""

    label: str
    field: str  #: the model that was asked for, as it never changes; the one that served may be known later
    what: str
    prefix: str  #: of its metrics' names
    measures: tuple[str, ...]


class Measure(Struct, frozen=True):
    """Something that is summed up."""

    name: str  #: with its unit
    column: str  #: of ``ReportRow``
    what: str
    digits: int = 0


MEASURES = (
    Measure("calls", "calls", "Calls that ended"),
    Measure("errors", "errors", "Calls that failed, or whose answer broke off"),
    Measure("input_tokens", "input_tokens", "Tokens of requests, those from caches included"),
    Measure("cached_tokens", "cached_tokens", "Tokens of requests that came from the provider's cache"),
    Measure("output_tokens", "output_tokens", "Tokens of answers, reasoning included"),
    Measure("cost_usd", "cost_nano_usd", "What the calls cost, in US dollars, where that is known", 9),
)
_EVERY = tuple(measure.name for measure in MEASURES)
DIMENSIONS = (
    Dimension("status", "status", "by what became of them", "", ("calls",)),
    Dimension("model", "model_requested", "by the model that was asked for", "model_", _EVERY),
    Dimension("upstream", "upstream", "by upstream", "upstream_", _EVERY),
    Dimension("project", "project", "by project", "project_", _EVERY),
)

_BY = ("day", *(dimension.field for dimension in DIMENSIONS))
_ENDED = Comparison("status", "!=", str(Status.RUNNING))
_LAYOUT = Layout(order="calls", percentiles=False)  # without percentiles, sums of today answer too

Group = tuple[str | None, ...]
Amounts = tuple[int, ...]  #: as ``MEASURES``
_NOTHING: Amounts = (0,) * len(MEASURES)


async def sums(reader: ScopedReader, since_us: int) -> list[ReportRow]:
    """What calls that ended come to, by day and all dimensions. Raises ``StoreError``."""
    return await reader.report(_BY, since_us, _ENDED, UTC, layout=_LAYOUT)


def window(now_us: int) -> int:
    """From when on sums are looked at: since yesterday began (UTC), for the calls that run over midnight."""
    return (now_us // _DAY_US - 1) * _DAY_US


class Tally:
    """Counters since the first look."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._since_us = 0
        self._seen: dict[Group, Amounts] | None = None
        self._counted: list[dict[str, Amounts]] = [{} for _ in DIMENSIONS]

    def look(self, rows: Sequence[ReportRow], since_us: int) -> None:
        """Add what has grown. ``rows`` are all ``sums`` since then."""
        now = {row.group: tuple(getattr(row, measure.column) for measure in MEASURES) for row in rows}
        seen = self._seen
        if seen is None or since_us < self._since_us:  # a clock that was put back shows days that were counted before
            seen = now
        grown = {group: _grown(seen.get(group, _NOTHING), amounts) for group, amounts in now.items()}
        for place, counted in enumerate(self._counted, 1):
            self._add(counted, place, now, grown)
        self._seen, self._since_us = now, since_us

    def _add(
        self, counted: dict[str, Amounts], place: int, now: Mapping[Group, Amounts], grown: Mapping[Group, Amounts]
    ) -> None:
        self._welcome(counted, place, now)
        for group, amounts in grown.items():
            name = _name(group[place])
            name = name if name in counted else OTHER
            counted[name] = _added(counted.get(name, _NOTHING), amounts)

    def _welcome(self, counted: dict[str, Amounts], place: int, now: Mapping[Group, Amounts]) -> None:
        """Counters for new names, the most frequent first, while there is room."""
        calls: Counter[str] = Counter()
        for group, amounts in now.items():
            calls[_name(group[place])] += amounts[0]
        new = (name for name, _ in calls.most_common() if name not in counted)
        room = self._most - len(counted.keys() - {OTHER})
        counted.update((name, _NOTHING) for name, _ in zip(new, range(room), strict=False))

    def families(self) -> Iterator[Family]:
        """As they stand."""
        for dimension, counted in zip(DIMENSIONS, self._counted, strict=True):
            for place, metric in counters(dimension):
                yield Family(metric, [Sample((name,), amounts[place]) for name, amounts in sorted(counted.items())])


def counters(dimension: Dimension) -> Iterator[tuple[int, Metric]]:
    """Its metrics, each with its place in ``Amounts``."""
    for place, measure in enumerate(MEASURES):
        if measure.name in dimension.measures:
            yield (
                place,
                Metric(
                    name=f"llmtap_{dimension.prefix}{measure.name}_total",
                    kind="counter",
                    help=f"{measure.what}, {dimension.what}.",
                    labels=(dimension.label,),
                    digits=measure.digits,
                ),
            )


def _name(text: str | None) -> str:
    return label(text) if text else UNKNOWN


def _grown(before: Amounts, now: Amounts) -> Amounts:
    return tuple(max(0, new - old) for old, new in zip(before, now, strict=True))


def _added(some: Amounts, more: Amounts) -> Amounts:
    return tuple(one + other for one, other in zip(some, more, strict=True))
