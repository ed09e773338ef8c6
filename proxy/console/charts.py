"""Figures over time, as charts: which there are, what they hold, and how they are drawn as SVG. Values only.

A span without calls is a gap in lines, and nothing in bars: an unknown is never drawn as 0.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import tzinfo
from itertools import pairwise
from operator import attrgetter
from typing import Any

from msgspec import Struct

from ..query.spans import Labels, edges, moment
from ..store.base import ReportRow
from ..store.report_view import cost, error_percent
from . import figures

WIDTH, HEIGHT = 560, 132  #: of the place for lines, in units of the picture
GROUPS_MOST = 8  #: lines in one chart, one more for all others

_HOUR_US = 3_600_000_000
#: The longest period that is shown by each span, so that a chart has some 30 to 200 points.
_LONGEST_US = {"minute": 3 * _HOUR_US, "hour": 96 * _HOUR_US, "day": 24 * 200 * _HOUR_US}

Value = float | int | None


class Measure(Struct, frozen=True):
    """One thing that a chart can show of a span's calls."""

    label: str
    value: Callable[[ReportRow], Value]


class Kind(Struct, frozen=True):
    """A chart: several measures of all calls; with groups, the first measure of each."""

    name: str
    title: str
    unit: str  #: of ``UNITS``
    measures: tuple[Measure, ...]
    bars: bool = False


KINDS = (
    Kind(
        "calls",
        "Calls",
        "count",
        (Measure("calls", attrgetter("calls")), Measure("failed", lambda row: row.errors or None)),
        bars=True,
    ),
    Kind("errors", "Failed", "percent", (Measure("failed", error_percent),)),
    Kind(
        "latency",
        "Latency",
        "us",
        tuple(Measure(f"p{share}", attrgetter(f"latency_p{share}_us")) for share in (95, 50, 99)),
    ),
    Kind(
        "ttft",
        "Time to first token",
        "us",
        tuple(Measure(f"p{share}", attrgetter(f"ttft_p{share}_us")) for share in (95, 50, 99)),
    ),
    Kind("cost", "Cost", "usd", (Measure("cost", cost),), bars=True),
    Kind(
        "tokens",
        "Tokens",
        "count",
        (Measure("output", attrgetter("output_tokens")), Measure("input", attrgetter("input_tokens"))),
    ),
    Kind(
        "speed",
        "Tokens a second",
        "speed",
        (Measure("median", lambda row: row.tokens_per_s_p50), Measure("slowest 5 %", lambda row: row.tokens_per_s_p5)),
    ),
    Kind(
        "cached",
        "Input read from caches",
        "percent",
        (Measure("cached", lambda row: 100 * row.cached_tokens / row.input_tokens if row.input_tokens else None),),
    ),
)

#: How a value of a unit is written on an axis.
UNITS: dict[str, Callable[[Any], str]] = {
    "count": lambda value: figures.count(round(value)),
    "percent": lambda value: f"{value:g}%",
    "us": lambda value: figures.duration(round(value)),
    "usd": lambda value: figures.money(round(value)),
    "speed": lambda value: f"{value:g}/s",
}


class Series(Struct, frozen=True):
    """One line, or one set of bars; a value for each span, None where there is none."""

    label: str
    values: tuple[Value, ...]
    dashed: bool = False  #: of the period before


class Chart(Struct, frozen=True):
    """What one picture shows."""

    kind: Kind
    edges_us: tuple[int, ...]
    series: tuple[Series, ...]
    bars: bool = False

    @property
    def empty(self) -> bool:
        """Whether nothing is known."""
        return not any(value is not None for series in self.series for value in series.values)

    @property
    def top(self) -> float:
        """Of the axis: the first round number that all values keep to."""
        most = max((value for series in self.series for value in series.values if value is not None), default=0)
        return _round_up(float(most))


def span_of(first_us: int, last_us: int) -> str:
    """The span that a period is shown by: minute, hour, day or week."""
    return next((span for span, longest in _LONGEST_US.items() if last_us - first_us <= longest), "week")


def edges_of(first_us: int, last_us: int, zone: tzinfo, span: str) -> tuple[int, ...]:
    """Where spans begin; of a period that is too long for weeks, the last 520."""
    return edges(first_us, last_us, zone, span)[-520:]


def over_time(
    rows: Iterable[ReportRow], edges_us: Sequence[int], zone: tzinfo, span: str
) -> dict[tuple[str | None, ...], tuple[ReportRow | None, ...]]:
    """Rows of a report by ``span`` and other groups: for each group, a row of each span that has one."""
    label = Labels(span, zone).label
    places = {label(edge_us): place for place, edge_us in enumerate(edges_us)}
    found: dict[tuple[str | None, ...], list[ReportRow | None]] = {}
    for row in rows:
        place = places.get(row.group[0] or "")
        if place is not None:
            found.setdefault(row.group[1:], [None] * len(edges_us))[place] = row
    return {group: tuple(spans) for group, spans in found.items()}


