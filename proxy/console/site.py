"""What all pages and the API share: settings, templates, assets, the store as a visitor may see it, the journal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from pathlib import Path
from typing import Any

import jinja2
from aiohttp import web
from msgspec import Struct

from ..clock import rfc3339
from ..config import Config
from ..errors import UsageError
from ..records import Call
from ..store.base import Reader
from ..zones import LocalZone, zone_named
from . import figures
from .answers import page_answer
from .assets import Assets
from .permissions import NOBODY, Permission, Visitor
from .routes import VISITOR
from .scoped import ScopedReader

THEMES = ("light", "dark")


class Place(Struct, frozen=True):
    """An entry of the menu."""

    label: str
    path: str
    key: str  #: pressed after ``g``
    needs: Permission


class Site:
    """Made once; handlers hold it."""

    def __init__(self, config: Config, store: Reader, places: Sequence[Place] = ()) -> None:
        self.config = config
        self.assets = Assets()
        self.places = tuple(places)
        self._store = store
        self._templates = _environment()

    def visitor(self, request: web.Request) -> Visitor:
        """Who asks; the guard has found out."""
        return request.get(VISITOR, NOBODY)

    def reader(self, request: web.Request) -> ScopedReader:
        """The store, as who asks may see it."""
        return ScopedReader(self._store, self.visitor(request))

    def zone(self, request: web.Request) -> tzinfo:
        """The visitor's time zone, as the browser has told it in a cookie; else this machine's."""
        try:
            return zone_named(request.cookies.get("llmtap_tz", "local"))
        except UsageError:
            return LocalZone()

    def page(self, request: web.Request, template: str, *, status: int = 200, **values: Any) -> web.Response:
        """A page, or a piece of one."""
        visitor = self.visitor(request)
        theme = request.cookies.get("llmtap_theme", "")
        html = self._templates.get_template(template).render(
            values,
            assets=self.assets,
            visitor=visitor,
            places=[place for place in self.places if visitor.may(place.needs)],
            here=request.path,
            theme=theme if theme in THEMES else "",
        )
        return page_answer(html, status)


def asked_piece(request: web.Request) -> str:
    """Which piece of a page is asked for (``X-Fragment``); empty for the whole."""
    return request.headers.get("X-Fragment", "")


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "short_id": figures.short_id,
        "duration": figures.duration,
        "count": figures.count,
        "size": figures.size,
        "money": figures.money,
        "exact_dollars": figures.exact_dollars,
        "date_time": figures.date_time,
        "rfc3339": rfc3339,
        "tokens": _tokens,
        "shortened": figures.shortened,
    }
    return environment


def _tokens(call: Call) -> str:
    return figures.tokens(call.input_tokens, call.output_tokens, call.tokens_source)
