"""The data directory: made for its owner only, refused when it is not, its secret made once."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from proxy.datadir import FOLDERS, SECRET_FILE, fingerprint_secret, prepare
from proxy.errors import ConfigError

not_root = pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def refusal(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        prepare(path)
    return str(caught.value)


@pytest.fixture
def loose_umask() -> object:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("loose_umask")
def test_it_is_made_with_its_folders_for_the_owner_only(tmp_path: Path) -> None:
    path = prepare(tmp_path / "a" / "b")
    assert path == tmp_path / "a" / "b"
    assert {entry.name for entry in path.iterdir()} == set(FOLDERS)
    assert {mode(entry) for entry in (path, *path.iterdir())} == {0o700}


def test_preparing_again_changes_nothing(tmp_path: Path) -> None:
    path = prepare(tmp_path / "data")
    (path / "store" / "main.db").write_bytes(b"x")
    prepare(path)
    assert (path / "store" / "main.db").read_bytes() == b"x"


def test_a_relative_path_becomes_absolute(tmp_path: Path) -> None:
    relative = os.path.relpath(tmp_path / "data")
    assert prepare(Path(relative)).is_absolute()
    assert (tmp_path / "data" / "journal").is_dir()


def test_a_symbolic_link_is_followed_and_its_target_checked(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir(mode=0o700)
    link = tmp_path / "link"
    link.symlink_to(target)
    assert prepare(link) == link
    assert (target / "journal").is_dir()
    target.chmod(0o750)
    assert f"chmod 700 {link}" in refusal(link)


@pytest.mark.parametrize("open_to", [0o701, 0o710, 0o750, 0o755, 0o770, 0o777])
def test_a_directory_that_others_can_enter_is_refused(tmp_path: Path, open_to: int) -> None:
    path = tmp_path / "data"
    path.mkdir()
    path.chmod(open_to)
    message = refusal(path)
    assert f"mode {open_to:04o}" in message
    assert f"chmod 700 {path}" in message
    assert list(path.iterdir()) == []


def test_so_is_a_folder_that_leads_to_an_open_place(tmp_path: Path) -> None:
    path = prepare(tmp_path / "data")
    elsewhere = tmp_path / "big-disk"
    elsewhere.mkdir()
    elsewhere.chmod(0o755)
    (path / "store").rmdir()
    (path / "store").symlink_to(elsewhere)
    assert f"chmod 700 {path / 'store'}" in refusal(path)


def test_what_is_no_directory_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    dangling = tmp_path / "dangling"
    dangling.symlink_to(tmp_path / "nowhere" / "at-all")
    path = prepare(tmp_path / "data")
    (path / "run").rmdir()
    (path / "run").touch()
    for bad, named in ((file, file), (file / "below", file), (dangling, dangling), (path, path / "run")):
        message = refusal(bad)
        assert str(named) in message
        assert "--data-dir or LLMTAP_DATA_DIR" in message


def test_a_place_where_nothing_can_be_made_is_refused() -> None:
    assert "choose another with --data-dir" in refusal(Path("/proc/llmtap"))


@not_root
def test_a_directory_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    path = prepare(tmp_path / "data")
    path.chmod(0o500)
    assert "cannot be written" in refusal(path)


@as_root
def test_a_directory_of_another_user_is_refused(tmp_path: Path) -> None:
    path = prepare(tmp_path / "data")
    os.chown(path, 12_345, -1)
    assert "belongs to user 12345" in refusal(path)


# --- the secret -------------------------------------------------------------------------------------


def test_the_secret_is_random_kept_and_the_owners_alone(tmp_path: Path) -> None:
    one, other = prepare(tmp_path / "one"), prepare(tmp_path / "other")
    secret = fingerprint_secret(one, "")
    assert len(secret) == 32
    assert fingerprint_secret(one, "") == secret == (one / SECRET_FILE).read_bytes()
    assert fingerprint_secret(other, "") != secret
    assert mode(one / SECRET_FILE) == 0o600


def test_a_configured_secret_is_the_same_everywhere_and_not_written_down(tmp_path: Path) -> None:
    one, other = prepare(tmp_path / "one"), prepare(tmp_path / "other")
    assert fingerprint_secret(one, "fleet") == fingerprint_secret(other, "fleet")
    assert fingerprint_secret(one, "fleet") != fingerprint_secret(one, "Fleet")
    assert len(fingerprint_secret(one, "é")) == 32
    assert not (one / SECRET_FILE).exists()


def test_processes_that_start_together_agree_on_one_secret(tmp_path: Path) -> None:
    path = prepare(tmp_path / "data")
    program = (
        "import sys; from pathlib import Path; from proxy.datadir import fingerprint_secret; sys.stdin.read(); "
        "print(fingerprint_secret(Path(sys.argv[1]), '').hex())"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(4)
    ]
    with ThreadPoolExecutor(len(started)) as threads:
        secrets = {output for output, _ in threads.map(subprocess.Popen.communicate, started)}
    assert secrets == {f"{(path / SECRET_FILE).read_bytes().hex()}\n".encode()}
    assert {entry.name for entry in path.iterdir()} == {*FOLDERS, SECRET_FILE}


@pytest.mark.parametrize("content", [b"", b"x" * 31, b"x" * 33])
def test_a_damaged_secret_is_refused_not_replaced(tmp_path: Path, content: bytes) -> None:
    path = prepare(tmp_path / "data")
    (path / SECRET_FILE).write_bytes(content)
    (path / SECRET_FILE).chmod(0o600)
    with pytest.raises(ConfigError, match="is damaged"):
        fingerprint_secret(path, "")
    assert (path / SECRET_FILE).read_bytes() == content


def test_a_secret_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = prepare(tmp_path / "data")
    fingerprint_secret(path, "")
    (path / SECRET_FILE).chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        fingerprint_secret(path, "")


def test_a_directory_in_place_of_the_secret_is_refused(tmp_path: Path) -> None:
    path = prepare(tmp_path / "data")
    (path / SECRET_FILE).mkdir()
    with pytest.raises(ConfigError, match="cannot be used"):
        fingerprint_secret(path, "")
