"""Statements in SQL, each in a process of its own: nothing that one does can hold up, fill or bring down the console.

The process reads one JSON object from standard input and writes one to standard output. It takes a
bounded share of memory, and ends itself when SQLite does not let go in time; see ``store.sqlite.sql``.
"""

from __future__ import annotations

import asyncio
import math
import os
import sys
from pathlib import Path

import msgspec
from msgspec import Struct

from ..errors import QueryError, StoreError
from ..query.tree import Scalar
from ..store.sqlite.sql import TOO_LONG, Answer, ask

AT_ONCE = 2  #: statements that run at the same time
_HEAP_BYTES = 256 << 20  #: of SQLite's, for one statement
_SHOWN_BYTES = 64 << 20  #: of one answer
_GRACE_S = 5.0  #: for the process to start and to end


class Question(Struct, frozen=True, kw_only=True):
    """What a process is asked."""

    data_dir: str
    statement: str
    rows: int
    seconds: float


class Told(Struct, frozen=True, kw_only=True):
    """What it says. ``refused``: a mistake of who asks; ``failed``: the store cannot be read."""

    columns: tuple[str, ...] = ()
    rows: list[tuple[Scalar, ...]] = []
    cut: bool = False
    refused: str | None = None
    column: int | None = None
    failed: str | None = None


async def asked(question: Question) -> Told:
    """The answer. Raises ``QueryError`` for what is refused or takes too long, ``StoreError`` where a store fails."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        "-m",
        "proxy.console.asking",
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(question.seconds + _GRACE_S):
            said, _ = await process.communicate(msgspec.json.encode(question))
    except TimeoutError:
        raise QueryError(TOO_LONG) from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return _told(said)


def _told(said: bytes) -> Told:
    if not said:
        raise QueryError(TOO_LONG)
    told = msgspec.json.decode(said, type=Told)
    if told.refused is not None:
        raise QueryError(told.refused, told.column)
    if told.failed is not None:
        raise StoreError(told.failed)
    return told


# --- the process -----------------------------------------------------------------------------------------


def main() -> None:
    """Answer one question."""
    question = msgspec.json.decode(sys.stdin.buffer.read(), type=Question)
    sys.stdout.buffer.write(_answered(question))


def _answered(question: Question) -> bytes:
    try:
        answer = ask(
            Path(question.data_dir),
            question.statement,
            most_rows=question.rows,
            seconds=question.seconds,
            heap_bytes=_HEAP_BYTES,
            overrun=lambda: os._exit(2),
        )
    except QueryError as error:
        return msgspec.json.encode(Told(refused=str(error), column=error.column))
    except StoreError as error:
        return msgspec.json.encode(Told(failed=str(error)))
    return _bounded(answer)


def _bounded(answer: Answer) -> bytes:
    rows = [tuple(map(_finite, row)) for row in answer.rows]
    said = msgspec.json.encode(Told(columns=answer.columns, rows=rows, cut=answer.cut))
    if len(said) > _SHOWN_BYTES:
        return msgspec.json.encode(Told(refused=f"the answer has more than {_SHOWN_BYTES:,} bytes: ask for less"))
    return said


def _finite(value: Scalar) -> Scalar:
    """JSON has no infinite numbers."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


if __name__ == "__main__":
    main()
