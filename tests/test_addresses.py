"""Addresses, networks, bases and prefixes as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.addresses import Address, parse_address, parse_base, parse_network, parse_prefix
from proxy.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "hosts", "port", "loopback", "url"),
    [
        ("localhost:8800", ("127.0.0.1", "::1"), 8800, True, "http://127.0.0.1:8800"),
        ("LocalHost:0", ("127.0.0.1", "::1"), 0, True, "http://127.0.0.1:0"),
        ("127.0.0.2:80", ("127.0.0.2",), 80, True, "http://127.0.0.2:80"),
        ("[::1]:8800", ("::1",), 8800, True, "http://[::1]:8800"),
        ("0.0.0.0:1", ("0.0.0.0",), 1, False, "http://127.0.0.1:1"),
        ("[::]:65535", ("::",), 65535, False, "http://[::1]:65535"),
        ("192.168.1.5:00080", ("192.168.1.5",), 80, False, "http://192.168.1.5:80"),
        ("[fd00::5]:80", ("fd00::5",), 80, False, "http://[fd00::5]:80"),
        ("[::ffff:127.0.0.1]:80", ("::ffff:127.0.0.1",), 80, None, "http://[::ffff:127.0.0.1]:80"),
    ],
)
def test_addresses(text: str, hosts: tuple[str, ...], port: int, loopback: bool | None, url: str) -> None:
    address = parse_address(text, "relay.listen")
    assert (address.hosts, address.port, address.url) == (hosts, port, url)
    assert loopback is None or address.loopback is loopback


NO_ADDRESSES = """
: 8800 :8800 localhost localhost: localhost:-1 localhost:+1 localhost:1e3 localhost:65536 localhost:70000
h.example:80 ::1:8800 [::1:8800 ::1]:8800 [127.0.0.1:80 [localhost]:80 127.1:80
256.0.0.1:80 http://localhost:80 localhost:80/
"""


@pytest.mark.parametrize(
    "text",
    [*NO_ADDRESSES.split(), "", "localhost:\u0668\u0668", "local host:80", "localhost:80 ", "localhost:" + "9" * 5000],
)
def test_what_is_no_address_is_refused_by_name(text: str) -> None:
    with pytest.raises(ConfigError, match=r"relay\.listen"):
        parse_address(text, "relay.listen")


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [
        ("localhost:8800", "localhost:8801", False),
        ("localhost:8800", "127.0.0.1:8800", True),
        ("localhost:8800", "[::1]:8800", True),
        ("127.0.0.1:8800", "127.0.0.2:8800", False),
        ("0.0.0.0:8800", "127.0.0.2:8800", True),
        ("localhost:0", "localhost:0", False),
    ],
)
def test_clashes(one: str, other: str, clash: bool) -> None:
    assert parse_address(one, "a").clashes(parse_address(other, "b")) is clash
    assert parse_address(other, "b").clashes(parse_address(one, "a")) is clash


def test_networks() -> None:
    assert str(parse_network("10.0.0.0/8", "x")) == "10.0.0.0/8"
    assert str(parse_network("fd00::/8", "x")) == "fd00::/8"
    assert parse_network("10.1.2.3", "x").num_addresses == 1
    for text in ("", "10.0.0.1/8", "10.0.0.0/33", "all", "0.0.0.0/0 "):
        with pytest.raises(ConfigError, match=r"relay\.allow_networks"):
            parse_network(text, "relay.allow_networks")


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ("https://api.openai.com", "https://api.openai.com"),
        ("https://api.openai.com/", "https://api.openai.com"),
        ("https://api.openai.com/v1", "https://api.openai.com"),
        ("https://api.openai.com/v1/", "https://api.openai.com"),
        ("https://openrouter.ai/api/v1", "https://openrouter.ai/api"),
        ("https://openrouter.ai/api", "https://openrouter.ai/api"),
        ("https://h.example/x/v1beta", "https://h.example/x/v1beta"),
        ("https://h.example/xv1", "https://h.example/xv1"),
        ("http://127.0.0.1:11434", "http://127.0.0.1:11434"),
        ("http://[::1]:8080/a%2Fb/", "http://[::1]:8080/a%2Fb"),
        ("http://my_service:8000", "http://my_service:8000"),
        ("HTTPS://H.Example", "https://H.Example"),
        ("http://h.example:/x", "http://h.example/x"),
    ],
)
def test_bases(text: str, base: str) -> None:
    assert parse_base(text, "relay.upstream") == base
    assert parse_base(base, "relay.upstream") == base


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("", "with %XX"),
        ("api.openai.com", "scheme"),
        ("api.openai.com:443", "scheme"),
        ("localhost:8000", "scheme"),
        ("//h.example", "scheme"),
        ("ftp://h.example", "scheme"),
        ("https://", "scheme"),
        ("https:///x", "scheme"),
        ("https://:443", "scheme"),
        ("https://user@h.example", "user and password"),
        ("https://user:pass@h.example", "user and password"),
        ("https://@h.example", "user and password"),
        ("https://h.example?", "leave ? and #"),
        ("https://h.example/?a=b", "leave ? and #"),
        ("https://h.example/#", "leave ? and #"),
        ("https://h.example:0", "host or port"),
        ("https://h.example:99999", "host or port"),
        ("https://h.example:x", "host or port"),
        ("https://[::1", "host or port"),
        ("https://h.example/ x", "without spaces"),
        ("https://h.example\n.evil.example", "without spaces"),
        ("https://h.example\\@evil.example", "%XX"),
        ("https://bücher.example", "ASCII"),
    ],
)
def test_what_is_no_base_is_refused_with_advice(text: str, advice: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_base(text, "relay.upstream")
    assert str(caught.value).startswith("relay.upstream: ")
    assert advice in str(caught.value)


@pytest.mark.parametrize(
    ("text", "prefix"), [("/", "/"), ("/a", "/a"), ("/a/", "/a"), ("/a/b.c-d_~", "/a/b.c-d_~"), ("/pp", "/pp")]
)
def test_prefixes(text: str, prefix: str) -> None:
    assert parse_prefix(text, "x") == prefix


@pytest.mark.parametrize(
    "text", ["", "a", "//", "/a//b", "/a?b", "/a b", "/a%20", "/..", "/a/../b", "/.", "/p", "/p/", "/p/x", "/é", "/a\n"]
)
def test_what_is_no_prefix_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^upstreams\.a\.prefix"):
        parse_prefix(text, "upstreams.a.prefix")


@given(st.text(max_size=40))
def test_any_text_is_understood_or_refused(text: str) -> None:
    for parse in (parse_address, parse_network, parse_base, parse_prefix):
        try:
            parse(text, "label")
        except ConfigError as error:
            assert str(error).startswith("label")  # noqa: PT017


@given(st.ip_addresses(), st.integers(0, 65_535))
def test_every_numeric_address_can_be_written(host: object, port: int) -> None:
    written = f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
    assert parse_address(written, "x") == Address(str(host), port)
