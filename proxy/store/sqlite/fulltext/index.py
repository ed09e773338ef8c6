"""Adding words to the files of full text: what has just been stored, what was missed, what was lost.

Calls are looked at in the order of their ``rev``, across all segments. Each file holds how far that
had come when something was added to it, in the same commit, so a death between the commits of
``main.db`` and of full text loses nothing: what follows is read from the bodies. Nothing comes twice,
because calls that are in a file are known there. When one step adds to several files, only the last
commit says that all of it is done.

Everything here runs on the thread of full text, a bounded piece at a time.
"""

from __future__ import annotations

import logging
import sqlite3
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from msgspec import Struct

from ....clock import id_text
from ....config import Config
from ....dialects.table import parse
from ....records import Exchange
from ...texts import NewTexts, Texts
from ..queries import QUERIES
from ..reader import Bodies
from ..rows import uuid_text
from ..segment import is_damage
from .files import Indexable, TextFile, about, day_of, drop, segment_name, text_files, text_name

log = logging.getLogger(__name__)

_OPEN_FILES = 4
_SLICE_CALLS = 200
_SLICE_BYTES = 8 << 20  #: of bodies, read again


class Limits(Struct, frozen=True, kw_only=True):
    """How much is read and kept of one call."""

    call_chars: int = 262_144  #: of its texts
    body_bytes: int = 128 << 20  #: larger bodies are not parsed

    @classmethod
    def of(cls, config: Config) -> Limits | None:
        """As the settings say; None when full text is off."""
        store = config.store
        return cls(call_chars=store.full_text_chars, body_bytes=config.ingest.body_bytes) if store.full_text else None


