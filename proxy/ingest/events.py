"""Events that journals brought and that are not committed yet: what people say of calls, and who looked at what.

They are handed out a bounded number at a time, in the order in which they happened. Until an event
has been handed out, its journal is needed from its frame on; then it is stored by the commit that moves the
journal's position behind it, so that no death between the two loses it or stores it twice.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable

from msgspec import Struct

from ..records import Event

_AT_ONCE = 200  #: in one commit: it shall not keep calls waiting
_ENOUGH = 2_000  #: that wait: nothing more is read before some are stored


class _Waiting(Struct, frozen=True, order=True):
    """In the order of time; of one moment, in the order of their journal."""

    at_us: int
    journal: str
    seq: int
    event: Event | None = None  #: never compared: ``journal`` and ``seq`` are another's in no two of them


class Events:
    """Of all journals."""

    def __init__(self) -> None:
        self._waiting: list[_Waiting] = []

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def enough(self) -> bool:
        """Whether so many wait that nothing more should be read."""
        return len(self._waiting) >= _ENOUGH

    def add(self, journal: str, found: Iterable[tuple[int, Event]]) -> None:
        """Events of a journal, with their sequences."""
        for seq, event in found:
            heapq.heappush(self._waiting, _Waiting(event.at_us, journal, seq, event))

    def take(self) -> list[Event]:
        """The oldest."""
        count = min(_AT_ONCE, len(self._waiting))
        return [event for _ in range(count) if (event := heapq.heappop(self._waiting).event) is not None]

    def seqs(self) -> dict[str, int]:
        """journal → the oldest sequence that still waits."""
        oldest: dict[str, int] = {}
        for waiting in self._waiting:
            oldest[waiting.journal] = min(oldest.get(waiting.journal, waiting.seq), waiting.seq)
        return oldest
