"""``/metrics``, for Prometheus. It asks no process; the store is asked for sums that it keeps."""

from __future__ import annotations

import asyncio

from aiohttp import web

from ...clock import monotonic_us, wall_us
from ...errors import StoreError
from ...store.base import Stats
from ..health import look_at_all
from ..metrics.exposition import CONTENT_TYPE, exposition
from ..metrics.processes import processes
from ..metrics.stored import stored
from ..metrics.tally import Tally, sums, window
from ..permissions import Permission
from ..routes import Doc, Route, get
from ..scoped import ScopedReader
from ..site import Site


class MetricsApi:
    """One route, and the counters that it tells."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._tally = Tally()
        self._looking = asyncio.Lock()  # sums must be counted in the order in which they were read

    def routes(self) -> list[Route]:
        """What the console answers here."""
        doc = Doc(
            summary="Counters and gauges for Prometheus (text format 0.0.4), see metrics.md",
            answer={"type": "string"},
            media_type="text/plain",
        )
        return [get("/metrics", self.metrics, Permission.METRICS, doc=doc)]

    async def metrics(self, request: web.Request) -> web.Response:
        """Also when the store cannot be read: that is said, and counters stay where they are."""
        stats = await self._looked(self._site.reader(request))
        config = self._site.config
        told = [
            *processes(look_at_all(config.data_dir, config.relay.workers), monotonic_us()),
            *stored(stats),
            *self._tally.families(),
        ]
        return web.Response(body=exposition(told), headers={"Content-Type": CONTENT_TYPE})

    async def _looked(self, reader: ScopedReader) -> Stats | None:
        async with self._looking:
            since_us = window(wall_us())
            try:
                stats, rows = await reader.stats(), await sums(reader, since_us)
            except StoreError:
                return None
            self._tally.look(rows, since_us)
            return stats
