"""The logs: the newest calls, what to do before the first one, and the columns that are shown."""

from __future__ import annotations

from aiohttp import web

from ..health import relay_url
from ..permissions import Permission
from ..routes import Route, get
from ..site import Site

ROWS = 100


class Logs:
    """Handlers, and what they need."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[Route]:
        """What the console answers here."""
        return [get("/", self.start, Permission.ROWS)]

    async def start(self, request: web.Request) -> web.Response:
        """The last calls, newest first; before the first one, what to do."""
        calls = await self._site.reader(request).find(limit=ROWS)
        base_url = f"{relay_url(self._site.config)}/v1"
        return self._site.page(request, "calls.html", calls=calls, most=ROWS, base_url=base_url)
