"""A segment that one slow call pins: what of it stays, and what a disk without room leaves behind."""

from __future__ import annotations

import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from proxy.ingest.assembly import Assembler, Budget
from proxy.ingest.compaction import compact
from proxy.journal.reader import JournalReader
from proxy.records import Exchange

from .journaling import Relay, request_body, response_body

LONG = "x" * 600_000


class Reading:
    """A journal, read as ingest does."""

    def __init__(self, directory: Path) -> None:
        self.reader = JournalReader(directory)
        self.assembler = Assembler(Budget(0), stored=set())
        self.ended: dict[bytes, Exchange] = {}

    def read(self) -> None:
        for item in self.reader.poll():
            assert isinstance(item, tuple), item
            if (ended := self.assembler.feed(*item)) is not None:
                self.ended[ended.call.begin.id] = ended.exchange()

    def compact_first(self) -> bool:
        return compact(self.reader, self.reader.segments[0], self.assembler.open.values())

    def files(self) -> list[Path]:
        return sorted(path for path in self.reader.directory.iterdir() if path.name != "counter")


@asynccontextmanager
async def reading(tmp_path: Path, *, slow_answer: str) -> AsyncIterator[tuple[Reading, Relay, bytes]]:
    """A first segment of two megabytes, of which a slow call needs its question and the answer so far."""
    relay = Relay(tmp_path, segment_bytes=2 << 20)
    slow = relay.begin("slow")
    relay.answer(slow, slow_answer)
    for _ in range(4):
        relay.call(LONG)
    journal = Reading(tmp_path / "journal" / relay.journal.name)
    journal.read()
    assert len(journal.files()) > 1
    yield journal, relay, slow
    journal.reader.close()
    await relay.close()


@contextmanager
def no_file_beyond(size: int) -> Iterator[None]:
    """What a full disk does to this process: short writes and errors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_copy_holds_what_open_calls_need(tmp_path: Path) -> None:
    async with reading(tmp_path, slow_answer="hello") as (journal, relay, slow):
        before = journal.files()[0].stat().st_size
        assert journal.compact_first()
        assert journal.files()[0].stat().st_size < before // 100
        relay.end(slow, "slow")
        journal.read()
        assert journal.ended[slow].request_body == request_body("slow")
        assert journal.ended[slow].response_body == response_body("hello")


@pytest.mark.parametrize("size", [0, 40, 1_000, 300_000])
async def test_a_full_disk_keeps_the_segment_as_it_is(size: int, tmp_path: Path) -> None:
    """Wherever the write stops, nothing of the copy stays, and with room again it is made."""
    async with reading(tmp_path, slow_answer=LONG) as (journal, relay, slow):
        before = journal.files()
        with no_file_beyond(size):
            assert not journal.compact_first()
        assert journal.files() == before
        assert journal.compact_first()
        relay.end(slow, "slow", LONG)
        journal.read()
        assert journal.ended[slow].response_body == response_body(LONG)


async def test_what_is_still_needed_is_not_copied(tmp_path: Path) -> None:
    async with reading(tmp_path, slow_answer=LONG * 2) as (journal, _, _):
        before = journal.files()
        assert not journal.compact_first()
        assert journal.files() == before
