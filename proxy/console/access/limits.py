"""How often somebody may try a password: so many failures, and one more each while. Counts only, no clock of its own.

What is remembered is bounded: past ``kept`` keys, the one that failed longest ago is forgotten. An
attacker who fills it gains the tries of an address nobody has seen before, which is what they had.
"""

from __future__ import annotations

from collections import OrderedDict


class Limiter:
    """A leaky bucket for each key: it holds ``most`` failures, and one leaks out every ``each_us``."""

    def __init__(self, most: int, each_us: int, kept: int = 10_000) -> None:
        self._most = most
        self._each_us = each_us
        self._kept = kept
        self._empty_at_us: OrderedDict[str, int] = OrderedDict()

    def wait_us(self, key: str, now_us: int) -> int:
        """How long this key must wait before it may try; 0: not at all."""
        empty_at_us = self._empty_at_us.get(key, now_us)
        return max(0, empty_at_us - now_us - (self._most - 1) * self._each_us)

    def failed(self, key: str, now_us: int) -> None:
        """One more failure."""
        self._empty_at_us[key] = max(self._empty_at_us.get(key, now_us), now_us) + self._each_us
        self._empty_at_us.move_to_end(key)
        if len(self._empty_at_us) > self._kept:
            self._empty_at_us.popitem(last=False)

    def forget(self, key: str) -> None:
        """A success: the failures before it were slips."""
        self._empty_at_us.pop(key, None)
