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

from ...errors import StoreError

P = ParamSpec("P")
T = TypeVar("T")

_FAILURES = (sqlite3.Error, UnicodeDecodeError)  # the second: a message that quotes a damaged file
_HINTS = {
    "full": "make room on the disk",
    "locked": "another process holds it; try again",
    "readonly": "it cannot be written; look at its owner and mode",
    "unable to open": "look at the owner and mode of the folder",
    "malformed": "the file is damaged; move it away or bring back a backup",
    "not a database": "the file is damaged; move it away or bring back a backup",
}


class DatabaseThread:
    """One ``sqlite3`` connection on its own thread. Close it: the thread keeps the process alive."""

    def __init__(self, path: Path, connection: aiosqlite.Connection) -> None:
        self._path = path
        self._connection = connection

    @classmethod
    async def start(cls, path: Path, connect: Callable[[], sqlite3.Connection]) -> DatabaseThread:
        """Start the thread and connect on it; ``path`` is what errors name."""
        connection = aiosqlite.Connection(connect, iter_chunk_size=64)
        try:
            await connection
        except _FAILURES as error:
            raise _translated(error, path) from error
        return cls(path, connection)

    async def run(
        self, function: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a function on the thread, with the connection as its first argument."""
        raw = self._connection._conn  # noqa: SLF001
        try:
            result: T = await self._connection._execute(function, raw, *args, **kwargs)  # type: ignore[no-untyped-call]  # noqa: SLF001
        except _FAILURES as error:
            raise _translated(error, self._path) from error
        return result

    async def close(self) -> None:
        """End the thread after what is queued."""
        await self._connection.close()


def _translated(error: Exception, path: Path) -> StoreError:
    text = "its schema is malformed" if isinstance(error, UnicodeDecodeError) else str(error)
    hint = next((f": {hint}" for sign, hint in _HINTS.items() if sign in text), "")
    return StoreError(f"{path}: {text}{hint}")
