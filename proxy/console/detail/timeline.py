"""When the bytes of an answer came, as coordinates of a drawing: reads, the first token, the longest pauses."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from msgspec import Struct

from ...records import Call, Exchange

WIDTH = 720
HEIGHT = 120
_TICKS = 5
_MOST_POINTS = 600
_GAPS = 5
_GAP_SHARE = 0.02  # of the whole time: what is shorter is no pause


class Gap(Struct, frozen=True):
    """A pause between two reads."""

    x: float
    width: float
    from_us: int
    took_us: int
    after_bytes: int


class Timeline(Struct, frozen=True, kw_only=True):
    """Coordinates are those of a drawing of ``WIDTH`` by ``HEIGHT``."""

    end_us: int
    head_us: int | None
    head_x: float | None
    first_us: int | None
    first_x: float | None
    reads: int
    bytes: int
    lines: tuple[float, ...]  #: where reads came
    curve: str  #: bytes over time: points of a polyline
    ticks: tuple[tuple[float, int], ...]  #: (x, µs)
    gaps: tuple[Gap, ...]  #: the longest first


def timeline(call: Call, exchange: Exchange) -> Timeline | None:
    """None when nothing of an answer came."""
    marks = exchange.marks
    head_us = exchange.head.offset_us if exchange.head else None
    end_us = max([call.latency_us or 0, head_us or 0, exchange.end.offset_us if exchange.end else 0, *_last(marks)])
    if not end_us or head_us is None:
        return None

    def x(us: int) -> float:
        return round(us / end_us * WIDTH, 1)

    size = max(1, marks[-1][0] if marks else len(exchange.response_body))
    points = _thinned([(head_us, 0), *((us, offset) for offset, us in marks)])
    return Timeline(
        end_us=end_us,
        head_us=head_us,
        head_x=x(head_us),
        first_us=call.ttft_us,
        first_x=None if call.ttft_us is None else x(call.ttft_us),
        reads=len(marks),
        bytes=size,
        lines=tuple(dict.fromkeys(x(us) for _, us in marks)),
        curve=" ".join(f"{x(us)},{round(HEIGHT - offset / size * HEIGHT, 1)}" for us, offset in points),
        ticks=tuple((x(us), us) for us in (end_us * number // _TICKS for number in range(_TICKS + 1))),
        gaps=_gaps(marks, end_us),
    )


def _last(marks: Sequence[tuple[int, int]]) -> list[int]:
    return [marks[-1][1]] if marks else []


def _thinned(points: list[tuple[int, int]]) -> list[tuple[int, int]]:
    step = len(points) // _MOST_POINTS + 1
    return [*points[::step], points[-1]]


def _gaps(marks: Sequence[tuple[int, int]], end_us: int) -> tuple[Gap, ...]:
    found = [
        Gap(round(one / end_us * WIDTH, 1), round((two - one) / end_us * WIDTH, 1), one, two - one, offset)
        for (offset, one), (_, two) in itertools.pairwise(marks)
        if two - one > end_us * _GAP_SHARE
    ]
    return tuple(sorted(found, key=lambda gap: -gap.took_us)[:_GAPS])
