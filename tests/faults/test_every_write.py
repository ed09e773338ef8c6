"""kill -9 at every write and sync that one call makes, by strace: no state in between loses a finished call."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from proxy.records import Outcome, Side
from tests.fakes.scripts import chat_chunks, sse
from tests.fakes.upstream import FakeUpstream
from tests.harness.client import Answer, request
from tests.harness.eventually import eventually
from tests.harness.records import read_journals
from tests.harness.worker import RelayWorker

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace"),
]
CALLS = ("write", "writev", "pwrite64", "sendto", "sendmsg", "fsync", "fdatasync", "ftruncate", "openat", "rename")
BODY = b'{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}'
MOST = 40


def traced_call(relay: RelayWorker, syscall: str, when: int) -> tuple[Answer | None, bool]:
    """One call while strace waits to kill the relay at the ``when``-th ``syscall``; the answer, and whether it died."""
    pid = relay.process.pid
    inject = f"inject={syscall}:signal=KILL:when={when}"
    tracer = subprocess.Popen(
        ["strace", "-f", "-qq", "-o", "/dev/null", "-p", str(pid), "-e", f"trace={syscall}", "-e", inject],
        stderr=subprocess.DEVNULL,
    )
    try:
        eventually(lambda: traced(pid), "strace is attached")
        try:
            answer = relay.ask(request("POST", "/v1/chat/completions", (), BODY))
        except OSError:
            answer = None
        if answer is None or not answer.whole:
            relay.process.wait(20)
        # The heartbeat may hit the syscall as well: it counts like any other instant.
        return answer, relay.process.poll() is not None
    finally:
        tracer.terminate()
        tracer.wait()


def traced(pid: int) -> bool:
    """Whether every thread of a process has a tracer."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return all("TracerPid:\t0" not in (task / "status").read_text() for task in tasks)
    except FileNotFoundError:
        return True


@pytest.mark.timeout(600)
def test_killed_at_every_write_of_one_call(tmp_path: Path, own_upstream: FakeUpstream) -> None:
    own_upstream.script("/v1/chat/completions", sse(chat_chunks({"model": "m"}, ["Hel", "lo"]), pause_s=0.001))
    states = 0
    for syscall in CALLS:
        for when in range(1, MOST):
            directory = tmp_path / f"{syscall}-{when}"
            directory.mkdir()
            own_upstream.requests.clear()
            with RelayWorker(directory, own_upstream.url) as relay:
                answer, died = traced_call(relay, syscall, when)
                relay.end()
            check_state(relay, answer, own_upstream)
            if not died:
                break
            states += 1
    assert states > 5, f"only {states} states"
    print(f"{states} states, 0 failures")


def check_state(relay: RelayWorker, answer: Answer | None, upstream: FakeUpstream) -> None:
    """What must hold whenever the relay died."""
    journals = read_journals(relay.data)
    if any(seen.whole for seen in upstream.requests):
        assert len(journals.calls) == 1, "the upstream saw a request that was not recorded"
    if answer is not None and answer.whole and answer.status == 200:
        call = journals.calls[str(answer.call_id)]
        assert call.whole
        assert call.end is not None
        assert call.end.outcome == Outcome.COMPLETE
        assert call.bodies[Side.RESPONSE] == answer.body
