"""``since`` and ``until``: how far back, or from when."""

from __future__ import annotations

import re
from datetime import datetime, tzinfo

from ..errors import UsageError

_UNITS_US = {"m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000, "w": 604_800_000_000}
_SPAN = re.compile(r"(\d{1,6})([mhdw])", re.ASCII)


def since_us(text: str, now_us: int, zone: tzinfo | None = None, option: str = "since") -> int:
    """The moment meant by ``30m 12h 7d 2w``, or by a date or time, in µs since 1970.

    A date or time without an offset is one of ``zone``, or of this machine's.
    """
    if span := _SPAN.fullmatch(text.strip().lower()):
        return max(0, now_us - int(span[1]) * _UNITS_US[span[2]])
    try:
        moment = datetime.fromisoformat(text.strip())
        if zone is not None and moment.tzinfo is None:
            moment = moment.replace(tzinfo=zone)
        return max(0, round(moment.astimezone().timestamp() * 1_000_000))
    except (ValueError, OverflowError, OSError):
        raise UsageError(
            f"{option} {text!r}: write a span such as 30m, 12h, 7d or 2w, or a date such as 2026-11-21"
        ) from None
