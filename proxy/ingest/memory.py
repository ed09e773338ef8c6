"""How ingest divides the memory that a setting gives it. What finds no room is read, or stored, once more."""

from __future__ import annotations

from msgspec import Struct

#: What a process takes that remembers nothing: Python, libraries, vocabularies, a batch under way.
PROCESS_BYTES = 96 << 20
LEAST_MB = 160


class Shares(Struct, frozen=True):
    """Most bytes of each kind of memory."""

    waiting: int  #: bodies of calls that are still running
    beginnings: int  #: of requests, which the next ones continue
    store: int  #: what is stored already, and what links lead to


def shares(memory_mb: int) -> Shares:
    """A quarter, a quarter, and half of what the process itself leaves."""
    left = (memory_mb << 20) - PROCESS_BYTES
    return Shares(left // 4, left // 4, left // 2)
