"""Reading and writing: what ingest, and commands that hold the writer's lock, work with."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from ...clock import wall_us
from ...errors import StoreError
from ..base import Batch, JobRow, StoredCall
from . import find, jobs
from .files import connect_writer, prepare, store_directory, sync_directory
from .reader import SqliteReader
from .schema import migrate
from .thread import DatabaseThread
from .writer import Writer

T = TypeVar("T")


class SqliteStore(SqliteReader):
    """``Store`` on SQLite: made when missing, upgraded when older.

    Whoever opens it holds the writer lock of the data directory.
    """

    def __init__(self, data_dir: Path) -> None:
        super().__init__(data_dir)
        self._writer: Writer | None = None

    @classmethod
    async def open(cls, data_dir: Path, *, now_us: Callable[[], int] = wall_us) -> SqliteStore:
        """Open for writing; ``now_us`` dates rows and chooses the segment of the day.

        Raises ``StoreError`` when the store cannot be used.
        """
        prepare(store_directory(data_dir))
        store = cls(data_dir)
        try:
            store._thread = await DatabaseThread.start(store._path, partial(_opened, store._path))
            store._writer = await store._thread.run(Writer, store._directory, now_us)
        except BaseException:
            await store.close()
            raise
        return store

    async def close(self) -> None:
        """Fold everything into the files and let go of them."""
        if self._writer is not None:
            await self._write(Writer.close)
            self._writer = None
        await super().close()

    async def write(self, batch: Batch) -> None:
        """See ``Store``."""
        await self._write(lambda writer: writer.write(batch))

    async def rewrite(self, calls: Sequence[StoredCall], job: JobRow | None = None) -> None:
        """See ``Store``."""
        await self._write(lambda writer: writer.rewrite(calls, job))

    async def put_job(self, job: JobRow) -> None:
        """See ``Store``."""
        await self._ask(None, jobs.put, job)

    async def stored_seqs(self, journal: str, from_seq: int) -> set[int]:
        """See ``Store``."""
        return await self._ask(set(), find.stored_seqs, journal, from_seq)

    async def interrupt_running(self, journals_alive: Sequence[str], at_us: int) -> int:
        """See ``Store``."""
        return await self._write(lambda writer: writer.interrupt_running(journals_alive, at_us))

    async def _write(self, function: Callable[[Writer], T]) -> T:
        writer, thread = self._writer, self._thread
        if writer is None or thread is None:
            raise StoreError(f"{self._path} is closed")
        return await thread.run(lambda _: function(writer))


def _opened(path: Path) -> sqlite3.Connection:
    connection = connect_writer(path)
    try:
        migrate(connection, path)
        sync_directory(path.parent)
    except BaseException:
        connection.close()
        raise
    return connection
