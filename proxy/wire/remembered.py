"""Facts about names: worked out once, then looked up as quickly as Python can. No I/O.

Peers send the same few names with every call, and some of them send names that nobody will send
again: long ones are not kept, and when there are too many all are forgotten and begin anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Name = TypeVar("Name", bytes, str)
Fact = TypeVar("Fact")

_MOST = 4096
_LONGEST = 256


class Remembered(dict[Name, Fact]):
    """``facts[name]``: what ``find`` says of it. Ask by key alone; ``get`` and ``in`` see what is kept only."""

    def __init__(self, find: Callable[[Name], Fact], most: int = _MOST) -> None:
        super().__init__()
        self._find: Callable[[Name], Fact] = find
        self._most = most

    def __missing__(self, name: Name) -> Fact:
        fact = self._find(name)
        if len(name) <= _LONGEST:
            if len(self) >= self._most:
                self.clear()
            self[name] = fact
        return fact
