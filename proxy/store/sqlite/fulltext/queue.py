"""Full text beside the writer: a bounded queue of texts, and a thread of its own that adds them to files.

Nobody ever waits for it. What does not fit into the queue, or was not handed over because the process
died, is read from the bodies when there is time. Then come files to be made anew, and order in files
of days that are over.
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


class FullText:
    """The task and the thread of full text. Close it: it keeps the process alive."""

    def __init__(self, thread: DatabaseThread, indexer: Indexer) -> None:
        self._thread = thread
        self._indexer = indexer
        self._queue: deque[Indexable] = deque()
        self._queued_chars = 0
        self._offered_rev = 0
        self._behind = True  #: calls are missing between those in the queue, or done, and the next to be handed over
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
        if handed_over and not self._behind and self._queued_chars + size <= QUEUE_CHARS:
            self._queue.extend(calls)
            self._queued_chars += size
        else:
            self._behind = True
        self._offered_rev = calls[-1].rev
        self._wake()

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
        self._behind = True
        if isinstance(error, StoreError):
            log.error("full text cannot be written (%s); trying again in %g s", error, _RETRY_S)
        else:
            log.error("full text has failed; trying again in %g s", _RETRY_S, exc_info=error)
        if self._close_at is not None:
            self._close_at = 0.0

    async def _step(self) -> bool:
        """Do what is most urgent; whether there was anything."""
        if self._queue:
            await self._thread.run(self._on(Indexer.index), self._taken())
        elif self._behind:
            more = await self._thread.run(self._on(Indexer.catch_up))
            self._behind = more or self._indexer.done_rev < self._offered_rev
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

    def _on(self, method: Callable[Concatenate[Indexer, P], T]) -> Callable[Concatenate[sqlite3.Connection, P], T]:
        """A method of the indexer as the thread runs it."""
        return lambda _, /, *args, **kwargs: method(self._indexer, *args, **kwargs)

    def _taken(self) -> list[Indexable]:
        """What one commit adds."""
        calls: list[Indexable] = []
        size = 0
        while self._queue and len(calls) < _COMMIT_CALLS and size < _COMMIT_CHARS:
            calls.append(self._queue.popleft())
            size += calls[-1].texts.size if calls[-1].texts is not None else 0
        self._queued_chars -= size
        return calls
