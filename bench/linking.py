"""How many calls the store ties to the right ones, beside what the generator knows."""

from __future__ import annotations

from collections import defaultdict

from msgspec import Struct

from proxy.records import Call
from proxy.store.base import Reader

from .traffic import Kind, Truth

_PAGE = 1000


class Linked(Struct, frozen=True):
    """Counts of calls."""

    expected: int  #: that continue or repeat an earlier one
    together: int  #: of those, in one conversation with the one that they continue or repeat
    exact: int  #: of those, that say themselves what they follow; a repeated first call follows nothing
    missed: dict[str, int]  #: the others, by their kind
    merged: int  #: in a conversation that began with somebody else's call


async def linked(reader: Reader, ids: list[str], truths: list[Truth]) -> Linked:
    """What the store makes of all calls; ``ids``: in the order of the traffic."""
    return compared(await _all(reader), ids, truths)


def compared(stored: dict[str, Call], ids: list[str], truths: list[Truth]) -> Linked:
    """The same of rows by their ids."""
    rows = [stored[call_id] for call_id in ids]
    together = exact = expected = 0
    missed: dict[str, int] = defaultdict(int)
    for row, truth in zip(rows, truths, strict=True):
        known = {ids[place] for place in (truth.follows, truth.repeats) if place is not None}
        if not known:
            continue
        expected += 1
        same = row.conversation is not None and any(stored[call].conversation == row.conversation for call in known)
        together += same
        exact += same and (row.follows in known or (row.follows is None and truth.follows is None))
        if not same:
            missed[truth.kind] += 1
    return Linked(expected, together, exact, dict(missed), _merged(rows, truths))


def _merged(rows: list[Call], truths: list[Truth]) -> int:
    owners: dict[str, int] = {}
    merged = 0
    for row, truth in zip(rows, truths, strict=True):
        if row.conversation is not None:
            merged += owners.setdefault(row.conversation, truth.conversation) != truth.conversation
    return merged


async def _all(reader: Reader) -> dict[str, Call]:
    found: dict[str, Call] = {}
    before = None
    while page := await reader.find(before=before, limit=_PAGE, every=True):
        found |= {call.id: call for call in page}
        before = page[-1].id
    return found


def report(found: Linked) -> None:
    """Print it."""
    expected = max(1, found.expected)
    share, exact = found.together / expected, found.exact / expected
    print(f"  linked: {share:.2%} of {found.expected:,} calls that continue or repeat others (goal >= 99.50%)")
    print(f"    say themselves what they follow: {exact:.2%}; missed: {found.missed or 'none'}")
    print(f"    in somebody else's conversation: {found.merged} (goal 0)")


def kinds(truths: list[Truth]) -> str:
    """How many calls of each kind there are."""
    counts = {kind: sum(truth.kind == kind for truth in truths) for kind in Kind}
    return ", ".join(f"{count:,} {kind.value}" for kind, count in counts.items())
