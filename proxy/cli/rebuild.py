"""``llmtap rebuild``: make anew what can be worked out again, because it was lost or damaged.

Full text is made of the bodies, roll-ups of the rows. Where ``serve`` runs, its ingest does it:
files of full text are taken away, and it notices; for roll-ups it gets a job. Where none runs,
this command does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import click

from ..clock import CallIds, id_text, wall_us
from ..config import Config
from ..errors import Busy, LlmtapError, UsageError
from ..store.base import JSON, JobRow, JobState, Stats
from .options import with_config
from .progress import Progress
from .reading import recorded, store_reader
from .terminal import printable
from .work import worked

_POLL_S = 0.2


@click.command()
@click.option("--text", is_flag=True, help="What search finds calls by.")
@click.option("--rollups", is_flag=True, help="The sums that reports are quick by.")
@with_config()
def rebuild(config: Config, text: bool, rollups: bool) -> None:
    """Make anew what can be worked out again from what is stored."""
    if not (text or rollups):
        raise UsageError("say what to rebuild: --text, --rollups or both")
    if rollups:
        asyncio.run(_recounted(config))
    if text:
        _text(config)


# --- roll-ups ----------------------------------------------------------------------------------------


async def _recounted(config: Config) -> None:
    progress = Progress("rebuild")
    async with recorded(config) as reader:
        calls = (await reader.stats()).calls
        job = JobRow(id=id_text(CallIds().next(wall_us())), kind="recount", asked_at_us=wall_us(), request={})
        try:
            async for step in worked(config, reader, job):
                job = step
                progress("calls counted", job.receipt.get("rows", 0), calls)
        finally:
            progress.clear()
    if job.state == JobState.FAILED:
        raise LlmtapError(f"rebuild stopped: {job.receipt.get('error')}")
    print("\n".join(_receipt(job.receipt)))


def _receipt(receipt: JSON) -> Iterator[str]:
    """What was found, for people."""
    said, differences = receipt["sentences"], receipt["differences"]
    counted = f"{receipt['rows']:,} calls counted, of {receipt['days']:,} days"
    yield f"roll-ups: {counted}; sums that differed: {differences:,}"
    for sentence in said:
        yield f"  {printable(sentence)}"
    if differences > len(said):
        yield f"  and {differences - len(said):,} more"


# --- full text ---------------------------------------------------------------------------------------


def _text(config: Config) -> None:
    if not config.store.full_text:
        raise LlmtapError("full text is off: set store.full_text")
    if not config.data_dir.exists():
        raise LlmtapError(f"the data directory {config.data_dir} does not exist")
    asyncio.run(_rebuild(config))


async def _rebuild(config: Config) -> None:
    from ..ingest.worker import WriterLock

    try:
        lock = WriterLock(config.data_dir)
    except Busy:
        await _by_ingest(config)
    else:
        with lock:
            await _by_us(config)
    print("full text is made anew")


async def _by_us(config: Config) -> None:
    from ..store.policy import Policy
    from ..store.sqlite.fulltext.index import Limits
    from ..store.sqlite.store import SqliteStore

    store = await SqliteStore.open(config.data_dir, policy=Policy.of(config), full_text=Limits.of(config))
    try:
        await store.rebuild_text()
        await store.text_settled()
    finally:
        await store.close()


async def _by_ingest(config: Config) -> None:
    from ..store.sqlite.files import store_directory
    from ..store.sqlite.fulltext.files import drop, text_files

    directory, progress = store_directory(config.data_dir), Progress("rebuild")
    lost = text_files(directory)
    for path in lost:
        drop(directory, path.name)
    async with store_reader(config.data_dir) as reader:
        try:
            while left := _left(await reader.stats()):
                progress(f"{left:,} files of full text", max(0, len(lost) - left), len(lost))
                await asyncio.sleep(_POLL_S)
        finally:
            progress.clear()


def _left(stats: Stats) -> int:
    """How many files are not whole yet; calls that are not in any file count as one more."""
    return len(stats.text_problems) + (stats.text_behind is not None and stats.text_behind.calls > 0)
