"""Full text beside the writer: a bounded queue of texts, and a thread of its own that adds them to files.

Nobody ever waits for it. What does not fit into the queue, or was not handed over because the process
died, is read from the bodies in its turn, which costs ten times as much: what comes meanwhile is queued
behind it. Then come files to be made anew, and order in files of days that are over.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from msgspec import Struct

from ....errors import StoreError
from ....tasks import spawn
from ..files import MAIN, connect_reader
from ..reader import Bodies
from ..thread import DatabaseThread
from .files import Indexable
from .index import Indexer, Limits

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger(__name__)

QUEUE_CHARS = 16 << 20
_COMMIT_CALLS = 1000
_COMMIT_CHARS = 4 << 20
_GATHER_S = 0.2  #: texts that come within it are added together
_RETRY_S = 5.0
_LOOK_S = 5.0  #: between looks for files that somebody took away
_CLOSING_S = 5.0  #: for what is queued; the rest is read from the bodies later


class _Missed(Struct, frozen=True):
    """Calls that were not handed over, or did not fit, up to this ``rev``: they stand in the bodies."""

    until_rev: int


class FullText:
    """The task and the thread of full text. Close it: it keeps the process alive."""

    def __init__(self, thread: DatabaseThread, indexer: Indexer) -> None:
        self._thread = thread
        self._indexer = indexer
        self._offered_rev = indexer.begun_rev
        self._queue: deque[Indexable | _Missed] = deque([_Missed(self._offered_rev)])
        self._queued_chars = 0
        self._unchecked, self._unlooked = True, False
        self._close_at: float | None = None
        self._news, self._idle, self._hurry = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._task = spawn(self._work(), "full text")

    @classmethod
    async def start(cls, directory: Path, limits: Limits) -> FullText:
        """Begin where the files say that we were. Raises ``StoreError``."""
        path = directory / MAIN
        thread = await DatabaseThread.start(path, partial(connect_reader, path))
        try:
            return cls(thread, await thread.run(Indexer, directory, limits, Bodies(directory)))
        except BaseException:
            await thread.close()
            raise

    def offer(self, calls: Sequence[Indexable]) -> None:
        """Hand over what was just committed, in the order of ``rev``. Never waits."""
        if not calls:
            return
        size = sum(each.texts.size for each in calls if each.texts is not None)
        handed_over = all(each.texts is not None for each in calls)
        self._offered_rev = calls[-1].rev
        if handed_over and self._queued_chars + size <= QUEUE_CHARS:
            self._queue.extend(calls)
            self._queued_chars += size
        else:
            self._miss()
        self._wake()

    def _miss(self) -> None:
        """What was offered last has to be read from the bodies."""
        if self._queue and isinstance(self._queue[-1], _Missed):
            self._queue.pop()
        self._queue.append(_Missed(self._offered_rev))

    def look_again(self) -> None:
        """Files have come or gone, or calls have moved: see whether all is where it belongs."""
        self._unchecked = True
        self._wake()

    async def rebuild(self) -> None:
        """Make every file anew; ``settled`` tells when that is done."""
        await self._thread.run(self._on(Indexer.rebuild_all))
        self._wake()

    async def settled(self) -> None:
        """Wait until nothing is left to do."""
        self._hurry.set()
        await self._idle.wait()

    async def close(self) -> None:
        """Add what is missing, as far as that is quickly done, and let go of all files."""
        self._close_at = asyncio.get_running_loop().time() + _CLOSING_S
        self._hurry.set()
        self._wake()
        await asyncio.wait([self._task])
        await self._thread.run(lambda _: self._indexer.close())
        await self._thread.close()

    # --- the task -----------------------------------------------------------------------------------

    def _wake(self) -> None:
        self._idle.clear()
        self._news.set()

    async def _work(self) -> None:
        while self._close_at is None or asyncio.get_running_loop().time() < self._close_at:
            try:
                if await self._step():
                    continue
            except Exception as error:
                self._start_over(error)
                await self._pause(_RETRY_S)
                continue
            if self._close_at is not None:
                return
            if self._news.is_set():  # they came while the last step looked for work
                self._news.clear()
                continue
            self._idle.set()
            self._hurry.clear()
            try:
                await asyncio.wait_for(self._news.wait(), _LOOK_S)
            except TimeoutError:
                self._unlooked = True
            await self._pause(_GATHER_S)

    async def _pause(self, seconds: float) -> None:
        """Sleep, but not while somebody waits for us."""
        self._news.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._hurry.wait()

    def _start_over(self, error: Exception) -> None:
        """Of what was taken from the queue, nobody knows how much was added: what is not there is read again."""
        self._queue.clear()
        self._queued_chars = 0
        self._miss()
        if isinstance(error, StoreError):
            log.error("full text cannot be written (%s); trying again in %g s", error, _RETRY_S)
        else:
            log.error("full text has failed; trying again in %g s", _RETRY_S, exc_info=error)
        if self._close_at is not None:
            self._close_at = 0.0

    async def _step(self) -> bool:
        """Do what is most urgent; whether there was anything."""
        if taken := self._taken():
            await self._thread.run(self._on(Indexer.index), taken)
        elif self._queue:
            await self._catch_up()
        elif self._close_at is not None:
            return False
        elif self._unchecked:
            self._unchecked = False
            await self._thread.run(self._on(Indexer.check))
        elif self._unlooked:
            self._unlooked = False
            await self._thread.run(self._on(Indexer.find_lost))
        else:
            return await self._thread.run(self._on(Indexer.build)) or await self._thread.run(self._on(Indexer.merge))
        return True

    async def _catch_up(self) -> None:
        """A slice of what was missed first."""
        missed = self._queue[0]
        assert isinstance(missed, _Missed)
        more = await self._thread.run(self._on(Indexer.catch_up), missed.until_rev)
        if not more and self._queue[0] is missed:  # else more has been missed meanwhile
            self._queue.popleft()

    def _on(self, method: Callable[Concatenate[Indexer, P], T]) -> Callable[Concatenate[sqlite3.Connection, P], T]:
        """A method of the indexer as the thread runs it."""
        return lambda _, /, *args, **kwargs: method(self._indexer, *args, **kwargs)

    def _taken(self) -> list[Indexable]:
        """What one commit adds: calls up to where some were missed."""
        calls: list[Indexable] = []
        size = 0
        while self._queue and len(calls) < _COMMIT_CALLS and size < _COMMIT_CHARS:
            if isinstance(call := self._queue[0], _Missed):
                break
            calls.append(call)
            size += call.texts.size if call.texts is not None else 0
            self._queue.popleft()
        self._queued_chars -= size
        return calls
