"""The time zone of whoever asks: dates in filters and days of reports are local, summer or winter."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo


class LocalZone(tzinfo):
    """This machine's zone. Unlike the fixed offset that ``astimezone`` gives, it knows daylight saving."""

    def utcoffset(self, moment: datetime | None) -> timedelta | None:
        """How far local clocks were, or will be, ahead of UTC at ``moment``."""
        return None if moment is None else moment.replace(tzinfo=None).astimezone().utcoffset()

    def fromutc(self, moment: datetime) -> datetime:
        """The local time of ``moment``, which holds UTC."""
        return moment.replace(tzinfo=UTC).astimezone().replace(tzinfo=self)

    def dst(self, moment: datetime | None) -> timedelta | None:  # noqa: ARG002
        """Unknown: the machine tells the offset only."""
        return None

    def tzname(self, moment: datetime | None) -> str | None:
        """The name of the zone at ``moment``, such as CET or CEST."""
        return None if moment is None else moment.replace(tzinfo=None).astimezone().tzname()
