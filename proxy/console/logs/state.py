"""What the address of the logs says, and addresses of the same page with something changed. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo
from urllib.parse import urlencode

from msgspec import Struct

from ...errors import QueryError, UsageError
from ...query.fields import nearest
from ...query.tree import Comparison, Filter
from ...records import evolve
from ...store.base import Order
from ..narrowed import ALWAYS, Narrowed, both, narrowed

SORTS = {"newest": Order.NEWEST, "updated": Order.UPDATED}
PLACE_MAX = 60  #: characters of a place in the list
ERRORS = Comparison("status", "in", ("error", "truncated", "interrupted"))  #: as reports count them


class State(Struct, frozen=True, kw_only=True):
    """The address. ``before`` and ``after`` are places in the list, ``sel`` is the call that is chosen."""

    q: str = ""
    t: str = ""
    since: str = ""
    until: str = ""
    cols: str = ""
    sort: str = "newest"
    before: str = ""
    after: str = ""
    sel: str = ""
    tab: str = ""
    live: str = "1"
    facets: str = ""

    @property
    def order(self) -> Order:
        """How the list goes."""
        return SORTS[self.sort]

    @property
    def first(self) -> bool:
        """Whether it is the list's first page."""
        return not (self.before or self.after)

    @property
    def is_live(self) -> bool:
        """Whether calls that come are put in."""
        return self.live != "0" and self.first and not self.until

    @property
    def asked(self) -> dict[str, str]:
        """What differs from the plain page."""
        return {name: value for name in FIELDS if (value := getattr(self, name)) != getattr(_PLAIN, name)}

    def url(self, **changes: str) -> str:
        """The address with something changed; another list begins at its first page."""
        began = _BEGINNING if _LIST.intersection(changes) else {}
        asked = evolve(self, **{**began, **changes}).asked
        return f"/?{urlencode(asked, errors='replace')}" if asked else "/"

    def meant(self, zone: tzinfo, now_us: int) -> Narrowed:
        """Filter and period as values. Raises ``UsageError``."""
        asked = {"q": self.q, "t": self.t, "since": self.since, "until": self.until}
        return narrowed(asked, zone, now_us)


FIELDS = State.__struct_fields__
_PLAIN = State()
_LIST = frozenset({"q", "t", "since", "until", "sort", "before", "after"})
_BEGINNING = dict.fromkeys(("before", "after", "sel", "tab"), "")


def read(query: Mapping[str, str]) -> State:
    """Of an address. Raises ``UsageError`` for what no page of ours says."""
    said = {name: query[name].strip() for name in FIELDS if name in query}
    sort = said.get("sort") or "newest"
    if sort not in SORTS:
        raise UsageError(f"sort: {sort!r} is no order{nearest(sort, tuple(SORTS))}; known: {', '.join(SORTS)}")
    for name in ("before", "after", "sel", "tab"):
        if len(said.get(name, "")) > PLACE_MAX:
            raise QueryError(f"{name}: this is no place in the list")
    if said.get("t") == ALWAYS:
        said["t"] = ""
    if said.get("since") or said.get("until"):
        said["t"] = ""
    return State(**{**said, "sort": sort})


def within(meant: Narrowed) -> Filter | None:
    """Filter and period in one."""
    since = None if meant.since_us is None else Comparison("created", ">=", meant.since_us)
    until = None if meant.until_us is None else Comparison("created", "<", meant.until_us)
    return both(meant.where, since, until)
