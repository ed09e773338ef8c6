"""Reading and writing: what ingest, and commands that hold the writer's lock, work with."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import TypeVar

from ...bodies.digests import salt_of
from ...clock import wall_us
from ...errors import StoreError
from ...query.tree import Filter
from ..base import Batch, JobRow, Recounted, StoredCall
from ..policy import FOR_GOOD, Hold, Policy, Purged
from . import jobs, pins
from .files import connect_writer, prepare, schema_version, store_directory, sync_directory
from .fulltext.index import Limits
from .fulltext.queue import FullText
from .purge import Purge
from .reader import SqliteReader
from .retention import Memory
from .schema import migrate
from .thread import DatabaseThread
from .writer import MEMORY_BYTES, Writer

T = TypeVar("T")


class SqliteStore(SqliteReader):
    """``Store`` on SQLite: made when missing, upgraded when older.

    Whoever opens it holds the writer lock of the data directory.
    """

    def __init__(self, data_dir: Path) -> None:
        super().__init__(data_dir)
        self._writer: Writer | None = None
        self._full_text: FullText | None = None
        self._memory = Memory()
        self._purging: Purge | None = None

    @classmethod
    async def open(
        cls,
        data_dir: Path,
        *,
        policy: Policy = FOR_GOOD,
        now_us: Callable[[], int] = wall_us,
        full_text: Limits | None = None,
        memory_bytes: int = MEMORY_BYTES,
    ) -> SqliteStore:
        """Open for writing; ``now_us`` dates rows and chooses the segment of the day.

        ``memory_bytes``: for what is remembered of what is stored.
        ``full_text``: whether words are made searchable meanwhile, and how many; what was missed is made up for.
        Raises ``StoreError`` when the store cannot be used.
        """
        prepare(store_directory(data_dir))
        store = cls(data_dir)
        try:
            store._thread = await DatabaseThread.start(store._path, partial(_opened, store._path))
            store._writer = await store._thread.run(Writer, store._directory, now_us, policy, memory_bytes)
            await store._write(Writer.build_rollups)
            await store._write(Writer.build_names)
            if full_text is not None:
                store._full_text = await FullText.start(store._directory, full_text)
        except BaseException:
            await store.close()
            raise
        return store

    async def close(self) -> None:
        """Fold everything into the files and let go of them."""
        await self._end_purge(self._purging)
        if self._full_text is not None:
            await self._full_text.close()
            self._full_text = None
        if self._writer is not None:
            await self._ask(None, self._bodies.close)  # who closes a file last folds its WAL in, and readers cannot
            await self._write(Writer.close)
            self._writer = None
        await super().close()

    def salt(self, project: str) -> bytes:
        """See ``Store``."""
        if self._writer is None:
            raise StoreError(f"{self._path} is closed")
        return _salt_of(self._writer.secret, project)

    async def write(self, batch: Batch) -> None:
        """See ``Store``."""
        written = await self._write(lambda writer: writer.write(batch))
        if self._full_text is not None:
            self._full_text.offer(written)

    async def rebuild_text(self) -> None:
        """Make all that texts are found by anew, from the bodies; ``text_settled`` tells when that is done."""
        if self._full_text is None:
            raise StoreError("full text is off: set store.full_text")
        await self._full_text.rebuild()

    async def text_settled(self) -> None:
        """Wait until full text, if it is on, has all there is, and is in order."""
        if self._full_text is not None:
            await self._full_text.settled()

    async def rewrite(self, calls: Sequence[StoredCall], job: JobRow | None = None) -> None:
        """See ``Store``."""
        await self._write(lambda writer: writer.rewrite(calls, job))

    async def purge(self, policy: Policy, now_us: int, *, sure: bool = False) -> AsyncIterator[Purged]:
        """See ``Store``."""
        leave = await self._write(lambda writer: writer.leave)
        begun = partial(Purge, sure=sure)
        purge = await self._ask(None, begun, self._directory, policy, now_us, leave, self._memory)
        self._purging = purge
        try:
            while purge is not None and (done := await self._ask(None, _next_step, purge)) is not None:
                yield done
        finally:
            await self._end_purge(purge)
        if self._full_text is not None:
            self._full_text.look_again()  # calls that stay have moved to other files

    async def _end_purge(self, purge: Purge | None) -> None:
        """Close the files of one that stopped half way, on the thread that opened them."""
        if purge is not None and purge is self._purging:
            self._purging = None
            await self._ask(None, _end, purge)

    async def pin(self, calls: Sequence[str] | Filter, at_us: int, *, remove: bool = False) -> int:
        """See ``Store``."""
        self._memory.forget()
        change = partial(pins.set_pins, calls=calls, at_us=at_us, remove=remove)
        return await self._ask(0, change)

    async def hold(self, hold: Hold) -> None:
        """See ``Store``."""
        await self._ask(None, pins.hold, hold)

    async def release(self, name: str) -> bool:
        """See ``Store``."""
        self._memory.forget()
        return await self._ask(False, pins.release, name)

    async def put_job(self, job: JobRow) -> None:
        """See ``Store``."""
        await self._ask(None, jobs.put, job)

    async def recount(self, after: int | None = None) -> Recounted:
        """See ``Store``."""
        return await self._write(lambda writer: writer.recount(after))

    async def catch_up(self) -> bool:
        """See ``Store``."""
        if self._writer is None or not self._writer.is_behind:
            return False
        return await self._write(Writer.catch_up)

    async def interrupt_running(self, journals_alive: Sequence[str], at_us: int) -> int:
        """See ``Store``."""
        return await self._write(lambda writer: writer.interrupt_running(journals_alive, at_us))

    async def _write(self, function: Callable[[Writer], T]) -> T:
        writer, thread = self._writer, self._thread
        if writer is None or thread is None:
            raise StoreError(f"{self._path} is closed")
        return await thread.run(lambda _: function(writer))


def _end(_: sqlite3.Connection, purge: Purge) -> None:
    purge.close()


def _next_step(_: sqlite3.Connection, purge: Purge) -> Purged | None:
    return purge.step()


_salt_of = lru_cache(1000)(salt_of)


def _opened(path: Path) -> sqlite3.Connection:
    connection = connect_writer(path)
    try:
        if schema_version(connection) == 0:  # later, only a VACUUM of the whole file could change it
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("VACUUM")
        migrate(connection, path)
        sync_directory(path.parent)
    except BaseException:
        connection.close()
        raise
    return connection
