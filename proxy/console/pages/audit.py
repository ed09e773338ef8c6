"""The audit: who looked at what, the newest first."""

from __future__ import annotations

from aiohttp import web

from ...errors import UsageError
from ..permissions import Permission
from ..routes import Route, get
from ..site import Site

ROWS = 200


class AuditPage:
    """Handlers, and what they need."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[Route]:
        """What the console answers here."""
        return [get("/audit", self.audit, Permission.AUDIT, audited="view")]

    async def audit(self, request: web.Request) -> web.Response:
        """A page of rows."""
        before = _before(request.query.get("before", ""))
        rows = await self._site.reader(request).audit(before=before, limit=ROWS)
        older = rows[-1].id if len(rows) == ROWS else None
        return self._site.page(request, "audit.html", rows=rows, before=before, older=older)


def _before(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise UsageError("before: write the number of a row")
    return int(text)
