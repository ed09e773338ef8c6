"""The supervisor outlives what happens to its children and to the machine: traffic goes on."""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import msgspec
import pytest

from proxy.child import BUSY, Assignment
from proxy.cli.supervisor import Child
from proxy.config import load
from proxy.gauges import VITALS, Gauges
from tests.fakes.upstream import FakeUpstream
from tests.faults.test_full_disk import fill, small_disk  # noqa: F401
from tests.harness.client import ask, request
from tests.harness.eventually import eventually
from tests.harness.server import LlmtapServer
from tests.harness.watched import ROOT, START_S, clean_environment


class TrafficOnly(LlmtapServer):
    """Counts as started once its banner is written: ingest and console may be missing."""

    def _serves(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise RuntimeError(f"llmtap ended with {self.process.returncode}:\n{self.log}")
        return "llmtap is listening." in self.log

    @property
    def port(self) -> int:
        """As the banner says: there may be no gauges."""
        found = re.search(r"OPENAI_BASE_URL=http://127.0.0.1:(\d+)/v1", self.log)
        assert found is not None
        return int(found[1])


def spoilt(server: LlmtapServer) -> Path:
    """A store that is no database."""
    store = server.data / "store"
    store.mkdir(parents=True, mode=0o700)
    server.data.chmod(0o700)
    (store / "main.db").write_bytes(b"this is no database " * 1000)
    return store / "main.db"


def test_a_damaged_store_costs_no_traffic_and_no_call(tmp_path: Path, own_upstream: FakeUpstream) -> None:
    server = TrafficOnly(tmp_path, own_upstream.url)
    database = spoilt(server)
    with server:
        answer = server.ask(request("GET", "/hello"))
        assert answer.status == 200
        eventually(lambda: "ingest does not start: calls go through" in server.log, "it is said loudly", START_S)
        assert "Traceback" not in server.log
        eventually(lambda: server.ready("console"), "the console serves", START_S)
        with pytest.raises(HTTPError) as refused:
            urlopen(f"http://127.0.0.1:{server.console_port}/healthz")
        assert refused.value.code == 503
        refused.value.close()
        assert server.ask(request("GET", "/still")).status == 200
        database.unlink()
        server.await_restart("ingest", 0)
        assert server.row(answer.call_id or "")["http_status"] == 200
    assert list((server.data / "journal").iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="needs prlimit, which only Linux has")
def test_a_supervisor_without_descriptors_goes_on_once_there_are_some(
    tmp_path: Path, own_upstream: FakeUpstream
) -> None:
    with LlmtapServer(tmp_path, own_upstream.url) as server:
        pid = server.pid("supervisor")
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, before[1]))
        relay, ingest = server.kill("relay-0"), server.kill("ingest")
        eventually(lambda: "relay-0 cannot be started" in server.log, "it is said", START_S)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        server.await_restart("relay-0", relay)
        server.await_restart("ingest", ingest)
        assert server.ask(request("GET", "/again")).status == 200
        assert server.pid("supervisor") == pid


def test_an_ingest_too_many_leaves_the_other_alone(tmp_path: Path, own_upstream: FakeUpstream) -> None:
    with LlmtapServer(tmp_path, own_upstream.url) as server:
        gauges = server.data / "run" / "ingest.gauges"
        before = gauges.stat().st_ino
        config = load(None, {}, {("data", "dir"): str(server.data)})
        done = subprocess.run(
            [sys.executable, "-m", "proxy.ingest.worker"],
            cwd=ROOT,
            env=clean_environment(),
            input=msgspec.json.encode(Assignment(name="ingest", config=config, data_dir=str(server.data))) + b"\n",
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (BUSY, b"")
        assert gauges.stat().st_ino == before
        assert server.ready("ingest")
        call = server.ask(request("GET", "/hello")).call_id
        assert server.row(call or "")["http_status"] == 200


def test_gauges_that_another_process_has_replaced_are_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "ingest.gauges"
    first = Gauges.create(path, VITALS)
    second = Gauges.create(path, VITALS)
    first.remove()
    assert path.exists()
    second.remove()
    assert not path.exists()


@contextlib.contextmanager
def child(directory: Path, module: str, source: str) -> Iterator[Child]:
    """A child that runs a module of the test's own, found by PYTHONPATH."""
    (directory / f"{module}.py").write_text(source)
    path = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(directory)
    made = Child(module, Assignment(name=module, config=load(None, {}), data_dir=str(directory)))
    try:
        yield made
    finally:
        made.terminate()
        made.wait(10)
        os.environ.pop("PYTHONPATH")
        if path is not None:
            os.environ["PYTHONPATH"] = path


READY = """
import json, os, sys
line = json.loads(sys.stdin.readline())
os.write(line["ready_fd"], b"1")
"""


def test_readiness_comes_through_a_pipe(tmp_path: Path) -> None:
    with child(tmp_path, "ready_child", READY + "sys.stdin.read()") as one:
        one.start()
        eventually(lambda: (one.look_after(), one.ready)[1], "it is ready", START_S)
        assert one.process is not None
        pid = one.process.pid
        os.kill(pid, signal.SIGKILL)
        eventually(
            lambda: (one.look_after(), one.ready and one.process and one.process.pid != pid)[1], "it is back", START_S
        )
        assert one.deaths == 0


def test_one_that_does_not_even_read_its_assignment_is_started_again(tmp_path: Path) -> None:
    with child(tmp_path, "deaf_child", "import os; os.close(0); raise SystemExit(3)") as one:
        one.start()
        eventually(lambda: (one.look_after(), one.hopeless)[1], "it died three times", START_S)


def test_a_stop_that_is_cut_short_kills_what_does_not_end(tmp_path: Path) -> None:
    with child(tmp_path, "stubborn_child", READY + "import threading; threading.Event().wait()") as one:
        one.start()
        eventually(lambda: (one.look_after(), one.ready)[1], "it is ready", START_S)
        one.terminate()
        cut = threading.Event()
        ended: list[bool] = []
        waiting = threading.Thread(target=lambda: ended.append(one.wait(60, cut)))
        waiting.start()
        cut.set()
        waiting.join(30)
        assert ended == [False]
        one.look_after()
        assert one.process is None, "it is not started again"


def test_one_that_is_stopped_while_it_starts_still_does_its_work(tmp_path: Path) -> None:
    with child(tmp_path, "brief_child", f"{READY}sys.stdin.read()\nopen({str(tmp_path / 'done')!r}, 'w')") as one:
        one.start()
        one.terminate()
        assert one.wait(30)
    assert (tmp_path / "done").exists()


@pytest.mark.system
def test_a_full_disk_at_the_start_costs_no_traffic(
    tmp_path: Path,
    small_disk: Path,  # noqa: F811
    own_upstream: FakeUpstream,
) -> None:
    data = small_disk / "data"
    with LlmtapServer(tmp_path, own_upstream.url, data=data):
        pass  # the directory and its key are there from an earlier day
    (tmp_path / "stderr.log").unlink()
    ballast = fill(small_disk)
    with TrafficOnly(tmp_path, own_upstream.url, data=data) as server:
        assert ask(server.port, request("GET", "/hello")).status == 200
        ballast.unlink()
        eventually(lambda: ask(server.port, request("GET", "/again")).status == 200, "it goes on")
    assert shutil.disk_usage(small_disk).free > 0
    assert json.loads(server.command("status", "--json").stdout)["trouble"] is None
