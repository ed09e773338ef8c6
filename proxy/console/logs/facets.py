"""Which values the listed calls have, and how many of each: every one narrows the filter."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from ...query.fields import TAG
from ...query.tree import Comparison
from ...store.base import Layout, ReportRow
from ..narrowed import Narrowed
from ..scoped import ScopedReader
from .chart import SUMMED, newest, on_page, summed
from .listing import Listed
from .state import State
from .terms import Terms

NAMES = ("status", "model", "project", "user", TAG, "upstream", "finish_reason", "error_type")
VALUES = 8  #: of each name
COUNTED = 10_000  #: of the newest calls, where no sums tell


class Value(Struct, frozen=True):
    """One value."""

    text: str
    calls: int
    url: str
    chosen: bool


class Facet(Struct, frozen=True):
    """A name and its values, the commonest first."""

    name: str
    values: tuple[Value, ...]
    more: int  #: values that there was no room for


class Facets(Struct, frozen=True, kw_only=True):
    """All of them."""

    facets: tuple[Facet, ...] = ()
    counted_from_us: int | None = None  #: when that is not all
    page_only: bool = False


async def faceted(reader: ScopedReader, page: Listed, meant: Narrowed) -> Facets:
    """Count; of rows, of the newest alone."""
    terms = Terms(page.state.q)
    if on_page(page, meant):
        return Facets(facets=_facets(page.state, terms, of_calls(page)), page_only=not page.whole)
    recent_us = await newest(reader, meant, COUNTED)
    found: list[tuple[str, Sequence[ReportRow]]] = []
    for name in NAMES:
        whole = summed(meant.where) and name in (*SUMMED, "user")
        since_us = meant.since_us if whole or recent_us is None else recent_us
        layout = Layout(order="calls", limit=VALUES, percentiles=False)
        found.append(
            (name, await reader.report((name,), since_us, meant.where, until_us=meant.until_us, layout=layout))
        )
    counted = {name: [(row.group[0], row.calls, row.merged) for row in rows] for name, rows in found}
    return Facets(facets=_facets(page.state, terms, counted), counted_from_us=recent_us)


Counted = dict[str, list[tuple[str | None, int, int]]]


def of_calls(page: Listed) -> Counted:
    """Values of the calls of a page."""
    found: Counted = {}
    for name in NAMES:
        counts: dict[str | None, int] = {}
        for call in page.calls:
            values = call.tags if name == TAG else (getattr(call, name),)
            for value in values:
                counts[value] = counts.get(value, 0) + 1
        ordered = sorted(counts.items(), key=lambda each: -each[1])
        found[name] = [(value, number, 0) for value, number in ordered[:VALUES]]
    return found


def _facets(state: State, terms: Terms, counted: Counted) -> tuple[Facet, ...]:
    made = (_facet(state, terms, name, rows) for name, rows in counted.items())
    return tuple(facet for facet in made if facet.values)


def _facet(state: State, terms: Terms, name: str, rows: Sequence[tuple[str | None, int, int]]) -> Facet:
    field = "tags" if name == TAG else name
    values = []
    for text, calls, merged in rows:
        if merged or text is None:
            continue
        where = Comparison(field, "=", text)
        chosen = terms.has(where)
        values.append(Value(text, calls, state.url(q=terms.without(where) if chosen else terms.only(where)), chosen))
    return Facet(field, tuple(values), sum(merged for _, _, merged in rows))
