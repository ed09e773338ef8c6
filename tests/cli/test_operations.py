"""``llmtap backup``, ``restore``, ``verify`` and ``flush``, as a person types them."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import pytest

from proxy.records import Call
from tests.cli.recorded import exchanged, llmtap, new_call, record
from tests.fakes.upstream import FakeUpstream
from tests.harness.client import ask, request
from tests.harness.server import LlmtapServer


@pytest.fixture
def call() -> Call:
    return new_call()


@pytest.fixture
def data(tmp_path: Path, call: Call) -> Path:
    path = tmp_path / "data"
    record(path, exchanged(call), exchanged(new_call()))
    return path


def backed_up(data: Path, target: Path, *arguments: str) -> dict[str, object]:
    done = llmtap(data, "backup", str(target), "--json", *arguments)
    assert done.stderr == b""
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def test_a_backup_is_restored_and_verified(data: Path, call: Call, tmp_path: Path) -> None:
    said = llmtap(data, "backup", str(tmp_path / "backups")).stdout.decode()
    assert "backup made" in said
    done = llmtap(tmp_path / "new", "restore", str(tmp_path / "backups"))
    assert done.returncode == 0
    assert "all is well: 2 calls" in done.stdout.decode()
    assert llmtap(tmp_path / "new", "show", call.id, "--raw", "request").returncode == 0
    again = llmtap(tmp_path / "new", "restore", str(tmp_path / "backups"))
    assert again.returncode == 1
    assert b"holds files already" in again.stderr


def test_the_last_backups_are_kept(data: Path, tmp_path: Path) -> None:
    target = tmp_path / "backups"
    for _ in range(3):
        found = backed_up(data, target)
    assert found["backups"] == 3
    assert found["new_bytes"] != found["bytes"]
    assert backed_up(data, target, "--keep", "2")["dropped"] == 2
    assert len(list(target.iterdir())) == 2


def test_what_is_no_backup_of_ours_stays_and_so_does_the_new_one(data: Path, tmp_path: Path) -> None:
    target = tmp_path / "backups"
    old = Path(str(backed_up(data, target)["path"]))
    future = target / "29990101T000000Z"
    shutil.copytree(old, future)
    text = (future / "manifest.json").read_text().replace('"made_at": "20', '"made_at": "29')
    (future / "manifest.json").write_text(text)
    for foreign in (target / "2019 photos", target / "20190101T000000Z"):
        foreign.mkdir()
        (foreign / "manifest.json").write_text('{"name": "photos"}')
    found = backed_up(data, target, "--keep", "1")
    assert (found["backups"], found["dropped"]) == (1, 2)
    assert {path.name for path in target.iterdir()} == {
        Path(str(found["path"])).name,
        "2019 photos",
        "20190101T000000Z",
    }


def test_a_damaged_backup_is_not_restored(data: Path, tmp_path: Path) -> None:
    path = Path(str(backed_up(data, tmp_path / "backups")["path"]))
    (path / "main.db").write_bytes(b"nonsense")
    done = llmtap(tmp_path / "new", "restore", str(path))
    assert done.returncode == 1
    assert b"main.db has changed" in done.stderr
    assert list((tmp_path / "new" / "store").iterdir()) == []


def test_a_folder_without_backups(data: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert b"holds no backup" in llmtap(data, "restore", str(tmp_path / "empty")).stderr
    assert b"lies in the data directory" in llmtap(data, "backup", str(data / "backups")).stderr
    assert b"there is no store" in llmtap(tmp_path / "nowhere", "backup", str(tmp_path / "b")).stderr


def test_verify_finds_and_says_what_is_lost(data: Path, call: Call) -> None:
    assert "all is well" in llmtap(data, "verify").stdout.decode()
    for path in data.rglob("body-*.db"):
        path.unlink()
    done = llmtap(data, "verify")
    assert done.returncode == 1
    assert "is missing: the bodies of 2 calls are gone" in done.stdout.decode()
    *problems, figures = map(json.loads, llmtap(data, "verify", "--json").stdout.splitlines())
    assert figures["problems"] == len(problems) == 1
    assert b"damaged or missing" in llmtap(data, "show", call.id, "--raw", "request").stderr


def test_nothing_to_verify(tmp_path: Path) -> None:
    assert b"No calls are recorded" in llmtap(tmp_path, "verify").stderr


def test_flush_without_anything_to_store(data: Path, tmp_path: Path) -> None:
    assert llmtap(data, "flush").stdout == b"all calls that have ended are stored\n"
    assert llmtap(tmp_path / "nowhere", "flush").returncode == 1


CHAT = request("POST", "/v1/chat/completions", (), b'{"model":"m","messages":[]}')


def rows(data: Path) -> int:
    return len(llmtap(data, "tail", "--json", "--no-follow").stdout.splitlines())


def test_flush_beside_a_serve(tmp_path: Path) -> None:
    with FakeUpstream() as upstream, LlmtapServer(tmp_path, upstream.url) as server:
        for _ in range(3):
            assert ask(server.port, CHAT).whole
        assert llmtap(server.data, "flush").returncode == 0
        assert rows(server.data) == 3
        refused = llmtap(server.data, "restore", str(tmp_path))
        assert refused.returncode == 1


def test_flush_stores_what_a_killed_serve_left(tmp_path: Path) -> None:
    with FakeUpstream() as upstream:
        server = LlmtapServer(tmp_path, upstream.url).start()
        server.kill("ingest", signal.SIGSTOP)
        for _ in range(3):
            assert ask(server.port, CHAT).whole
        late = llmtap(server.data, "flush", "--timeout", "0.2")
        server.kill_all()
    assert late.returncode == 1
    assert b"3 calls that had ended are not stored after 0.2 s" in late.stderr
    flushed = llmtap(server.data, "flush")
    assert (flushed.returncode, flushed.stdout) == (0, b"3 calls stored\n")
    assert rows(server.data) == 3
    assert llmtap(server.data, "flush").stdout == b"all calls that have ended are stored\n"
