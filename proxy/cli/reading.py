"""How commands reach the store: read only, whether ``serve`` runs or not, also before there is one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ..config import Config
from ..console.health import look, relay_url
from ..errors import StoreError
from ..store.base import Reader
from .options import hint, is_usual

NOTHING_MATCHED = "nothing matched"


@asynccontextmanager
async def store_reader(data_dir: Path) -> AsyncIterator[Reader]:
    """The store; empty when nothing has been recorded yet. Raises ``StoreError`` when it cannot be read."""
    from ..store.sqlite.reader import SqliteReader

    reader = await SqliteReader.open(data_dir)
    try:
        yield reader
    finally:
        await reader.close()


@asynccontextmanager
async def recorded(config: Config) -> AsyncIterator[Reader]:
    """The store, for those who look for calls: a data directory that was named must exist, or it was misspelt."""
    if not config.data_dir.exists() and not is_usual(config.data_dir):
        raise StoreError(f"the data directory {config.data_dir} does not exist")
    async with store_reader(config.data_dir) as reader:
        yield reader


def how_to_begin(config: Config) -> str:
    """What to do when there is nothing to show yet."""
    runs = look(config.data_dir, ["relay-0"])[0].up
    start = "" if runs else f"start llmtap with: {hint('serve', config.data_dir)}\nthen "
    return (
        f"No calls are recorded in {config.data_dir} yet.\n"
        f"To record some, {start}point an application at it: export OPENAI_BASE_URL={relay_url(config)}/v1"
    )
