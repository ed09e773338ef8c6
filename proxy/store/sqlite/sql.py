"""Statements of people over the views of ``views.py``: read only, bounded in time, size and rows.

Each statement gets a connection of its own, opened for reading. The views are temporary; behind
them stand others with names that nobody can guess, and only for these does the authorizer let
the tables be read: a statement that names a table, or calls something of its own by the name of a
view, reaches nothing. Functions are those of a list; pragmas, attaching, loading and every kind of
writing are refused by the authorizer too, whatever the parser makes of a statement.
"""

from __future__ import annotations

import difflib
import re
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from msgspec import Struct

from ...errors import QueryError, StoreError
from .files import MAIN, connect_reader, refuse_network, store_directory, translated_errors
from .schema import check_readable
from .views import TABLES, VIEWS, Row

TEXT_CHARS = 20_000  #: of a statement
VALUE_BYTES = 1_000_000  #: of one value
_RESULT_BYTES = 256 << 20  # of all rows
_STEPS = 500  # of SQLite's machine between two looks at the clock
_OVERRUN_S = 1.0  # that one step may take beyond the limit
TOO_LONG = "the statement took too long and was stopped: ask for less, or give it more with --timeout"

FUNCTIONS = frozenset(
    [
        "abs",
        "avg",
        "ceil",
        "ceiling",
        "char",
        "coalesce",
        "count",
        "cume_dist",
        "date",
        "datetime",
        "dense_rank",
        "exp",
        "first_value",
        "floor",
        "format",
        "glob",
        "group_concat",
        "hex",
        "ifnull",
        "iif",
        "instr",
        "json",
        "json_array",
        "json_array_length",
        "json_each",
        "json_extract",
        "json_group_array",
        "json_group_object",
        "json_object",
        "json_quote",
        "json_type",
        "json_valid",
        "julianday",
        "lag",
        "last_value",
        "lead",
        "length",
        "like",
        "ln",
        "log",
        "log10",
        "log2",
        "lower",
        "ltrim",
        "max",
        "min",
        "mod",
        "nth_value",
        "ntile",
        "nullif",
        "percent_rank",
        "pow",
        "power",
        "printf",
        "quote",
        "rank",
        "replace",
        "round",
        "row_number",
        "rtrim",
        "sign",
        "sqrt",
        "strftime",
        "substr",
        "substring",
        "sum",
        "time",
        "total",
        "trim",
        "trunc",
        "typeof",
        "unicode",
        "unixepoch",
        "upper",
        "->",
        "->>",
    ]
)
_LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: VALUE_BYTES,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 1_000_000,  # the views' own are long
    sqlite3.SQLITE_LIMIT_COLUMN: 200,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 100,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 20,
    sqlite3.SQLITE_LIMIT_FUNCTION_ARG: 50,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 1000,
    sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER: 0,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 0,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}
_TABLE_FUNCTIONS = ("json_each", "json_tree")
_READS = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE}


class Answer(Struct, frozen=True):
    """What a statement gave."""

    columns: tuple[str, ...]
    rows: list[Row]
    cut: bool  #: there were more rows


def exists(data_dir: Path) -> bool:
    """Whether there is anything to ask."""
    return (store_directory(data_dir) / MAIN).exists()


def ask(
    data_dir: Path,
    text: str,
    *,
    most_rows: int = 1000,
    seconds: float = 10.0,
    heap_bytes: int | None = None,
    overrun: Callable[[], None] | None = None,
) -> Answer:
    """Run one SELECT on the store of a data directory.

    ``heap_bytes``: what SQLite may take from now on, for good and in the whole process. ``overrun`` is
    called in a thread when a single step, which nothing can stop, takes a second beyond the limit.
    Raises ``QueryError`` for what is refused, wrong or takes too long, ``StoreError`` for a store that
    cannot be read.
    """
    if len(text) > TEXT_CHARS:
        raise QueryError(f"a statement has at most {TEXT_CHARS} characters, this one has {len(text)}")
    if "\0" in text or (not text.isascii() and text != text.encode(errors="replace").decode()):
        raise QueryError("a statement cannot hold the character NUL, nor halves of characters")
    with _opened(data_dir, heap_bytes) as connection, _mistakes(text), _watched(seconds + _OVERRUN_S, overrun):
        deadline = time.monotonic() + seconds
        connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
        cursor = connection.execute(text)
        if cursor.description is None:
            raise QueryError("a statement is one SELECT; there is none here")
        columns = tuple(name for name, *_ in cursor.description)
        found, cut = _fetched(cursor, most_rows)
        return Answer(columns, found, cut)


@contextmanager
def _watched(seconds: float, overrun: Callable[[], None] | None) -> Iterator[None]:
    """A signal's handler would wait for the step to end; a thread does not, as SQLite lets others run."""
    if overrun is None:
        yield
        return
    timer = threading.Timer(seconds, overrun)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _fetched(cursor: sqlite3.Cursor, most_rows: int) -> tuple[list[Row], bool]:
    found: list[Row] = []
    size = 0
    for row in cursor:
        size += sum(len(value) if isinstance(value, str | bytes) else 8 for value in row)
        if len(found) == most_rows or size > _RESULT_BYTES:
            return found, True
        found.append(tuple(f"x'{value.hex()}'" if isinstance(value, bytes) else value for value in row))
    return found, False


