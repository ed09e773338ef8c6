"""``/healthz``: whether llmtap does its work, for whoever watches over it. It asks no store and no process."""

from __future__ import annotations

from aiohttp import web

from ..answers import json_answer
from ..health import look, relay_names
from ..routes import OPEN, Doc, Route, get
from ..site import Site
from .shapes import holding

_ANSWER = holding(
    ok={"type": "boolean"},
    down={"type": "array", "items": {"type": "string"}},
    processes={"type": "object", "additionalProperties": {"enum": ["up", "waiting", "hung", "down"]}},
)


class HealthApi:
    """One route."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[Route]:
        """What the console answers here."""
        doc = Doc(summary="200 when every relay accepts and ingest runs, else 503", answer=_ANSWER, also=(503,))
        return [get("/healthz", self.health, OPEN, doc=doc)]

    async def health(self, _request: web.Request) -> web.Response:
        """By the gauges alone."""
        names = [*relay_names(self._site.config.relay.workers), "ingest"]
        processes = look(self._site.config.data_dir, names)
        down = [process.name for process in processes if not process.up]
        states = {process.name: process.state for process in processes}
        return json_answer({"ok": not down, "down": down, "processes": states}, 503 if down else 200)
