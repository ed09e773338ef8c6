"""The program at the other end of a connection: real processes, real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.ingest.peers import Connection, connections, loopback_address
from proxy.ingest.programs import Program, Programs
from tests.harness.eventually import eventually

#: Connects from a port, to a host and port, says so, and holds the connection until its input ends.
CLIENT = """
import socket, sys
family, host, port, own = sys.argv[1:]
sock = socket.socket(getattr(socket, family))
sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
sock.bind(("::" if family == "AF_INET6" else "", int(own)))
sock.connect((host, int(port)))
print(sock.getsockname()[1], flush=True)
sys.stdin.read()
"""


@pytest.fixture
def programs() -> Iterator[Programs]:
    with contextlib.closing(Programs()) as made:
        yield made


@pytest.fixture
def relay() -> Iterator[socket.socket]:
    """Where clients connect to; it accepts nothing, which the kernel does for it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@contextlib.contextmanager
def client(
    directory: Path,
    relay: socket.socket,
    script: str = "agent.py",
    *,
    family: str = "AF_INET",
    host: str = "",
    own: int = 0,
) -> Iterator[tuple[str, int]]:
    """(its peer address as a relay writes it, its process id) of a program called ``script`` in ``directory``."""
    (directory / script).write_text(CLIENT)
    port = relay.getsockname()[1]
    arguments = [sys.executable, script, family, host or "127.0.0.1", str(port), str(own)]
    with subprocess.Popen(
        arguments, cwd=directory, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield f"{relay.getsockname()[0]}:{int(process.stdout.readline())}", process.pid
        finally:
            process.communicate()


def looked_up(programs: Programs, peer: str) -> Program:
    """Noted again each time, as calls on a connection are."""

    def found() -> Program | None:
        programs.note(peer)
        return programs.found(peer)

    program = eventually(found, f"the program at {peer} is known")
    assert program is not None
    return program


def repository(directory: Path, branch: str) -> Path:
    (directory / ".git").mkdir(parents=True, exist_ok=True)
    (directory / ".git" / "HEAD").write_text(f"ref: refs/heads/{branch}\n")
    return directory


def test_name_directory_and_branch(tmp_path: Path, programs: Programs, relay: socket.socket) -> None:
    (repository(tmp_path, "topic") / "below").mkdir()
    with client(tmp_path / "below", relay) as (peer, pid):
        assert looked_up(programs, peer) == Program(pid, "agent.py", str(tmp_path / "below"), "topic")


def test_outside_of_a_repository_there_is_no_branch(tmp_path: Path, programs: Programs, relay: socket.socket) -> None:
    with client(tmp_path, relay) as (peer, pid):
        assert looked_up(programs, peer) == Program(pid, "agent.py", str(tmp_path), None)


def test_ipv6(tmp_path: Path, programs: Programs) -> None:
    try:
        relay = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no ::1")
    with relay, client(tmp_path, relay, family="AF_INET6", host="::1") as (peer, pid):
        assert peer.startswith("::1:")
        assert looked_up(programs, peer).pid == pid


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_a_socket_for_both_families(tmp_path: Path, programs: Programs, relay: socket.socket) -> None:
    """As those of Java and Go are: it stands in the other table."""
    with client(tmp_path, relay, family="AF_INET6", host="::ffff:127.0.0.1") as (peer, pid):
        assert looked_up(programs, peer).pid == pid
        assert looked_up(programs, f"::ffff:{peer}").pid == pid


def test_many_that_come_at_once(tmp_path: Path, programs: Programs, relay: socket.socket) -> None:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(client(tmp_path, relay, f"agent{number}.py")) for number in range(8)]
        for peer, _ in clients:
            programs.note(peer)
        eventually(lambda: all(programs.found(peer) for peer, _ in clients), "all are known")
        found = [programs.found(peer) for peer, _ in clients]
    assert [program and (program.pid, program.name) for program in found] == [
        (pid, f"agent{number}.py") for number, (_, pid) in enumerate(clients)
    ]
    assert programs.looks < 8


