"""Whether anything was written to a database since it was last asked, without asking it: two numbers of its log's file.

Who follows a store asks ten times a second whether it has anything new. Nearly always it has not, and
then its log's size and time of change are what they were.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

_SETTLES_S = 0.5  #: a commit is seen after its log was written, and files' clocks are coarse
_TRUSTED_S = 1.0  #: so long, the file is believed


class Stillness:
    """Of one database in WAL mode. Says so itself when it is time to ask again."""

    def __init__(self, database: Path) -> None:
        self._log = database.with_name(f"{database.name}-wal")
        self._known: tuple[int, int] | None = None
        self._moved_s = 0.0
        self._asked_s = 0.0

    def holds(self, now_s: float) -> bool:
        """Whether what was asked before is still so; False: ask now. ``now_s``: of a clock that never goes back."""
        known = self._look()
        if known != self._known:
            self._known, self._moved_s = known, now_s
        if now_s - self._moved_s < _SETTLES_S or now_s - self._asked_s >= _TRUSTED_S:
            self._asked_s = now_s
            return False
        return True

    def _look(self) -> tuple[int, int] | None:
        with suppress(OSError):
            found = self._log.stat()
            return found.st_size, found.st_mtime_ns
        return None