def of_all(kind: Kind, spans: Sequence[ReportRow | None], before: Sequence[ReportRow | None] = ()) -> list[Series]:
    """All measures of a chart; of the period before, the first."""
    made = [Series(measure.label, _values(measure, spans)) for measure in kind.measures]
    if before:
        made.append(Series("before", _values(kind.measures[0], before), dashed=True))
    return made


def of_groups(kind: Kind, groups: Iterable[tuple[str, Sequence[ReportRow | None]]]) -> list[Series]:
    """The first measure of a chart, for each group: lines, because bars would hide each other."""
    return [Series(name, _values(kind.measures[0], spans)) for name, spans in groups]


def _values(measure: Measure, spans: Sequence[ReportRow | None]) -> tuple[Value, ...]:
    return tuple(None if row is None else measure.value(row) for row in spans)


def as_json(chart: Chart) -> str:
    """The same for the script that draws it when somebody looks closer: seconds since 1970, and values."""
    made = {
        "title": chart.kind.title,
        "unit": chart.kind.unit,
        "bars": chart.bars,
        "at": [edge_us // 1_000_000 for edge_us in chart.edges_us],
        "series": [
            {"label": series.label, "dashed": series.dashed, "values": [_short(value) for value in series.values]}
            for series in chart.series
        ],
    }
    return json.dumps(made, separators=(",", ":"))


def _short(value: Value) -> Value:
    return float(f"{value:.4g}") if isinstance(value, float) else value


# --- as SVG ------------------------------------------------------------------------------------------


class Drawn(Struct, frozen=True):
    """The picture of a chart, in units of ``WIDTH`` by ``HEIGHT``; y grows downwards."""

    paths: tuple[str, ...]  #: of each series, as an SVG path
    spans: tuple[tuple[float, float], ...]  #: of each span, where it begins and how wide it is
    marks_y: tuple[tuple[float, str], ...]  #: lines across, and what they say
    marks_x: tuple[tuple[float, str], ...]


def drawn(chart: Chart, zone: tzinfo) -> Drawn:
    """Draw it."""
    count = max(1, len(chart.edges_us))
    wide, top = WIDTH / count, chart.top or 1.0
    draw = _bars if chart.bars else _line
    return Drawn(
        paths=tuple(" ".join(draw(series.values, wide, top)) for series in chart.series),
        spans=tuple((place * wide, wide) for place in range(len(chart.edges_us))),
        marks_y=tuple((HEIGHT * (1 - part), UNITS[chart.kind.unit](top * part)) for part in (0.5, 1.0)),
        marks_x=tuple(_times(chart.edges_us, wide, zone)),
    )


def _line(values: Sequence[Value], wide: float, top: float) -> Iterator[str]:
    """Through the middle of each span; a span between two gaps is a dot."""
    going = False
    for place, value in enumerate(values):
        if value is None:
            going = False
            continue
        x, y = (place + 0.5) * wide, HEIGHT * (1 - value / top)
        alone = not going and (place + 1 == len(values) or values[place + 1] is None)
        yield f"M{x - 1.5:.1f} {y:.1f}h3" if alone else f"{'L' if going else 'M'}{x:.1f} {y:.1f}"
        going = True


def _bars(values: Sequence[Value], wide: float, top: float) -> Iterator[str]:
    gap = min(1.0, wide / 5)
    for place, value in enumerate(values):
        if value:
            high = HEIGHT * value / top
            yield f"M{place * wide + gap / 2:.1f} {HEIGHT}v-{high:.1f}h{wide - gap:.1f}v{high:.1f}z"


def _times(edges_us: Sequence[int], wide: float, zone: tzinfo) -> Iterator[tuple[float, str]]:
    """Some six marks: the day where it is another one, else the time."""
    step = max(1, -(-len(edges_us) // 6))
    day = None
    for place in range(0, len(edges_us), step):
        at = moment(edges_us[place], zone)
        midnight = all(
            not (moment(edge, zone).hour or moment(edge, zone).minute) for edge in edges_us[place : place + 2]
        )
        text = at.strftime("%d %b").lstrip("0") if midnight or at.date() != day else at.strftime("%H:%M")
        day = at.date()
        yield place * wide, text


def _round_up(most: float) -> float:
    """1, 2 or 5 times a power of ten."""
    if most <= 0:
        return 0.0
    power = 10.0 ** int(f"{most:e}".partition("e")[2])
    return next(step * power for step in (1, 2, 5, 10) if most <= step * power * (1 + 1e-9))


def trend(values: Sequence[int], width: float = 96, height: float = 18) -> str:
    """A small line without axes, for a table: an SVG path; empty when there is nothing to see."""
    top = max(values, default=0)
    if top <= 0 or len(values) < 2:
        return ""
    step = width / (len(values) - 1)
    points = [(place * step, height - 1 - (height - 2) * value / top) for place, value in enumerate(values)]
    return f"M{points[0][0]:.1f} {points[0][1]:.1f}" + "".join(f"L{x:.1f} {y:.1f}" for _, (x, y) in pairwise(points))
