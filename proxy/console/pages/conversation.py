"""One conversation as the tree that it is, on one axis of time, with what each step added to it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from urllib.parse import urlencode

from aiohttp import web
from msgspec import Struct

from ...clock import wall_us
from ...errors import CallNotFound
from ...records import Message, Parsed
from ...store.traces import Trace
from ..documents import understood
from ..moments import Moments
from ..permissions import Permission
from ..routes import Route, get
from ..scoped import ScopedReader
from ..site import Site, asked_piece
from ..traces.lines import Drawn, Line, drawn
from ..traces.turns import new_messages

STEPS = 300  #: calls on one page, those of sub-agents counted
MESSAGES_MAX = 100  #: of one step, the last ones
TEXT_MAX = 6_000  #: characters of one message
BESIDE = 12


class Asked(Struct, frozen=True, kw_only=True):
    """What the address says."""

    selected: str | None  #: id of a call
    whole: bool  #: all messages of the selected step, not only the new ones
    even: bool  #: time to scale, no stretch cut short
    before: str | None  #: only calls before this one

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Asked:
        """Read it."""
        return cls(
            selected=query.get("sel") or None,
            whole=query.get("show") == "all",
            even=query.get("axis") == "even",
            before=query.get("before") or None,
        )

    def address(self, **changes: str | None) -> str:
        """The query of the same page with something changed; None takes it out."""
        named = {
            "sel": self.selected,
            "show": "all" if self.whole else None,
            "axis": "even" if self.even else None,
            "before": self.before,
        }
        return "?" + urlencode({name: value for name, value in (named | changes).items() if value})


class Told(Struct, frozen=True, kw_only=True):
    """What the panel shows of a step."""

    line: Line
    before: Line | None  #: the step whose answer it continues, or the one above it
    messages: tuple[Message, ...]
    folded: int  #: earlier messages that are not shown
    parsed: Parsed
    gone: bool  #: there are no bodies


class ConversationPage:
    """Handlers, and what they need."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[Route]:
        """What the console answers here."""
        return [get("/conversation/{id}", self.conversation, Permission.ROWS, audited="view")]

    async def conversation(self, request: web.Request) -> web.Response:
        """The page, or the panel of one step (``X-Fragment: step``)."""
        asked, now_us = Asked.of(request.query), wall_us()
        reader = self._site.reader(request)
        call_id = await reader.resolve(request.match_info["id"])
        trace = await reader.conversation(call_id, limit=STEPS, before=asked.before)
        if not trace.steps:
            raise CallNotFound("no calls of this conversation came before that")
        view = drawn(trace, now_us, folded=not asked.even)
        line = _selected(view, asked.selected or call_id, trace, given=asked.selected is not None)
        told = await self._told(reader, view, line, whole=asked.whole)
        at = Moments(self._site.zone(request), now_us)
        if asked_piece(request) == "step":
            return self._site.page(request, "pieces/step.html", told=told, asked=asked, at=at, text_max=TEXT_MAX)
        return self._site.page(
            request,
            "conversation.html",
            trace=trace,
            whole=trace.conversation,
            view=view,
            told=told,
            asked=asked,
            at=at,
            earliest=_earliest(trace),
            beside=[other for other in trace.beside if other.id not in view.agents][:BESIDE],
            text_max=TEXT_MAX,
        )

    async def _told(self, reader: ScopedReader, view: Drawn, line: Line, *, whole: bool) -> Told:
        exchange = await reader.exchange(line.call.id)
        parsed = Parsed()
        if exchange is not None:
            parsed = await asyncio.to_thread(understood, exchange, self._site.config)
        messages = parsed.input if whole else new_messages(parsed)
        shown = tuple(messages[-MESSAGES_MAX:])
        return Told(
            line=line,
            before=_before(view, line),
            messages=shown,
            folded=len(parsed.input) - len(shown),
            parsed=parsed,
            gone=exchange is None,
        )


def _selected(view: Drawn, call_id: str, trace: Trace, *, given: bool) -> Line:
    """The call that is asked for; where none is, or its line is not here, where it failed first, or the first."""
    asked_for = view.line(call_id)
    if asked_for is not None and (given or call_id != trace.conversation.id):
        return asked_for
    failed = view.first_failure
    return (failed and view.line(failed.call.id)) or view.calls[0]


def _earliest(trace: Trace) -> str | None:
    """Id of the earliest call on the page but for the one that began it all, which is on every page."""
    calls = [step.call for step in trace.steps if step.call.id != trace.conversation.id]
    return min(calls, key=lambda call: (call.started_at_us, call.id)).id if calls else None


def _before(view: Drawn, line: Line) -> Line | None:
    above = line.call.follows or line.call.retry_of
    if above is not None and (found := view.line(above)) is not None:
        return found
    calls = view.calls
    place = calls.index(line)
    return calls[place - 1] if place else None
