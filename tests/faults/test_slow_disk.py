"""A disk that stalls or fails under the journal, by strace: traffic goes on, every call is recorded or counted."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.fakes.upstream import FakeUpstream
from tests.harness.client import Answer, request
from tests.harness.eventually import eventually
from tests.harness.records import read_journals
from tests.harness.worker import RelayWorker

from .test_every_write import traced

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace"),
]


@contextmanager
def journal_writes(relay: RelayWorker, what: str) -> Iterator[None]:
    """While open, writes to the relay's present segment suffer ``what``, in strace's words."""
    segment = next((relay.data / "journal").rglob("*.seg"))
    tracer = subprocess.Popen(
        ["strace", "-f", "-qq", "-o", "/dev/null", "-p", str(relay.process.pid), "-P", str(segment),
         "-e", "trace=write", "-e", f"inject=write:{what}"],
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        eventually(lambda: traced(relay.process.pid), "strace is attached")
        yield
    finally:
        tracer.terminate()
        tracer.wait()


def ask(relay: RelayWorker, number: int) -> Answer:
    got = relay.ask(request("POST", f"/echo/{number}", (), b"x" * 3_000))
    assert (got.status, len(got.body), got.whole) == (200, 3_000, True)
    return got


def test_stalling_writes_leave_the_loop_and_come_back(tmp_path: Path, own_upstream: FakeUpstream) -> None:
    with RelayWorker(tmp_path, own_upstream.url) as relay:
        answers = [ask(relay, 0)]
        with journal_writes(relay, "delay_enter=120000"):
            answers += [ask(relay, number) for number in range(1, 6)]
            assert relay.gauges("relay-0")["journal_slow"] == 1
            assert relay.gauges("relay-0")["journal_worst_write_us"] >= 100_000
        numbers = iter(range(6, 1000))

        def quick_again() -> bool:
            answers.append(ask(relay, next(numbers)))
            return relay.gauges("relay-0")["journal_slow"] == 0

        eventually(quick_again, "writes are in the loop again", every_s=0.001)
        lost = relay.gauges("relay-0")["calls_lost"]
    journals = read_journals(relay.data)
    whole = [answer for answer in answers if journals.calls[str(answer.call_id)].whole]
    assert len(answers) - len(whole) == lost == 0


def test_a_write_that_waits_too_long_is_a_gap_until_it_comes(tmp_path: Path, own_upstream: FakeUpstream) -> None:
    """Beyond ``max_wait_ms`` the call goes on; its record still arrives and is not counted as lost in the end."""
    with RelayWorker(tmp_path, own_upstream.url, config="[journal]\nmax_wait_ms = 50\n") as relay:
        answers = [ask(relay, 0)]
        with journal_writes(relay, "delay_enter=300000"):
            answers += [ask(relay, number) for number in range(1, 5)]
        eventually(lambda: relay.gauges("relay-0")["calls_lost"] == 0, "late records are written after all")
    journals = read_journals(relay.data)
    assert all(journals.calls[str(answer.call_id)].whole for answer in answers)


@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
def test_an_error_of_the_disk_costs_a_counted_call(error: str, tmp_path: Path, own_upstream: FakeUpstream) -> None:
    with RelayWorker(tmp_path, own_upstream.url) as relay:
        answers = [ask(relay, 0)]
        with journal_writes(relay, f"error={error}"):
            answers += [ask(relay, number) for number in range(1, 4)]
        numbers = iter(range(4, 1000))

        def recorded_again() -> bool:
            before = relay.gauges("relay-0")["calls_lost"]
            answers.append(ask(relay, next(numbers)))
            return relay.gauges("relay-0")["calls_lost"] == before

        eventually(recorded_again, "calls are recorded again", every_s=0.05)
        lost = relay.gauges("relay-0")["calls_lost"]
    journals = read_journals(relay.data)
    whole = {call_id for call_id, call in journals.calls.items() if call.whole}
    assert lost > 0
    assert len(answers) - len(whole) == lost
    assert len(list((relay.data / "journal").rglob("*.seg"))) > 1, "a file that failed was used again"
