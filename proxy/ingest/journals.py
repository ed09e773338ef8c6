"""All journals of a data directory, read to one moment, in the order in which calls ended.

What is handed out is not forgotten until ``committed`` says that it is stored: positions are the
oldest sequence that is still needed, and segments are deleted only behind them.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from ..clock import monotonic_us, wall_us
from ..journal.reader import JournalReader, Missing
from ..records import Begin, Event, Job
from ..store.base import Gap, Position
from .assembly import Assembler, Budget, EndedCall, OpenCall
from .compaction import compact
from .events import Events

T = TypeVar("T")

log = logging.getLogger(__name__)

HELD_BYTES = 64 << 20  #: of bodies, over all journals; further ones are read again from their segments
_ENOUGH_BYTES = 8 << 20  #: of ended calls that wait to be handed out: nothing more is read before some are
_ENOUGH_CALLS = 2000


class Due(Struct, frozen=True):
    """An ended call and the journal that it is from."""

    journal: Followed
    ended: EndedCall


class Cut(Struct, frozen=True):
    """What may be committed together with every call handed out so far."""

    positions: list[Position]
    gaps: list[Gap]
    over: list[str]  #: journals that can go afterwards


class Followed:
    """One journal and its open calls."""

    def __init__(self, reader: JournalReader, assembler: Assembler) -> None:
        self.reader = reader
        self.assembler = assembler
        self.gaps: list[Gap] = []
        self.alive = True  #: its relay was alive at the last look
        self._crowded = False  #: a segment could have been compacted, but for calls that were not handed out
        self._position: Position | None = None  #: as last committed

    @property
    def name(self) -> str:
        """The directory's name."""
        return self.reader.name

    def read(self) -> Iterator[EndedCall]:
        """One bounded step."""
        self.alive = self.reader.owner_alive()
        for item in self.reader.poll():
            if isinstance(item, Missing):
                self._note(item)
            elif (ended := self.assembler.feed(*item)) is not None:
                yield ended
        if self.reader.finished:
            yield from self.assembler.abandon()

    def position(self, waiting_seq: int | None) -> Position:
        """What can be committed when calls from ``waiting_seq`` on have not been handed out."""
        low = self.assembler.low_seq(self.reader.seen_seq + 1)
        return Position(
            journal=self.name,
            low_seq=low if waiting_seq is None else min(low, waiting_seq),
            read_seq=self.reader.last_seq,
            calls_lost=self.reader.calls_lost,
        )

    def moved(self, position: Position) -> bool:
        """Whether it differs from what was committed."""
        return position != self._position

    def free(self, position: Position, *, may_compact: bool) -> None:
        """Delete or shrink segments that a commit has made needless."""
        self._position = position
        self.reader.committed(position.low_seq - 1)
        for segment in [segment for segment in self.reader.segments if segment.exhausted]:
            if segment.last_seq < position.low_seq:
                self.reader.drop(segment)
            elif segment is self.reader.segments[-1]:
                continue
            elif may_compact:
                compact(self.reader, segment, self.assembler.open.values())
            else:
                self._crowded = True

    def compact_later(self) -> None:
        """Nothing waits any more: make up for what ``free`` could not do."""
        if self._crowded and self._position is not None:
            self._crowded = False
            self.free(self._position, may_compact=True)

    def _note(self, missing: Missing) -> None:
        log.warning("journal %s: %d records are missing (%s)", self.name, missing.records, missing.reason)
        self.gaps.append(
            Gap(
                journal=self.name,
                first_seq=missing.first_seq,
                records=missing.records,
                reason=missing.reason,
                noticed_at_us=wall_us(),
            )
        )


