"""What visitors say and do, on its way to the store: the console's own journal.

The console reads the store and never writes to it. An event goes into a journal, as calls do, and is
stored by whoever writes: a fraction of a second later, or when that one runs again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Mapping
from typing import Any

from msgspec import Struct, to_builtins

from ..clock import CallIds, wall_us
from ..config import Config
from ..datadir import prepare
from ..errors import ConfigError, StoreError
from ..journal.writer import JournalWriter
from ..records import Event, EventKind
from ..tasks import spawn

_TICK_S = 1.0
_VITALS = ("journal_worst_write_us", "journal_slow", "calls_lost")


class Recorder:
    """The journal of one console, opened when something is said first. Belongs to an event loop."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._ids = CallIds()
        self._journal: JournalWriter | None = None
        self._ticking: asyncio.Task[None] | None = None

    def append(self, kind: EventKind, author: str, said: Struct | Mapping[str, Any]) -> Event:
        """Write down what somebody said, one of the ``…Said`` of ``store.judgements``.

        When it returns, the death of a process loses nothing of it. Raises ``StoreError`` when it cannot be written.
        """
        now_us = wall_us()
        event = Event(id=self._ids.next(now_us), kind=kind, at_us=now_us, author=author, said=to_builtins(said))
        journal = self._opened()
        if not journal.append_if_possible([event]):
            reason = journal.failure or "it is longer than a record can be"
            raise StoreError(f"what was said cannot be written to the journal in {self._config.data_dir}: {reason}")
        return event

    async def close(self) -> None:
        """Let go of the journal: what it holds is stored by whoever writes."""
        ticking, self._ticking = self._ticking, None
        if ticking is not None:
            ticking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await ticking
        journal, self._journal = self._journal, None
        if journal is not None:
            await journal.close()

    def _opened(self) -> JournalWriter:
        if self._journal is None:
            name = f"console-{time.time_ns() // 1_000_000:012x}-{os.getpid()}"
            try:
                root = prepare(self._config.data_dir) / "journal"
            except ConfigError as error:  # nothing that whoever asks could mend
                raise StoreError(f"what was said cannot be written: {error}") from error
            self._journal = JournalWriter(root, name, self._config.journal, dict.fromkeys(_VITALS, 0))
            self._ticking = spawn(self._tick(self._journal), "console journal")
        return self._journal

    async def _tick(self, journal: JournalWriter) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            journal.tick()
