"""What a report says of its groups: what they are compared with, what their tokens would cost elsewhere.

The figures themselves, and the names that programs know them by, are in ``store.report_view``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from ...store.base import ReportRow
from ...store.report_view import Figure, Unit, number
from ..figures import exact_dollars

OTHERS = "(others)"  #: the line of all groups that have no line
NONE = "(none)"  #: the group of calls that have no value, or no tag


def text(unit: Unit, value: Any) -> str:
    """The same for CSV, in decimal digits."""
    if value is None:
        return ""
    return exact_dollars(value) if unit is Unit.MONEY else str(number(unit, value))


# --- lines ---------------------------------------------------------------------------------------------


class Offer(Struct, frozen=True):
    """What the tokens of a line would have cost at another model. None: unknown."""

    nano_usd: int | None
    difference_nano_usd: int | None  #: to what they cost, of the calls whose cost is known
    known_nano_usd: int | None = None  #: what those calls cost


class Line(Struct, frozen=True):
    """One group, with what it is compared to."""

    row: ReportRow
    before: ReportRow | None = None
    offers: tuple[Offer, ...] = ()

    @property
    def state(self) -> str:
        """``new`` or ``gone`` when the group had, or has, no calls, else ``both``."""
        assert self.before is not None
        return "new" if not self.before.calls else "gone" if not self.row.calls else "both"


class Report(Struct, frozen=True, kw_only=True):
    """All that is printed. ``total`` is None when nothing was counted."""

    by: tuple[str, ...]
    lines: tuple[Line, ...]
    total: Line | None
    models: tuple[str, ...] = ()  #: of the offers
    measure: str = "cost"  #: what pictures show: ``cost`` or ``calls``
    bins: str | None = None  #: how long each bin of the series is; None: there are none
    notes: tuple[str, ...] = ()  #: sentences for people

    @property
    def compared(self) -> bool:
        """Whether lines say what was before."""
        return any(line.before is not None for line in self.lines)


class Change(Struct, frozen=True):
    """From one raw figure to the next. None: one of them is unknown, or there was nothing before."""

    absolute: Any
    percent: float | None


def change(figure: Figure, line: Line) -> Change:
    """How a figure changed."""
    assert line.before is not None
    now, before = figure.value(line.row), figure.value(line.before)
    if now is None or before is None:
        return Change(None, None)
    absolute = now - before if figure.unit is not Unit.SHARE else round(now - before, 2)
    return Change(absolute, round(100 * absolute / before, 2) if before else None)


def nothing(group: tuple[str | None, ...]) -> ReportRow:
    """A group without calls."""
    return ReportRow(
        group=group,
        calls=0,
        errors=0,
        input_tokens=0,
        output_tokens=0,
        cached_tokens=0,
        cache_write_tokens=0,
        reasoning_tokens=0,
        cost_nano_usd=0,
        calls_with_cost=0,
        calls_without_cost=0,
        latency_p50_us=None,
        latency_p95_us=None,
        latency_p99_us=None,
        ttft_p50_us=None,
        ttft_p95_us=None,
        ttft_p99_us=None,
        tokens_per_s_p50=None,
        tokens_per_s_p5=None,
        first_us=None,
        last_us=None,
    )


def plain(by: tuple[str, ...], rows: Sequence[ReportRow], total: ReportRow) -> Report:
    """A report that compares nothing."""
    return Report(by=by, lines=tuple(map(Line, rows)), total=Line(total), notes=without_cost(total))


_MODELS_NAMED = 3
APPROXIMATE = "~: counted in steps of 6 %, so within 3 % of the exact value."


def without_cost(total: ReportRow, models: Sequence[ReportRow] = ()) -> tuple[str, ...]:
    """The note on calls whose cost nobody knows, if there are any; ``models``: lines by model that may have some."""
    unknown = total.calls_without_cost
    if not unknown:
        return ()
    calls, have, them = ("1 call", "has", "it") if unknown == 1 else (f"{unknown:,} calls", "have", "them")
    return (f"{calls}{_of(models)} {have} no known cost; the sums leave {them} out.",)


def _of(models: Sequence[ReportRow]) -> str:
    """`` (a, b, c and 2 more models)``: those with the most such calls."""
    most = sorted((row for row in models if row.calls_without_cost), key=lambda row: -row.calls_without_cost)
    named = [row.group[0] or "no known model" for row in most[:_MODELS_NAMED]]
    if not named:
        return ""
    more = len(most) - len(named)
    return f" ({', '.join(named)}" + (f" and {more:,} more model{'s' * (more > 1)})" if more else ")")


def names(line: Line) -> tuple[str | None, ...]:
    """The group's names; of the last line of all others, what stands for them."""
    return (OTHERS, *line.row.group[1:]) if line.row.merged else line.row.group
