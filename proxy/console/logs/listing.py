"""One page of the list: which calls stand on it, where it goes on, and what is to be said of how they were found."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from ...query.tree import And, Filter, Match, leaves
from ...records import Call, evolve
from ...store.base import Behind, Order
from ...store.texts import COLUMNS
from ..narrowed import Narrowed, both
from ..scoped import ScopedReader
from .state import State, within

ROWS = 50  #: of a page


class Listed(Struct, frozen=True, kw_only=True):
    """A page of the list."""

    state: State
    calls: list[Call]
    older: str = ""  #: address of the next page
    newer: str = ""
    back_to_us: int | None = None  #: the moment of the last call looked at, when the look stopped early
    behind: Behind | None = None  #: of a search by words
    problems: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether these are all calls that match."""
        return not (self.older or self.newer)


async def listed(reader: ScopedReader, state: State, meant: Narrowed) -> Listed:
    """Ask for the page. Raises ``QueryError``."""
    sought = _sought(meant.where)
    if sought is not None and state.order is Order.NEWEST and not state.after:
        return await _found(reader, state, meant, *sought)
    page = await _looked(reader, state, within(meant))
    if not any(isinstance(leaf, Match) for leaf in leaves(meant.where)):
        return page
    stats = await reader.stats()
    return evolve(page, behind=stats.text_behind, problems=stats.text_problems)


async def _looked(reader: ScopedReader, state: State, where: Filter | None) -> Listed:
    looked = await reader.look(
        where, before=state.before or None, after=state.after or None, limit=ROWS, order=state.order
    )
    if state.after and (looked.next is None or not await _anything(reader, state, where, looked.next)):
        # the top of the list: from there on, a whole page
        return await _looked(reader, evolve(state, after=""), where)
    older = state.url(before=_place(state, looked.calls[-1]), after="") if state.after and looked.calls else ""
    if not state.after and looked.next is not None:
        older = state.url(before=looked.next, after="")
    newer = "" if state.first else state.url(before="", after="")
    if not state.first and looked.calls:
        newer = state.url(after=_place(state, looked.calls[0]), before="")
    stopped = None if state.after else looked.back_to_us
    return Listed(state=state, calls=looked.calls, older=older, newer=newer, back_to_us=stopped)


async def _anything(reader: ScopedReader, state: State, where: Filter | None, place: str) -> bool:
    """Whether the list goes on above a place, or may do so."""
    looked = await reader.look(where, after=place, limit=1, order=state.order)
    return looked.next is not None


def _place(state: State, call: Call) -> str:
    return call.id if state.order is Order.NEWEST else str(call.rev)


async def _found(reader: ScopedReader, state: State, meant: Narrowed, match: Match, rest: Filter | None) -> Listed:
    """By words: the newest of those that hold them."""
    found = await reader.search(
        match.words,
        within(evolve(meant, where=rest)),
        columns=COLUMNS if match.field == "text" else (match.field,),
        since_us=meant.since_us,
        before=state.before or None,
        limit=ROWS,
    )
    return Listed(
        state=state,
        calls=found.calls,
        older=state.url(before=found.next) if found.next is not None else "",
        newer="" if state.first else state.url(before="", after=""),
        back_to_us=found.back_to_us,
        behind=found.behind,
        problems=found.problems,
    )


def _sought(where: Filter | None) -> tuple[Match, Filter | None] | None:
    """Words that every call must hold, and the rest of the filter; None without such words."""
    parts = list(_parts(where))
    match = next((part for part in parts if isinstance(part, Match)), None)
    return None if match is None else (match, both(*(part for part in parts if part is not match)))


def _parts(where: Filter | None) -> Iterator[Filter]:
    if isinstance(where, And):
        for child in where.children:
            yield from _parts(child)
    elif where is not None:
        yield where
