"""Addresses and URLs that people write: ``host:port``, networks, bases of upstreams. No I/O."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from msgspec import Struct

from .errors import ConfigError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Address(Struct, frozen=True):
    """Where to listen. ``localhost`` stands for both loopbacks."""

    host: str
    port: int

    @property
    def hosts(self) -> tuple[str, ...]:
        """The numeric hosts to bind."""
        return ("127.0.0.1", "::1") if self.host == "localhost" else (self.host,)

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return all(ipaddress.ip_address(host).is_loopback for host in self.hosts)

    @property
    def url(self) -> str:
        """What to type: ``http://127.0.0.1:8800``."""
        host = {"localhost": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)  # noqa: S104
        return f"http://{f'[{host}]' if ':' in host and '[' not in host else host}:{self.port}"


def parse_address(text: str, setting: str) -> Address:
    """``localhost:8800``, ``127.0.0.1:0``, ``[::1]:8800``, ``0.0.0.0:80``; port 0 means any free one."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isascii() or not port.isdigit():
        raise ConfigError(f"{setting} = {text!r}: write host:port, e.g. localhost:8800")
    if int(port) > 65_535:
        raise ConfigError(f"{setting} = {text!r}: a port is at most 65535")
    if host != "localhost":
        try:
            ipaddress.ip_address(host)
        except ValueError:
            raise ConfigError(f"{setting} = {text!r}: write localhost or a numeric address") from None
    return Address(host, int(port))


def parse_network(text: str, setting: str) -> Network:
    """A CIDR network, ``10.0.0.0/8`` or ``fd00::/8``."""
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise ConfigError(f"{setting}: {error}; write a network such as 10.0.0.0/8") from None


def parse_base(text: str, setting: str) -> str:
    """An upstream's base URL in normal form: no trailing slash, no trailing ``/v1``.

    The client's path brings its own ``/v1``, so ``https://h/x/v1`` means ``https://h/x``.
    """
    try:
        url = urlsplit(text)
        url.port  # noqa: B018  (raises on a bad port)
    except ValueError as error:
        raise ConfigError(f"{setting} = {text!r}: {error}") from None
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ConfigError(f"{setting} = {text!r}: write a URL with its scheme, e.g. https://api.openai.com")
    if url.username is not None or url.password is not None:
        raise ConfigError(f"{setting}: leave user and password out of the URL; keys travel in the client's headers")
    if url.query or url.fragment:
        raise ConfigError(f"{setting} = {text!r}: leave ? and # out of it; the client's path and query are used")
    return f"{url.scheme}://{url.netloc}{url.path.rstrip('/').removesuffix('/v1').rstrip('/')}"
