"""The JSON API: ``/healthz``, ``/api/calls`` and ``/api/calls/{id}``."""

from __future__ import annotations

from aiohttp import web

from ...errors import UsageError
from ...query.fields import nearest
from ...store.view import BODY_KEYS, KEYS, selected, summary_json
from ..answers import json_answer
from ..documents import document
from ..health import look, relay_names
from ..permissions import Permission
from ..routes import OPEN, Route, get
from ..site import Site

LIMIT_DEFAULT = 50
LIMIT_MAX = 1000
LIMIT_WITH_BODIES_MAX = 100


class CallsApi:
    """Handlers, and what they need."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[Route]:
        """What the console answers here."""
        return [
            get("/healthz", self.health, OPEN),
            get("/api/calls", self.calls, Permission.ROWS, audited="view"),
            get("/api/calls/{id}", self.call, Permission.ROWS, audited="view"),
        ]

    async def health(self, _request: web.Request) -> web.Response:
        """200 when every relay accepts and ingest runs, else 503 and what is down."""
        names = [*relay_names(self._site.config.relay.workers), "ingest"]
        processes = look(self._site.config.data_dir, names)
        down = [process.name for process in processes if not process.up]
        states = {process.name: process.state for process in processes}
        return json_answer({"ok": not down, "down": down, "processes": states}, 503 if down else 200)

    async def calls(self, request: web.Request) -> web.Response:
        """The newest calls; bodies only where ``fields=`` names them."""
        bodies = _body_fields(request.query.get("fields", ""))
        limit = _limit(request.query.get("limit"), LIMIT_WITH_BODIES_MAX if bodies else LIMIT_MAX)
        reader = self._site.reader(request)
        found = await reader.find(limit=limit)
        if not bodies:
            return json_answer({"calls": [summary_json(call) for call in found]})
        whole = [await document(reader, call, self._site.config) for call in found]
        shown = bodies | (set(KEYS) - set(BODY_KEYS))
        return json_answer({"calls": [selected(call, shown) for call in whole]})

    async def call(self, request: web.Request) -> web.Response:
        """One call, bodies included; a unique part of its id will do."""
        reader = self._site.reader(request)
        call = await reader.call(await reader.resolve(request.match_info["id"]))
        return json_answer(await document(reader, call, self._site.config))


def _body_fields(text: str) -> set[str]:
    """Those of the named fields that are left out when not asked for."""
    named = [name.strip() for name in text.split(",") if name.strip()]
    for name in named:
        if name not in KEYS:
            raise UsageError(f"fields: there is no field {name!r}{nearest(name, KEYS)}")
    return set(BODY_KEYS).intersection(named)


def _limit(text: str | None, most: int) -> int:
    if text is None:
        return LIMIT_DEFAULT
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= most):
        raise UsageError(f"limit: write a number from 1 to {most}")
    return int(text)
