"""Answers that last: a stream ends when whoever began it is logged out, or may do something else than before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from ...errors import StoreError
from ...tasks import spawn
from .visitors import Arrival, Visitors

LOOK_S = 2.0  #: between two looks; most answers are done before the first


@asynccontextmanager
async def while_known(request: web.Request, visitors: Visitors, arrival: Arrival) -> AsyncIterator[None]:
    """The connection is cut as soon as the same request would not come from the same visitor any more."""
    watching = spawn(_watch(request, visitors, arrival), "visitor of a long answer")
    try:
        yield
    finally:
        watching.cancel()


async def _watch(request: web.Request, visitors: Visitors, arrival: Arrival) -> None:
    while True:
        await asyncio.sleep(LOOK_S)
        if not await _same(request, visitors, arrival):
            if request.transport is not None:
                request.transport.abort()
            return


async def _same(request: web.Request, visitors: Visitors, arrival: Arrival) -> bool:
    try:
        return await visitors.arrival(request, seen=False) == arrival
    except StoreError:  # who cannot be known is not let in either
        return False
