"""The guard that stands before all routes.

In this order: the ``Host`` must be ours; nothing may be sent by, or loaded into, a foreign page; who asks
must be known, unless the route is open to all; and they must be allowed what the route declares. What a
route shows of which project is no matter of the guard's, but of the ``ScopedReader``.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from urllib.parse import quote

from aiohttp import web
from aiohttp.typedefs import Middleware

from ...addresses import parse_address
from ...config import Config
from ..permissions import Permission, Visitor
from ..received import BODY_BYTES, too_large
from ..routes import KNOWN, OPEN, VISITOR, Handler, Route
from .forms import local_path
from .hosts import foreign, host_allowed, loaded_elsewhere, opened_elsewhere, said_where_from
from .lasting import while_known
from .visitors import By, Visitors

ROUTE: web.RequestKey[Route] = web.RequestKey("route", Route)  #: what is asked, when there is such a thing
LOGIN = "/login"
_READING = ("GET", "HEAD", "OPTIONS")


def guard(config: Config, visitors: Visitors, routes: Sequence[Route]) -> Middleware:
    """The guard of these routes."""
    address = parse_address(config.console.listen, "console.listen")
    names = config.console.hosts
    known = {(route.method, route.path): route for route in routes}

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not host_allowed(request.headers.get("Host", ""), address, names):
            raise web.HTTPMisdirectedRequest(
                text="this Host is not served here: use the address the console listens on, "
                "or name it in the setting console.hosts"
            )
        _refuse_foreign(request, names)
        if (request.content_length or 0) > BODY_BYTES:
            raise too_large()
        route = _route(request, known)
        if route is not None:
            request[ROUTE] = route
        arrival = await visitors.arrival(request)
        request[VISITOR] = arrival.visitor
        if route is not None and route.needs is OPEN:
            return await handler(request)
        if arrival.by is By.NOTHING:
            return _who_are_you(request)
        if arrival.by is By.COOKIE and request.method not in _READING and not said_where_from(request.headers):
            raise web.HTTPForbidden(text="a browser that is logged in says where a change comes from: send Origin")
        _refuse_unallowed(route, arrival.visitor)
        async with while_known(request, visitors, arrival):
            return await handler(request)

    return guarded


def _refuse_foreign(request: web.Request, names: Sequence[str]) -> None:
    if request.method not in _READING and foreign(request.headers, names):
        raise web.HTTPForbidden(text="a page of another site may not change anything here")
    if request.method in _READING and loaded_elsewhere(request.headers):
        raise web.HTTPForbidden(text="a page of another site may link to this, but not load it")


def _route(request: web.Request, known: dict[tuple[str, str], Route]) -> Route | None:
    resource = request.match_info.route.resource
    method = "GET" if request.method == "HEAD" else request.method
    return known.get((method, resource.canonical if resource else ""))


def _refuse_unallowed(route: Route | None, visitor: Visitor) -> None:
    if route is not None and isinstance(route.needs, Permission) and not visitor.may(route.needs):
        raise web.HTTPForbidden(text=f"this needs the permission {route.needs}, which {visitor.name} does not have")
    assert route is None or route.needs is KNOWN or isinstance(route.needs, Permission)


def _who_are_you(request: web.Request) -> web.StreamResponse:
    """Where to log in, for people; 401 for programs, and for pieces of pages."""
    page = request.method in ("GET", "HEAD") and "text/html" in request.headers.get("Accept", "")
    if not page or "X-Fragment" in request.headers or request.path.startswith("/api/"):
        raise web.HTTPUnauthorized(
            text="send a token (Authorization: Bearer TOKEN), or log in at /login",
            headers={"WWW-Authenticate": 'Bearer realm="llmtap"'},
        )
    if opened_elsewhere(request.headers):
        return _once_more(request)
    return web.Response(status=303, headers={"Location": f"{LOGIN}?next={quote(request.path_qs, safe='')}"})


def _once_more(request: web.Request) -> web.Response:
    """A page that opens the address again, as a page of ours: now the browser sends the strict cookie."""
    again = html.escape(local_path(request.path_qs))
    page = f'<!doctype html><title>llmtap</title><meta http-equiv="refresh" content="0;url={again}">'
    return web.Response(text=page, content_type="text/html")
