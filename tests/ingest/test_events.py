"""What people say, from a journal to the store: each once, whatever happens between."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.clock import id_text
from proxy.config import Config, Data
from proxy.console.recorder import Recorder
from proxy.errors import StoreError
from proxy.ingest.events import Events
from proxy.records import Event, EventKind
from proxy.store.judgements import AuditSaid, FeedbackSaid, Given, NoteSaid, Target

from ..store.samples import collected
from .events_child import SAID, tell
from .journaling import Relay
from .test_worker import rows, until_idle, working

ROOT = Path(__file__).parents[2]


def recorder_of(data_dir: Path) -> Recorder:
    return Recorder(Config(data=Data(dir=str(data_dir))))


def audits(count: int, start: int = 0) -> list[Event]:
    return [
        Event(
            id=(start + place).to_bytes(16),
            kind=EventKind.AUDIT,
            at_us=start + place,
            author="ada",
            said={"action": "view", "target": str(start + place)},
        )
        for place in range(count)
    ]


async def test_what_is_recorded_is_stored(tmp_path: Path) -> None:
    relay, recorder = Relay(tmp_path), recorder_of(tmp_path)
    call_id = id_text(relay.call())
    said = recorder.append(EventKind.NOTE, "ada", NoteSaid(call=call_id, text="look at this"))
    recorder.append(EventKind.AUDIT, "ada", {"action": "view", "target": call_id})
    async with working(tmp_path) as (worker, store, _):
        await until_idle(worker)
        (note,) = (await store.judgements(call_id)).notes
        assert (note.id, note.text, note.author) == (id_text(said.id), "look at this", "ada")
        (row,) = await store.audit()
        assert (row.who, row.action, row.target) == ("ada", "view", call_id)
    await recorder.close()
    await relay.close()


async def test_feedback_finds_a_call_that_ends_later_by_its_response_id(tmp_path: Path) -> None:
    relay, recorder = Relay(tmp_path), recorder_of(tmp_path)
    target = Target(response_id="r1")
    recorder.append(EventKind.FEEDBACK, "app", FeedbackSaid(target=target, scores=(Given(name="ok", value=True),)))
    async with working(tmp_path) as (worker, store, _):
        await until_idle(worker)
        call_id = id_text(relay.call())
        await until_idle(worker)
        (word,) = (await store.judgements(call_id)).opinions
        assert (word.name, word.value, word.author) == ("ok", 1.0, "app")
    await recorder.close()
    await relay.close()


async def test_a_journal_of_events_is_removed_when_all_of_it_is_stored(tmp_path: Path) -> None:
    recorder = recorder_of(tmp_path)
    for place in range(500):
        recorder.append(EventKind.AUDIT, "ada", AuditSaid(action="view", target=str(place)))
    await recorder.close()
    async with working(tmp_path) as (worker, store, _):
        await worker.step()
        assert 0 < len(await store.audit(limit=1000)) < 500
        assert list((tmp_path / "journal").iterdir())
    async with working(tmp_path) as (worker, store, _):
        await until_idle(worker)
        assert [row.target for row in await store.audit(limit=1000)] == [str(place) for place in reversed(range(500))]
    assert list((tmp_path / "journal").iterdir()) == []


async def test_events_are_read_again_with_an_open_call_and_stored_once(tmp_path: Path) -> None:
    relay = Relay(tmp_path)
    slow = relay.begin("slow")  # keeps the position before the events
    relay.write(*audits(3))
    async with working(tmp_path) as (worker, store, _):
        await until_idle(worker)
        assert len(await store.audit()) == 3
    relay.write(*audits(2, 3))
    relay.answer(slow)
    relay.end(slow, "slow")
    async with working(tmp_path) as (worker, store, _):
        await until_idle(worker)
        assert [row.target for row in await store.audit()] == ["4", "3", "2", "1", "0"]
        assert len(await rows(store)) == 1
    await relay.close()


async def test_a_journal_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("no folder")
    recorder = recorder_of(tmp_path)
    with pytest.raises(StoreError, match="what was said cannot be written"):
        recorder.append(EventKind.AUDIT, "ada", AuditSaid(action="view"))
    await recorder.close()


async def test_what_is_too_long_for_a_record_is_refused(tmp_path: Path) -> None:
    recorder = recorder_of(tmp_path)
    with pytest.raises(StoreError, match="longer than a record can be"):
        recorder.append(EventKind.AUDIT, "ada", AuditSaid(action="x" * (17 << 20)))
    recorder.append(EventKind.AUDIT, "ada", AuditSaid(action="view"))
    await recorder.close()


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 5)), max_size=600))
def test_events_come_in_the_order_of_time_and_hold_their_journals(some: list[tuple[str, int]]) -> None:
    waiting, left = Events(), {}
    for seq, (journal, at_us) in enumerate(some):
        event = Event(id=seq.to_bytes(16), kind=EventKind.AUDIT, at_us=at_us, author="ada")
        waiting.add(journal, [(seq, event)])
        left[event.id] = (journal, seq)
    moments = []
    while len(waiting):
        assert waiting.seqs() == {
            journal: min(seq for each, seq in left.values() if each == journal) for journal, _ in left.values()
        }
        taken = waiting.take()
        moments += [event.at_us for event in taken]
        for event in taken:
            del left[event.id]
    assert left == {}
    assert moments == sorted(at_us for _, at_us in some)


async def test_killed_before_each_call_into_sqlite(tmp_path: Path) -> None:
    """A worker that dies anywhere in its work has stored all of what was said, or the next one does: once."""
    subprocess.run(
        [sys.executable, "-m", "tests.ingest.events_child", str(tmp_path)], cwd=ROOT, check=True, timeout=120
    )
    folders = sorted(tmp_path.iterdir(), key=lambda path: int(path.name))
    assert len(folders) > 10
    stored_before = set()
    for folder in folders:
        async with working(folder) as (worker, store, _):
            stored_before.add(len(await store.audit()))
            await until_idle(worker)
            (row,) = await rows(store)
            told = await store.judgements(row.id)
            assert [note.text for note in told.notes] == ["a note"]
            assert {(word.name, word.value) for word in told.opinions} == {("early", 1.0), ("late", 0.5)}
            assert (row.tags, row.metadata) == (("hand",), {"k": "v"})
            assert len(told.history) == SAID - 1
            assert [each.target for each in await store.audit()] == [row.id]
            assert await collected(store.verify()) == []
    assert stored_before == {0, 1}


def test_the_child_says_something_of_each_kind(tmp_path: Path) -> None:
    assert len({event.kind for event in tell(tmp_path)}) > 3
