"""The git branch that is checked out around a directory, read from its files as git lays them out.

No git is run: whoever's directory it is could have it run anything. What is read is bounded, and
comes back only when it looks like a HEAD, so no other file can be made to show up in a row.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

_LEVELS_MAX = 64  #: directories upwards
_READ_BYTES = 4096
_HASH_CHARACTERS = 7
_HEAD = re.compile(r"ref: refs/(?:heads/)?([^\x00-\x20\x7f]{1,255})|([0-9a-f]{40}|[0-9a-f]{64})")
_ELSEWHERE = re.compile(r"gitdir: ([^\x00\n]+)")


def git_branch(directory: Path) -> str | None:
    """``feature/x``; the first digits of the commit when none is checked out; None outside of any repository."""
    for place in (directory, *directory.parents)[:_LEVELS_MAX]:
        git = place / ".git"
        if (head := _read(git / "HEAD") or _head_elsewhere(git)) is not None:
            return _branch(head)
    return None


def _head_elsewhere(git: Path) -> str | None:
    """The HEAD of a worktree or submodule, whose ``.git`` is a file that says where."""
    found = _ELSEWHERE.match(_read(git) or "")
    return _read(git.parent / found[1].strip() / "HEAD") if found else None


def _branch(head: str) -> str | None:
    found = _HEAD.fullmatch(head.strip())
    return None if found is None else found[1] or found[2][:_HASH_CHARACTERS]


def _read(path: Path) -> str | None:
    """The beginning of a regular file; None for anything else, such as a pipe that would never end."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    try:
        regular = stat.S_ISREG(os.fstat(fd).st_mode)
        return os.read(fd, _READ_BYTES).decode("utf-8", "replace") if regular else None
    except OSError:
        return None
    finally:
        os.close(fd)
