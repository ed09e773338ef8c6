"""Copies of a whole store, made while it is written to, and the way back.

A backup is a folder of its own below the one that was named: database files that any SQLite opens,
the secret that tells keys apart (0600, as in the data directory: without it, keys of later calls
would match none of the restored ones), and a manifest with the hash of each. It appears under its
name only when it is complete. Bodies are stored before the rows that point at them, and full text
after them; so full text is copied first, then the rows as they were at one moment, then the bodies:
all that a row points at is there, and full text at most lags. A body file that expires in between
is found missing, and rows are copied anew. A body file that has not changed since the last backup is
linked to that, once it was found to hold what it held then, and takes no room.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from ... import __version__
from ...datadir import SECRET_FILE
from ...errors import Busy, StoreError
from ..base import Watch
from .files import (
    MAIN,
    connect_reader,
    connect_writer,
    create,
    store_directory,
    sync_directory,
    translated_errors,
)
from .queries import QUERIES

MANIFEST = "manifest.json"
_FORMAT = 1
_PAGES = 512  # copied at once: between two looks at the progress
_TRIES = 5  # bodies may expire while they are copied
_PARTIAL = ".partial-"
_NAME = re.compile(r"\d{8}T\d{6}Z(?:-(\d+))?", re.ASCII)


class File(Struct, frozen=True, kw_only=True):
    """One file of a backup, and the one that it was copied from."""

    size: int
    sha256: str
    source: tuple[int, int, int] | None = None  #: size, time of change, inode; None: it may change at any time
    linked: bool = False  #: to the backup before this one


class Manifest(Struct, frozen=True, kw_only=True):
    """What a backup holds."""

    format: int = _FORMAT
    llmtap: str = __version__
    made_at: str
    files: dict[str, File]
    missing: tuple[str, ...] = ()  #: body files that were not there to be copied

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files.values())

    @property
    def new_bytes(self) -> int:
        """Bytes that it takes beside the backup before it."""
        return sum(file.size for file in self.files.values() if not file.linked)


def snapshots(target: Path) -> list[Path]:
    """Complete backups in a folder, oldest first; the folder itself when it is one. Nothing else that lies there."""
    if (target / MANIFEST).is_file():
        return [target]
    found: list[tuple[str, int, Path]] = []
    for path in target.glob(f"[0-9]*/{MANIFEST}"):
        name = _NAME.fullmatch(path.parent.name)
        if name is not None and not path.parent.is_symlink():
            with suppress(StoreError):
                found.append((manifest(path.parent).made_at, int(name[1] or 0), path.parent))
    return [path for *_, path in sorted(found)]


def manifest(snapshot: Path) -> Manifest:
    """What a backup says of itself. Raises ``StoreError``."""
    try:
        found = msgspec.json.decode((snapshot / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError) as error:
        raise StoreError(f"{snapshot / MANIFEST} cannot be read: {error}") from error
    if found.format != _FORMAT:
        raise StoreError(f"{snapshot} is a backup of a newer llmtap (format {found.format}): upgrade llmtap")
    return found


def backup(data_dir: Path, target: Path, watch: Watch) -> Path:
    """Make a backup below ``target``, beside a running writer or without one; its folder.

    Raises ``StoreError`` when there is no store, or one that cannot be read; ``Busy`` when another backup is
    being made there; OSError when the target cannot be written.
    """
    source = store_directory(data_dir)
    if not (source / MAIN).is_file():
        raise StoreError(f"there is no store in {data_dir}")
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(target):
        return _backup(data_dir, target, watch)


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """While nobody else makes a backup there."""
    fd = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(f"another backup into {target} is being made: wait for it, or choose another folder") from None
        except OSError:
            pass  # a file system without locks is still good for backups
        yield
    finally:
        os.close(fd)


def _backup(data_dir: Path, target: Path, watch: Watch) -> Path:
    for left in target.glob(f"{_PARTIAL}*"):
        shutil.rmtree(left)
    stamp = datetime.now(UTC)
    final = _unused(target, stamp.strftime("%Y%m%dT%H%M%SZ"))
    partial = target / f"{_PARTIAL}{final.name}"
    partial.mkdir(mode=0o700)
    try:
        copy = _Copy(store_directory(data_dir), partial, _newest(target), watch)
        copy.store()
        copy.secret(data_dir / SECRET_FILE)
        made = Manifest(
            made_at=stamp.isoformat(timespec="seconds"), files=copy.files, missing=tuple(sorted(copy.missing))
        )
        _write(partial / MANIFEST, msgspec.json.format(msgspec.json.encode(made), indent=1))
        sync_directory(partial)
        partial.rename(final)
        sync_directory(target)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return final


def _unused(target: Path, name: str) -> Path:
    path, number = target / name, 1
    while path.exists():
        path, number = target / f"{name}-{number}", number + 1
    return path


def _newest(target: Path) -> tuple[Path, Manifest] | None:
    for snapshot in reversed(snapshots(target)):
        with suppress(StoreError):
            return snapshot, manifest(snapshot)
    return None


class _Copy:
    """The files of a store, on their way into a backup."""

    def __init__(self, source: Path, target: Path, before: tuple[Path, Manifest] | None, watch: Watch) -> None:
        self.files: dict[str, File] = {}
        self.missing: set[str] = set()
        self._source = source
        self._target = target
        self._before = before
        self._watch = watch
        self._total = 0

    def store(self) -> None:
        """All of its files, in the order that makes them fit together."""
        self._total = sum(path.stat().st_size for path in self._source.glob("*.db") if path.exists())
        for path in sorted(self._source.glob("fts-*.db")):
            self._add(path.name)
        for _ in range(_TRIES):
            self._add(MAIN)
            if not (gone := [name for name in self._body_files() if not self._add(name)]):
                break
        self.missing = set(gone)

    def secret(self, path: Path) -> None:
        """What keys are told apart by, when the data directory holds it."""
        if path.is_file():
            _write(self._target / path.name, path.read_bytes())
            self._note(path.name, None)

    def _body_files(self) -> list[str]:
        """Those that the copied rows point at."""
        with translated_errors(self._source / MAIN), closing(connect_reader(self._target / MAIN)) as main:
            names = [str(name) for _, name in main.execute(QUERIES["segments"])]
        for suffix in ("-wal", "-shm"):
            (self._target / f"{MAIN}{suffix}").unlink(missing_ok=True)
        return names

    def _add(self, name: str) -> bool:
        """Copy or link a file, unless that was done and it has not changed since; whether it is there."""
        path = self._source / name
        try:
            quiet = _quiet(path)
            if not self._is_current(name, quiet) and not (quiet and self._link(name, quiet)):
                self._copied(path)
                self._note(name, quiet)
        except FileNotFoundError:
            self.files.pop(name, None)
            (self._target / name).unlink(missing_ok=True)
            return False
        return True

    def _is_current(self, name: str, quiet: tuple[int, int, int] | None) -> bool:
        """Whether a copy that was made before holds all that rows copied since then may point at."""
        copied = self.files.get(name)
        return copied is not None and quiet is not None and copied.source == quiet

    def _link(self, name: str, quiet: tuple[int, int, int]) -> bool:
        before = self._before[1].files.get(name) if self._before else None
        if self._before is None or before is None or before.source != quiet:
            return False
        path = self._before[0] / name
        try:
            if not _is_whole(path, before):
                return False  # what rots on the disk must not do so in every backup
            (self._target / name).unlink(missing_ok=True)
            (self._target / name).hardlink_to(path)
        except OSError:
            return False  # another disk, or one without links
        self.files[name] = msgspec.structs.replace(before, linked=True)
        return True

    def _copied(self, path: Path) -> None:
        target = self._target / path.name
        target.unlink(missing_ok=True)
        create(target)
        try:
            with closing(connect_reader(path)) as source, closing(sqlite3.connect(target)) as copy:
                copy.execute("PRAGMA synchronous = OFF")  # it is synced below, once
                source.execute("BEGIN")
                source.execute("SELECT count(*) FROM sqlite_master").fetchone()  # one moment, whoever writes
                source.backup(copy, pages=_PAGES, progress=self._progress(path.name), sleep=0)
        except sqlite3.OperationalError:
            if not path.exists():
                raise FileNotFoundError(str(path)) from None
            with translated_errors(path):
                raise
        except (sqlite3.DatabaseError, UnicodeDecodeError):  # damaged: what is left of it may still be of use
            shutil.copyfile(path, target)
        _sync(target)

    def _progress(self, name: str) -> Callable[[int, int, int], None]:
        def watch(_: int, left: int, pages: int) -> None:
            done = sum(file.size for file in self.files.values())
            self._watch(name, done + (pages - left) * 4096, self._total)

        return watch

    def _note(self, name: str, quiet: tuple[int, int, int] | None) -> None:
        path = self._target / name
        self.files[name] = File(size=path.stat().st_size, sha256=_sha256(path), source=quiet)


def _quiet(path: Path) -> tuple[int, int, int] | None:
    """What tells a closed file's content; None for one with changes that are not folded in."""
    found = path.stat()
    with suppress(FileNotFoundError):
        if path.with_name(f"{path.name}-wal").stat().st_size:
            return None
    return found.st_size, found.st_mtime_ns, found.st_ino


