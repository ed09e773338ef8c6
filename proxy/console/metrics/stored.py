"""What the store holds, as metrics. Gauges all: what is pruned is there no more."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from ...store.base import Stats
from .exposition import Family, Metric, Sample

READABLE = Metric(name="llmtap_store_readable", kind="gauge", help="1 when the store could be read just now.")
BYTES = Metric(
    name="llmtap_store_bytes",
    kind="gauge",
    help="Bytes of the store's files, with what lies beside them: main (rows), body, fts (full text), other.",
    labels=("kind",),
)
_KINDS = ("main", "body", "fts")
_OTHER = "other"


def _gauge(name: str, help_: str) -> Metric:
    return Metric(name=name, kind="gauge", help=help_)


#: Numbers of ``Stats``.
COUNTS: tuple[tuple[Metric, Callable[[Stats], int]], ...] = (
    (_gauge("llmtap_store_calls", "Calls in the store."), lambda stats: stats.calls),
    (
        _gauge("llmtap_store_missing_records", "Records that are missing from journals: damaged, or never written."),
        lambda stats: stats.gaps,
    ),
    (
        _gauge("llmtap_store_missing_calls", "Calls that relays could not record, as far as journals tell."),
        lambda stats: stats.calls_lost,
    ),
    (
        _gauge("llmtap_text_behind_calls", "Calls that words do not find yet; counted up to a bound."),
        lambda stats: stats.text_behind.calls if stats.text_behind else 0,
    ),
)


def stored(stats: Stats | None) -> Iterator[Family]:
    """Of a store, or of one that cannot be read."""
    yield Family(READABLE, [Sample((), int(stats is not None))])
    if stats is None:
        return
    yield Family(BYTES, [Sample((kind,), size) for kind, size in sorted(_by_kind(stats.bytes).items())])
    for metric, count in COUNTS:
        yield Family(metric, [Sample((), count(stats))])


def _by_kind(sizes: Mapping[str, int]) -> dict[str, int]:
    found = Counter(dict.fromkeys(_KINDS, 0))
    for name, size in sizes.items():
        kind = re.split(r"[-.]", name, maxsplit=1)[0]
        found[kind if kind in _KINDS else _OTHER] += size
    return dict(found)
