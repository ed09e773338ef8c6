"""A database and the one thread that uses it, by aiosqlite.

aiosqlite offers one awaitable per statement; each is a hop to its thread and back, dearer than
most statements. A whole batch, or a whole question, is one function here and one hop. There is
no public way to run a function on aiosqlite's thread: ``_execute`` is it, and it is used in
this module alone.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import aiosqlite

from .files import translated_errors

P = ParamSpec("P")
T = TypeVar("T")


class DatabaseThread:
    """One ``sqlite3`` connection on its own thread. Close it: the thread keeps the process alive."""

    def __init__(self, path: Path, connection: aiosqlite.Connection) -> None:
        self._path = path
        self._connection = connection

    @classmethod
    async def start(cls, path: Path, connect: Callable[[], sqlite3.Connection]) -> DatabaseThread:
        """Start the thread and connect on it; ``path`` is what errors name."""
        failed: list[Exception] = []

        def connected() -> sqlite3.Connection:
            # aiosqlite does not wait for its thread when connecting fails; it does when closing.
            try:
                return connect()
            except Exception as error:
                failed.append(error)
                return sqlite3.connect(":memory:")

        connection = aiosqlite.Connection(connected, iter_chunk_size=64)
        await connection
        if failed:
            await connection.close()
            with translated_errors(path):
                raise failed[0]
        return cls(path, connection)

    async def run(
        self, function: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a function on the thread, with the connection as its first argument."""
        raw = self._connection._conn  # noqa: SLF001
        with translated_errors(self._path):
            result: T = await self._connection._execute(function, raw, *args, **kwargs)  # type: ignore[no-untyped-call]  # noqa: SLF001
        return result

    async def close(self) -> None:
        """End the thread after what is queued."""
        await self._connection.close()