class Journals:
    """Finds journals as they appear and reads them all: ``look``, ``take`` until None, ``cut``, ``committed``."""

    def __init__(
        self, directory: Path, positions: dict[str, Position], stored: dict[str, set[int]], held_bytes: int = HELD_BYTES
    ) -> None:
        self.followed: dict[str, Followed] = {}
        self._directory = directory
        self._positions = positions
        self._stored = stored
        self._budget = Budget(held_bytes)
        self._waiting: deque[Due] = deque()
        self._waiting_bytes = 0
        self._events = Events()
        self._looked_us = 0

    def look(self) -> bool:
        """Read what is new in every journal, a bounded step of each; whether there was anything."""
        if self._enough_waits():
            return True
        self._looked_us = monotonic_us()
        self._find()
        before = self._read_bytes
        found = [Due(followed, ended) for followed in self.followed.values() for ended in followed.read()]
        for name, followed in self.followed.items():
            self._events.add(name, _taken(followed.assembler.events))
        if found:
            self._waiting = deque(sorted((*self._waiting, *found), key=lambda due: due.ended.ended_us))
            self._waiting_bytes += sum(due.ended.size for due in found)
        return self._read_bytes > before or bool(found)

    def take(self) -> Due | None:
        """The next call that ended before the last look, in the order in which calls ended.

        What a dead relay left is due at once: its clock may be that of an earlier boot.
        """
        due = self._waiting[0] if self._waiting else None
        if due is not None and due.ended.ended_us > self._looked_us:
            due = next((due for due in self._waiting if not due.journal.alive), None)
        if due is not None:
            self._waiting.remove(due)
            self._waiting_bytes -= due.ended.size
        return due

    def running(self) -> Iterator[tuple[str, OpenCall]]:
        """Open calls that have no row yet, with their journals."""
        for followed in self.followed.values():
            for call in followed.assembler.open.values():
                if not call.shown:
                    yield followed.name, call

    def jobs(self) -> list[Job]:
        """What was asked for since the last time."""
        return [job for followed in self.followed.values() for job in _taken(followed.assembler.jobs)]

    def events(self) -> list[Event]:
        """The next ones that were said, in the order of time: the commit of the next ``cut`` has to bring them."""
        return self._events.take()

    def begun(self) -> list[Begin]:
        """Calls that were accepted since the last time."""
        return [begin for followed in self.followed.values() for begin in _taken(followed.assembler.begun)]

    def cut(self) -> Cut:
        """What a commit of all that was taken may say of the journals."""
        waiting = self._waiting_seqs()
        each = [(followed, followed.position(waiting.get(name))) for name, followed in self.followed.items()]
        return Cut(
            positions=[position for followed, position in each if followed.moved(position)],
            gaps=[gap for followed, _ in each for gap in followed.gaps],
            over=[name for name, followed in self.followed.items() if self._is_over(followed, waiting)],
        )

    def committed(self, cut: Cut) -> None:
        """The commit is durable: free what it covers."""
        waiting = self._waiting_seqs()
        for position in cut.positions:
            name = position.journal
            self.followed[name].free(position, may_compact=name not in waiting)
        for name, followed in self.followed.items():
            if name not in waiting:
                followed.compact_later()
            followed.gaps = [gap for gap in followed.gaps if gap not in cut.gaps]
        for name in cut.over:
            self.followed.pop(name).reader.remove()

    @property
    def _read_bytes(self) -> int:
        return sum(followed.reader.read_bytes for followed in self.followed.values())

    @property
    def lag_bytes(self) -> int:
        """Unread bytes of all journals."""
        return sum(followed.reader.unread_bytes for followed in self.followed.values())

    @property
    def growing(self) -> bool:
        """A relay of ``serve`` is still alive; those of ``run`` leave what they write to the next ingest."""
        return any(name.startswith("relay-") and each.reader.owner_alive() for name, each in self.followed.items())

    def left_by(self, relay_name: str) -> bool:
        """Whether there is something yet of a relay that lives beside a ``serve``."""
        return any(name.startswith(f"{relay_name}-") for name in self.followed)

    @property
    def idle(self) -> bool:
        """Everything that is there has been handed out."""
        return not self._waiting and not self._events and self.lag_bytes == 0

    def close(self) -> None:
        """Let go of all files."""
        for followed in self.followed.values():
            followed.reader.close()

    @staticmethod
    def _is_over(followed: Followed, waiting: dict[str, int]) -> bool:
        """Nothing more will come, and nothing is left to hand out."""
        return followed.reader.finished and not followed.assembler.open and followed.name not in waiting

    def _enough_waits(self) -> bool:
        """What can be handed out at once is enough for now; memory follows the backlog otherwise."""
        much = self._waiting_bytes >= _ENOUGH_BYTES or len(self._waiting) >= _ENOUGH_CALLS
        return self._events.enough or (much and self._waiting[0].ended.ended_us <= self._looked_us)

    def _waiting_seqs(self) -> dict[str, int]:
        """journal → the oldest sequence of its calls and events that were not handed out."""
        oldest = self._events.seqs()
        for due in self._waiting:
            oldest[due.journal.name] = min(oldest.get(due.journal.name, due.ended.first_seq), due.ended.first_seq)
        return oldest

    def _find(self) -> None:
        self._directory.mkdir(mode=0o700, exist_ok=True)
        for path in sorted(self._directory.iterdir()):
            if path.name.startswith(".") or path.name in self.followed or not path.is_dir():
                continue
            position = self._positions.get(path.name)
            counted_seq, low_seq = (position.read_seq, position.low_seq) if position else (0, 0)
            reader = JournalReader(path, counted_seq, low_seq)
            assembler = Assembler(self._budget, self._stored.get(path.name, set()))
            self.followed[path.name] = Followed(reader, assembler)


def _taken(items: list[T]) -> list[T]:
    """All of them; the list is empty afterwards."""
    taken = items.copy()
    items.clear()
    return taken
