"""The review queue: one call at a time, judged by a key, and on to the next."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from ...clock import wall_us
from ...errors import CallNotFound, UsageError
from ...query.tree import Filter
from ...records import Call, EventKind
from ...store.judgements import ViewSaid
from ..api.saying import say
from ..detail import chat, media
from ..detail.judging import verdicts
from ..detail.opened import opened
from ..detail.queue import BAR_HEIGHT, BAR_WIDTH, COUNTED, END, PATH, SHOWS, Progress, Queue, asked_queue, verdict
from ..narrowed import PERIODS, narrowed
from ..permissions import Permission
from ..routes import Route, get, post
from ..site import Site, asked_piece
from .judging import form_fields

_NAME_CHARACTERS = 200
_STEPS = 8  # of looking for the next call where no index helps


class ReviewPage:
    """Handlers, and what they need."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[Route]:
        """What the console answers here."""
        return [
            get(PATH, self.review, Permission.JUDGE, audited="view"),
            post(PATH, self.save, Permission.JUDGE),
        ]

    async def review(self, request: web.Request) -> web.Response:
        """The page, or its inside (``review``)."""
        queue = asked_queue(request.query, narrowed(request.query, self._site.zone(request), wall_us()))
        reader = self._site.reader(request)
        current = await self._current(request, queue)
        values: dict[str, Any] = {
            "queue": queue,
            "shows": SHOWS,
            "periods": PERIODS,
            "progress": await self._progress(request, queue),
            "views": [view for view in await reader.views() if view.page == PATH],
            "current": None,
        }
        values |= await self._one(request, queue, current) if current else await self._end(request, queue)
        template = "pieces/review.html" if asked_piece(request) == "review" else "review.html"
        return self._site.page(request, template, **values)

    async def save(self, request: web.Request) -> web.Response:
        """Save the queue under a name."""
        fields = await form_fields(request)
        name = fields.get("name", "").strip()
        if not 1 <= len(name) <= _NAME_CHARACTERS:
            raise UsageError(f"name: write from 1 to {_NAME_CHARACTERS} characters")
        queue = asked_queue(fields, narrowed(fields, self._site.zone(request), wall_us()))
        say(self._site, request, EventKind.VIEW, ViewSaid(name=name, page=PATH, query=queue.saved))
        return web.Response(status=303, headers={"Location": queue.to()})

    async def _current(self, request: web.Request, queue: Queue) -> Call | None:
        reader = self._site.reader(request)
        if queue.at == END:
            return None
        if queue.at:
            try:
                return await reader.call(await reader.resolve(queue.at))
            except CallNotFound:
                pass
        return await self._after(request, queue.shown, None)

    async def _after(self, request: web.Request, where: Filter | None, before: str | None) -> Call | None:
        for _ in range(_STEPS):
            looked = await self._site.reader(request).look(where, before=before, limit=1)
            if looked.calls or looked.next is None:
                return looked.calls[0] if looked.calls else None
            before = looked.next
        return None

    async def _progress(self, request: web.Request, queue: Queue) -> Progress:
        reader = self._site.reader(request)
        done = await reader.look(queue.done, limit=COUNTED)
        left = await reader.look(queue.left, limit=COUNTED)
        return Progress(len(done.calls), len(left.calls), done.next is not None, left.next is not None)

    async def _one(self, request: web.Request, queue: Queue, call: Call) -> dict[str, Any]:
        reader, config = self._site.reader(request), self._site.config
        found = await opened(reader, call.id, config)
        inline = []
        if found.exchange is not None and chat.has_media(found.parsed):
            inline = await asyncio.to_thread(media.media_of, found.exchange, config.ingest.body_bytes)
        following = await self._after(request, queue.shown, call.id)
        judged = await reader.judgements(call.id)
        return {
            "current": found.call,
            "call": found.call,
            "opened": found,
            "chat": await asyncio.to_thread(chat.chat, found, inline) if found.exchange is not None else None,
            "next": queue.to(following.id, call.id) if following else queue.to(END, call.id),
            "previous": queue.to(queue.was) if queue.was else "",
            "judged": judged,
            "verdicts": verdicts(judged, self._site.visitor(request).name),
            "may_judge": await reader.may(Permission.JUDGE, call.id),
            "known_tags": await reader.tags(),
        }

    async def _end(self, request: web.Request, queue: Queue) -> dict[str, Any]:
        reader = self._site.reader(request)
        calls = (await reader.look(queue.done, limit=COUNTED)).calls
        scores = await reader.scores([call.id for call in calls])
        made = verdict(calls, scores, self._site.zone(request))
        return {"verdict": made, "bar_height": BAR_HEIGHT, "bar_width": BAR_WIDTH}
