"""``POST /api/flush``: wait until what has ended by now is stored, as ``llmtap flush`` does.

The console writes to no store: where no ingest runs, nothing is stored, and that is what is said.
"""

from __future__ import annotations

import asyncio
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from ...clock import monotonic_us, wall_us
from ...errors import StoreError
from ...journal.frame import Kind
from ...store.recorded import ended
from ..answers import json_answer
from ..health import look
from ..permissions import Permission
from ..received import received
from ..routes import Doc, Route, post
from ..scoped import ScopedReader
from ..site import Site
from .saying import Body
from .shapes import holding

_AWAITED = (Kind.END, Kind.EVENT)
_POLL_S = 0.05
_LONGEST_S = 300.0


class Flush(Body, frozen=True):
    """How long to wait."""

    timeout_s: Annotated[float, Meta(ge=0, le=_LONGEST_S)] = 60.0


class FlushApi:
    """One route."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[Route]:
        """What the console answers here."""
        doc = Doc(
            summary="Wait until calls that have ended, and what was said of calls, are stored and found by their words",
            body=msgspec.json.schema(Flush),
            answer=holding(stored={"type": "integer", "description": "records that had to be waited for"}),
            errors=(400, 413, 415, 422, 503),
        )
        return [post("/api/flush", self.flush, Permission.MANAGE, doc=doc)]

    async def flush(self, request: web.Request) -> web.Response:
        """200 when all is stored, 503 when the time is over first."""
        came: Flush = await received(request, Flush)
        data_dir, reader = self._site.config.data_dir, self._site.reader(request)
        deadline_us = monotonic_us() + round(came.timeout_s * 1_000_000)
        awaited = await asyncio.to_thread(ended, data_dir, _AWAITED)
        waiting = first = await reader.unstored(awaited)
        while waiting:
            if monotonic_us() > deadline_us:
                records = "1 record is" if waiting == 1 else f"{waiting:,} records are"
                raise StoreError(f"{records} not stored after {came.timeout_s:g} s: {self._why()}")
            await asyncio.sleep(_POLL_S)
            waiting = await reader.unstored(awaited)
        await self._found_by_words(reader, deadline_us)
        return json_answer({"stored": first})

    async def _found_by_words(self, reader: ScopedReader, deadline_us: int) -> None:
        stored_us = wall_us()
        while self._site.config.store.full_text:
            behind = (await reader.stats()).text_behind
            if behind is None or not behind.calls or (behind.since_us or 0) > stored_us:
                return
            if monotonic_us() > deadline_us:
                raise StoreError(f"all is stored, but {behind.calls:,} calls cannot be found by words yet")
            await asyncio.sleep(_POLL_S)

    def _why(self) -> str:
        ingest = look(self._site.config.data_dir, ["ingest"])[0]
        return "ingest is behind" if ingest.up else f"ingest is {ingest.state}"
