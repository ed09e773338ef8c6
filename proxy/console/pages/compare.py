"""Two calls side by side: ``/compare?a=&b=``."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from ...errors import CallNotFound
from ..detail.comparing import rows, texts
from ..detail.opened import opened
from ..permissions import Permission
from ..routes import Route, get
from ..site import Site, asked_piece


class ComparePage:
    """Handlers, and what they need."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[Route]:
        """What the console answers here."""
        return [get("/compare", self.compare, Permission.ROWS, audited="view")]

    async def compare(self, request: web.Request) -> web.Response:
        """The page; without two calls, a form that asks for them."""
        a, b = request.query.get("a", "").strip(), request.query.get("b", "").strip()
        if not (a and b):
            return self._site.page(request, "compare.html", a=a, b=b, pair=None)
        return await compared(self._site, request, a, b)


async def compared(site: Site, request: web.Request, a: str, b: str) -> web.Response:
    """Figures and texts of two calls; as a piece (``compare``) or a page. Raises ``CallNotFound``, saying which."""
    reader = site.reader(request)
    found = []
    for name, ref in (("a", a), ("b", b)):
        try:
            found.append(await opened(reader, ref, site.config))
        except CallNotFound as error:
            raise CallNotFound(f"{name}: {error}") from None
    one, two = found
    values: dict[str, Any] = {
        "pair": (one, two),
        "rows": rows(one.call, two.call),
        "texts": await asyncio.to_thread(texts, one, two),
        "a": one.call.id,
        "b": two.call.id,
    }
    template = "pieces/compare.html" if asked_piece(request) == "compare" else "compare.html"
    return site.page(request, template, **values)
