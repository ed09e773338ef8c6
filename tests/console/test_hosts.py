"""By which names the console is reached, and what pages elsewhere may do."""

from __future__ import annotations

import pytest

from proxy.addresses import parse_address
from proxy.console.access.hosts import foreign, host_allowed, loaded_elsewhere, opened_elsewhere


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
        ("10.0.0.6:8801", "0.0.0.0:8801", True),
        ("", "0.0.0.0:8801", False),
    ],
)
def test_hosts(host: str, listen: str, allowed: bool) -> None:
    assert host_allowed(host, parse_address(listen, "console.listen")) is allowed


@pytest.mark.parametrize(
    ("host", "listen", "allowed"),
    [
        ("Logs.Example:443", "localhost:8801", True),
        ("evil.example", "localhost:8801", False),
        ("evil.example", "0.0.0.0:8801", False),
        ("10.0.0.6", "0.0.0.0:8801", True),
    ],
)
def test_names_of_the_settings(host: str, listen: str, allowed: bool) -> None:
    assert host_allowed(host, parse_address(listen, "console.listen"), ("logs.example",)) is allowed


@pytest.mark.parametrize(
    ("headers", "refused"),
    [
        ({}, False),
        ({"Origin": "http://localhost:8801"}, False),
        ({"Origin": "http://LOCALHOST:8801", "Sec-Fetch-Site": "same-origin"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
        ({"Origin": "http://localhost:8800"}, True),
        ({"Origin": "http://127.0.0.1:8801"}, True),
        ({"Origin": "http://evil.example"}, True),
        ({"Origin": "http://localhost:8801.evil.example"}, True),
        ({"Origin": "http://localhost:8801@evil.example"}, True),
        ({"Origin": "null"}, True),
        ({"Origin": ""}, True),
        ({"Origin": "file://"}, True),
        ({"Origin": "http://[::1"}, True),
        ({"Origin": "chrome-extension://localhost:8801"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, True),
        ({"Sec-Fetch-Site": "same-site"}, True),
        ({"Origin": "http://localhost:8801", "Sec-Fetch-Site": "cross-site"}, True),
        ({"Origin": "https://logs.example"}, False),
        ({"Origin": "https://logs.example.evil"}, True),
    ],
)
def test_who_may_change_something(headers: dict[str, str], refused: bool) -> None:
    assert foreign({"Host": "localhost:8801", **headers}, ("logs.example",)) is refused


def test_a_usual_port_is_as_good_as_none() -> None:
    assert not foreign({"Host": "localhost", "Origin": "http://localhost:80"})
    assert not foreign({"Host": "localhost:443", "Origin": "https://localhost"})
    assert foreign({"Host": "localhost:443", "Origin": "http://localhost"})


@pytest.mark.parametrize(
    ("site", "mode", "dest", "loaded", "opened"),
    [
        ("cross-site", "navigate", "document", False, True),
        ("same-site", "navigate", "document", False, True),
        ("cross-site", "navigate", "iframe", True, False),
        ("cross-site", "no-cors", "image", True, False),
        ("same-site", "cors", "empty", True, False),
        ("same-origin", "cors", "empty", False, False),
        ("none", "navigate", "document", False, False),
    ],
)
def test_what_other_pages_may_show_of_ours(site: str, mode: str, dest: str, loaded: bool, opened: bool) -> None:
    headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": dest}
    assert (loaded_elsewhere(headers), opened_elsewhere(headers)) == (loaded, opened)
