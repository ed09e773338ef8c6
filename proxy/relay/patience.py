"""Ending a connection whose peer takes nothing of what waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import sys
import termios
from collections.abc import Callable
from typing import Self


class Patience:
    """While entered: aborts the connection once the peer has taken no byte for ``timeout_s``.

    A slow peer is not a silent one: what its kernel has acknowledged counts as taken.
    """

    def __init__(
        self, transport: asyncio.Transport, timeout_s: float, before_abort: Callable[[], None] | None = None
    ) -> None:
        self._transport = transport
        self._timeout_s = timeout_s
        self._before_abort = before_abort

    def __enter__(self) -> Self:
        self._arm()
        return self

    def __exit__(self, *exc: object) -> None:
        self._timer.cancel()

    def _arm(self) -> None:
        self._unsent = unsent_bytes(self._transport)
        self._timer = asyncio.get_running_loop().call_later(self._timeout_s, self._check)

    def _check(self) -> None:
        if unsent_bytes(self._transport) < self._unsent:
            self._arm()
            return
        if self._before_abort is not None:
            self._before_abort()
        self._transport.abort()


def unsent_bytes(transport: asyncio.Transport) -> int:
    """What the peer has not taken yet, in our buffer and, where the system tells (Linux), in the kernel's."""
    waiting = transport.get_write_buffer_size()
    sock = transport.get_extra_info("socket")
    if sock is not None:
        with contextlib.suppress(OSError):
            waiting += int.from_bytes(fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder)
    return waiting
