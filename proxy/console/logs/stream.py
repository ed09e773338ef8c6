"""Calls as server-sent events, for a browser: pieces of HTML, a sign of life, and the word to load the page again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

from aiohttp import web

from ...records import Call
from ..answers import HEADERS
from ..live import FellBehind

PATIENCE_S = 60.0  #: for a reader who takes nothing
_ALIVE = b": still here\n\n"
_RELOAD = b"event: reload\ndata:\n\n"


async def streamed(
    request: web.Request,
    following: AsyncGenerator[list[Call], None],
    shown: Callable[[Sequence[Call]], Awaitable[str]],
) -> web.StreamResponse:
    """Write what ``following`` gives, as ``shown`` makes it HTML, until the reader goes or takes nothing any more."""
    response = web.StreamResponse(headers={**HEADERS, "Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    await response.prepare(request)
    try:
        await response.write(_ALIVE)
        async for calls in following:
            message = event("rows", await shown(calls), max(call.rev for call in calls)) if calls else _ALIVE
            async with asyncio.timeout(PATIENCE_S):
                await response.write(message)
    except FellBehind:
        async with asyncio.timeout(PATIENCE_S):
            await response.write(_RELOAD)
    except (TimeoutError, ConnectionError):
        if request.transport is not None:
            request.transport.abort()
    finally:
        await following.aclose()
    return response


def event(name: str, data: str, number: int) -> bytes:
    """One event; ``number`` is what the browser says when it comes back."""
    lines = "\n".join(f"data: {line}" for line in data.splitlines())
    return f"event: {name}\nid: {number}\n{lines}\n\n".encode("utf-8", "replace")
