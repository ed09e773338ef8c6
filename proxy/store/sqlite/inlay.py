"""What stands in a piece of a body in a spelling that wastes room: base64, or numbers in decimal."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct


class Spelling(Protocol):
    """How bytes were written: enough to write them so again."""

    def written(self, data: bytes) -> bytes:
        """The text that stood for the bytes."""


class Inlay(Struct, frozen=True):
    """``piece[start:stop] == spelling.written(data)``, and the data is the shorter."""

    start: int
    stop: int
    media_type: str
    data: bytes
    spelling: Spelling
