"""The console as an aiohttp application, and how it is served on sockets that someone else opened."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from aiohttp import web

from ..addresses import parse_address
from ..config import Config
from ..store.sqlite.reader import SqliteReader
from .access import guard
from .answers import answering
from .api import Api
from .pages import Pages
from .server import Runner

_STATIC = Path(__file__).parent / "static"
_TYPES = {".css": "text/css", ".svg": "image/svg+xml"}
SHUTDOWN_S = 2.0  #: answers under way may take this long when it is stopped


def make_app(config: Config) -> web.Application:
    """The application. It opens the store when the first request needs it, and closes it at the end."""
    reader = SqliteReader(config.data_dir)
    access = guard(parse_address(config.console.listen, "console.listen"), config.console.token)
    app = web.Application(middlewares=[answering, access])
    app.add_routes(Api(config, reader).routes())
    app.add_routes(Pages(config, reader).routes())
    app.add_routes([_static(path) for path in sorted(_STATIC.iterdir())])

    async def life(_app: web.Application) -> AsyncIterator[None]:
        yield
        await reader.close()

    app.cleanup_ctx.append(life)
    return app


async def serve_console(config: Config, sockets: Sequence[socket.socket]) -> web.AppRunner:
    """Serve on listening sockets; returns as soon as they are served. ``await runner.cleanup()`` stops it."""
    runner = Runner(make_app(config), shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    for listening in sockets:
        await web.SockSite(runner, listening).start()
    return runner


def _static(path: Path) -> web.RouteDef:
    body, content_type = path.read_bytes(), _TYPES[path.suffix]

    async def handler(_request: web.Request) -> web.Response:
        return web.Response(body=body, content_type=content_type)

    return web.get(f"/{path.name}", handler)
