"""``--since``: how far back, or from when."""

from __future__ import annotations

import re
from datetime import datetime

from ..errors import UsageError

_UNITS_US = {"m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000, "w": 604_800_000_000}
_SPAN = re.compile(r"(\d{1,6})([mhdw])", re.ASCII)


def since_us(text: str, now_us: int) -> int:
    """The moment meant by ``30m 12h 7d 2w``, or by a local date or time, in µs since 1970."""
    if span := _SPAN.fullmatch(text.strip().lower()):
        return max(0, now_us - int(span[1]) * _UNITS_US[span[2]])
    try:
        return max(0, round(datetime.fromisoformat(text.strip()).astimezone().timestamp() * 1_000_000))
    except (ValueError, OverflowError, OSError):
        raise UsageError(
            f"--since {text!r}: write a span such as 30m, 12h, 7d or 2w, or a date such as 2026-11-21"
        ) from None
