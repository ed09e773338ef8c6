r"""Patterns of ``like``: ``%`` is any text, ``_`` any one character, and ``\`` takes the next one as it is.

``like`` minds case, ``ilike`` does not, but for letters beyond ASCII. Engines write the same
pattern in their own ways, and a text matches here exactly when it does there: SQLite sees a
text up to its first NUL. Matching takes time in proportion to pattern times text, whatever
the pattern: each piece between two ``%`` is sought once, from left to right.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator

_TOKEN = re.compile(r"\\(.)|(.)", re.DOTALL)
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_WILD = {"%": "*", "_": "?"}


def _tokens(pattern: str) -> Iterator[tuple[str, bool]]:
    """Each character, and whether it is wild."""
    for found in _TOKEN.finditer(pattern):
        escaped, plain = found.groups()
        yield (escaped, False) if escaped else (plain, plain in _WILD)


def glob(pattern: str) -> str:
    """The pattern as ``GLOB`` writes it, which minds case."""
    return "".join(_WILD[char] if wild else f"[{char}]" if char in "*?[" else char for char, wild in _tokens(pattern))


def escaped(text: str) -> str:
    """A text as a pattern that only this text matches."""
    return re.sub(r"([%_\\])", r"\\\1", text)


def canonical(pattern: str) -> str:
    r"""The pattern with ``\`` only where it is needed: before ``%``, ``_`` and itself."""
    return "".join(char if wild else escaped(char) for char, wild in _tokens(pattern))


def is_like(text: str, pattern: str, *, ignore_case: bool = False) -> bool:
    """Whether the whole text matches."""
    text = text.partition("\0")[0]
    if ignore_case:
        text, pattern = text.translate(_LOWER), pattern.translate(_LOWER)
    first, *others = _pieces(pattern)
    if not others:
        return first.fullmatch(text) is not None
    found = first.match(text)
    *middle, last = others
    for piece in middle:
        found = found and piece.search(text, found.end())
    start = len(text) - _length(last)
    return found is not None and found.end() <= start and last.fullmatch(text, start) is not None


def _pieces(pattern: str) -> list[re.Pattern[str]]:
    """What stands between the ``%``: each matches texts of one length."""
    pieces = [""]
    for char, wild in _tokens(pattern):
        if wild and char == "%":
            pieces.append("")
        else:
            pieces[-1] += "." if wild else re.escape(char)
    return [re.compile(piece, re.DOTALL) for piece in pieces]


def _length(piece: re.Pattern[str]) -> int:
    return len(re.sub(r"\\(.)", r"\1", piece.pattern, flags=re.DOTALL))
