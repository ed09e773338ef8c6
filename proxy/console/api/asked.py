"""What a query string asks for, as values. Pure: no request, no store.

Every parameter has one reading, its schema for the API's document stands beside it, and whatever
cannot be read is a ``UsageError`` that says what to write.
"""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import tzinfo
from typing import Any

from msgspec import Struct

from ...errors import UsageError
from ...query.fields import ORDERS, nearest, parse_groups
from ...query.parse import MAX_LENGTH, parse_filter
from ...query.since import since_us
from ...query.tree import And, Comparison, Filter
from ...store.base import Layout, Order
from ...store.view import BODY_KEYS, KEYS
from ...zones import zone_named
from ..reports.periods import Period

LIMIT_DEFAULT = 50
LIMIT_MAX = 1000
LIMIT_WITH_BODIES_MAX = 100
LINES_MAX = 10_000  #: of a report
_TRUTHS = {"1": True, "true": True, "0": False, "false": False, "": False}

Query = Mapping[str, str]


class Scope(Struct, frozen=True):
    """Which calls are meant."""

    where: Filter | None
    period: Period
    zone: tzinfo
    every: bool

    @property
    def within(self) -> Filter | None:
        """The filter and the period, as one filter."""
        ends = ((">=", self.period.since_us), ("<", self.period.until_us))
        parts = [Comparison("created", sign, at_us) for sign, at_us in ends if at_us is not None]
        every = (*parts, *([self.where] if self.where is not None else []))
        return And(every) if len(every) > 1 else every[0] if every else None


class Page(Struct, frozen=True):
    """A part of a list: where it begins, and how much of it."""

    order: Order
    limit: int
    before: str | None = None  #: what the page before said comes next


# --- which calls ---------------------------------------------------------------------------------------

SCOPE: dict[str, dict[str, Any]] = {
    "filter": {
        "type": "string",
        "maxLength": MAX_LENGTH,
        "description": "only calls that match, in either form of the filters: status:error, or model = 'gpt-5'",
    },
    "since": {"type": "string", "description": "only from then on: 30m, 12h, 7d, 2w, or a date or time"},
    "until": {"type": "string", "description": "only before then"},
    "tz": {"type": "string", "description": "zone of dates and days: Europe/Zurich, UTC; else the visitor's"},
    "every": {"type": "boolean", "default": False, "description": "excluded calls, too"},
}


def check_names(query: Query, known: Collection[str]) -> None:
    """Raise ``UsageError`` for a parameter that is not read: it would be overlooked in silence."""
    for name in query:
        if name not in known:
            raise UsageError(f"there is no parameter {name!r}{nearest(name, tuple(known))}")


def asked_scope(query: Query, zone: tzinfo, now_us: int) -> Scope:
    """Which calls; ``zone`` is the visitor's, and ``tz`` names another."""
    if "tz" in query:
        zone = zone_named(query["tz"])
    filter_ = query.get("filter", "")
    return Scope(
        where=parse_filter(filter_, zone, now_us) if filter_.strip() else None,
        period=_period(query, zone, now_us),
        zone=zone,
        every=truth(query, "every"),
    )


def _period(query: Query, zone: tzinfo, now_us: int) -> Period:
    first, last = (
        since_us(query[name], now_us, zone, name) if query.get(name) else None for name in ("since", "until")
    )
    if first is not None and last is not None and last <= first:
        raise UsageError("until is not after since: no time lies between them")
    return Period(first, last)


def asked_call(query: Query) -> str:
    """``call=``: which call it is about."""
    if not query.get("call"):
        raise UsageError("say which call: call=ID")
    return query["call"]


# --- how much of them ----------------------------------------------------------------------------------

