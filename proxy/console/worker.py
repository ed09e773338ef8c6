"""The console process: serves pages and the API from the store, read-only."""

from __future__ import annotations

import asyncio

from .. import child
from ..child import Assignment, Vitals
from .app import serve_console


async def main(assignment: Assignment, vitals: Vitals, stop: asyncio.Event) -> None:
    """Serve until told to stop."""
    listening = child.sockets(assignment)
    runner = await serve_console(assignment.config, listening)
    vitals["port"] = listening[0].getsockname()[1] if listening else 0
    vitals["ready"] = 1
    await stop.wait()
    vitals["ready"] = 0
    await runner.cleanup()


if __name__ == "__main__":
    child.run(main)
