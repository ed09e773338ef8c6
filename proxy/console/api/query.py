"""``POST /api/query``: the store in SQL, as ``llmtap sql`` has it: one SELECT on documented views."""

from __future__ import annotations

import asyncio
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from ...errors import StoreError
from ...store.sqlite.sql import TEXT_CHARS
from ..answers import json_answer
from ..asking import AT_ONCE, Question, asked
from ..permissions import Permission
from ..received import received
from ..routes import ASKED, Doc, Route, post
from ..site import Site
from .saying import Body
from .shapes import holding, listing


class Query(Body, frozen=True):
    """One SELECT of SQLite's on the views calls, tools, scores, metadata, tags and conversations."""

    sql: Annotated[str, Meta(min_length=1, max_length=TEXT_CHARS)]
    limit: Annotated[int, Meta(ge=1, le=10_000, description="rows at most")] = 1000
    timeout_s: Annotated[float, Meta(ge=0.1, le=60, description="seconds that it may take")] = 10.0


_ANSWER = holding(
    columns=listing({"type": "string"}),
    rows=listing(listing({"type": ["string", "number", "null"]})),
    cut={"type": "boolean", "description": "there were more rows"},
)


class QueryApi:
    """One route."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._places = asyncio.Semaphore(AT_ONCE)

    def routes(self) -> list[Route]:
        """What the console answers here."""
        doc = Doc(
            summary="Ask the store in SQL; docs/fields.md lists the views",
            body=msgspec.json.schema(Query),
            answer=_ANSWER,
            errors=(400, 413, 415, 422, 503),
        )
        return [post("/api/query", self.query, Permission.SQL, audited="search", doc=doc)]

    async def query(self, request: web.Request) -> web.Response:
        """Rows as lists, in the order of ``columns``. 503 while others ask."""
        came: Query = await received(request, Query)
        request[ASKED] = came.sql
        if self._places.locked():
            raise StoreError(f"{AT_ONCE} statements are under way: ask again in a moment")
        question = Question(
            data_dir=str(self._site.config.data_dir), statement=came.sql, rows=came.limit, seconds=came.timeout_s
        )
        async with self._places:
            told = await asked(question)
        return json_answer({"columns": told.columns, "rows": told.rows, "cut": told.cut})
