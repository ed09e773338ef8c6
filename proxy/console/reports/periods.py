"""The period that a report is about, and the one of the same length just before it."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta, tzinfo

from msgspec import Struct

from ...errors import UsageError
from ...query.since import since_us
from ...query.spans import microseconds, moment

_MIDNIGHT = time()


class Period(Struct, frozen=True):
    """From ``since_us`` on, and before ``until_us``; None is without an end there."""

    since_us: int | None = None
    until_us: int | None = None


def period(since: str | None, until: str | None, now_us: int, zone: tzinfo) -> Period:
    """What ``--since`` and ``--until`` mean. Raises ``UsageError`` when nothing lies between them."""
    first = None if since is None else since_us(since, now_us, zone, "--since")
    last = None if until is None else since_us(until, now_us, zone, "--until")
    if first is not None and last is not None and last <= first:
        raise UsageError(f"--until {until!r} is not after --since {since!r}: no time lies between them")
    return Period(first, last)


class Earlier(Struct, frozen=True):
    """The period before another one, and a zone in whose names of days its days are the other's."""

    period: Period
    zone: tzinfo


def earlier(now: Period, now_us: int, zone: tzinfo) -> Earlier:
    """The period of the same length just before ``now``; of whole days, as many whole days.

    Raises ``UsageError`` when it is not said when ``now`` begins, or that is still to come.
    """
    if now.since_us is None:
        raise UsageError("--compare previous needs --since: it says where the period begins that is compared")
    until_us = now_us if now.until_us is None else now.until_us
    if until_us <= now.since_us:
        raise UsageError("--compare previous: the period has not begun yet")
    since, until = moment(now.since_us, zone), moment(until_us, zone)
    if since.time() == until.time() == _MIDNIGHT:
        back = until.replace(tzinfo=None) - since.replace(tzinfo=None)
        first_us = microseconds((since.replace(tzinfo=None, fold=0) - back).replace(tzinfo=zone))
    else:
        back = timedelta(microseconds=until_us - now.since_us)
        first_us = now.since_us - back // timedelta(microseconds=1)
    return Earlier(Period(max(0, first_us), now.since_us), _Later(zone, back))


class _Later(tzinfo):
    """A zone whose calendar runs ahead: what happened then bears the name that its time has now."""

    def __init__(self, zone: tzinfo, ahead: timedelta) -> None:
        self._zone = zone
        self._ahead = ahead

    def fromutc(self, at: datetime) -> datetime:
        local = at.replace(tzinfo=UTC).astimezone(self._zone)
        return (local.replace(tzinfo=None) + self._ahead).replace(tzinfo=self)

    def utcoffset(self, at: datetime | None) -> timedelta | None:
        return None if at is None else self._zone.utcoffset(at.replace(tzinfo=None) - self._ahead)

    def dst(self, at: datetime | None) -> timedelta | None:  # noqa: ARG002
        return None

    def tzname(self, at: datetime | None) -> str | None:  # noqa: ARG002
        return None
