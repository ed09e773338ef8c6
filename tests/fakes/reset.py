"""Breaking a connection with RST, once the peer's kernel has what was written before."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import socket
import struct
import termios

_STEP_S = 0.001
_MOST_STEPS = 1000


async def reset(transport: asyncio.WriteTransport) -> None:
    """Send RST instead of FIN, which throws away what the peer has not acknowledged: so that is awaited first."""
    sock = transport.get_extra_info("socket")
    with contextlib.suppress(OSError):
        for _ in range(_MOST_STEPS):
            if not _unacknowledged(sock):
                break
            await asyncio.sleep(_STEP_S)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _unacknowledged(sock: socket.socket) -> int:
    return int(struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0\0\0\0"))[0])
