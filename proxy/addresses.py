"""Addresses and URLs that people write: ``host:port``, networks, bases of upstreams. No I/O.

``label`` says whose value it is, for the message. URLs are never repeated in a message: people
paste keys into them.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

from msgspec import Struct

from .errors import ConfigError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


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
        host = _ANY.get(self.hosts[0], self.hosts[0])
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    def clashes(self, other: Address) -> bool:
        """Whether both cannot be bound at once; port 0 never clashes."""
        mine, theirs = set(self.hosts), set(other.hosts)
        return self.port == other.port != 0 and bool(mine & theirs or mine & _ANY.keys() or theirs & _ANY.keys())


def parse_address(text: str, label: str) -> Address:
    """``localhost:8800``, ``127.0.0.1:0``, ``[::1]:8800``, ``0.0.0.0:80``; port 0 means any free one."""
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+(?:%\w+)?)\]|([^\[\]:]+)):([0-9]{1,5})", text, re.ASCII)
    if not found:
        raise ConfigError(f"{label} = {text!r}: write host:port, e.g. localhost:8800 or [::1]:8800")
    host, port = found[1] or found[2].lower(), int(found[3])
    if port > 65_535:
        raise ConfigError(f"{label} = {text!r}: a port is at most 65535")
    if host != "localhost" and not _numeric(host):
        raise ConfigError(f"{label} = {text!r}: write localhost or a numeric address")
    return Address(host, port)


def _numeric(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def parse_network(text: str, label: str) -> Network:
    """A CIDR network, ``10.0.0.0/8`` or ``fd00::/8``; a bare address is a network of one."""
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise ConfigError(f"{label}: {error}; write a network such as 10.0.0.0/8") from None


def parse_base(text: str, label: str) -> str:
    """An upstream's base URL in normal form: no trailing slash, no trailing ``/v1``.

    The client's path brings its own ``/v1``, so ``https://h/x/v1`` means ``https://h/x``.
    """
    url = _split(text, label)
    if "@" in url.netloc:
        raise ConfigError(f"{label}: leave user and password out of the URL; keys travel in the client's headers")
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ConfigError(f"{label}: write a URL with its scheme, e.g. https://api.openai.com")
    if "?" in text or "#" in text:
        raise ConfigError(f"{label}: leave ? and # out of the URL; the client's path and query are used")
    return f"{url.scheme}://{url.netloc.removesuffix(':')}{url.path.rstrip('/').removesuffix('/v1').rstrip('/')}"


def _split(text: str, label: str) -> SplitResult:
    if not re.fullmatch(r"[!-~]+", text) or re.search(r"[\"<>\\^`{|}]", text):
        raise ConfigError(f"{label}: write the URL without spaces and with %XX for what is not plain ASCII")
    try:
        url, port = urlsplit(text), urlsplit(text).port
    except ValueError:
        port = 0
    if port == 0:
        raise ConfigError(f"{label}: host or port of the URL cannot be; write e.g. http://127.0.0.1:11434")
    return url


def parse_prefix(text: str, label: str) -> str:
    """A route's path prefix in normal form: ``/name``, without a trailing slash; ``/`` stands for all targets."""
    if not re.fullmatch(r"/|(/[A-Za-z0-9._~-]+)+/?", text) or {".", ".."} & set(text.split("/")):
        raise ConfigError(
            f"{label}: write a plain path that begins with /, e.g. /{re.sub(r'[^a-z0-9]', '', text) or 'x'}"
        )
    prefix = text.rstrip("/") or "/"
    if prefix == "/p" or prefix.startswith("/p/"):
        raise ConfigError(f"{label}: /p/ is kept for projects; choose another")
    return prefix