# --- the connection ----------------------------------------------------------------------------------


@contextmanager
def _opened(data_dir: Path, heap_bytes: int | None) -> Iterator[sqlite3.Connection]:
    directory = store_directory(data_dir)
    path = directory / MAIN
    if not exists(data_dir):
        raise StoreError(f"no calls are recorded in {data_dir} yet")
    refuse_network(directory)
    with translated_errors(path), closing(connect_reader(path)) as connection:
        if not check_readable(connection, path):
            raise StoreError(f"{path} is being made: try again")
        if heap_bytes is not None:
            connection.execute(f"PRAGMA hard_heap_limit = {heap_bytes:d}")
        _prepare(connection)
        yield connection


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA temp_store = MEMORY")
    token = secrets.token_hex(16)
    for view in VIEWS.values():
        columns = ", ".join(f'"{column.name}"' for column in view.columns)
        connection.execute(f'CREATE TEMP VIEW "{view.name}-{token}" AS {view.select}')
        connection.execute(f'CREATE TEMP VIEW "{view.name}" AS SELECT {columns} FROM "{view.name}-{token}"')
    connection.execute("PRAGMA query_only = ON")
    connection.execute("PRAGMA trusted_schema = OFF")
    for name in _TABLE_FUNCTIONS:  # made when first named, by what the authorizer refuses
        connection.execute(f"SELECT 1 FROM {name}('[]')")
    for limit, most in _LIMITS.items():
        connection.setlimit(limit, most)
    connection.set_authorizer(_Authorizer(token))


class _Authorizer:
    """Says yes to reading views, and to what these read."""

    def __init__(self, token: str) -> None:
        self._behind = {f"{name}-{token}" for name in VIEWS}

    def __call__(
        self, action: int, first: str | None, second: str | None, _database: str | None, source: str | None
    ) -> int:
        if action in _READS:
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_FUNCTION:
            known = second is not None and second.lower() in FUNCTIONS
            return sqlite3.SQLITE_OK if known else sqlite3.SQLITE_DENY
        if action == sqlite3.SQLITE_READ and self._may_read(first or "", second, source):
            return sqlite3.SQLITE_OK
        return sqlite3.SQLITE_DENY

    def _may_read(self, table: str, column: str | None, source: str | None) -> bool:
        """A table of which no column is read only gives the number of its rows: SQLite does not say who asks."""
        if table in VIEWS or table in self._behind or table in _TABLE_FUNCTIONS:
            return True
        return source in self._behind or (not column and table in TABLES)


# --- mistakes ----------------------------------------------------------------------------------------

_NO_COLUMN = re.compile(r"no such column: (.+)")
_NO_TABLE = re.compile(r"no such table: (?:\w+\.)?(.+)")
_NO_FUNCTION = re.compile(r"not authorized to use function: (.+)|no such function: (.+)")
_NEAR = re.compile(r'near "(.+)": syntax error')


@contextmanager
def _mistakes(text: str) -> Iterator[None]:
    """SQLite's errors about a statement as ``QueryError``: with the place, and what was meant perhaps."""
    try:
        yield
    except sqlite3.Error as error:
        said = str(error)
        if isinstance(error, sqlite3.DatabaseError) and ("malformed" in said or "not a database" in said):
            raise
        raise _mistake(said, text) from None
    except MemoryError:
        raise QueryError("the statement takes too much memory: ask for less at once") from None
    except OverflowError:
        raise QueryError("a number in the answer has more than 64 bits") from None


def _mistake(said: str, text: str) -> QueryError:
    if said == "interrupted":
        return QueryError(TOO_LONG)
    for pattern, known in ((_NO_COLUMN, _column_names()), (_NO_TABLE, list(VIEWS)), (_NO_FUNCTION, sorted(FUNCTIONS))):
        if found := pattern.search(said):
            name = next(group for group in found.groups() if group)
            return QueryError(f"{said}{_nearest(name, known)}", _place(text, name))
    if found := _NEAR.search(said):
        return QueryError(f"cannot understand the statement near {found[1]!r}", _place(text, found[1]))
    if "prohibited" in said or "not authorized" in said or "one statement" in said or "access to" in said:
        return QueryError("only one SELECT is allowed, on the views " + ", ".join(VIEWS))
    return QueryError(f"the statement cannot be run: {said}")


def _column_names() -> list[str]:
    return list(dict.fromkeys(column.name for view in VIEWS.values() for column in view.columns))


def _nearest(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name.rpartition(".")[2].strip('"').lower(), known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else "; llmtap sql --schema lists what there is"


def _place(text: str, name: str) -> int | None:
    found = re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.IGNORECASE) or re.search(re.escape(name), text)
    return found.start() + 1 if found else None
