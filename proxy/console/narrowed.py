"""Which calls a page speaks of, as its address says: a filter and a period. Values only.

``q`` is a filter in either form, ``t`` a period up to now; ``since`` and ``until`` are moments, in place of ``t``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo
from urllib.parse import quote, urlencode

from msgspec import Struct

from ..errors import UsageError
from ..query.parse import parse_filter
from ..query.sentence import sentence
from ..query.since import since_us as moment_us
from ..query.tree import And, Comparison, Filter
from ..query.written import written

_MINUTE_US = 60_000_000
PERIODS = {
    "15m": 15 * _MINUTE_US,
    "1h": 60 * _MINUTE_US,
    "24h": 1440 * _MINUTE_US,
    "7d": 7 * 1440 * _MINUTE_US,
    "30d": 30 * 1440 * _MINUTE_US,
}
ALWAYS = "all"  #: ``t`` of no period, where the page has one by itself


class Narrowed(Struct, frozen=True, kw_only=True):
    """What the address says, and what it means."""

    q: str = ""
    t: str = ""
    since: str = ""
    until: str = ""
    where: Filter | None = None
    since_us: int | None = None
    until_us: int | None = None

    @property
    def sentence(self) -> str:
        """The filter in English; empty without one."""
        return "" if self.where is None else sentence(self.where)

    @property
    def asked(self) -> dict[str, str]:
        """What to put into an address that means the same."""
        named = {"q": self.q, "t": self.t, "since": self.since, "until": self.until}
        return {name: value for name, value in named.items() if value}


def narrowed(query: Mapping[str, str], zone: tzinfo, now_us: int, *, usual: str = "") -> Narrowed:
    """Read an address; ``usual``: the period of a page that is asked for none. Raises ``UsageError``."""
    q = query.get("q", "").strip()
    since, until = (query.get(name, "").strip() for name in ("since", "until"))
    t = "" if since or until else query.get("t", "").strip() or usual
    if t not in ("", ALWAYS, *PERIODS):
        raise UsageError(f"t is one of {', '.join(PERIODS)} or {ALWAYS}, not {t!r}")
    since_us = now_us - PERIODS[t] if t in PERIODS else moment_us(since, now_us, zone) if since else None
    return Narrowed(
        q=q,
        t=t,
        since=since,
        until=until,
        where=parse_filter(q, zone, now_us) if q else None,
        since_us=since_us,
        until_us=moment_us(until, now_us, zone, "until") if until else None,
    )


def both(*filters: Filter | None) -> Filter | None:
    """All of these filters, side by side."""
    given = tuple(
        part for each in filters if each is not None for part in (each.children if isinstance(each, And) else (each,))
    )
    return And(given) if len(given) > 1 else given[0] if given else None


# --- addresses of pages about what clients name, however they name it ------------------------------------


def logs_of(**wanted: str | int | tuple[str, ...] | None) -> str:
    """The logs, of the calls with these values alone; None is unknown, several are any of them."""
    fields = [Comparison(name, "in" if isinstance(value, tuple) else "=", value) for name, value in wanted.items()]
    return f"/?{urlencode({'q': ' and '.join(map(written, fields))}, errors='replace')}"


def page_of(place: str, name: str, *rest: int) -> str:
    """``/users/ada``, ``/prompts/shop/3``: a page about a name, and a number of its own.

    Some names cannot stand in a path, as browsers and servers take paths apart; those stand in the query:
    ``/users/?name=..``.
    """
    if name in ("", ".", "..") or "{" in name or "}" in name:
        more = {"number": str(rest[0])} if rest else {}
        return f"{place}/?{urlencode({'name': name, **more}, errors='replace')}"
    return "/".join((place, quote(name, safe="", errors="replace"), *map(str, rest)))
