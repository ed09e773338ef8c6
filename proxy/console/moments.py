"""Moments as a visitor reads them: in their zone, as short as they can be told apart from others. Values only."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo

from ..query.spans import QUARTER_US, moment

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Moments:
    """The clock of one visitor."""

    def __init__(self, zone: tzinfo, now_us: int) -> None:
        self._zone = zone
        self._quarters: dict[int, datetime] = {}  #: the wall time at which each quarter of an hour begins
        self._today = self.of(now_us).date()

    def of(self, at_us: int) -> datetime:
        """Wall time there. A list shows many moments of few quarters of an hour, within which clocks do not change."""
        quarter, rest_us = divmod(at_us, QUARTER_US)
        begins = self._quarters.get(quarter)
        if begins is None:
            begins = self._quarters[quarter] = moment(quarter * QUARTER_US, self._zone)
        return begins + timedelta(microseconds=rest_us)

    def full(self, at_us: int) -> str:
        """``2026-11-21 14:03:11``."""
        return self.of(at_us).strftime("%Y-%m-%d %H:%M:%S")

    def clock(self, at_us: int) -> str:
        """``14:03:11``."""
        return self.of(at_us).strftime("%H:%M:%S")

    def short(self, at_us: int) -> str:
        """``14:03:11`` today, ``21 Nov 14:03`` this year, ``21 Nov 2025`` before that."""
        at = self.of(at_us)
        if at.date() == self._today:
            return at.strftime("%H:%M:%S")
        day = f"{at.day} {_MONTHS[at.month - 1]}"
        return f"{day} {at:%H:%M}" if at.year == self._today.year else f"{day} {at.year}"

    def day(self, at_us: int) -> str:
        """``today``, ``yesterday``, ``21 Nov``, ``21 Nov 2025``."""
        date = self.of(at_us).date()
        ago = (self._today - date).days
        if ago in (0, 1):
            return ("Today", "Yesterday")[ago]
        return f"{date.day} {_MONTHS[date.month - 1]}" + (f" {date.year}" if date.year != self._today.year else "")
