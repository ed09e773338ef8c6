"""How commands reach the store: read only, whether ``serve`` runs or not, also before there is one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ..config import Config
from ..console.health import look, relay_url
from ..store.base import Reader


@asynccontextmanager
async def store_reader(data_dir: Path) -> AsyncIterator[Reader]:
    """The store; empty when nothing has been recorded yet. Raises ``StoreError`` when it cannot be read."""
    from ..store.sqlite.reader import SqliteReader

    reader = await SqliteReader.open(data_dir)
    try:
        yield reader
    finally:
        await reader.close()


def how_to_begin(config: Config) -> str:
    """What to do when there is nothing to show yet."""
    runs = look(config.data_dir, ["relay-0"])[0].up
    start = "" if runs else "start llmtap with: llmtap serve\nthen "
    return (
        f"No calls are recorded in {config.data_dir} yet.\n"
        f"To record some, {start}point an application at it: export OPENAI_BASE_URL={relay_url(config)}/v1"
    )
