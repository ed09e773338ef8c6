"""Listening sockets: bound once by the supervisor, inherited by every child it ever starts."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
from pathlib import Path
from urllib.parse import urlsplit

from ..addresses import Address
from ..errors import Busy, UsageError
from ..gauges import VITALS, Gauges

_BACKLOG = 2048
_PORT_TRIES = 20


class Listening:
    """The sockets of one address; ``localhost`` has two, on one port."""

    def __init__(self, sockets: list[socket.socket], note: str | None) -> None:
        self.sockets = sockets
        self.note = note  #: what a person should know, e.g. that ::1 is missing

    @property
    def fds(self) -> tuple[int, ...]:
        """To pass on."""
        return tuple(sock.fileno() for sock in self.sockets)

    @property
    def port(self) -> int:
        """The port, also when any free one was asked for."""
        return int(self.sockets[0].getsockname()[1])

    def close(self) -> None:
        """Refuse what still waits in the queue."""
        for sock in self.sockets:
            sock.close()


def listen(address: Address, setting: str) -> Listening:
    """Bind every host of an address. Raises ``Busy``, which says who holds the port, or ``UsageError``."""
    for _ in range(_PORT_TRIES):
        first = _bind(address.hosts[0], address.port, setting)
        port = int(first.getsockname()[1])
        try:
            others = [_bind(host, port, setting) for host in address.hosts[1:]]
        except _NoSuchHostError:
            return Listening([first], "::1 is not available here, so only 127.0.0.1 is listened on")
        except Busy:
            first.close()
            if address.port:
                raise
            continue  # any port will do, but the same on both loopbacks
        return Listening([first, *others], None)
    raise Busy(f"{setting}: no port is free on both loopbacks; name one")


class _NoSuchHostError(UsageError):
    """The address does not exist on this machine."""


def _bind(host: str, port: int, setting: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise _NoSuchHostError(f"{setting}: {host}: {error.strerror}") from None
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, port))
        sock.listen(_BACKLOG)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise _explained(error, host, port, setting) from None
    return sock


def _explained(error: OSError, host: str, port: int, setting: str) -> Busy | UsageError:
    if error.errno == errno.EADDRINUSE:
        return Busy(
            f"port {port} on {host} is taken by {holder(port) or 'another process'}; choose another with {setting}"
        )
    if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
        return _NoSuchHostError(f"{setting}: this machine has no address {host}")
    if error.errno == errno.EACCES:
        return UsageError(f"{setting}: port {port} is for privileged users; choose one above 1023")
    return UsageError(f"{setting}: cannot listen on {host}:{port}: {error.strerror}")


def holder(port: int) -> str | None:
    """``name (pid N)`` of the process that listens on a port; None where that cannot be told."""
    inodes = _listening_inodes(port)
    if not inodes:
        return None
    for fd in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if str(fd.readlink()) in inodes:
                pid = fd.parts[2]
                return f"{Path('/proc', pid, 'comm').read_text().strip()} (pid {pid})"
    return None


def _listening_inodes(port: int) -> set[str]:
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                    found.add(f"socket:[{fields[9]}]")
    return found


def leads_to_relay(data_dir: Path, url: str) -> bool:
    """Whether a URL is that of a running relay of this data directory."""
    parts = urlsplit(url)
    return parts.scheme == "http" and _is_here(parts.hostname or "") and parts.port in _relay_ports(data_dir)


def _relay_ports(data_dir: Path) -> set[int]:
    ports = set()
    for path in [*(data_dir / "run").glob("relay-*.gauges"), *(data_dir / "run").glob("run-*.gauges")]:
        with contextlib.suppress(OSError, ValueError), contextlib.closing(Gauges.open(path, VITALS)) as gauges:
            if gauges.owner_alive():
                ports.add(gauges["port"])
    return ports - {0}


def _is_here(host: str) -> bool:
    """Whether this machine has a numeric address, which binding to it tells; localhost it always has."""
    if host == "localhost":
        return True
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((str(ipaddress.ip_address(host)), 0))
    except (OSError, ValueError):
        return False
    return True
