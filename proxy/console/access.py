"""Who may ask the console.

Three guards, in this order. The ``Host`` header must name this machine's loopback or the
address the console is bound to: otherwise a page elsewhere could point its own name at
127.0.0.1 and read prompts through the visitor's browser (DNS rebinding). Then who asks must be
known, where a token is set: by ``Authorization: Bearer`` or, for browsers, by the password of
Basic. And they must be allowed what the route declares.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
from collections.abc import Sequence

from aiohttp import web
from aiohttp.typedefs import Middleware

from ..addresses import Address
from .permissions import OWNER, Permission
from .routes import OPEN, VISITOR, Handler, Route


def guard(address: Address, token: str, routes: Sequence[Route]) -> Middleware:
    """The three guards. ``address``: where the console listens."""
    needs = {(route.method, route.path): route.needs for route in routes}

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not host_allowed(request.headers.get("Host", ""), address):
            raise web.HTTPMisdirectedRequest(
                text="this Host is not served here: use the address the console listens on"
            )
        resource = request.match_info.route.resource
        method = "GET" if request.method == "HEAD" else request.method
        needed = needs.get((method, resource.canonical if resource else ""))
        if needed is OPEN:
            return await handler(request)
        if token and not token_given(request.headers.get("Authorization", ""), token):
            raise web.HTTPUnauthorized(
                text="send the console's token: Authorization: Bearer TOKEN, or as the password of Basic",
                headers={"WWW-Authenticate": 'Basic realm="llmtap", charset="UTF-8"'},
            )
        request[VISITOR] = OWNER
        if isinstance(needed, Permission) and not OWNER.may(needed):
            raise web.HTTPForbidden(text=f"this needs the permission {needed}")
        return await handler(request)

    return guarded


def host_allowed(host: str, address: Address) -> bool:
    """Whether a ``Host`` header may be served. On all addresses a token is required, and names are not known."""
    name = _without_port(host)
    if address.host in ("0.0.0.0", "::"):  # noqa: S104
        return bool(name)
    if name.lower() == "localhost":
        return True
    try:
        number = ipaddress.ip_address(name)
    except ValueError:
        return False
    return number.is_loopback or number in map(ipaddress.ip_address, address.hosts)


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def token_given(authorization: str, token: str) -> bool:
    """Whether the header carries the token; takes as long for a wrong one as for a right one."""
    scheme, _, given = authorization.partition(" ")
    if scheme.lower() == "basic":
        given = _password(given)
    elif scheme.lower() != "bearer":
        given = ""
    return hmac.compare_digest(given.strip().encode("utf-8", "surrogateescape"), token.encode())


def _password(encoded: str) -> str:
    try:
        return base64.b64decode(encoded.strip(), validate=True).decode("utf-8", "surrogateescape").partition(":")[2]
    except (binascii.Error, ValueError):
        return ""
