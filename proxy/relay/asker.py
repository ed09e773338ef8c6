"""The client's side of a call on the fast path, as the call sees it."""

from __future__ import annotations

from enum import Flag, auto
from typing import Protocol


class Held(Flag):
    """Why nothing is read from a client."""

    NOT = 0
    UNSENT = auto()  #: enough waits for a connection to the upstream
    UPSTREAM = auto()  #: the upstream takes nothing more for now
    DISK = auto()  #: what was read is not safe yet
    AHEAD = auto()  #: enough was sent ahead of its turn
    LEAVING = auto()  #: the connection is being handed over


class Asker(Protocol):
    """The client's side of a call."""

    def write(self, data: bytes) -> None:
        """Send bytes of the answer."""

    def hold(self, why: Held) -> None:
        """Take no more bytes from the client until ``go_on`` was said of every reason."""

    def go_on(self, why: Held) -> None:
        """Take them again."""

    @property
    def is_full(self) -> bool:
        """Whether the client takes nothing more for now."""

    @property
    def leaves(self) -> bool:
        """Whether the connection ends with this answer, because llmtap does."""

    def finished(self, *, close: bool) -> None:
        """The answer is complete."""

    def cut(self) -> None:
        """End the connection before the answer is complete; what was written still goes out."""
