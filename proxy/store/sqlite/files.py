"""Where the store's files lie, how they are opened, and where they must not lie.

Everything is private to its owner (0700, 0600). WAL needs memory that all processes share and
locks that work, so file systems reached over a network are refused.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ...errors import StoreError

MAIN = "main.db"
PAGE_BYTES = 8192
_NETWORK = {
    "9p", "afs", "ceph", "cifs", "coda", "davfs", "fuse.ceph", "fuse.ceph-fuse", "fuse.davfs", "fuse.davfs2",
    "fuse.gcsfuse", "fuse.glusterfs", "fuse.goofys", "fuse.juicefs", "fuse.mfs", "fuse.mount-s3", "fuse.rclone",
    "fuse.s3fs", "fuse.smbnetfs", "fuse.sshfs", "fuse.seaweedfs", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs",
    "nfs", "nfs4", "ocfs2", "orangefs", "smb3", "smbfs", "webdav", "afpfs",
}  # fmt: skip
_HINTS = {
    "full": "make room on the disk",
    "locked": "another process holds it; try again",
    "readonly": "it cannot be written; look at its owner and mode",
    "unable to open": "look at the owner and mode of the folder",
    "malformed": "the file is damaged; move it away or bring back a backup",
    "not a database": "the file is damaged; move it away or bring back a backup",
}
_BUSY_MS = 5000
_CHECKPOINT_BYTES = 16 << 20  # rarer checkpoints write each page less often
_WAL_BYTES = 64 << 20  # what a WAL that once grew larger is cut back to


def store_directory(data_dir: Path) -> Path:
    """The folder of all files of the store."""
    return data_dir / "store"


def prepare(directory: Path) -> None:
    """Make the folder, private, and refuse it when it lies on a network."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{directory}: cannot be made: {error.strerror}; choose another --data-dir") from error
    refuse_network(directory)


def refuse_network(directory: Path) -> None:
    """Raise ``StoreError`` when the folder lies on a network file system (known on Linux only)."""
    if not sys.platform.startswith("linux"):
        return
    try:
        table = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape")
    except OSError:
        return
    kind = filesystem_of(str(directory.resolve()), table)
    if kind in _NETWORK:
        raise StoreError(
            f"{directory} lies on a network file system ({kind}), where SQLite can lose data: "
            "choose a --data-dir on a local disk"
        )


def filesystem_of(path: str, mountinfo: str) -> str | None:
    """The type of the file system that holds an absolute path, by the lines of /proc/self/mountinfo."""
    best, kind = "", None
    for line in mountinfo.splitlines():
        left, dash, right = line.partition(" - ")
        fields = left.split(" ")
        if not dash or len(fields) < 5:
            continue
        point = _unescaped(fields[4])
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):  # a later mount hides an earlier one
            best, kind = point, right.split(" ")[0]
    return kind


def _unescaped(text: str) -> str:
    for code, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, char)
    return text


def connect_writer(path: Path, page_bytes: int = PAGE_BYTES) -> sqlite3.Connection:
    """Open a database for writing, made when missing, with pages of this size; transactions are begun by hand."""
    create(path)
    connection = sqlite3.connect(path, timeout=_BUSY_MS / 1000, isolation_level=None)
    try:
        connection.execute(f"PRAGMA page_size = {page_bytes}")
        connection.execute("PRAGMA journal_mode = WAL").fetchone()
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = OFF").fetchone()
        connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_BYTES // page_bytes}").fetchone()
        connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def create(path: Path) -> None:
    """Make a file that is private, if there is none."""
    # SQLite gives -wal and -shm the mode of the file. Only a new file is opened here: closing a
    # descriptor of an old one would drop the locks that this process holds on it through SQLite.
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def connect_reader(path: Path) -> sqlite3.Connection:
    """Open an existing database for reading; never makes a file."""
    uri = f"{path.absolute().as_uri()}?mode=ro"
    return sqlite3.connect(uri, uri=True, timeout=_BUSY_MS / 1000, isolation_level=None)


def schema_version(connection: sqlite3.Connection) -> int:
    """``PRAGMA user_version``: 0 before the first migration."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


@contextmanager
def transaction(connection: sqlite3.Connection, kind: str = "IMMEDIATE") -> Iterator[None]:
    """All or nothing; ``DEFERRED`` gives a reader one consistent moment."""
    connection.execute(f"BEGIN {kind}")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def translated_errors(path: Path) -> Iterator[None]:
    """SQLite's errors as ``StoreError``: with the file's name, and what to do.

    A value that SQLite cannot hold (a blob beyond its limit) is no fault of the store: ``ValueError``.
    """
    try:
        yield
    except sqlite3.DataError as error:
        raise ValueError(str(error)) from error
    except (sqlite3.Error, UnicodeDecodeError) as error:  # the second: a message that quotes a damaged file
        text = str(error) if isinstance(error, sqlite3.Error) else "its schema is malformed"
        hint = next((f": {hint}" for sign, hint in _HINTS.items() if sign in text), "")
        raise StoreError(f"{path}: {text}{hint}") from error


def sync_directory(directory: Path) -> None:
    """Make the names in a folder durable."""
    fd = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
