"""The console as an aiohttp application, and how it is served on sockets that someone else opened."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Sequence
from functools import partial

from aiohttp import web

from ..addresses import parse_address
from ..config import Config
from ..store.sqlite.reader import SqliteReader
from .access import guard
from .answers import answering
from .api.calls import CallsApi
from .pages.call import CallPage
from .pages.logs import Logs
from .permissions import Permission
from .routes import OPEN, Route, check, get
from .server import Runner
from .site import Place, Site

SHUTDOWN_S = 2.0  #: answers under way may take this long when it is stopped

#: The menu. A page stands in it when it exists.
PLACES = (Place("Logs", "/", "l", Permission.ROWS),)
#: Everything that answers, made with a ``Site``.
PARTS = (Logs, CallPage, CallsApi)


def routes_of(site: Site) -> tuple[Route, ...]:
    """All of them. Raises ``TypeError`` for one that does not say who may ask it."""
    served = [route for part in PARTS for route in part(site).routes()]
    return check([*served, *_assets(site)])


def make_app(config: Config) -> web.Application:
    """The application. It opens the store when the first request needs it, and closes it at the end."""
    store = SqliteReader(config.data_dir)
    site = Site(config, store, PLACES)
    routes = routes_of(site)
    access = guard(parse_address(config.console.listen, "console.listen"), config.console.token, routes)
    app = web.Application(middlewares=[answering, access])
    for route in routes:
        add = app.router.add_get if route.method == "GET" else partial(app.router.add_route, route.method)
        add(route.path, route.handler)

    async def life(_app: web.Application) -> AsyncIterator[None]:
        yield
        await store.close()

    app.cleanup_ctx.append(life)
    return app


async def serve_console(config: Config, sockets: Sequence[socket.socket]) -> web.AppRunner:
    """Serve on listening sockets; returns as soon as they are served. ``await runner.cleanup()`` stops it."""
    runner = Runner(make_app(config), shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    for listening in sockets:
        await web.SockSite(runner, listening).start()
    return runner


def _assets(site: Site) -> list[Route]:
    async def asset(request: web.Request) -> web.Response:
        found = site.assets.by_path.get(request.path)
        if found is None:
            raise web.HTTPNotFound
        packed = "gzip" in request.headers.get("Accept-Encoding", "")
        headers = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
        if packed:
            headers["Content-Encoding"] = "gzip"
        body = found.packed if packed else found.body
        return web.Response(body=body, content_type=found.content_type, headers=headers)

    return [get("/assets/{name}", asset, OPEN)]
