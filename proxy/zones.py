"""Time zones of whoever asks: dates in filters and days of reports are local, summer or winter."""

from __future__ import annotations

import difflib
from datetime import UTC, datetime, timedelta, tzinfo

from .errors import UsageError


class LocalZone(tzinfo):
    """This machine's zone. Unlike the fixed offset that ``astimezone`` gives, it knows daylight saving."""

    def utcoffset(self, moment: datetime | None) -> timedelta | None:
        """How far local clocks were, or will be, ahead of UTC at ``moment``."""
        return None if moment is None else moment.replace(tzinfo=None).astimezone().utcoffset()

    def fromutc(self, moment: datetime) -> datetime:
        """The local time of ``moment``, which holds UTC."""
        local = moment.replace(tzinfo=UTC).astimezone()
        found = local.replace(tzinfo=self)
        return found if found.utcoffset() == local.utcoffset() else found.replace(fold=1)

    def dst(self, moment: datetime | None) -> timedelta | None:  # noqa: ARG002
        """Unknown: the machine tells the offset only."""
        return None

    def tzname(self, moment: datetime | None) -> str | None:
        """The name of the zone at ``moment``, such as CET or CEST."""
        return None if moment is None else moment.replace(tzinfo=None).astimezone().tzname()


def zone_named(name: str) -> tzinfo:
    """``local``, ``UTC``, or the name of a zone such as ``Europe/Zurich``. Raises ``UsageError`` for others."""
    if name.lower() == "local":
        return LocalZone()
    if name.upper() == "UTC":
        return UTC
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # no such zone; a path; a directory of zones
        raise UsageError(f"there is no time zone {name!r}: {_advice(name)}") from None


def _advice(name: str) -> str:
    from zoneinfo import available_timezones

    known = {zone.lower(): zone for zone in sorted(available_timezones())}
    if not known:
        return "this machine has no table of time zones: install tzdata, or write local or UTC"
    close = [zone for low, zone in known.items() if low.rpartition("/")[2] == name.lower().replace(" ", "_")]
    close = close or [known[low] for low in difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.75)]
    return f"did you mean {close[0]}?" if close else "write a name such as Europe/Zurich, or local, or UTC"
