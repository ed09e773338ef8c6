"""Who is let in."""

from __future__ import annotations

from base64 import b64encode

import pytest

from proxy.addresses import parse_address
from proxy.console.access import host_allowed, token_given

TOKEN = "s3cret-Tökén"


def basic(text: str) -> str:
    return f"Basic {b64encode(text.encode()).decode()}"


@pytest.mark.parametrize(
    ("host", "listen", "allowed"),
    [
        ("localhost", "localhost:8801", True),
        ("LOCALHOST:8801", "localhost:8801", True),
        ("127.0.0.1:9", "localhost:8801", True),
        ("127.9.9.9", "localhost:8801", True),
        ("[::1]:8801", "localhost:8801", True),
        ("evil.example", "localhost:8801", False),
        ("localhost.evil.example:8801", "localhost:8801", False),
        ("127.0.0.1.evil.example", "localhost:8801", False),
        ("10.0.0.5", "localhost:8801", False),
        ("", "localhost:8801", False),
        ("[", "localhost:8801", False),
        ("10.0.0.5:8801", "10.0.0.5:8801", True),
        ("10.0.0.6:8801", "10.0.0.5:8801", False),
        ("[fd00:0::5]", "[fd00::5]:8801", True),
        ("logs.example", "0.0.0.0:8801", True),
        ("", "0.0.0.0:8801", False),
    ],
)
def test_hosts(host: str, listen: str, allowed: bool) -> None:
    assert host_allowed(host, parse_address(listen, "console.listen")) is allowed


@pytest.mark.parametrize(
    ("header", "given"),
    [
        (f"Bearer {TOKEN}", True),
        (f"bearer {TOKEN}", True),
        (basic(f"anyone:{TOKEN}"), True),
        (basic(f":{TOKEN}"), True),
        ("", False),
        ("Bearer", False),
        ("Bearer ", False),
        (f"Bearer {TOKEN}x", False),
        (f"Token {TOKEN}", False),
        (basic(TOKEN), False),
        (basic(f"{TOKEN}:"), False),
        ("Basic !!!", False),
        ("Basic /w==", False),
        ("Bearer \udcff", False),
    ],
)
def test_tokens(header: str, given: bool) -> None:
    assert token_given(header, TOKEN) is given
