"""An aiohttp server that repeats nothing of a request it cannot read.

aiohttp's own page for a malformed request shows the offending header line, and its log the
line with a traceback: an ``Authorization`` header would stand in both.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_server import Server

from .answers import HEADERS, problem

log = logging.getLogger(__name__)
_NO_ACCESS_LOG = logging.getLogger(f"{__name__}.access")  #: aiohttp asks for one; it is off
_NO_ACCESS_LOG.setLevel(logging.CRITICAL)


class _Protocol(RequestHandler):
    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002
    ) -> web.StreamResponse:
        log.info("a request to the console could not be read: %s", type(exc).__name__)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer is under way")
        response = problem(status, "the request could not be read")
        response.headers.update(HEADERS)
        response.force_close()
        return response


class _Server(Server):
    def __call__(self) -> RequestHandler:
        return _Protocol(self, loop=asyncio.get_running_loop(), access_log=_NO_ACCESS_LOG)


class Runner(web.AppRunner):
    """Runs an application behind the quiet protocol. ``cleanup`` stops it."""

    async def _make_server(self) -> Server:
        made: Any = await super()._make_server()
        return _Server(made.request_handler, request_factory=made.request_factory)
