"""A relay without free file descriptors answers what it can, and is itself again once there are some."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import pytest

from tests.fakes.upstream import FakeUpstream
from tests.harness.client import RawClient, request
from tests.harness.eventually import eventually
from tests.harness.worker import RelayWorker

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs prlimit, which only Linux has")


def test_running_out_of_descriptors_is_survived(tmp_path: Path, own_upstream: FakeUpstream) -> None:
    with RelayWorker(tmp_path, own_upstream.url) as relay:
        pid = relay.process.pid
        assert relay.ask(request("GET", "/warm")).status == 200
        used = max(int(path.name) for path in Path(f"/proc/{pid}/fd").iterdir())
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 6, 4096))
        clients = [RawClient(relay.port, timeout_s=5) for _ in range(30)]
        statuses = set()
        for client in clients:
            client.send(request("POST", "/echo", (), b"x"))
        for client in clients[:3]:
            statuses.add(client.answer("POST").status)
        for client in clients:
            client.close()
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (1024, 4096))
        eventually(lambda: relay.ask(request("GET", "/again")).status == 200, "calls are served again", every_s=0.05)
        assert relay.pid("relay-0") == pid
        assert statuses <= {200, 502, 503, 0}
