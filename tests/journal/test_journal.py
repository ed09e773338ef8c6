"""Writer and reader against each other, on a real directory: rotation, damage, failure, gaps."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import threading
from pathlib import Path

import pytest

from proxy.config import Journal as Settings
from proxy.gauges import Gauges
from proxy.journal.frame import MAX_PAYLOAD
from proxy.journal.reader import JournalReader
from proxy.journal.slow import SlowDisk, Written
from proxy.journal.writer import COUNTER_FILE, COUNTERS, JournalWriter
from proxy.records import Head, Part, Side

from .harm import ID, part, read, read_whole, trial, vitals, writer


async def test_a_live_journal_is_followed_and_a_closed_one_finished(tmp_path: Path) -> None:
    journal = writer(tmp_path / "j")
    assert journal.append([part(1), part(2)]) is True
    reader = JournalReader(tmp_path / "j" / journal.name)
    found, missing = read(reader)
    assert (sorted(found), missing) == ([1, 2], [])
    assert not reader.finished
    assert journal.append([part(3)]) is True
    assert sorted(read(reader)[0]) == [3]
    await journal.close()
    assert read(reader) == ({}, [])
    assert reader.finished
    reader.close()


async def test_segments_rotate_by_size_and_are_private(tmp_path: Path) -> None:
    journal = writer(tmp_path / "j", segment_bytes=4096)
    for number in range(100):
        journal.append([part(number, 300)])
    segments = sorted((tmp_path / "j" / journal.name).glob("*.seg"))
    assert len(segments) > 5
    assert all(path.stat().st_size <= 4096 for path in segments)
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in segments)
    reader = JournalReader(tmp_path / "j" / journal.name)
    found, missing = read(reader)
    assert (len(found), missing) == (100, [])
    await journal.close()
    reader.close()


async def test_an_ingested_segment_is_left_and_can_be_deleted(tmp_path: Path) -> None:
    journal = writer(tmp_path / "j")
    journal.append([part(1)])
    reader = JournalReader(tmp_path / "j" / journal.name)
    read(reader)
    reader.committed(1)
    journal._segment.opened_us = 0  # type: ignore[union-attr]  (as if it were old)
    journal.tick()
    read(reader)
    assert [segment.exhausted for segment in reader.segments] == [True]
    reader.drop(reader.segments[0])
    journal.append([part(2)])
    assert sorted(read(reader)[0]) == [2]
    await journal.close()
    reader.close()


@pytest.mark.parametrize("seed", range(500))
async def test_damage_is_counted_exactly_and_never_gives_a_wrong_record(tmp_path: Path, seed: int) -> None:
    """Bit flips, truncations, zero-fills and more over whole journals."""
    verdict = await trial(tmp_path / "j", seed)
    assert verdict.written
    assert (verdict.wrong, verdict.excess, verdict.counted, verdict.finished) == (0, 0, True, True)


async def test_gaps_that_were_counted_in_an_earlier_life_are_not_counted_again(tmp_path: Path) -> None:
    journal = writer(tmp_path / "j", segment_bytes=4096)
    for number in range(1, 30):
        journal.append([part(number, 500)])
    await journal.close()
    directory = tmp_path / "j" / journal.name
    min(directory.glob("*.seg")).unlink()
    reader = JournalReader(directory)
    _, missing = read(reader)
    assert len(missing) == 1
    reader.close()
    reader = JournalReader(directory, counted_seq=29)
    assert read(reader)[1] == []
    reader.close()


async def test_a_journal_at_its_cap_loses_records_and_says_how_many(tmp_path: Path) -> None:
    journal = writer(tmp_path / "j", segment_bytes=65_536, max_bytes=65_536)
    written = [journal.append([part(number, 4000)]) for number in range(1, 31)]
    assert written.count(True) > 5
    assert written.count(False) > 5
    assert journal.failure is not None
    await journal.close()
    reader = JournalReader(tmp_path / "j" / journal.name)
    found, missing = read(reader)
    assert len(found) == written.count(True)
    assert sum(gap.records for gap in missing) == written.count(False)
    assert {gap.reason for gap in missing} == {"lost"}
    reader.close()


async def test_a_directory_that_cannot_be_made_stops_nothing(tmp_path: Path) -> None:
    root = tmp_path / "j"
    root.write_text("a file where the directory should be")
    journal = JournalWriter(root, "relay-0-test", Settings(), vitals())
    assert journal.append([part(1)]) is False
    assert journal.failure is not None
    journal.lose_calls()
    root.unlink()
    root.mkdir()
    journal._retry_us = 0  # the pause between tries is over
    assert journal.append([part(2)]) is True
    with_counters = Gauges.open(root / journal.name / COUNTER_FILE, COUNTERS)
    assert with_counters["calls_lost"] == 1
    with_counters.close()
    await journal.close()
    reader = JournalReader(root / journal.name)
    found, missing = read(reader)
    assert (sorted(found), [(gap.first_seq, gap.records) for gap in missing]) == ([2], [(1, 1)])
    reader.close()


async def test_a_write_that_stops_half_way_is_cut_off_again(tmp_path: Path) -> None:
    """A file size limit makes the kernel write short and then fail, in a process of its own."""
    script = f"""
import asyncio, resource, signal, sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from pathlib import Path
from tests.journal.harm import part, writer
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
async def main():
    journal = writer(Path({str(tmp_path / "j")!r}))
    first = journal.append([part(1, 1000)])
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
    second = journal.append([part(2, 9000)])
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
    print(first, second)
    await journal.close()
