"""The pages: the last calls, and one call. Whole without scripts; the templates escape everything."""

from __future__ import annotations

import asyncio
from pathlib import Path

import jinja2
from aiohttp import web

from ..clock import rfc3339
from ..config import Config
from ..records import Call, Exchange, Parsed
from ..store.base import Reader
from . import figures
from .answers import page_answer
from .documents import understood
from .health import relay_url

ROWS = 100
_TEXT_MAX = 20_000  #: characters of one part on a page; the rest is said, and shown by the command line
_MESSAGES_MAX = 200  #: of a conversation's end


class Pages:
    """Handlers, and what they need."""

    def __init__(self, config: Config, reader: Reader) -> None:
        self._config = config
        self._reader = reader
        self._templates = _environment()

    def routes(self) -> list[web.RouteDef]:
        """What to add to the application."""
        return [web.get("/", self.start), web.get("/call/{id}", self.call)]

    async def start(self, _request: web.Request) -> web.Response:
        """The last calls, newest first; before the first one, what to do."""
        calls = await self._reader.find(limit=ROWS)
        return self._page("calls.html", calls=calls, most=ROWS, base_url=f"{relay_url(self._config)}/v1")

    async def call(self, request: web.Request) -> web.Response:
        """One call: its figures and its conversation."""
        call = await self._reader.call(await self._reader.resolve(request.match_info["id"]))
        exchange = await self._reader.exchange(call.id)
        parsed = await self._parsed(exchange)
        return self._page("call.html", call=call, exchange=exchange, parsed=parsed, most=_MESSAGES_MAX)

    async def _parsed(self, exchange: Exchange | None) -> Parsed:
        if exchange is None:
            return Parsed()
        return await asyncio.to_thread(understood, exchange, self._config)

    def _page(self, name: str, **values: object) -> web.Response:
        return page_answer(self._templates.get_template(name).render(values))


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
        "shortened": _shortened,
    }
    return environment


def _tokens(call: Call) -> str:
    return figures.tokens(call.input_tokens, call.output_tokens, call.tokens_source)


def _shortened(text: str) -> str:
    if len(text) <= _TEXT_MAX:
        return text
    return f"{text[:_TEXT_MAX]}\n… and {len(text) - _TEXT_MAX:,} characters more: llmtap show has them"
