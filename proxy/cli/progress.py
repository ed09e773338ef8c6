"""One line that is written over while something long goes on: on a terminal; nothing elsewhere."""

from __future__ import annotations

import sys
import time

from .terminal import Terminal, fit, printable

_EVERY_S = 0.1
_BAR = 24


class Progress:
    """What is done, as a bar where the whole is known."""

    def __init__(self, verb: str) -> None:
        self._verb = verb
        self._terminal = Terminal(sys.stderr)
        self._shown_s = 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show how far it is; fits ``store.base.Watch``."""
        now_s = time.monotonic()
        if not self._terminal.steerable or now_s - self._shown_s < _EVERY_S:
            return
        self._shown_s = now_s
        text = f"{self._verb} {_bar(done, total)}{printable(what)}"
        self._terminal.write(f"\r\x1b[K{fit(text, (self._terminal.width or 80) - 1)}")

    def clear(self) -> None:
        """Take the line away."""
        if self._terminal.steerable:
            self._terminal.write("\r\x1b[K")


def _bar(done: int, total: int) -> str:
    if total <= 0:
        return ""
    share = min(1.0, done / total)
    full = round(share * _BAR)
    return f"{'█' * full}{'░' * (_BAR - full)} {share:4.0%} "
