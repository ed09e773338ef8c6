"""What may be written to a terminal, and how wide it is.

Logged text is written by strangers: a prompt can hold the escape sequence that sets the
clipboard or hides a line. ``printable`` shows such characters instead of obeying them, on
terminals and in pipes alike, because a pipe often ends in a terminal (``| less -R``).
"""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from collections.abc import Mapping
from typing import TextIO

_OBEYED = (
    r"\x00-\x1f\x7f-\x9f"  # C0, DEL, C1: ESC, CSI, OSC, BEL, backspace, …
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # direction marks, embeddings, overrides, isolates
    r"\u2028\u2029\ufeff\ufff9-\ufffb"  # line and paragraph separators, BOM, annotations
    r"\U000e0000-\U000e0fff"  # tags: invisible text
    r"\ud800-\udfff"  # halves of pairs: cannot be encoded
)
_UNSAFE = re.compile(f"[{_OBEYED}]")
_UNSAFE_BUT_LINES = re.compile(f"(?![\n\t])[{_OBEYED}]")
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_STYLES = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
}
_PILE_MAX = 8  #: characters per column that are looked at: a pile of accents costs no more


def printable(text: str, *, lines: bool = False) -> str:
    """``text`` with every character that a terminal would obey shown as ``\\x1b`` or ``\\u202e``.

    ``lines``: keep line feeds and tabs (a carriage return before a line feed is dropped);
    otherwise the result is one line.
    """
    if lines:
        return _UNSAFE_BUT_LINES.sub(_escaped, text.replace("\r\n", "\n"))
    return _UNSAFE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    char = match[0]
    return _NAMED.get(char) or char.encode("unicode_escape").decode("ascii")


def width(text: str) -> int:
    """Columns that printable text takes; generous where terminals differ, so that no line wraps."""
    return len(text) if text.isascii() else sum(map(_char_width, text))


def fit(text: str, columns: int) -> str:
    """As much of printable text as fits, ended by ``…`` when cut."""
    if columns <= 0:
        return ""
    text, cut = text[: columns * _PILE_MAX], len(text) > columns * _PILE_MAX
    if not cut and width(text) <= columns:
        return text
    used = 0
    for place, char in enumerate(text):
        used += _char_width(char)
        if used > columns - 1:
            return text[:place] + "…"
    return text + "…"


def pad(text: str, columns: int, *, right: bool = False) -> str:
    """Fill with blanks; ``right`` sets the text to the right edge."""
    blanks = " " * (columns - width(text))
    return blanks + text if right else text + blanks


def _char_width(char: str) -> int:
    if char < "\u0300":
        return 1
    if char == "\ufe0f":  # makes the character before it an emoji, often wider
        return 1
    if unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


class Terminal:
    """Where output for people goes. ``width`` is None when it is no terminal: then nothing is cut or coloured."""

    def __init__(self, stream: TextIO | None = None, environment: Mapping[str, str] | None = None) -> None:
        env = os.environ if environment is None else environment
        self.stream = sys.stdout if stream is None else stream
        self.interactive = self.stream.isatty()
        self.colour = self.interactive and not env.get("NO_COLOR") and env.get("TERM") != "dumb"
        self.steerable = self.interactive and env.get("TERM", "dumb") != "dumb"  #: the cursor can be moved

    @property
    def width(self) -> int | None:
        """Columns, asked anew each time: windows are resized."""
        return self._size()[0] if self.interactive else None

    @property
    def height(self) -> int:
        """Lines."""
        return self._size()[1]

    def _size(self) -> tuple[int, int]:
        try:
            columns, lines = os.get_terminal_size(self.stream.fileno())
        except (OSError, ValueError):
            columns, lines = 0, 0
        return columns or 80, lines or 24

    def paint(self, text: str, style: str) -> str:
        """``text`` in a style such as ``bold red``; as it is where colour is not wanted."""
        if not self.colour or not style or not text:
            return text
        codes = ";".join(_STYLES[name] for name in style.split())
        return f"\x1b[{codes}m{text}\x1b[0m"

    def write(self, text: str) -> None:
        """Write at once, whole: one system call for what belongs together."""
        self.stream.write(text)
        self.stream.flush()
