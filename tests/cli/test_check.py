"""``llmtap check``."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from proxy.clock import monotonic_us
from proxy.datadir import prepare
from proxy.gauges import VITALS, Gauges
from tests.cli.recorded import llmtap


def check(data: Path, **settings: str) -> tuple[int, str]:
    env = {"LLMTAP_RELAY_LISTEN": "127.0.0.1:0", "LLMTAP_CONSOLE_LISTEN": "127.0.0.1:0", **settings}
    done = llmtap(data, "check", env=env)
    assert done.stderr == b""
    return done.returncode, done.stdout.decode()


def test_a_fit_machine(tmp_path: Path) -> None:
    code, text = check(tmp_path / "data")
    assert code == 0
    assert "✗" not in text
    assert text.count("✓") == 10
    assert f"data directory {tmp_path / 'data'} can be made" in text
    assert not (tmp_path / "data").exists()


def test_a_directory_that_is_there(tmp_path: Path) -> None:
    code, text = check(prepare(tmp_path / "data"))
    assert code == 0
    assert "is writable and private" in text


def test_an_open_directory_is_refused_with_the_remedy(tmp_path: Path) -> None:
    data = prepare(tmp_path / "data")
    data.chmod(0o755)
    code, text = check(data)
    assert code == 1
    assert f"chmod 700 {data}" in text


def test_a_file_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    code, text = check(tmp_path / "data")
    assert code == 1
    assert "✗ data directory" in text


def test_bad_settings_do_not_stop_the_other_checks(tmp_path: Path) -> None:
    code, text = check(tmp_path / "data", LLMTAP_RELAY_WORKERS="many")
    assert code == 1
    assert "LLMTAP_RELAY_WORKERS" in text
    assert "✓ SQLite" in text


@pytest.mark.parametrize("setting", ["LLMTAP_RELAY_LISTEN", "LLMTAP_CONSOLE_LISTEN"])
def test_a_port_of_someone_else(tmp_path: Path, setting: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, text = check(tmp_path / "data", **{setting: f"127.0.0.1:{port}"})
    assert code == 1
    assert f"127.0.0.1 port {port} cannot be used" in text
    assert "choose another" in text


def test_a_port_of_ours(tmp_path: Path) -> None:
    data = prepare(tmp_path / "data")
    gauges = Gauges.create(data / "run" / "relay-0.gauges", VITALS)
    with socket.create_server(("127.0.0.1", 0)) as ours:
        gauges["port"], gauges["ready"], gauges["heartbeat_us"] = ours.getsockname()[1], 1, monotonic_us()
        code, text = check(data, LLMTAP_RELAY_LISTEN=f"127.0.0.1:{gauges['port']}")
        gauges.close()
    assert code == 0
    assert "is held by the running llmtap" in text