def test_a_branch_that_changes_while_the_connection_stays(
    tmp_path: Path, programs: Programs, relay: socket.socket
) -> None:
    with client(repository(tmp_path, "one"), relay) as (peer, pid):
        assert looked_up(programs, peer).branch == "one"
        repository(tmp_path, "two")
        eventually(lambda: looked_up(programs, peer).branch == "two", "the new branch is seen")
        assert looked_up(programs, peer).pid == pid


def test_a_port_that_another_program_uses_later(tmp_path: Path, programs: Programs, relay: socket.socket) -> None:
    with client(tmp_path, relay, "first.py") as (peer, _):
        assert looked_up(programs, peer).name == "first.py"
    port = int(peer.rpartition(":")[2])
    with (
        socket.create_server(("127.0.0.1", 0)) as elsewhere,
        client(tmp_path, elsewhere, "second.py", own=port) as (again, _),
    ):
        assert again == peer
        eventually(lambda: looked_up(programs, peer).name == "second.py", "the new program is seen")


def test_a_program_that_has_gone_stays_unknown(tmp_path: Path, programs: Programs, relay: socket.socket) -> None:
    with client(tmp_path, relay) as (peer, _):
        pass
    programs.note(peer)
    eventually(lambda: programs.looks, "somebody looked")
    assert programs.found(peer) is None


def test_what_was_known_of_a_connection_goes_with_it(tmp_path: Path, programs: Programs, relay: socket.socket) -> None:
    with client(tmp_path, relay) as (peer, _):
        looked_up(programs, peer)

    def forgotten() -> bool:
        programs.note(peer)
        return programs.found(peer) is None

    eventually(forgotten, "nothing is known any more")


def test_our_own_process_is_a_program_like_any_other(programs: Programs, relay: socket.socket) -> None:
    with socket.create_connection(relay.getsockname()) as own:
        program = looked_up(programs, f"127.0.0.1:{own.getsockname()[1]}")
    assert (program.pid, program.cwd) == (os.getpid(), str(Path.cwd()))


async def test_settling_waits_for_what_was_noted(tmp_path: Path, programs: Programs, relay: socket.socket) -> None:
    with client(tmp_path, relay) as (peer, pid):
        for _ in range(1000):  # each waits some milliseconds at most: the thread may be resting, or the machine slow
            programs.note(peer)
            await programs.settle()
            if (program := programs.found(peer)) is not None:
                break
            await asyncio.sleep(0.01)
        assert program is not None
        assert program.pid == pid


@pytest.mark.parametrize("peer", ["", "nonsense", "127.0.0.1", "127.0.0.1:x", "localhost:80", "[::1", "1:2:3"])
def test_what_is_no_address_is_overlooked(programs: Programs, peer: str) -> None:
    programs.note(peer)
    assert programs.found(peer) is None


@pytest.mark.parametrize("peer", ["192.0.2.1:443", "10.0.0.1:80", "2001:db8::1:443", "fe80::1%eth0:443", "0.0.0.0:1"])
def test_peers_elsewhere_are_never_looked_up(programs: Programs, relay: socket.socket, peer: str) -> None:
    assert loopback_address(peer) is None
    assert connections([peer], {}) == {}
    programs.note(peer)
    with socket.create_connection(relay.getsockname()) as own:
        looked_up(programs, f"127.0.0.1:{own.getsockname()[1]}")
    assert programs.found(peer) is None


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="connections have no inodes here")
def test_a_connection_that_is_the_same_is_not_searched_again(relay: socket.socket) -> None:
    with socket.create_connection(relay.getsockname()) as own:
        peer = f"127.0.0.1:{own.getsockname()[1]}"
        inode = os.fstat(own.fileno()).st_ino
        assert connections([peer], {}) == {peer: Connection(inode, os.getpid())}
        assert connections([peer], {peer: Connection(inode, 4711)}) == {peer: Connection(inode, 4711)}
        assert connections([peer], {peer: Connection(inode + 1, 4711)}) == {peer: Connection(inode, os.getpid())}
    assert connections([peer], {peer: Connection(inode, 4711)}) == {}


def test_closing_ends_the_thread_at_any_time(relay: socket.socket) -> None:
    resting, waiting = Programs(), Programs()
    resting.note("127.0.0.1:1")
    eventually(lambda: resting.looks, "it has looked")
    for programs in (resting, waiting):
        programs.close()
        assert not programs._thread.is_alive()
