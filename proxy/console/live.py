"""One tail of the store for all who listen: pages and programs that want calls as they come.

While somebody listens, the store is asked ten times a second whether it has anything new: one read of a
number. What is new is read once and handed to all; each listener then takes what its visitor may see
and its filter means. A listener holds a bounded number of calls that it has not taken yet: who is
slower than the calls, or does not read at all, is told so (``FellBehind``) and loads its page again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator
from time import monotonic

from ..errors import StoreError
from ..query.tree import Filter, Match, leaves
from ..records import Call
from ..store.base import Reader
from ..tasks import spawn
from .permissions import Visitor
from .scoped import ScopedReader

log = logging.getLogger(__name__)

POLL_S = 0.1
BATCH = 500  #: calls that are read at once
LISTENERS_MAX = 500
WAITING_MAX = 2_000  #: calls of one listener
QUIET_S = 30.0  #: after so long without a call, followers get an empty list
_REST_S = 2.0  #: when the store cannot be asked
_AGAIN_S = 1.0
_WORDS_COME_S = 15.0  #: so long after its commit, a call's words can be found, or it is not waited for


class FellBehind(Exception):
    """More came than the listener took: it must look anew."""


class Live:
    """The tail. It runs while somebody follows."""

    def __init__(self, store: Reader) -> None:
        self._store = store
        self._listeners: set[_Listener] = set()
        self._joining = asyncio.Lock()
        self._tail: asyncio.Task[None] | None = None
        self._rev = 0
        self._closed = False

    async def follow(
        self,
        visitor: Visitor,
        where: Filter | None = None,
        *,
        after_rev: int | None = None,
        every: bool = False,
        quiet_s: float = QUIET_S,
    ) -> AsyncGenerator[list[Call], None]:
        """Calls that came, began or ended, as ``visitor`` may see them, oldest change first; [] now and then.

        ``after_rev``: begin with those that changed since; None: with those that change from now on. A call
        comes again with each change. Ends when the console stops. Raises ``FellBehind``, ``QueryError``
        for a filter that the visitor may not use, and ``StoreError`` when too many follow already.
        """
        reader = ScopedReader(self._store, visitor)
        await reader.among([], where)
        listener = _Listener()
        await self._join(listener)
        try:
            caught = await self._missed(reader, where, after_rev, every)
            if caught:
                yield caught
            told = {call.id: call.rev for call in caught}
            unread = _Unread(where)
            while not self._closed:
                news = await listener.take(unread.pause_s(quiet_s))
                asked = unread.with_those([call for call in news if told.get(call.id, 0) < call.rev])
                found = await reader.among(asked, where, every=every)
                unread.found(found)
                if found or not news:
                    yield found
        finally:
            self._leave(listener)

    def close(self) -> None:
        """Let all followers end."""
        self._closed = True
        for listener in self._listeners:
            listener.put([])

    @property
    def listening(self) -> int:
        """How many follow."""
        return len(self._listeners)

    async def _missed(
        self, reader: ScopedReader, where: Filter | None, after_rev: int | None, every: bool
    ) -> list[Call]:
        """What changed between the page and now."""
        if after_rev is None:
            return []
        missed = await reader.find(where, after_rev=after_rev, limit=BATCH, every=every, news=True)
        if len(missed) == BATCH:
            raise FellBehind
        return missed

    # --- listeners -----------------------------------------------------------------------------------

    async def _join(self, listener: _Listener) -> None:
        async with self._joining:
            if self._tail is None or self._tail.done():
                self._rev = await self._store.latest_rev()
                self._tail = spawn(self._run(), "live tail")
            if len(self._listeners) >= LISTENERS_MAX:
                raise StoreError(f"{LISTENERS_MAX} pages and programs follow already: close some that nobody looks at")
            self._listeners.add(listener)

    def _leave(self, listener: _Listener) -> None:
        self._listeners.discard(listener)
        if not self._listeners and self._tail is not None:
            self._tail.cancel()
            self._tail = None

    # --- the tail ------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(POLL_S)
            try:
                await self._look()
            except StoreError as error:
                log.warning("the live tail waits: %s", error)
                await asyncio.sleep(_REST_S)

    async def _look(self) -> None:
        newest = await self._store.latest_rev(at_once=False)
        while self._rev < newest:
            if newest - self._rev > WAITING_MAX:
                self._rev = newest
                for listener in self._listeners:
                    listener.lose()
                return
            calls = await self._store.find(after_rev=self._rev, limit=BATCH, every=True, news=True)
            self._rev = calls[-1].rev if len(calls) == BATCH else max([newest, *(call.rev for call in calls)])
            for listener in self._listeners:
                listener.put(calls)


class _Unread:
    """Where words are sought: calls that came, but whose words cannot be found yet. They are looked at again."""

    def __init__(self, where: Filter | None) -> None:
        self._seeks_words = any(isinstance(leaf, Match) for leaf in leaves(where))
        self._calls: dict[str, tuple[Call, float]] = {}

    def pause_s(self, quiet_s: float) -> float:
        """How long to wait for further calls."""
        return min(quiet_s, _AGAIN_S) if self._calls else quiet_s

    def with_those(self, news: list[Call]) -> list[Call]:
        """The new calls, and those that are looked at again."""
        if not self._seeks_words:
            return news
        now_s = monotonic()
        kept = {call.id: (call, until_s) for call, until_s in self._calls.values() if until_s > now_s}
        self._calls = kept | {call.id: (call, now_s + _WORDS_COME_S) for call in news}
        while len(self._calls) > BATCH:
            del self._calls[next(iter(self._calls))]
        return [call for call, _ in self._calls.values()]

    def found(self, calls: list[Call]) -> None:
        """These are told."""
        for call in calls:
            self._calls.pop(call.id, None)


class _Listener:
    """What one follower has not taken yet. Batches are shared between all."""

    def __init__(self) -> None:
        self._batches: deque[list[Call]] = deque()
        self._waiting = 0
        self._lost = False
        self._came = asyncio.Event()

    def put(self, calls: list[Call]) -> None:
        """Add a batch, or lose them all when there are too many."""
        self._batches.append(calls)
        self._waiting += len(calls)
        self._came.set()
        if self._waiting > WAITING_MAX:
            self.lose()

    def lose(self) -> None:
        """What waits is let go of; the follower is told."""
        self._lost = True
        self._batches.clear()
        self._waiting = 0
        self._came.set()

    async def take(self, quiet_s: float) -> list[Call]:
        """All that waits, or [] when nothing came for so long. Raises ``FellBehind``."""
        try:
            async with asyncio.timeout(quiet_s):
                await self._came.wait()
        except TimeoutError:
            return []
        self._came.clear()
        if self._lost:
            raise FellBehind
        taken = [call for batch in self._batches for call in batch]
        self._batches.clear()
        self._waiting = 0
        return taken
