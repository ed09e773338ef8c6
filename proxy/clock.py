"""Time and ids. Durations come from the monotonic clock, moments from one wall reading."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime


def wall_us() -> int:
    """Microseconds since 1970, UTC."""
    return time.time_ns() // 1000


def monotonic_us() -> int:
    """Microseconds of the system-wide monotonic clock: comparable between processes of one boot."""
    return time.monotonic_ns() // 1000


def rfc3339(us: int) -> str:
    """``1763000000000000`` → ``2025-11-13T02:13:20.000000Z``."""
    seconds = datetime.fromtimestamp(us // 1_000_000, UTC).replace(tzinfo=None)
    return f"{seconds.isoformat()}.{us % 1_000_000:06d}Z"


class CallIds:
    """UUIDv7s (RFC 9562) that never decrease, also when the wall clock steps back.

    48 bits of milliseconds, 12 bits of counter within the millisecond, 62 random bits.
    """

    def __init__(self, random_bytes: Callable[[int], bytes] = os.urandom) -> None:
        self._random_bytes = random_bytes
        self._last = 0

    def next(self, now_us: int) -> bytes:
        """The next id, 16 bytes, for a wall time in µs."""
        stamp = max(now_us // 1000 << 12, self._last + 1)
        self._last = stamp
        random = int.from_bytes(self._random_bytes(8), "big") & (1 << 62) - 1
        value = (stamp >> 12) << 80 | 7 << 76 | (stamp & 0xFFF) << 64 | 2 << 62 | random
        return value.to_bytes(16, "big")


def id_text(call_id: bytes) -> str:
    """The id as people write it: ``0199…-…-7…``."""
    if len(call_id) != 16:
        raise ValueError(f"an id has 16 bytes, not {len(call_id)}")
    digits = call_id.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