# --- the way back ---------------------------------------------------------------------------------


def damages(snapshot: Path, watch: Watch) -> Iterator[str]:
    """One sentence for each file of a backup that is not what was copied."""
    found = manifest(snapshot)
    done = 0
    for name, file in found.files.items():
        watch(name, done, found.size)
        done += file.size
        path = snapshot / name
        if Path(name).name != name:
            yield f"{name!r} is no name of a file"
        elif not path.is_file():
            yield f"{name} is missing"
        elif not _is_whole(path, file):
            yield f"{name} has changed since it was copied"


def restore(snapshot: Path, data_dir: Path, watch: Watch) -> None:
    """Put a backup, whose files were found whole, in place of an empty store. Raises ``StoreError`` and OSError."""
    target = store_directory(data_dir)
    if any(target.iterdir()):
        raise StoreError(f"{target} holds files already: restore into an empty --data-dir, or move it away")
    partial = data_dir / f"{_PARTIAL}store"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700)
    found, done = manifest(snapshot), 0
    for name, file in found.files.items():
        watch(name, done, found.size)
        path = (data_dir if name == SECRET_FILE else partial) / name
        path.unlink(missing_ok=True)
        create(path)
        shutil.copyfile(snapshot / name, path)
        _sync(path)
        done += file.size
    sync_directory(partial)
    partial.rename(target)
    sync_directory(data_dir)


def compacted(data_dir: Path) -> int:
    """Write the main file anew, so that from now on it gives free pages back; how many bytes smaller it is.

    For whoever holds the writer's lock. Raises ``StoreError``.
    """
    path = store_directory(data_dir) / MAIN
    before = path.stat().st_size
    with translated_errors(path), closing(connect_writer(path)) as main:
        main.execute("PRAGMA auto_vacuum = INCREMENTAL")
        main.execute("VACUUM")
        main.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return before - path.stat().st_size


def _is_whole(path: Path, file: File) -> bool:
    """Whether it holds what was copied then."""
    return path.stat().st_size == file.size and _sha256(path) == file.sha256


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(path: Path, content: bytes) -> None:
    create(path)
    path.write_bytes(content)
    _sync(path)


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