asyncio.run(main())
"""
    import subprocess
    import sys

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]
    reader = JournalReader(tmp_path / "j" / "relay-0-test")
    found, missing = read(reader)
    assert sorted(found) == [1]
    assert [(gap.first_seq, gap.records, gap.reason) for gap in missing] == [(2, 1, "lost")]
    reader.close()


class Disk:
    """Takes down what the thread does; the first write waits for ``gate``."""

    def __init__(self, fails: Exception | None = None) -> None:
        self.done: list[int] = []
        self.skipped: list[tuple[int, int]] = []  #: (after how many records, how many were skipped)
        self.gate = threading.Event()
        self.left = asyncio.Event()
        self._fails = fails

    def write(self, payloads: list[tuple[int, bytes]]) -> bool:
        self.gate.wait()
        if self._fails is not None:
            raise self._fails
        self.done.extend(kind for kind, _ in payloads)
        return True

    def skip(self, records: int) -> None:
        self.skipped.append((len(self.done), records))

    def quick_again(self) -> None:
        self.left.set()


async def settled(result: Written) -> bool:
    return result if isinstance(result, bool) else await result


async def test_a_slow_disk_is_written_from_a_thread_in_order_and_left_when_it_is_quick() -> None:
    disk = Disk()
    slow = SlowDisk(disk, slow_us=10_000_000, buffer_bytes=1000)
    pending = [slow.submit([(number, b"x" * 10)]) for number in range(50)]
    assert all(isinstance(future, asyncio.Future) for future in pending)
    assert slow.submit([(99, b"x" * 1000)]) is False
    assert slow.submit([(99, b"x" * 1000), (99, b"")]) is False
    disk.gate.set()
    assert [await settled(result) for result in pending] == [True] * 50
    assert disk.done == list(range(50))
    for number in range(50, 200):
        assert await settled(slow.submit([(number, b"x")]))
    await disk.left.wait()
    assert slow.submit([(200, b"x")]) is True
    assert disk.done == list(range(201))
    assert disk.skipped == [(50, 3)], "what found no room is counted in its place"


async def test_a_failing_disk_is_reported_by_the_thread_too() -> None:
    disk = Disk(OSError(errno.EIO, os.strerror(errno.EIO)))
    disk.gate.set()
    slow = SlowDisk(disk, slow_us=1, buffer_bytes=1000)
    assert await settled(slow.submit([(1, b"x")])) is False
    await slow.stop()


async def test_a_record_that_cannot_be_encoded_is_lost_and_counted(tmp_path: Path) -> None:
    journal = writer(tmp_path / "j")
    head = Head(id=ID, offset_us=1, status=200, reason="\udcff not UTF-8")
    assert journal.append([head]) is False
    assert journal.append([Part(id=ID, side=Side.REQUEST, offset=0, data=b"x" * (MAX_PAYLOAD + 1))]) is False
    assert journal.append([part(3)]) is True
    await journal.close()
    found, missing = read_whole(tmp_path / "j" / journal.name)
    assert sorted(found) == [3]
    assert [(gap.first_seq, gap.records, gap.reason) for gap in missing] == [(1, 2, "lost")]


async def test_what_is_tried_again_consumes_no_numbers(tmp_path: Path) -> None:
    journal = writer(tmp_path / "j", segment_bytes=65_536, max_bytes=65_536)
    while journal.append([part(1, 4000)]):
        pass
    lost = journal._records_lost
    assert [journal.append_if_possible([part(2, 4000)]) for _ in range(20)] == [False] * 20
    assert journal._records_lost == lost
    await journal.close()


async def test_a_journal_at_its_cap_recovers_when_ingest_has_freed_it(tmp_path: Path) -> None:
    journal = writer(tmp_path / "j", max_bytes=200_000)
    while journal.append([part(1, 4000)]):
        pass
    reader = JournalReader(tmp_path / "j" / journal.name)
    read(reader)
    for segment in list(reader.segments):
        assert segment.exhausted
        reader.drop(segment)
    journal._retry_us = 0  # the pause between tries is over
    assert journal.append([part(2, 4000)]) is True
    found, missing = read(reader)
    assert (len(found), [gap.records for gap in missing]) == (1, [1])
    await journal.close()
    reader.close()


async def test_a_directory_that_is_taken_away_is_noticed_and_another_begun(tmp_path: Path) -> None:
    journal = writer(tmp_path / "j")
    journal.append([part(1), part(2)])
    shutil.rmtree(tmp_path / "j")
    journal.tick()
    assert journal.generation == 1
    assert journal.append([part(3)]) is True
    await journal.close()
    found, missing = read_whole(tmp_path / "j" / journal.name)
    assert len(found) == 1
    assert [(gap.records, gap.reason) for gap in missing] == [(2, "lost")]


@pytest.mark.parametrize("byte", [0, 70])
async def test_a_damaged_counter_file_costs_a_live_journal_nothing(tmp_path: Path, byte: int) -> None:
    journal = writer(tmp_path / "j")
    journal.append([part(1)])
    counter = tmp_path / "j" / journal.name / COUNTER_FILE
    with counter.open("r+b") as file:
        file.seek(byte)
        file.write(b"\xee")
    reader = JournalReader(tmp_path / "j" / journal.name)
    assert sorted(read(reader)[0]) == [1]
    assert not reader.finished
    journal.append([part(2)])
    assert sorted(read(reader)[0]) == [2]
    await journal.close()
    reader.close()
