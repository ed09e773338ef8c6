"""By which names the console may be reached, and which pages may send it something. Decisions on headers only.

A page elsewhere could point its own name at 127.0.0.1 and read prompts through the visitor's browser
(DNS rebinding): the ``Host`` header must be one of ours. It could also send a form or load a picture:
browsers say so, in ``Origin`` and ``Sec-Fetch-…``.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from ...addresses import Address

_ANY = ("0.0.0.0", "::")  # noqa: S104
_PORTS = {"http": ":80", "https": ":443"}
_OURS = ("same-origin", "none")  #: of Sec-Fetch-Site; none: typed, or out of the bookmarks


def host_allowed(host: str, address: Address, names: Collection[str] = ()) -> bool:
    """Whether a ``Host`` header may be served.

    ``names``: those that settings give. On all addresses people must log in, and what the console is called is
    not known: without ``names`` every name will do.
    """
    name = _without_port(host).lower()
    if name == "localhost" or name in (each.lower() for each in names):
        return True
    try:
        number = ipaddress.ip_address(name)
    except ValueError:
        return bool(name) and address.host in _ANY and not names
    return number.is_loopback or address.host in _ANY or number in map(ipaddress.ip_address, address.hosts)


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def foreign(headers: Mapping[str, str], names: Collection[str] = ()) -> bool:
    """Whether a page that is not ours wants to change something."""
    if headers.get("Sec-Fetch-Site", "none") not in _OURS:
        return True
    origin = headers.get("Origin")
    return origin is not None and not _same(origin, headers.get("Host", ""), names)


def said_where_from(headers: Mapping[str, str]) -> bool:
    """Whether a browser told where a request comes from; all of today do when it changes something."""
    return "Origin" in headers or "Sec-Fetch-Site" in headers


def loaded_elsewhere(headers: Mapping[str, str]) -> bool:
    """Whether a page elsewhere loads this into itself: a picture, a frame, a script. It may link here, no more."""
    if headers.get("Sec-Fetch-Site", "none") in _OURS:
        return False
    return not opened_elsewhere(headers)


def opened_elsewhere(headers: Mapping[str, str]) -> bool:
    """Whether somebody followed a link of a page elsewhere; browsers then send no cookie of ours."""
    visit = headers.get("Sec-Fetch-Mode") == "navigate" and headers.get("Sec-Fetch-Dest") == "document"
    return visit and headers.get("Sec-Fetch-Site", "none") not in _OURS


def _same(origin: str, host: str, names: Collection[str]) -> bool:
    try:
        found = urlsplit(origin)
        name = (found.hostname or "").lower()
    except ValueError:
        return False
    if found.scheme not in _PORTS or not name:
        return False
    port = _PORTS[found.scheme]
    return found.netloc.lower().removesuffix(port) == host.lower().removesuffix(port) or name in map(str.lower, names)
