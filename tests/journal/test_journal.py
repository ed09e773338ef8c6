"""Writer and reader against each other, on a real directory: rotation, damage, failure, gaps."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path

import pytest

from proxy.config import Journal as Settings
from proxy.gauges import Gauges
from proxy.journal.reader import JournalReader
from proxy.journal.slow import SlowDisk
from proxy.journal.writer import COUNTER_FILE, COUNTERS, JournalWriter

from .harm import part, read, trial, vitals, writer


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


async def test_a_slow_disk_is_written_from_a_thread_in_order_and_left_when_it_is_quick() -> None:
    written: list[int] = []
    gate, left = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def write(payloads: list[tuple[int, bytes]]) -> bool:
        if not written:
            asyncio.run_coroutine_threadsafe(gate.wait(), loop).result()
        written.extend(kind for kind, _ in payloads)
        return True

    slow = SlowDisk(write, slow_us=10_000_000, buffer_bytes=1000, on_quick=left.set)
    pending = [slow.submit([(number, b"x" * 10)]) for number in range(50)]
    assert all(isinstance(future, asyncio.Future) for future in pending)
    assert slow.submit([(99, b"x" * 1000)]) is False
    assert slow.full
    gate.set()
    assert await asyncio.gather(*(future for future in pending if not isinstance(future, bool))) == [True] * 50
    assert written == list(range(50))
    for number in range(50, 200):
        result = slow.submit([(number, b"x")])
        if not isinstance(result, bool):
            await result
    await left.wait()
    assert slow.submit([(200, b"x")]) is True
    assert written == list(range(201))


async def test_a_failing_disk_is_reported_by_the_thread_too() -> None:
    def write(_payloads: list[tuple[int, bytes]]) -> bool:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    slow = SlowDisk(write, slow_us=1, buffer_bytes=1000, on_quick=lambda: None)
    result = slow.submit([(1, b"x")])
    assert not isinstance(result, bool)
    assert await result is False
    await slow.stop()
