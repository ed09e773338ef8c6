"""The console as an aiohttp application, and how it is served on sockets that someone else opened."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from functools import partial

from aiohttp import web

from ..config import Config
from ..store.sqlite.reader import SqliteReader
from ..tasks import spawn
from .access.audit import auditing, write_down
from .access.guard import guard
from .answers import MISTAKE_PAGE, answering
from .api.parts import API
from .api.reference import ReferenceApi
from .pages.audit import AuditPage
from .pages.call import CallPage
from .pages.compare import ComparePage
from .pages.conversation import ConversationPage
from .pages.conversations import Conversations
from .pages.costs import Costs
from .pages.judging import JudgingForms
from .pages.login import Login
from .pages.logs import Logs
from .pages.monitor import Monitor
from .pages.prompts import Prompts
from .pages.rerun import RerunPage
from .pages.review import ReviewPage
from .pages.settings import Settings
from .pages.tag_settings import TagSettings
from .pages.users import Users
from .permissions import Permission
from .received import BODY_BYTES
from .routes import OPEN, Route, check, get
from .server import Runner
from .site import Place, Site

SHUTDOWN_S = 2.0  #: answers under way may take this long when it is stopped

#: The menu. A page stands in it when it exists.
PLACES = (
    Place("Logs", "/", "l", Permission.ROWS),
    Place("Conversations", "/conversations", "t", Permission.ROWS),
    Place("Users", "/users", "u", Permission.ROWS),
    Place("Prompts", "/prompts", "p", Permission.CONTENT),
    Place("Monitor", "/monitor", "m", Permission.ROWS),
    Place("Costs", "/costs", "c", Permission.ROWS),
    Place("Review", "/review", "r", Permission.JUDGE),
    Place("Audit", "/audit", "a", Permission.AUDIT),
)
#: Everything that answers, made with a ``Site``.
PARTS = (
    Logs,
    CallPage,
    ComparePage,
    ConversationPage,
    Conversations,
    Users,
    Prompts,
    JudgingForms,
    Monitor,
    Costs,
    RerunPage,
    ReviewPage,
    Login,
    Settings,
    TagSettings,
    AuditPage,
    *API,
)


def routes_of(site: Site) -> tuple[Route, ...]:
    """All of them. Raises ``TypeError`` for one that does not say who may ask it."""
    served = [route for part in PARTS for route in part(site).routes()]
    served += ReferenceApi(site, served).routes()
    return check([*served, *_assets(site)])


def make_app(config: Config) -> web.Application:
    """The application. It opens the store when the first request needs it, and closes it at the end."""
    store = SqliteReader(config.data_dir)
    site = Site(config, store, PLACES)
    routes = routes_of(site)
    guards = [answering, auditing(site), guard(config, site.visitors, routes)]
    app = web.Application(middlewares=guards, client_max_size=BODY_BYTES)
    app[MISTAKE_PAGE] = site.mistake
    for route in routes:
        add = app.router.add_get if route.method == "GET" else partial(app.router.add_route, route.method)
        add(route.path, route.handler)

    async def life(_app: web.Application) -> AsyncIterator[None]:
        compiling = spawn(asyncio.to_thread(site.compile_templates), "templates")
        yield
        await asyncio.wait([compiling])
        await site.recorder.close()
        await store.close()

    async def end_live(_app: web.Application) -> None:
        site.live.close()

    async def before_a_stream(request: web.Request, response: web.StreamResponse) -> None:
        if isinstance(response, web.Response):
            return
        if request.method == "HEAD":  # aiohttp would send the stream behind the head, as if it were the next answer
            raise web.HTTPMethodNotAllowed("HEAD", ["GET"])
        write_down(site, request, response.status)

    app.on_response_prepare.append(before_a_stream)
    app.on_shutdown.append(end_live)
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
