"""Which processes hold the client's end of connections from this machine.

On Linux the kernel's tables give a connection's inode, and the descriptors of processes lead from
there to a process; those of other users cannot be looked at. Elsewhere (macOS) psutil is asked
for the connections of each process that may be looked at. A peer is ``host:port``, as in a
``Begin``. Blocks for milliseconds: not for an event loop.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import struct
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import psutil
from msgspec import Struct

_PROC = Path("/proc")
_TABLES = (_PROC / "net" / "tcp", _PROC / "net" / "tcp6")
_LOCAL, _INODE = 1, 9  #: columns of a table
_MAPPED = b"\0" * 10 + b"\xff\xff"  #: before an IPv4 address in a socket for both families

Address = tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]


class Connection(Struct, frozen=True):
    """An open connection.

    ``inode``: None where the system has no such thing. ``pid``: None when it may not be known.
    """

    inode: int | None
    pid: int | None


def loopback_address(peer: str) -> Address | None:
    """Host and port of a peer on this machine's loopback; None for all others."""
    host, _, port = peer.rpartition(":")
    try:
        return _loopback(host.strip("[]"), int(port))
    except ValueError:
        return None


def connections(peers: Iterable[str], known: Mapping[str, Connection]) -> dict[str, Connection]:
    """The connections of those peers that are open still.

    ``known``: what was found earlier; while a connection is the same, its process is not searched again.
    """
    wanted = {address: peer for peer in peers if (address := loopback_address(peer)) is not None}
    if not _TABLES[0].exists():
        return {wanted[address]: found for address, found in _of_all_processes() if address in wanted}
    inodes = _inodes(wanted)
    same = {peer: known[peer] for peer, inode in inodes.items() if peer in known and known[peer].inode == inode}
    searched = {inode: peer for peer, inode in inodes.items() if peer not in same}
    pids = _pids(set(searched), {connection.pid for connection in known.values() if connection.pid is not None})
    return same | {peer: Connection(inode, pids.get(inode)) for inode, peer in searched.items()}


def _loopback(host: str, port: int) -> Address | None:
    address = ipaddress.ip_address(host.partition("%")[0])
    address = getattr(address, "ipv4_mapped", None) or address
    return (address, port) if address.is_loopback else None


# --- Linux -----------------------------------------------------------------------------------------


def _inodes(wanted: Mapping[Address, str]) -> dict[str, int]:
    """Peer → inode, of those that are open; not of one whose port leads to two places at once."""
    written = {form: peer for address, peer in wanted.items() for form in _as_in_a_table(address)}
    found: dict[str, set[int]] = {}
    for table in _TABLES:
        with contextlib.suppress(OSError), table.open("rb") as lines:
            for columns in map(bytes.split, lines):
                if (peer := written.get(columns[_LOCAL])) is not None and (inode := int(columns[_INODE])):
                    found.setdefault(peer, set()).add(inode)
    return {peer: inodes.pop() for peer, inodes in found.items() if len(inodes) == 1}


def _as_in_a_table(address: Address) -> Iterator[bytes]:
    """``0100007F:0050``: each four bytes as a number of this machine; IPv4 can stand in the table of IPv6 too."""
    host, port = address
    for packed in (host.packed, _MAPPED + host.packed) if host.version == 4 else (host.packed,):
        words = struct.unpack(f"={len(packed) // 4}I", packed)
        yield f"{''.join(f'{word:08X}' for word in words)}:{port:04X}".encode()


def _pids(inodes: set[int], likely: set[int]) -> dict[int, int]:
    """Inode → process, first looking at those that are likely, then at the youngest."""
    found: dict[int, int] = {}
    missing = {f"socket:[{inode}]": inode for inode in inodes}
    for pid in _in_order(likely) if missing else ():
        for fd in _descriptors(pid):
            with contextlib.suppress(OSError):
                if (inode := missing.pop(os.readlink(fd), None)) is not None:  # noqa: PTH115  (one of thousands)
                    found[inode] = pid
        if not missing:
            break
    return found


def _in_order(likely: set[int]) -> list[int]:
    pids = (int(entry.name) for entry in _PROC.iterdir() if entry.name.isdecimal())
    return sorted(pids, key=lambda pid: (pid not in likely, -pid))


def _descriptors(pid: int) -> list[str]:
    """Empty when the process has gone, or is another user's."""
    try:
        with os.scandir(f"{_PROC}/{pid}/fd") as entries:
            return [entry.path for entry in entries]
    except OSError:
        return []


# --- elsewhere ---------------------------------------------------------------------------------------


def _of_all_processes() -> Iterator[tuple[Address, Connection]]:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            for connection in process.net_connections("tcp"):
                here = connection.laddr
                if connection.raddr and (address := _loopback(here.ip, here.port)) is not None:
                    yield address, Connection(None, process.pid)
