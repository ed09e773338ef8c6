"""One call: its page, the same inside a slide-out, and the pieces that are loaded when somebody wants them."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web
from msgspec import Struct

from ...errors import UsageError
from ...pricing.charged import priced
from ...pricing.overrides import overrides
from ...pricing.prices import receipt
from ...records import Side, Usage
from ...wire.headers import header_maps
from ..answers import json_answer
from ..detail import bodies, chat, copies, facts, media, timeline
from ..detail.folds import whole
from ..detail.judging import verdicts
from ..detail.markdown import rendered
from ..detail.opened import Opened, opened
from ..documents import document
from ..health import relay_url
from ..permissions import Permission
from ..routes import Route, get
from ..site import Site, asked_piece

TABS = {
    "chat": "Chat",
    "request": "Request",
    "response": "Response",
    "timeline": "Timeline",
    "cost": "Cost",
    "details": "Details",
    "said": "Notes",
}
_PARSED = frozenset({"chat", "cost"})  # tabs that show what the dialect understood
_LIGHT = ("tab", "older")  #: pieces without what people said
_MEDIA_POLICY = "default-src 'none'; img-src 'self'; media-src 'self'; sandbox"


class Asked(Struct, frozen=True):
    """The query of a page."""

    tab: str
    before: int | None  #: of the conversation, only messages in front of this one
    form: str  #: of a body
    markdown: bool


def asked(query: Any) -> Asked:
    """Raises ``UsageError`` for a number that is none; tabs and forms that nobody knows are the usual ones."""
    before = query.get("older", "")
    if before and not (before.isascii() and before.isdigit() and len(before) < 9):
        raise UsageError("older: write the number of a message")
    tab = query.get("tab", "")
    return Asked(
        tab=tab if tab in TABS else "chat",
        before=int(before) if before else None,
        form=query.get("form", ""),
        markdown=query.get("m") == "1",
    )


class CallPage:
    """Handlers, and what they need."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._limit_bytes = site.config.ingest.body_bytes

    def routes(self) -> list[Route]:
        """What the console answers here."""
        return [
            get("/call/{id}", self.call, Permission.ROWS, audited="view"),
            get("/call/{id}/text/{place}", self.text, Permission.CONTENT, audited="view"),
            get("/call/{id}/media/{number}", self.media, Permission.CONTENT, audited="view"),
            get("/call/{id}/copy/{form}", self.copy, Permission.CONTENT, audited="view"),
            get("/call/{id}/body/{side}", self.body, Permission.CONTENT, audited="export"),
        ]

    async def call(self, request: web.Request) -> web.Response:
        """The page, the inside of a slide-out (``panel``), a tab (``tab``), or older messages (``older``)."""
        asks = asked(request.query)
        reader = self._site.reader(request)
        found = await opened(reader, request.match_info["id"], self._site.config, parse=asks.tab in _PARSED)
        values = {
            "call": found.call,
            "opened": found,
            "asked": asks,
            "tabs": TABS,
            "may_judge": await reader.may(Permission.JUDGE, found.call.id),
            "may_rerun": await reader.may(Permission.RERUN, found.call.id),
            **await asyncio.to_thread(self._shown, found, asks),
        }
        piece = asked_piece(request)
        if asks.tab == "said" or piece not in _LIGHT:
            judged = await reader.judgements(found.call.id)
            values |= {"judged": judged, "verdicts": verdicts(judged, self._site.visitor(request).name)}
            values["known_tags"] = await reader.tags()
        template = f"pieces/{piece}.html" if piece in ("panel", *_LIGHT) else "call.html"
        return self._site.page(request, template, **values)

    def _shown(self, found: Opened, asks: Asked) -> dict[str, Any]:
        """What a tab shows. For a thread: bodies may be large."""
        if asks.tab == "details":
            return {"groups": facts.groups(found.call)}
        if found.exchange is None:
            return {"receipt": None}
        exchange = found.exchange
        if asks.tab == "chat":
            inline = media.media_of(exchange, self._limit_bytes) if chat.has_media(found.parsed) else []
            render = rendered if asks.markdown else None
            return {"chat": chat.chat(found, inline, before=asks.before, render=render)}
        if asks.tab in ("request", "response"):
            side = Side.REQUEST if asks.tab == "request" else Side.RESPONSE
            return {"half": bodies.half(exchange, side, asks.form, self._limit_bytes)}
        if asks.tab == "timeline":
            return {"timeline": timeline.timeline(found.call, exchange)}
        if asks.tab == "cost":
            paid = receipt(priced(exchange, header_maps(exchange), found.parsed), overrides(self._site.config.prices))
            return {"receipt": paid, "per_million": Usage.__struct_fields__}
        return {}

    async def text(self, request: web.Request) -> web.Response:
        """A text of a conversation, whole: as a piece of HTML, or as a file of text."""
        found = await self._opened(request)
        text = await asyncio.to_thread(chat.text_at, found, request.match_info["place"])
        if text is None:
            raise web.HTTPNotFound
        if asked_piece(request) == "text":
            return self._site.page(request, "pieces/text.html", text=whole(text), html=None)
        if asked_piece(request) == "markdown":
            html = await asyncio.to_thread(rendered, text)
            return self._site.page(request, "pieces/text.html", text=whole(text), html=html)
        return web.Response(body=text.encode("utf-8", "replace"), content_type="text/plain", charset="utf-8")

    async def media(self, request: web.Request) -> web.Response:
        """A picture or a sound out of a body; what is neither is a file to save, never a document of ours."""
        found = await self._opened(request, parse=False)
        number = request.match_info["number"]
        if found.exchange is None or not (number.isascii() and number.isdigit() and len(number) < 6):
            raise web.HTTPNotFound
        inline = await asyncio.to_thread(media.media_of, found.exchange, self._limit_bytes)
        if int(number) >= len(inline):
            raise web.HTTPNotFound
        one = inline[int(number)]
        shown = one.shown_as
        disposition = "inline" if shown else f'attachment; filename="{found.call.id[-8:]}-{int(number)}.bin"'
        headers = {
            "Content-Security-Policy": _MEDIA_POLICY,
            "Content-Disposition": disposition,
            "Cache-Control": "private, max-age=3600, immutable",
        }
        body = await asyncio.to_thread(one.bytes)
        return web.Response(body=body, content_type=shown or "application/octet-stream", headers=headers)

    async def copy(self, request: web.Request) -> web.Response:
        """The request as a curl command or a Python program, or the call as JSON."""
        found = await self._opened(request, parse=False)
        form = request.match_info["form"]
        if form == "json":
            shown = await document(self._site.reader(request), found.call, self._site.config)
            if request.query.get("pretty") != "1":
                return json_answer(shown)
            return _text(await asyncio.to_thread(copies.pretty, shown))
        if form not in _COPIES or found.exchange is None:
            raise web.HTTPNotFound
        request_again = await asyncio.to_thread(
            copies.sent, found.exchange, self._site.config, relay_url(self._site.config)
        )
        if request_again is None:
            raise UsageError("this request is too large to be copied, or not whole: its bytes are on the tab Request")
        return _text(_COPIES[form](request_again))

    async def body(self, request: web.Request) -> web.Response:
        """The exact bytes of a body, as a file."""
        found = await self._opened(request, parse=False)
        side = request.match_info["side"]
        if found.exchange is None or side not in ("request", "response"):
            raise web.HTTPNotFound
        body = found.exchange.request_body if side == "request" else found.exchange.response_body
        headers = {"Content-Disposition": f'attachment; filename="{found.call.id[-8:]}-{side}.bin"'}
        return web.Response(body=body, content_type="application/octet-stream", headers=headers)

    async def _opened(self, request: web.Request, *, parse: bool = True) -> Opened:
        reader = self._site.reader(request)
        return await opened(reader, request.match_info["id"], self._site.config, parse=parse)


_COPIES = {"curl": copies.curl, "python": copies.python}


def _text(text: str) -> web.Response:
    return web.Response(body=text.encode("utf-8", "replace"), content_type="text/plain", charset="utf-8")
