"""What a field may be compared with: written values become those of the tree, or a clear mistake.

Shared by both forms of filters. Nothing here reads a clock or knows the machine's zone: who asks
brings both.
"""

from __future__ import annotations

import math
import re
import uuid
from calendar import monthrange
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo

from msgspec import Struct

from ..errors import QueryError
from .fields import CHOICES, NUMERIC, OPERATORS, Field, Kind, nearest
from .spans import microseconds, moment
from .tree import Scalar

_NULL = ("=", "!=")


class Viewer(Struct, frozen=True):
    """Who asks: the zone that dates are in, and the moment that is now (µs since 1970), when it is known."""

    zone: tzinfo = UTC
    now_us: int | None = None

    def now(self, at: int | None) -> datetime:
        """The moment, in the zone."""
        if self.now_us is None:
            raise QueryError("nobody says here what time it is: write a date or a time in single quotes", at)
        return moment(self.now_us, self.zone)

    def today(self, at: int | None) -> datetime:
        """When the day began."""
        return self.now(at).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)


def check_operator(field: Field, op: str, at: int | None) -> None:
    """Raise ``QueryError`` unless the field can be compared so."""
    known = OPERATORS[field.kind]
    if op.removeprefix("not ") in known:
        return
    if field.kind is Kind.WORDS:
        raise QueryError(f"{field.name} is searched by words: write {field.name} match 'refund policy'", at)
    raise QueryError(f"{field.name} can only be compared by {' '.join(known)}", at)


def value(field: Field, op: str, written: Scalar, viewer: Viewer, at: int | None) -> Scalar:
    """A value as it stands in the tree. Raises ``QueryError`` for one that the field cannot have."""
    if written is None:
        if op not in _NULL:
            raise QueryError(f"null is neither more nor less: write {field.name} is null, or is not null", at)
        return None
    if isinstance(written, bool):
        right = field.kind is Kind.FLAG
    elif isinstance(written, int | float):
        right = field.kind in NUMERIC or (field.kind is Kind.METADATA and not op.endswith("like"))
    else:
        right = field.kind not in NUMERIC and field.kind is not Kind.FLAG
    if not right:
        raise QueryError(f"{field.name} is compared with {field.kind.value}, not with {shown(written)}", at)
    return _text(field, op, written, viewer, at) if isinstance(written, str) else written


def check_alike(field: Field, values: Sequence[Scalar], at: int | None) -> None:
    """Raise ``QueryError`` for texts and numbers in one list: each is compared in a way of its own."""
    if len({isinstance(one, str) for one in values}) > 1 and field.kind is Kind.METADATA:
        raise QueryError(f"a list holds texts or numbers, not both: write {field.name}.NAME in ('1', 'gold')", at)


def shown(written: Scalar) -> str:
    """As people write it."""
    return {True: "true", False: "false"}[written] if isinstance(written, bool) else repr(written)


def _text(field: Field, op: str, written: str, viewer: Viewer, at: int | None) -> Scalar:
    if op.endswith("like"):
        if "\0" in written:
            raise QueryError("a pattern cannot hold the character NUL", at)
        return written
    if field.kind is Kind.TIME:
        return time_us(written, viewer.zone, at)
    if field.kind is Kind.ID:
        return _uuid(written, at)
    known = CHOICES.get(field.name, ())
    if known and op.removeprefix("not ") in ("=", "!=", "in") and written not in known:
        raise QueryError(
            f"there is no {field.name} {written!r}{nearest(written, known)}; known: {', '.join(known)}", at
        )
    return written


def _uuid(text: str, at: int | None) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise QueryError(f"{text!r} is not a full call id; llmtap show finds a call by a part of it", at) from None


def number(text: str, at: int | None = None) -> int | float:
    """A number in digits. Raises ``QueryError`` beyond what a float holds, ``ValueError`` for no number."""
    if text.isascii() and text.isdigit() and len(text) < 19:
        return int(text)
    found = float(text)
    if not math.isfinite(found):
        raise QueryError(f"{text} is too large a number", at)
    return found


# --- moments -----------------------------------------------------------------------------------------


def time_us(text: str, zone: tzinfo, at: int | None) -> int:
    """A date or time as ISO 8601 writes it, in µs since 1970."""
    try:
        found = datetime.fromisoformat(text.strip())
        return microseconds(found if found.tzinfo else found.replace(tzinfo=zone))
    except (ValueError, OverflowError, OSError):
        raise QueryError(f"{text!r} is not a time: write {Kind.TIME.value}", at) from None


_UNITS = ("second", "minute", "hour", "day", "week", "month", "year")
_SPAN = re.compile(r"\s*(-?\d{1,9}(?:\.\d{1,6})?)\s*([a-z]+)\s*,?", re.IGNORECASE | re.ASCII)
_EXACT = {"second": 1, "minute": 60, "hour": 3600}  # by the clock; the others by the calendar
_MONTHS = {"month": 1, "year": 12}
_DAYS = {"day": 1, "week": 7}


def shifted(start: datetime, span: str, sign: int, at: int | None) -> datetime:
    """A moment moved by ``1 day``, ``2 hours 30 minutes``…; days and longer go by the calendar of its zone."""
    place = 0
    while place < len(span.rstrip()) or not place:
        found = _SPAN.match(span, place)
        unit = found[2].lower().removesuffix("s") if found else ""
        if not found or unit not in _UNITS:
            raise QueryError(
                f"{span!r} is no span of time: write 1 DAY, or '2 hours'; units are {' '.join(_UNITS)}", at
            )
        start, place = _moved(start, sign * float(found[1]), unit, at), found.end()
    return start


def _moved(start: datetime, count: float, unit: str, at: int | None) -> datetime:
    try:
        if unit in _EXACT:
            exact = start.astimezone(UTC) + timedelta(seconds=count * _EXACT[unit])
            return exact.astimezone(start.tzinfo)
        if not count.is_integer():
            raise QueryError(f"a whole number of {unit}s is expected", at)
        if unit in _DAYS:
            return start + timedelta(days=int(count) * _DAYS[unit])
        return _months_later(start, int(count) * _MONTHS[unit])
    except (ValueError, OverflowError):
        raise QueryError("this lies beyond the calendar", at) from None


def _months_later(start: datetime, months: int) -> datetime:
    """The same day of another month, or its last."""
    years, month = divmod(start.month - 1 + months, 12)
    year = start.year + years
    last = monthrange(year, month + 1)[1] if 0 < year < 10_000 else 0
    return start.replace(year=year, month=month + 1, day=min(start.day, last))
