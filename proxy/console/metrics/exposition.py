"""Prometheus's text format, version 0.0.4: metrics and their samples in, bytes out.

Numbers are whole, in the smallest unit; a metric says how many of their digits stand behind the
point, so that sums of money are written as exactly as they are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
LABEL_MOST = 120  #: characters of a label's value; the rest is cut off


class Metric(Struct, frozen=True, kw_only=True):
    """What a number is."""

    name: str
    kind: str  #: counter, gauge
    help: str
    labels: tuple[str, ...] = ()
    digits: int = 0  #: of a value, so many stand behind the point


class Sample(Struct, frozen=True):
    """A number, and the values of its metric's labels in their order."""

    labels: tuple[str, ...]
    value: int  #: not negative


class Family(Struct, frozen=True):
    """A metric and its samples, none twice."""

    metric: Metric
    samples: Sequence[Sample]


def exposition(families: Iterable[Family]) -> bytes:
    """All that have samples, in this order."""
    lines = (line for family in families if family.samples for line in _lines(family))
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")


def label(text: str) -> str:
    """A label's value of bounded length: texts that begin alike are one."""
    return text[:LABEL_MOST]


def _lines(family: Family) -> Iterator[str]:
    metric = family.metric
    yield f"# HELP {metric.name} {metric.help.translate(_IN_HELP)}"
    yield f"# TYPE {metric.name} {metric.kind}"
    for sample in family.samples:
        yield f"{metric.name}{_labels(metric.labels, sample.labels)} {_number(sample.value, metric.digits)}"


_IN_HELP = str.maketrans({"\\": "\\\\", "\n": "\\n"})
_IN_LABEL = str.maketrans({"\\": "\\\\", "\n": "\\n", '"': '\\"'})


def _labels(names: Sequence[str], values: Sequence[str]) -> str:
    pairs = (f'{name}="{value.translate(_IN_LABEL)}"' for name, value in zip(names, values, strict=True))
    return f"{{{','.join(pairs)}}}" if names else ""


def _number(value: int, digits: int) -> str:
    whole, behind = divmod(value, 10**digits)
    return f"{whole}.{behind:0{digits}d}" if digits else str(whole)
