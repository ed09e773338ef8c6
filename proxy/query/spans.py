"""Minutes, hours, days, weeks and months in a time zone: what a moment is called, and where bins over a period begin.

A day begins at midnight of the zone, so it is 23 or 25 hours long where clocks change. Nothing
here reads a clock or knows the machine's zone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, tzinfo

_SECOND_US = 1_000_000
_MINUTE_US = 60 * _SECOND_US
QUARTER_US = 900 * _SECOND_US  #: every zone's offset is a multiple of a quarter of an hour
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_ENDS = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_CALENDAR_US = [(end - _EPOCH) // _MICROSECOND for end in _ENDS]
_LAST_US = 253_370_764_799_000_000  # the end of the year 9998: the last that leaves room to count on


def moment(at_us: int, zone: tzinfo) -> datetime:
    """Wall time in the zone. Times beyond the year 9998 are its end."""
    return (_EPOCH + timedelta(microseconds=min(max(at_us, 0), _LAST_US))).astimezone(zone)


def microseconds(at: datetime) -> int:
    """Since 1970, exactly. What lies before or after the calendar in UTC is its first or last moment."""
    return min(max((at - _EPOCH) // _MICROSECOND, _CALENDAR_US[0]), _CALENDAR_US[1])


def step_us(span: str) -> int:
    """All moments of a step have the same name; a zone's hours, and so its days, begin with one."""
    return _MINUTE_US if span == "minute" else QUARTER_US


class Labels:
    """From moments to the names of the spans that they lie in; computed once for moments of the same name."""

    def __init__(self, span: str, zone: tzinfo) -> None:
        self._text = _LABELS[span]
        self._step_us = step_us(span)
        self._zone = zone
        self._known: dict[int, str] = {}

    def label(self, at_us: int) -> str:
        """``2026-11-21 14:03``, ``2026-11-21 14:00``, ``2026-11-21``, its Monday, or ``2026-11``."""
        step = at_us // self._step_us
        known = self._known.get(step)
        if known is None:
            known = self._known[step] = self._text(moment(step * self._step_us, self._zone))
        return known


def _clock(form: str) -> Callable[[datetime], str]:
    """With the offset in the two hours that have the same name because clocks went back between them."""

    def named(at: datetime) -> str:
        twice = at.replace(fold=0).utcoffset() != at.replace(fold=1).utcoffset()
        return at.strftime(f"{form}%z" if twice else form)

    return named


_LABELS: dict[str, Callable[[datetime], str]] = {
    "minute": _clock("%Y-%m-%d %H:%M"),
    "hour": _clock("%Y-%m-%d %H:00"),
    "day": lambda at: at.strftime("%Y-%m-%d"),
    "week": lambda at: (at - timedelta(days=at.weekday())).strftime("%Y-%m-%d"),
    "month": lambda at: at.strftime("%Y-%m"),
}


# --- bins of equal size in wall time -----------------------------------------------------------------

_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
_STEPS: tuple[tuple[str, timedelta], ...] = (
    *((f"{count} min" if count > 1 else "minute", count * _MINUTE) for count in (1, 2, 5, 10, 15, 30)),
    *((f"{count} h" if count > 1 else "hour", count * _HOUR) for count in (1, 2, 3, 6, 12)),
    *((f"{count} days" if count > 1 else "day", count * _DAY) for count in (1, 2)),
    *((f"{count} weeks" if count > 1 else "week", 7 * count * _DAY) for count in (1, 2, 4, 13, 52)),
)


def bins(first_us: int, last_us: int, zone: tzinfo, most: int) -> tuple[str, tuple[int, ...]]:
    """The finest bins of which ``most`` or fewer hold a period: their name, and where each begins (µs since 1970).

    The first holds ``first_us``, the last ``last_us``. They begin at whole hours, days and Mondays.
    Of a period too long for all steps, the first bin holds what is earlier too.
    """
    first_us, last_us = min(first_us, _LAST_US), min(last_us, _LAST_US)
    for name, step in _STEPS:
        if last_us - first_us <= (most + 1) * (step // timedelta(microseconds=1)):
            edges = tuple(_edges(first_us, last_us, zone, step))
            if len(edges) <= most:
                return name, edges
    return _STEPS[-1][0], tuple(_edges(first_us, last_us, zone, _STEPS[-1][1]))[-most:]


_SPANS = {"minute": _MINUTE, "hour": _HOUR, "day": _DAY, "week": 7 * _DAY}


def edges(first_us: int, last_us: int, zone: tzinfo, span: str) -> tuple[int, ...]:
    """Where each ``minute``, ``hour``, ``day`` or ``week`` of a period begins, one after the other."""
    return tuple(_edges(min(first_us, _LAST_US), min(last_us, _LAST_US), zone, _SPANS[span]))


def _edges(first_us: int, last_us: int, zone: tzinfo, step: timedelta) -> Iterator[int]:
    """In wall time; an hour that clocks leave out gives no bin."""
    at = _floor(moment(first_us, zone).replace(tzinfo=None), step)
    before = None
    while (edge := microseconds(at.replace(tzinfo=zone))) <= last_us:
        if edge != before:
            yield edge
        before, at = edge, at + step


def _floor(at: datetime, step: timedelta) -> datetime:
    day = at.replace(hour=0, minute=0, second=0, microsecond=0)
    if step >= 7 * _DAY:
        return day - day.weekday() * _DAY
    return day if step >= _DAY else day + (at - day) // step * step
