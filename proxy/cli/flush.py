"""``llmtap flush``: wait until what has been recorded is stored, and found by its words."""

from __future__ import annotations

import asyncio
import time
from contextlib import closing, suppress

import click

from ..clock import wall_us
from ..config import Config
from ..console.health import look
from ..datadir import prepare
from ..errors import Busy, LlmtapError
from ..store.base import Reader
from .options import hint, with_config
from .progress import Progress
from .reading import store_reader

_POLL_S = 0.05


@click.command()
@click.option(
    "--timeout", "timeout_s", type=click.FloatRange(min=0), default=60.0, metavar="SECONDS", help="Longest wait. [60]"
)
@with_config()
def flush(config: Config, timeout_s: float) -> int:
    """Wait until all calls that have ended by now are stored and can be searched: reports and backups have them.

    Where llmtap serve runs, its ingest stores them; where none runs, this command does. Calls that still run are not
    waited for. Exit code 1 when the time is over first.
    """
    return asyncio.run(_flush(config, timeout_s))


async def _flush(config: Config, timeout_s: float) -> int:
    from ..store.recorded import ended, unstored

    if not config.data_dir.exists():
        raise LlmtapError(f"the data directory {config.data_dir} does not exist")
    deadline, progress = time.monotonic() + timeout_s, Progress("flush")
    awaited = ended(config.data_dir)
    async with store_reader(config.data_dir) as reader:
        waiting = first = await unstored(reader, awaited)
        try:
            while waiting:
                if not await _ingested_by_us(config):
                    await asyncio.sleep(_POLL_S)
                waiting = await unstored(reader, awaited)
                progress(f"{waiting:,} calls to be stored", first - waiting, first)
                if waiting and time.monotonic() > deadline:
                    raise LlmtapError(_why_not(config, waiting, timeout_s))
            await _until_found_by_words(config, reader, wall_us(), deadline)
        finally:
            progress.clear()
    print("all calls that have ended are stored" if not first else f"{first:,} call{'' if first == 1 else 's'} stored")
    return 0


async def _until_found_by_words(config: Config, reader: Reader, stored_us: int, deadline: float) -> None:
    """Wait for full text, which lags, of all that was written until then."""
    while config.store.full_text:
        behind = (await reader.stats()).text_behind
        if behind is None or not behind.calls or (behind.since_us or 0) > stored_us:
            return
        if time.monotonic() > deadline:
            raise LlmtapError(f"all calls are stored, but {behind.calls:,} of them cannot be found by words yet")
        if not await _made_searchable_by_us(config, deadline):
            await asyncio.sleep(_POLL_S)


async def _made_searchable_by_us(config: Config, deadline: float) -> bool:
    """Do it, when nobody else writes; whether we did."""
    from ..ingest.worker import WriterLock
    from ..store.policy import Policy
    from ..store.sqlite.fulltext.index import Limits
    from ..store.sqlite.store import SqliteStore

    try:
        lock = WriterLock(config.data_dir)
    except Busy:
        return False
    with lock:
        store = await SqliteStore.open(config.data_dir, policy=Policy.of(config), full_text=Limits.of(config))
        try:
            with suppress(TimeoutError):  # said by who asked
                async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                    await store.text_settled()
        finally:
            await store.close()
    return True


async def _ingested_by_us(config: Config) -> bool:
    """Store what journals hold, when nobody else does; whether we did."""
    from ..child import Assignment, Vitals
    from ..ingest.worker import WriterLock, ingest

    data_dir = prepare(config.data_dir)
    if look(data_dir, ["supervisor"])[0].up:
        return False  # its ingest may be just starting again
    try:
        lock = WriterLock(data_dir)
    except Busy:
        return False
    stop = asyncio.Event()
    stop.set()
    assignment = Assignment(name="ingest", config=config, data_dir=str(data_dir))
    with lock, closing(Vitals(assignment)) as vitals:
        await ingest(config, data_dir, vitals, stop)
    return True


def _why_not(config: Config, waiting: int, timeout_s: float) -> str:
    ingest = look(config.data_dir, ["ingest"])[0]
    reason = "ingest is behind" if ingest.up else f"ingest is {ingest.state}; see {hint('status', config.data_dir)}"
    calls = f"{waiting:,} call{'' if waiting == 1 else 's'}"
    return f"{calls} that had ended are not stored after {timeout_s:g} s: {reason}"