PAGE: dict[str, dict[str, Any]] = {
    "limit": {
        "type": "integer",
        "minimum": 1,
        "maximum": LIMIT_MAX,
        "default": LIMIT_DEFAULT,
        "description": "so many at most",
    },
    "cursor": {"type": "string", "description": "next, as the page before has it"},
}
SORT: dict[str, Any] = {"type": "string", "enum": [order.value for order in Order], "default": Order.NEWEST.value}
FIELDS: dict[str, Any] = {
    "type": "string",
    "description": f"bodies to show besides, with commas: {', '.join(BODY_KEYS)}; then at most {LIMIT_WITH_BODIES_MAX}",
}


def asked_page(query: Query, most: int = LIMIT_MAX) -> Page:
    """Which page."""
    order = chosen(query, "sort", [each.value for each in Order], Order.NEWEST.value)
    page = Page(order=Order(order), limit=number(query, "limit", LIMIT_DEFAULT, 1, most))
    return page if not query.get("cursor") else _after(page, query["cursor"])


def cursor(page: Page, before: str | None) -> str | None:
    """What the next page is asked for with, where the store says that one begins; None: there is none."""
    if before is None:
        return None
    return base64.urlsafe_b64encode(f"{page.order.value}:{before}".encode()).decode().rstrip("=")


def _after(page: Page, written: str) -> Page:
    order, before = _place(written)
    if order is not page.order:
        raise UsageError(f"cursor: it is of a list sorted by {order.value}, not by {page.order.value}")
    return Page(page.order, page.limit, before)


def _place(written: str) -> tuple[Order, str]:
    try:
        raw = base64.b64decode(written + "=" * (-len(written) % 4), b"-_", validate=True).decode("ascii")
        order, _, before = raw.partition(":")
        if order == Order.UPDATED.value and before.isdigit() and len(before) < 19:
            return Order.UPDATED, before
        if order == Order.NEWEST.value:
            return Order.NEWEST, str(uuid.UUID(before))
    except (ValueError, binascii.Error):
        pass
    raise UsageError("cursor: this is none; take next as the page before has it")


def asked_bodies(query: Query) -> frozenset[str]:
    """``fields=``: those of the named keys that are left out when not asked for."""
    named = [name.strip() for name in query.get("fields", "").split(",") if name.strip()]
    for name in named:
        if name not in KEYS:
            raise UsageError(f"fields: there is no field {name!r}{nearest(name, KEYS)}")
    return frozenset(BODY_KEYS).intersection(named)


# --- groups ----------------------------------------------------------------------------------------------

BY: dict[str, Any] = {"type": "string", "description": "groups, with commas: day,model or metadata.team; none: one sum"}
ORDER: dict[str, Any] = {"type": "string", "enum": list(ORDERS), "description": "which lines come first"}


def asked_groups(query: Query) -> tuple[str, ...]:
    """``by=``. Raises ``QueryError``."""
    return parse_groups(query.get("by", ""))


def asked_layout(query: Query) -> Layout:
    """``order=`` and ``limit=`` of a report."""
    order = chosen(query, "order", tuple(ORDERS), "")
    return Layout(order=order or None, limit=number(query, "limit", LIMIT_MAX, 1, LINES_MAX))


# --- single values ---------------------------------------------------------------------------------------


def truth(query: Query, name: str) -> bool:
    """``true``, ``1``, ``false``, ``0``; false when not given."""
    try:
        return _TRUTHS[query.get(name, "").lower()]
    except KeyError:
        raise UsageError(f"{name}: write true or false") from None


def number(query: Query, name: str, default: int, least: int, most: int) -> int:
    """A whole number within bounds."""
    text = query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(most)) and least <= int(text) <= most):
        raise UsageError(f"{name}: write a number from {least} to {most}")
    return int(text)


def chosen(query: Query, name: str, known: Sequence[str], default: str) -> str:
    """One of some words; ``default`` when none is given."""
    word = query.get(name) or default
    if word not in (default, *known):
        raise UsageError(f"{name}: there is no {word!r}{nearest(word, tuple(known))}; known: {', '.join(known)}")
    return word
