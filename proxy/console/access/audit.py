"""What is written down of visits: who saw, searched or took away what was said, and of which calls.

The row is in the journal before the first byte of the answer is sent. Where it cannot be written, those who
have logged in are refused; on an open console, where nobody is told from anybody, the page is shown.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping

from aiohttp import web
from aiohttp.typedefs import Middleware

from ...errors import LlmtapError, StoreError
from ...records import EventKind
from ...store.judgements import AuditSaid
from ..answers import status_of
from ..permissions import NOBODY, OWNER
from ..routes import ASKED, VISITOR, Handler
from ..site import READER, Site
from .guard import ROUTE

log = logging.getLogger(__name__)

_EACH = 2  #: calls that get a row each; an answer of more is a list
_TARGET = 2_000  #: characters
_WORDS = ("q", "filter", "words")  #: of a query: somebody looks for something
_DONE: web.RequestKey[bool] = web.RequestKey("audited", bool)


def auditing(site: Site) -> Middleware:
    """Writes down what the routes say that is to be."""

    @web.middleware
    async def audited(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            response = await handler(request)
        except web.HTTPException as error:
            write_down(site, request, error.status)
            raise
        except LlmtapError as error:
            write_down(site, request, status_of(error))
            raise
        write_down(site, request, response.status)
        return response

    return audited


def write_down(site: Site, request: web.Request, status: int) -> None:
    """Once for each request; streams do so before they begin. Raises ``StoreError``."""
    route, visitor = request.get(ROUTE), request.get(VISITOR, NOBODY)
    reader = request.get(READER)
    searched = reader is not None and reader.searched  # sums of calls tell which words were said, too
    action = "" if route is None else route.audited or ("search" if searched else "")
    if not action or visitor == NOBODY or request.get(_DONE):
        return
    if not site.config.data_dir.exists():  # there is nothing to see, and a visit does not make it
        return
    request[_DONE] = True
    asked = request.get(ASKED) or request.path_qs
    try:
        for said in rows(action, asked, request.query, reader.looked_at if reader else {}, status):
            site.recorder.append(EventKind.AUDIT, visitor.name, said)
    except StoreError as error:
        if visitor != OWNER:
            raise
        log.warning("a visit is not in the audit: %s", error)


def rows(
    action: str, asked: str, query: Mapping[str, str], looked_at: Mapping[str, str], status: int
) -> Iterator[AuditSaid]:
    """A row for each call, or one for a list. ``looked_at``: id of a call → its project."""
    if 0 < len(looked_at) <= _EACH:
        for call, project in looked_at.items():
            yield AuditSaid(action=action, target=call, project=project, status=status)
        return
    if action == "view" and any(query.get(name) for name in _WORDS):
        action = "search"
    projects = set(looked_at.values())
    project = projects.pop() if len(projects) == 1 else ""
    yield AuditSaid(action=action, target=asked[:_TARGET], project=project, status=status)
