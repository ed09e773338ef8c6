"""Waiting for a condition, with a deadline in place of a sleep."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(condition: Callable[[], T], what: str, timeout_s: float = 15.0, every_s: float = 0.01) -> T:
    """Poll until ``condition()`` is true and return it; fail after ``timeout_s`` naming ``what``.

    An AssertionError inside the condition counts as false and becomes the cause of the failure.
    """
    deadline = time.monotonic() + timeout_s
    cause: AssertionError | None = None
    value: T | None = None
    while True:
        try:
            if value := condition():
                return value
        except AssertionError as error:
            cause = error
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s} s: {what} (last: {value!r})") from cause
        time.sleep(every_s)
