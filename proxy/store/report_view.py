"""Lines of reports as JSON: the figures of a group under the names that programs know.

Names are stable: new ones are only ever added at the end. Units stand in them. Money is held in
nano-dollars and times in µs; programs get dollars and milliseconds, exactly.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from .base import JSON, ReportRow


class Unit(enum.Enum):
    """What a raw figure counts."""

    COUNT = "count"
    MONEY = "nano-dollars"
    DURATION = "µs"
    SHARE = "percent"
    SPEED = "tokens a second"


class Figure(Struct, frozen=True):
    """One figure of a line. ``value`` gives None where it is unknown."""

    name: str
    unit: Unit
    value: Callable[[ReportRow], Any]


def _counted(name: str) -> Figure:
    return Figure(name, Unit.COUNT, lambda row: getattr(row, name))


def _timed(name: str) -> Figure:
    return Figure(f"{name}_ms", Unit.DURATION, lambda row: getattr(row, f"{name}_us"))


def cost(row: ReportRow) -> int | None:
    """Nano-dollars; None when no call's cost is known."""
    return row.cost_nano_usd if row.calls_with_cost else None


def cost_per_call(row: ReportRow) -> int | None:
    """Nano-dollars a call, of those whose cost is known."""
    return round(row.cost_nano_usd / row.calls_with_cost) if row.calls_with_cost else None


def error_percent(row: ReportRow) -> float | None:
    """How many calls of a hundred failed."""
    return round(100 * row.errors / row.calls, 2) if row.calls else None


_TABLE = (
    _counted("calls"),
    _counted("errors"),
    _counted("input_tokens"),
    _counted("output_tokens"),
    _counted("cached_tokens"),
    _counted("reasoning_tokens"),
    Figure("cost_usd", Unit.MONEY, cost),
    _counted("calls_with_cost"),
    _counted("calls_without_cost"),
    _timed("latency_p50"),
    _timed("latency_p95"),
    _timed("latency_p99"),
    _timed("ttft_p50"),
    _timed("ttft_p95"),
    _timed("ttft_p99"),
    _counted("cache_write_tokens"),
    Figure("error_percent", Unit.SHARE, error_percent),
    Figure("cost_per_call_usd", Unit.MONEY, cost_per_call),
    Figure("tokens_per_s_p50", Unit.SPEED, lambda row: row.tokens_per_s_p50),
    Figure("tokens_per_s_p5", Unit.SPEED, lambda row: row.tokens_per_s_p5),
)
FIGURES: dict[str, Figure] = {figure.name: figure for figure in _TABLE}


def number(unit: Unit, value: Any) -> int | float | None:
    """A raw figure for JSON: milliseconds, dollars."""
    if value is None:
        return None
    if unit is Unit.MONEY:
        return int(value) / 1_000_000_000
    if unit is Unit.DURATION:
        return float(value) / 1000
    return int(value) if unit is Unit.COUNT else round(float(value), 3)


def figures_json(row: ReportRow) -> JSON:
    """A line without its names: its figures, and what is to be known of them."""
    line = {name: number(figure.unit, figure.value(row)) for name, figure in FIGURES.items()}
    if row.approximate:
        line["approximate"] = True
    if row.merged:
        line["others"] = row.merged
    return line
