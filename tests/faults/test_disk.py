"""A disk that is full, capped, or not there: traffic goes on, and what was not recorded is counted exactly.

The disk of one process is filled with ``RLIMIT_FSIZE``, which gives short writes and errors as a
full disk does, and can be lifted again; a real full file system is in ``test_full_disk.py``.
"""

from __future__ import annotations

import json
import random
import resource
import sys
from pathlib import Path

import pytest

from tests.fakes.scripts import Await, Script, Send, answer, head
from tests.fakes.upstream import FakeUpstream
from tests.harness.client import Answer, request
from tests.harness.eventually import eventually
from tests.harness.records import Journals, read_journals
from tests.harness.worker import RelayWorker

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs prlimit, which only Linux has")

MANY = "[journal]\npart_delay_ms = 20\n"


def limit_files(relay: RelayWorker, size: int) -> None:
    """No file of the relay may grow beyond ``size`` bytes; -1 lifts it."""
    resource.prlimit(relay.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def ask(relay: RelayWorker, size: int = 2_000) -> Answer:
    got = relay.ask(request("POST", "/echo", (), b"x" * size))
    assert (got.status, len(got.body), got.whole) == (200, size, True)
    return got


def assert_exact(journals: Journals, answers: list[Answer]) -> None:
    """Every call is either whole in the journal or counted as lost."""
    whole = {call_id for call_id, call in journals.calls.items() if call.whole}
    ids = {str(each.call_id) for each in answers}
    assert whole <= ids
    assert len(ids) - len(whole) == journals.calls_lost, f"{len(ids)} calls, {len(whole)} whole"


def test_full_disk_fails_no_call_and_counts_the_lost(tmp_path: Path, own_upstream: FakeUpstream) -> None:
    with RelayWorker(tmp_path, own_upstream.url, config=MANY) as relay:
        answers = [ask(relay) for _ in range(5)]
        limit_files(relay, 10)
        answers += [ask(relay) for _ in range(20)]
        lost = relay.gauges("relay-0")["calls_lost"]
        limit_files(relay, -1)
        assert lost == 20

        def recorded_again() -> bool:
            before = relay.gauges("relay-0")["calls_lost"]
            answers.append(ask(relay))
            return relay.gauges("relay-0")["calls_lost"] == before

        eventually(recorded_again, "calls are recorded again", every_s=0.05)
        answers += [ask(relay) for _ in range(5)]
    journals = read_journals(relay.data)
    assert_exact(journals, answers)
    assert str(answers[-1].call_id) in journals.calls


@pytest.mark.parametrize("seed", range(6))
def test_disk_that_fills_in_the_middle_of_a_call(seed: int, tmp_path: Path, own_upstream: FakeUpstream) -> None:
    """The limit falls at random places of the records, also inside one write."""
    rng = random.Random(seed)
    with RelayWorker(tmp_path, own_upstream.url, config=MANY) as relay:
        answers = []
        for _ in range(8):
            answers.append(ask(relay, rng.choice((10, 2_000, 40_000))))
            limit_files(relay, rng.choice((-1, 10, *(rng.randint(100, 100_000) for _ in range(4)))))
        limit_files(relay, -1)
    assert_exact(read_journals(relay.data), answers)


def test_journal_at_its_cap(tmp_path: Path, own_upstream: FakeUpstream) -> None:
    with RelayWorker(tmp_path, own_upstream.url, config=MANY + "max_bytes = 65536\n") as relay:
        answers = [ask(relay, 10_000) for _ in range(30)]
        assert relay.gauges("relay-0")["calls_lost"] > 20
    journals = read_journals(relay.data)
    assert_exact(journals, answers)
    assert sum(path.stat().st_size for path in (relay.data / "journal").rglob("*.seg")) <= 65_536


def test_journal_directory_that_cannot_be_made(tmp_path: Path, own_upstream: FakeUpstream) -> None:
    """In place of the directory is a file: as good as read-only, also for root."""
    relay = RelayWorker(tmp_path, own_upstream.url)
    (relay.data / "journal").rmdir()
    (relay.data / "journal").write_bytes(b"")
    with relay:
        for _ in range(10):
            ask(relay)
        assert relay.gauges("relay-0")["calls_lost"] == 10
        assert "journal" in relay.log
        (relay.data / "journal").unlink()

        def recorded_again() -> bool:
            before = relay.gauges("relay-0")["calls_lost"]
            ask(relay)
            return relay.gauges("relay-0")["calls_lost"] == before

        eventually(recorded_again, "calls are recorded again", every_s=0.05)


REFUSE = 'on_capture_failure = "refuse"\n'


def test_refuse_answers_503_before_the_upstream_is_called(tmp_path: Path, own_upstream: FakeUpstream) -> None:
    with RelayWorker(tmp_path, own_upstream.url, config=MANY + REFUSE) as relay:
        ask(relay)
        limit_files(relay, 10)
        for _ in range(5):
            got = relay.ask(request("POST", "/echo", (), b"x"))
            assert got.status == 503
            assert json.loads(got.body)["error"]["message"]
        assert len(own_upstream.requests) == 1
        limit_files(relay, -1)
        eventually(lambda: relay.ask(request("GET", "/echo")).status == 200, "calls are let through again")


FRAMINGS = {
    "length": answer(200, body=b"y" * 50_000),
    "chunked": answer(200, body=b"y" * 50_000, framing="chunked", sizes=(10_000,)),
    "close": answer(200, body=b"y" * 50_000, framing="close"),
    "empty": answer(200),
    "204": answer(204),
}


@pytest.mark.parametrize("framing", FRAMINGS)
def test_refuse_cuts_a_running_call_before_its_end(framing: str, tmp_path: Path, own_upstream: FakeUpstream) -> None:
    """Nothing complete is ever unrecorded: the disk fills after the call was let through."""
    own_upstream.script("/gated", Script((Await("go"), *FRAMINGS[framing].steps), keep=False))
    with RelayWorker(tmp_path, own_upstream.url, config=MANY + REFUSE) as relay, relay.connect() as client:
        client.send(request("POST", "/gated", (), b"x"))
        eventually(lambda: own_upstream.requests, "the call is upstream")
        limit_files(relay, 10)
        own_upstream.open("go")
        got = client.answer("POST")
        assert not got.whole or got.status >= 500, "a complete answer without a record"
        limit_files(relay, -1)


def test_a_chunked_answer_is_not_complete_before_it_is_recorded(tmp_path: Path, own_upstream: FakeUpstream) -> None:
    """kill -9 at the moment at which the client holds the whole answer: the record is there."""
    steps = (Send(head(200, [("Transfer-Encoding", "chunked")]) + b"5\r\nhello\r\n0\r\n\r\n"),)
    own_upstream.script("/once", Script(steps))
    for _ in range(10):
        with RelayWorker(tmp_path, own_upstream.url) as relay:
            got = relay.ask(request("POST", "/once", (), b"x"))
            relay.end()
        assert got.whole
        assert read_journals(relay.data).calls[str(got.call_id)].whole
