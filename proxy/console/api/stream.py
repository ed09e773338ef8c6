"""``/api/stream``: calls as they come, begin and end, as server-sent events.

Each event is one state of a call; its id is what to go on from, which browsers send by themselves
when they come back. Who falls behind is told (``event: behind``), and asks ``/api/calls`` for what was missed.
"""

from __future__ import annotations

from contextlib import aclosing

from aiohttp import web

from ...clock import wall_us
from ...errors import StoreError
from ...records import Call
from ...store.view import summary_json
from ..answers import HEADERS
from ..documents import encoded
from ..live import FellBehind
from ..permissions import Permission
from ..routes import VISITOR, Doc, Route, get
from ..site import Site
from . import asked

_STREAM = {name: asked.SCOPE[name] for name in ("filter", "tz", "every")} | {
    "after": {"type": "integer", "minimum": 0, "description": "the id of the last event that has been seen"}
}
_HEADERS = HEADERS | {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_REV_MAX = (1 << 62) - 1
_BEGIN = b"retry: 1000\n\n"
_QUIET = b":\n\n"
_BEHIND = b"event: behind\ndata: {}\n\n"


class StreamApi:
    """One route."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[Route]:
        """What the console answers here."""
        doc = Doc(
            summary="Calls as they come, begin and end: server-sent events named call, each a row as /api/calls has it",
            query=_STREAM,
            answer={"type": "string"},
            errors=(400, 503),
            media_type="text/event-stream",
        )
        return [get("/api/stream", self.stream, Permission.ROWS, audited="view", doc=doc)]

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Until one of the two goes away."""
        asked.check_names(request.query, _STREAM)
        scope = asked.asked_scope(request.query, self._site.zone(request), wall_us())
        after_rev = _after(request)
        await self._site.reader(request).among([], scope.where)
        response = web.StreamResponse(headers=_HEADERS)
        follow = self._site.live.follow(request[VISITOR], scope.where, after_rev=after_rev, every=scope.every)
        async with aclosing(follow) as calls:
            try:
                await response.prepare(request)
                await response.write(_BEGIN)
                async for batch in calls:
                    await response.write(b"".join(map(_event, batch)) or _QUIET)
            except (FellBehind, StoreError):
                await response.write(_BEHIND)
            except ConnectionError:
                pass  # nobody listens any more
        return response


def _after(request: web.Request) -> int | None:
    """What was seen last, as the address says, or the browser that comes back."""
    seen = request.query.get("after", request.headers.get("Last-Event-ID"))
    return None if seen is None else asked.number({"after": seen}, "after", 0, 0, _REV_MAX)


def _event(call: Call) -> bytes:
    return b"event: call\nid: %d\ndata: %s\n\n" % (call.rev, encoded(summary_json(call)))
