"""What the console answers: each route says who may ask it, or the program does not start."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from aiohttp import web
from msgspec import Struct

from .permissions import Permission, Visitor

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

VISITOR: web.RequestKey[Visitor] = web.RequestKey("visitor", Visitor)  #: who asks, when the guard let them in


#: What was asked, for the audit, where the address does not tell: the SQL of a body.
ASKED: web.RequestKey[str] = web.RequestKey("asked", str)


class _Open:
    """Nobody need be known: health, the login page, style sheets and scripts."""


OPEN = _Open()


class _Known:
    """Whoever has logged in, whatever their roles: their own password."""


KNOWN = _Known()
Need = Permission | _Open | _Known


class Doc(Struct, frozen=True, kw_only=True):
    """What the API's document says of a route; pages have none."""

    summary: str
    query: dict[str, Any] = {}  #: name → JSON schema with a description
    body: dict[str, Any] | None = None  #: JSON schema of the request
    answer: dict[str, Any] = {}  #: JSON schema of the answer
    status: int = 200
    also: tuple[int, ...] = ()  #: further statuses of the same answer
    errors: tuple[int, ...] = ()  #: besides 401 and 403
    media_type: str = "application/json"  #: of the answer


class Route(Struct, frozen=True, kw_only=True):
    """One method of one path."""

    method: str
    path: str  #: as aiohttp writes it: ``/call/{id}``
    handler: Handler
    needs: Need
    audited: str | None = None  #: what an audit row calls it: view search export; None: it shows no content
    doc: Doc | None = None


def get(path: str, handler: Handler, needs: Need, **more: Any) -> Route:
    """A route that reads."""
    return Route(method="GET", path=path, handler=handler, needs=needs, **more)


def post(path: str, handler: Handler, needs: Need, **more: Any) -> Route:
    """A route that changes something."""
    return Route(method="POST", path=path, handler=handler, needs=needs, **more)


def put(path: str, handler: Handler, needs: Need, **more: Any) -> Route:
    """A route that replaces something."""
    return Route(method="PUT", path=path, handler=handler, needs=needs, **more)


def delete(path: str, handler: Handler, needs: Need, **more: Any) -> Route:
    """A route that takes something away."""
    return Route(method="DELETE", path=path, handler=handler, needs=needs, **more)


def check(routes: Iterable[Route]) -> tuple[Route, ...]:
    """The same, each with its declaration. Raises ``TypeError``, naming the route, for one without."""
    checked = tuple(routes)
    for route in checked:
        if not isinstance(route.needs, Need):
            raise TypeError(f"{route.method} {route.path} does not say who may ask it")
    return checked
