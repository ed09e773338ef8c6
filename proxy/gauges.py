"""A handful of named counters in a small memory-mapped file, one file per process.

They cross a kill -9 (the page cache keeps them), cost a store each, and are read by other
processes without asking the owner: ``status``, ``/healthz`` and ingest look at them. The file
is written whole when it is made, so that no later store needs disk space.

Owner and liveness: the owner holds a flock on the file for its life. A reader that could take
the lock knows that the owner is gone.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import struct
from pathlib import Path

_MAGIC = b"llmtapG1"
_SIZE = 4096
_U64 = struct.Struct("<Q")
_FIRST_SLOT = 64  # leaves room for the magic and for what a later version may need


class Gauges:
    """Named unsigned 64-bit counters; ``names`` gives their places and is only ever appended to."""

    def __init__(self, path: Path, names: tuple[str, ...], fd: int, writable: bool) -> None:
        self.path = path
        self._fd = fd
        self._place = {name: _FIRST_SLOT + 8 * index for index, name in enumerate(names)}
        self._map = mmap.mmap(fd, _SIZE, access=mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ)

    @classmethod
    def create(cls, path: Path, names: tuple[str, ...]) -> Gauges:
        """Make the file afresh and own it. Raises OSError when the disk does not let us."""
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            if os.write(fd, _MAGIC.ljust(_SIZE, b"\0")) != _SIZE:
                raise OSError(28, os.strerror(28), str(path))
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            temporary.rename(path)
            return cls(path, names, fd, writable=True)
        except BaseException:
            os.close(fd)
            temporary.unlink(missing_ok=True)
            raise

    @classmethod
    def open(cls, path: Path, names: tuple[str, ...], *, writable: bool = False) -> Gauges:
        """Look at another process's gauges. Raises OSError when there are none, ValueError when they are not ours."""
        fd = os.open(path, (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC)
        try:
            if os.fstat(fd).st_size != _SIZE or os.pread(fd, len(_MAGIC), 0) != _MAGIC:
                raise ValueError(f"{path} holds no gauges")
            return cls(path, names, fd, writable)
        except BaseException:
            os.close(fd)
            raise

    def __getitem__(self, name: str) -> int:
        return int(_U64.unpack_from(self._map, self._place[name])[0])

    def __setitem__(self, name: str, value: int) -> None:
        _U64.pack_into(self._map, self._place[name], value)

    def add(self, name: str, amount: int = 1) -> None:
        """Count up."""
        self[name] += amount

    def owner_alive(self) -> bool:
        """Whether the process that made the file still holds it (for readers only)."""
        return _held(self._fd)

    def remove(self) -> None:
        """The owner ends well: its file goes, unless that of another process has taken its place."""
        with contextlib.suppress(OSError):
            if self.path.stat().st_ino == os.fstat(self._fd).st_ino:
                self.path.unlink()
        self.close()

    def close(self) -> None:
        """Let go of the file; the owner's lock ends here."""
        self._map.close()
        os.close(self._fd)


def held(path: Path) -> bool:
    """Whether somebody holds the gauges' lock, whatever the file says; in doubt, yes."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        return _held(fd)
    finally:
        os.close(fd)


def _held(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    fcntl.flock(fd, fcntl.LOCK_UN)
    return False


#: Every process of ``serve`` keeps one such file in ``<data>/run/``: ``relay-0.gauges``,
#: ``ingest.gauges``, ``console.gauges``, ``supervisor.gauges``.
VITALS = (
    "pid",
    "started_at_us",
    "heartbeat_us",  #: monotonic; older than STALE_US means hung
    "ready",  #: 1 once it serves, 0 while it starts or drains
    "port",  #: of the first listening socket
    # relay
    "calls_accepted",
    "calls_running",
    "calls_lost",  #: not recorded, or not wholly
    "journal_worst_write_us",
    "journal_slow",  #: 1 while writes are on the slow-disk thread
    # ingest
    "calls_stored",
    "journal_lag_bytes",
    "quarantined",
    "last_commit_us",  #: monotonic
)
STALE_US = 5_000_000
