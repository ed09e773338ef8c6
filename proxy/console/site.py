"""What all pages and the API share: settings, templates, assets, the store as a visitor may see it, the journal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from functools import partial
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
from ..store.sqlite.accounts import Accounts
from ..zones import LocalZone, zone_named
from . import figures
from .access.visitors import Visitors
from .answers import page_answer
from .assets import Assets
from .detail.judging import happened_text, opinion_text
from .live import Live
from .narrowed import logs_of, page_of
from .permissions import NOBODY, Permission, Visitor
from .recorder import Recorder
from .routes import VISITOR
from .scoped import ScopedReader

THEMES = ("light", "dark")
READER: web.RequestKey[ScopedReader] = web.RequestKey("reader", ScopedReader)


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
        self.live = Live(store)
        self.recorder = Recorder(config)
        self.accounts = Accounts(config.data_dir)
        self.visitors = Visitors(config, self.accounts)
        self._store = store
        self._templates = _environment()

    def visitor(self, request: web.Request) -> Visitor:
        """Who asks; the guard has found out."""
        visitor: Visitor = request.get(VISITOR, NOBODY)
        return visitor

    def reader(self, request: web.Request) -> ScopedReader:
        """The store, as who asks may see it."""
        if READER not in request:
            request[READER] = ScopedReader(self._store, self.visitor(request))
        return request[READER]

    def zone(self, request: web.Request) -> tzinfo:
        """The visitor's time zone, as the browser has told it in a cookie; else this machine's."""
        try:
            return zone_named(request.cookies.get("llmtap_tz", "local"))
        except UsageError:
            return LocalZone()

    def compile_templates(self) -> None:
        """All of them, ahead of who asks first: together they take a good part of a second."""
        for name in self._templates.list_templates():
            self._templates.get_template(name)

    def rendered(self, template: str, **values: Any) -> str:
        """A piece of a page that bears nothing of its visitor, such as rows of a list."""
        return self._templates.get_template(template).render(values)

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

    def mistake(self, request: web.Request, status: int, title: str, detail: str) -> web.Response:
        """What went wrong, and ways on; see ``answers.MISTAKE_PAGE``."""
        return self.page(request, "mistake.html", status=status, title=title, detail=detail)


def asked_piece(request: web.Request) -> str:
    """Which piece of a page is asked for (``X-Fragment``); empty for the whole."""
    return request.headers.get("X-Fragment", "")


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        auto_reload=False,
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
        "opinion": opinion_text,
        "happened": happened_text,
    }
    environment.globals |= {
        "logs_of": logs_of,
        "user_page": partial(page_of, "/users"),
        "prompt_page": partial(page_of, "/prompts"),
    }
    return environment


def _tokens(call: Call) -> str:
    return figures.tokens(call.input_tokens, call.output_tokens, call.tokens_source)
