"""The versions of ``main.db``: hand-numbered migrations, and the refusal of what is newer."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from ...errors import StoreError
from .files import schema_version

_MIGRATIONS = sorted(Path(__file__).with_name("migrations").glob("[0-9]*_*.sql"))
VERSION = len(_MIGRATIONS)


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring a database to ``VERSION`` in one transaction: a reader never meets a version between."""
    missing = _MIGRATIONS[check(connection, path) :]
    if missing:
        steps = "\n".join(file.read_text("utf-8") for file in missing)
        connection.executescript(f"BEGIN IMMEDIATE;{steps}\nPRAGMA user_version = {VERSION};COMMIT;")


def check(connection: sqlite3.Connection, path: Path) -> int:
    """The version of a database. Raises ``StoreError`` when it is newer than this program."""
    version = schema_version(connection)
    if version > VERSION:
        raise StoreError(
            f"{path} was written by a newer llmtap (schema {version}, this one knows {VERSION}): "
            "upgrade llmtap, or choose another --data-dir"
        )
    return version


def check_readable(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether a reader can use a database: False while it is still being made."""
    version = check(connection, path)
    if 0 < version < VERSION:
        raise StoreError(
            f"{path} was written by an older llmtap (schema {version}, this one needs {VERSION}): "
            "llmtap serve upgrades it when it starts"
        )
    return version == VERSION
