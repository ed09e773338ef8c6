"""All journals of a data directory, read to one moment, in the order in which calls ended.

What is handed out is not forgotten until ``committed`` says that it is stored: positions are the
oldest sequence that is still needed, and segments are deleted only behind them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from ..clock import monotonic_us, wall_us
from ..journal.reader import JournalReader, Missing
from ..store.base import Gap, Position
from .assembly import Assembler, Budget, EndedCall, OpenCall
from .compaction import compact

log = logging.getLogger(__name__)

_HELD_BYTES = 64 << 20  #: of open calls' bodies, over all journals


class Due(Struct, frozen=True):
    """An ended call and the journal that it is from."""

    journal: Followed
    ended: EndedCall


class Followed:
    """One journal and its open calls."""

    def __init__(self, reader: JournalReader, assembler: Assembler) -> None:
        self.reader = reader
        self.assembler = assembler
        self.gaps: list[Gap] = []
        self.pending_seq: int | None = None  #: first sequence of the oldest ended call that waits to be handed out
        self.position: Position | None = None  #: as last committed

    @property
    def name(self) -> str:
        """The directory's name."""
        return self.reader.name

    def read(self) -> Iterator[EndedCall]:
        """One bounded step."""
        for item in self.reader.poll():
            if isinstance(item, Missing):
                self._note(item)
            elif (ended := self.assembler.feed(*item)) is not None:
                yield ended
        if self.reader.finished:
            yield from self.assembler.abandon()

    def current_position(self) -> Position:
        """What can be committed together with every call that was handed out."""
        low = self.assembler.low_seq(self.reader.last_seq + 1)
        return Position(
            journal=self.name,
            low_seq=low if self.pending_seq is None else min(low, self.pending_seq),
            read_seq=self.reader.last_seq,
            calls_lost=self.reader.calls_lost,
        )

    @property
    def over(self) -> bool:
        """Nothing more will come, and nothing is left to store."""
        return self.reader.finished and not self.assembler.open and self.pending_seq is None

    def free(self, position: Position) -> None:
        """Delete or shrink segments that a commit has made needless."""
        self.position = position
        self.reader.committed(position.low_seq - 1)
        for segment in [segment for segment in self.reader.segments if segment.exhausted]:
            if segment.last_seq < position.low_seq:
                self.reader.drop(segment)
            elif self.pending_seq is None and segment is not self.reader.segments[-1]:
                compact(self.reader, segment, self.assembler.open.values())

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
    """Finds journals as they appear and reads them all."""

    def __init__(self, directory: Path, positions: dict[str, Position], stored: dict[str, set[int]]) -> None:
        self.followed: dict[str, Followed] = {}
        self._directory = directory
        self._positions = positions
        self._stored = stored
        self._budget = Budget(_HELD_BYTES)
        self._waiting: list[Due] = []

    def read(self, most: int) -> list[Due]:
        """Calls that ended before now, oldest first, at most ``most``; call again for the rest."""
        cut_us = monotonic_us()
        if len(self._waiting) < most:
            self._find()
            for followed in self.followed.values():
                self._waiting += [Due(followed, ended) for ended in followed.read()]
            self._waiting.sort(key=lambda due: due.ended.ended_us)
        ready = [due for due in self._waiting[:most] if due.ended.ended_us <= cut_us]
        del self._waiting[: len(ready)]
        self._note_pending()
        return ready

    def running(self) -> Iterator[tuple[str, OpenCall]]:
        """Open calls that have no row yet, with their journals."""
        for followed in self.followed.values():
            for call in followed.assembler.open.values():
                if not call.shown:
                    yield followed.name, call

    def gaps(self) -> list[Gap]:
        """Gaps that are not committed yet."""
        return [gap for followed in self.followed.values() for gap in followed.gaps]

    def moved(self) -> list[Position]:
        """Positions that differ from what was committed."""
        current = [(followed, followed.current_position()) for followed in self.followed.values()]
        return [position for followed, position in current if position != followed.position]

    def over(self) -> list[str]:
        """Journals that can go after the next commit."""
        return [followed.name for followed in self.followed.values() if followed.over]

    def committed(self, positions: list[Position], over: list[str]) -> None:
        """A commit is durable: free what it covers."""
        for position in positions:
            self.followed[position.journal].free(position)
        for followed in self.followed.values():
            followed.gaps.clear()
        for name in over:
            self.followed.pop(name).reader.remove()

    @property
    def lag_bytes(self) -> int:
        """Unread bytes of all journals."""
        return sum(followed.reader.unread_bytes for followed in self.followed.values())

    @property
    def growing(self) -> bool:
        """A relay of ``serve`` is still alive; those of ``run`` leave what they write to the next ingest."""
        return any(name.startswith("relay-") and each.reader.owner_alive() for name, each in self.followed.items())

    @property
    def idle(self) -> bool:
        """Everything that is there has been handed out."""
        return not self._waiting and self.lag_bytes == 0

    def close(self) -> None:
        """Let go of all files."""
        for followed in self.followed.values():
            followed.reader.close()

    def _note_pending(self) -> None:
        for followed in self.followed.values():
            followed.pending_seq = None
        for due in self._waiting:
            pending = due.journal.pending_seq
            first = due.ended.first_seq
            due.journal.pending_seq = first if pending is None else min(pending, first)

    def _find(self) -> None:
        for path in sorted(self._directory.iterdir()):
            if path.name.startswith(".") or path.name in self.followed or not path.is_dir():
                continue
            position = self._positions.get(path.name)
            reader = JournalReader(path, position.read_seq if position else 0)
            low_seq = position.low_seq if position else 0
            assembler = Assembler(self._budget, low_seq, self._stored.get(path.name, set()))
            self.followed[path.name] = Followed(reader, assembler)
