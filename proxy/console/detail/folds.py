"""Long texts, folded: what a page shows of one at first, and where the rest is to be had."""

from __future__ import annotations

from msgspec import Struct

LINES = 40  #: of a text that is shown at once
CHARACTERS = 6_000
ALL_CHARACTERS = 1_000_000  #: of a text that is shown whole; the exact bytes are to be had as a file
_LITTLE = 12  # lines: so little is not worth a fold


class Fold(Struct, frozen=True):
    """A text, or its beginning. ``hidden``: characters that are left out; ``lines``: those of the whole text."""

    text: str
    hidden: int = 0
    lines: int = 1


def folded(text: str, lines: int = LINES, characters: int = CHARACTERS) -> Fold:
    """The first lines of a text that is long, else all of it."""
    count = text.count("\n") + 1
    if len(text) <= characters * 5 // 4 and count <= lines + _LITTLE:
        return Fold(text, 0, count)
    end = characters
    at = -1
    for _ in range(lines):
        at = text.find("\n", at + 1, characters)
        if at < 0:
            break
    else:
        end = at
    return Fold(text[:end], len(text) - end, count)


def whole(text: str) -> Fold:
    """As much of a text as a page bears."""
    return Fold(text[:ALL_CHARACTERS], max(0, len(text) - ALL_CHARACTERS), text.count("\n") + 1)
