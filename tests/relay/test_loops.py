"""An upstream that is llmtap itself, under whatever name."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from proxy.relay.upstream import OwnAddresses
from tests.harness.client import RawClient, request
from tests.harness.server import LlmtapServer

ASK = request("POST", "/v1/chat/completions", [("Content-Type", "application/json")], b'{"messages":[]}')
OPEN = '[relay]\nallow_networks = ["0.0.0.0/0", "::/0"]\n'


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def address_of_a_network() -> str:
    """An address of this machine that is no loopback, or of one if it has no network. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.2"
        return str(probe.getsockname()[0])


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere 0.0.0.0 cannot be connected to")
@pytest.mark.parametrize(
    ("listen", "upstream"),
    [
        ("127.0.0.1", "localhost"),
        ("127.0.0.1", "0.0.0.0"),
        ("127.0.0.1", "[::ffff:127.0.0.1]"),
        ("127.0.0.1", "[::ffff:0.0.0.0]"),
        ("0.0.0.0", "0.0.0.0"),
        ("0.0.0.0", "127.0.0.7"),
        ("0.0.0.0", "network"),
    ],
)
def test_a_loop_is_refused(listen: str, upstream: str, tmp_path: Path) -> None:
    """508 for the client, and one row: the call did not come in a second time."""
    port = free_port()
    host = address_of_a_network() if upstream == "network" else upstream
    with LlmtapServer(tmp_path, f"http://{host}:{port}", config=OPEN, flags=["--listen", f"{listen}:{port}"]) as server:
        with RawClient(port) as client:
            got = client.ask(ASK, "POST")
        assert got.status == 508, bytes(got.body)
        assert server.row(got.call_id or "")["http_status"] == 508
        assert len(server.calls()) == 1


@pytest.mark.parametrize(
    ("listening", "address", "loop"),
    [
        ("127.0.0.1", "0.0.0.0", True),
        ("127.0.0.1", "::ffff:127.0.0.1", True),
        ("127.0.0.1", "127.0.0.2", False),
        ("127.0.0.1", "::1", False),
        ("::1", "::", True),
        ("::1", "::1", True),
        ("::1", "127.0.0.1", False),
        ("::", "127.0.0.1", True),
        ("::", "::1", True),
        ("0.0.0.0", "127.8.9.10", True),
        ("0.0.0.0", "192.0.2.1", False),
    ],
)
def test_addresses(listening: str, address: str, loop: bool) -> None:
    family = socket.AF_INET6 if ":" in listening else socket.AF_INET
    with socket.socket(family) as own:
        try:
            own.bind((listening, 0))
        except OSError:
            pytest.skip(f"{listening} does not exist here")
        port = own.getsockname()[1]
        assert ((address, port) in OwnAddresses([own])) is loop
        assert (address, port + 1) not in OwnAddresses([own])