class Indexer:
    """The one that writes files of full text."""

    def __init__(self, main: sqlite3.Connection, directory: Path, limits: Limits, bodies: Bodies) -> None:
        self._main = main
        self._directory = directory
        self._limits = limits
        self._bodies = bodies
        self._open: OrderedDict[str, TextFile] = OrderedDict()
        self._new_texts = NewTexts(limits.call_chars)
        self._made_anew: set[str] = set()  #: segments whose file was damaged
        self._given_up: set[str] = set()  #: and those whose file was damaged again
        self._building: dict[str, int] = {}  #: segment → calls above this id are still to be looked at
        self._unmerged: set[str] = set()  #: names of files
        self.begun_rev: int = main.execute(QUERIES["last_rev"]).fetchone()[0]  #: the last one, by now
        self.done_rev = self._found_done()
        self._catching_up = 0, 0  #: until which ``rev``, and how far that has come

    def close(self) -> None:
        """Close all files."""
        self._bodies.close(self._main)
        while self._open:
            self._open.popitem()[1].close()

    # --- what comes ---------------------------------------------------------------------------------

    def index(self, calls: Sequence[Indexable]) -> None:
        """Add calls that follow those that are done, in the order of ``rev``."""
        if calls:
            self._add(calls, calls[-1].rev)

    def catch_up(self, until_rev: int) -> bool:
        """Read a slice of what came up to a ``rev`` from the bodies; whether there may be more.

        Later links may have given such a call a later ``rev``: those are looked for as well, but what others
        have brought since is not done yet.
        """
        begun, read_rev = self._catching_up
        after = max(read_rev, self.done_rev) if begun == until_rev else self.done_rev
        rows = self._main.execute(QUERIES["calls_since"], (after, until_rev, _SLICE_CALLS)).fetchall()
        calls = self._read_again([(Indexable(call, rev, segment), uuid) for call, uuid, rev, segment in rows])
        more = len(rows) == _SLICE_CALLS or len(calls) < len(rows)
        done_rev = min(calls[-1].rev, until_rev) if more else until_rev
        if calls:
            self._add(calls, done_rev)
            self._catching_up = until_rev, calls[-1].rev
        self.done_rev = max(self.done_rev, done_rev)
        return more

    def _read_again(self, calls: Sequence[tuple[Indexable, bytes]]) -> list[Indexable]:
        """The calls, as many as make a slice; with their texts, where they are not in their files yet."""
        missing = self._missing(call for call, _ in calls)
        found, size = [], 0
        for call, uuid in calls:
            if size > _SLICE_BYTES:
                break
            exchange = self._bodies.exchange(self._main, uuid_text(uuid)) if call.call in missing else None
            texts = self._texts(exchange, call.segment) if call.call in missing else None
            found.append(Indexable(call.call, call.rev, call.segment, texts))
            size += len(exchange.request_body) + len(exchange.response_body) if exchange else 0
        return found

    def _missing(self, calls: Iterable[Indexable]) -> set[int]:
        missing: set[int] = set()
        for segment, some in _by_segment(calls).items():
            with self._healing(segment) as file:
                if file is not None:
                    missing |= file.missing(each.call for each in some)
        return missing

    def _texts(self, exchange: Exchange | None, segment: str) -> Texts:
        """Of bodies that cannot be read, nothing: they have been looked at all the same."""
        if exchange is None:
            return Texts()
        try:
            return self._new_texts.of(parse(exchange, self._limits.body_bytes), f"{segment} {exchange.begin.project}")
        except Exception:
            log.exception("call %s is not understood: nothing is found in it", id_text(exchange.begin.id))
            return Texts()

    def _add(self, calls: Sequence[Indexable], done_rev: int) -> None:
        by_segment = _by_segment(calls)
        last = list(by_segment)[-1]
        for segment, some in by_segment.items():
            with self._healing(segment) as file:
                if file is not None:
                    file.add(some, done_rev=done_rev if segment == last else None)
        self.done_rev = max(self.done_rev, done_rev)

    # --- what was lost ------------------------------------------------------------------------------

    def check(self) -> None:
        """Find files that are missing or damaged, or that lack calls: they are made whole."""
        for segment, calls in self._main.execute(QUERIES["calls_by_segment"]).fetchall():
            if segment in self._given_up or not (self._directory / segment).exists():
                continue
            name = text_name(segment)
            try:
                found = about(self._directory / name)
            except (sqlite3.Error, UnicodeDecodeError) as error:
                self._make_anew(segment, str(error))
                continue
            if found is None or found.built_after is not None or found.calls < calls:
                self.rebuild(segment, found.built_after if found and found.built_after else 0)
            if found is not None and not found.merged:
                self._unmerged.add(name)

    def find_lost(self) -> None:
        """The same for files that are not there, which costs next to nothing."""
        for _, segment in self._main.execute(QUERIES["segments"]).fetchall():
            lost = segment not in self._building and not (self._directory / text_name(segment)).exists()
            if lost and (self._directory / segment).exists():
                self.rebuild(segment)

    def rebuild_all(self) -> None:
        """Make every file anew."""
        for name in list(self._open):
            self._leave(name)
        self._given_up.clear()
        for path in text_files(self._directory):
            drop(self._directory, path.name)
        self.find_lost()

    def rebuild(self, segment: str, after: int = 0) -> None:
        """Look again at the calls of a segment above an id."""
        self._new_texts = NewTexts(self._limits.call_chars)  # what was in files that are gone is new again
        with self._healing(segment) as file:
            if file is not None:
                file.build(after)
                self._building[segment] = after

    def build(self) -> bool:
        """Read a slice of a segment's calls again; whether there is more to do."""
        if not self._building:
            return False
        segment, after = next(iter(self._building.items()))
        rows = self._main.execute(QUERIES["calls_of_segment"], (segment, after, _SLICE_CALLS)).fetchall()
        calls = self._read_again([(Indexable(call, 0, segment), uuid) for call, uuid in rows])
        over = len(calls) == len(rows) < _SLICE_CALLS
        with self._healing(segment) as file:
            if file is not None and self._building.get(segment) == after:
                file.add(calls, built_after=calls[-1].call if calls else after)
                self._building[segment] = calls[-1].call if calls else after
            if file is not None and over:
                file.add([], done_rev=self.done_rev)
                file.build(None)
            if file is None or over:
                self._building.pop(segment, None)
        return bool(self._building)

    # --- what is over -------------------------------------------------------------------------------

    def merge(self) -> bool:
        """A step towards order in a file of a day that is over; whether there is more to do."""
        today = max(map(day_of, self._open), default="")
        over = sorted(
            name for name in self._unmerged if day_of(name) < today and segment_name(name) not in self._building
        )
        if not over:
            return False
        with self._healing(segment_name(over[0])) as file:
            if file is None or not file.merge():
                self._unmerged.discard(over[0])
        return bool(self._unmerged)

    # --- files --------------------------------------------------------------------------------------

    def _found_done(self) -> int:
        """How far the files say that we were. Those that are ahead of ``main.db`` are of another life of it."""
        found = [0]
        for path in text_files(self._directory):
            with suppress(sqlite3.Error, UnicodeDecodeError):
                told = about(path)
                found += [told.done_rev] if told is not None and told.done_rev <= self.begun_rev else []
                if told is not None and told.done_rev > self.begun_rev:
                    self._make_anew(segment_name(path.name), "it knows of calls that are not stored")
        return max(found)

    @contextmanager
    def _healing(self, segment: str) -> Iterator[TextFile | None]:
        """The file of a segment; None when its bodies are gone, or when it cannot be kept whole.

        What fails in a damaged file is left undone: the file is made anew.
        """
        file = None
        with self._mended(segment):
            file = None if segment in self._given_up else self._file(text_name(segment))
        with self._mended(segment):
            yield file

    @contextmanager
    def _mended(self, segment: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, UnicodeDecodeError) as error:
            self._leave(text_name(segment))
            if not is_damage(error):
                raise
            self._make_anew(segment, str(error))

    def _file(self, name: str) -> TextFile | None:
        file = self._open.pop(name, None)
        lost = file is not None and not file.in_place()
        if file is not None and lost:
            file.close()
            file = None
        if not (self._directory / segment_name(name)).exists():
            if file is not None:
                file.close()
            return None
        if file is None:
            file = self._opened(name)
        if lost:  # somebody wants it made anew
            file.build(0)
            self._building[segment_name(name)] = 0
        self._open[name] = file
        while len(self._open) > _OPEN_FILES:
            self._open.popitem(last=False)[1].close()
        return file

    def _opened(self, name: str) -> TextFile:
        file = TextFile(self._directory / name)
        if not file.current:
            file.close()
            drop(self._directory, name)
            file = TextFile(self._directory / name)
        self._unmerged.add(name)
        return file

    def _leave(self, name: str) -> None:
        file = self._open.pop(name, None)
        if file is not None:
            file.close()

    def _make_anew(self, segment: str, why: str) -> None:
        name = text_name(segment)
        self._leave(name)
        self._building.pop(segment, None)
        if segment in self._made_anew:
            self._given_up.add(segment)
            log.error("%s is damaged again (%s): nothing is found in its calls", name, why)
            return
        self._made_anew.add(segment)
        log.error("%s is made anew from the bodies: %s", name, why)
        drop(self._directory, name)
        self.rebuild(segment)


def _by_segment(calls: Iterable[Indexable]) -> dict[str, list[Indexable]]:
    found: dict[str, list[Indexable]] = {}
    for call in calls:
        found.setdefault(call.segment, []).append(call)
    return found
