"""``llmtap user`` and ``llmtap token``, in real processes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from proxy.console.access.passwords import digest, right
from proxy.store.sqlite.accounts import Accounts
from tests.cli.pseudo import Pseudo
from tests.harness.watched import ROOT, clean_environment

PASSWORD = "correct horse battery"


def llmtap(data: Path, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "proxy", *arguments, "--data-dir", str(data)],
        cwd=ROOT,
        env=clean_environment(),
        input=typed,
        capture_output=True,
        text=True,
        check=False,
    )


def test_people_from_the_first_to_the_last(tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert "nobody yet; llmtap user add" in llmtap(data, "user", "list").stdout
    added = llmtap(data, "user", "add", "ada", "--role", "viewer:own", "--role", "auditor", typed=f"{PASSWORD}\n")
    assert (added.returncode, added.stdout) == (0, "ada may log in: viewer:own, auditor\n")
    assert right(PASSWORD, Accounts(data).password("ada"))
    assert llmtap(data, "user", "add", "ADA", "--role", "viewer", typed=f"{PASSWORD}\n").returncode == 2
    assert llmtap(data, "user", "passwd", "ada", typed="another password\n").returncode == 0
    assert right("another password", Accounts(data).password("ada"))
    assert llmtap(data, "user", "grant", "ada", "--role", "admin").stdout == "ada: admin\n"
    [line] = llmtap(data, "user", "list", "--json").stdout.splitlines()
    assert (json.loads(line)["roles"], json.loads(line)["last_login_at"]) == (["admin"], None)
    assert llmtap(data, "user", "remove", "ada").returncode == 0
    assert llmtap(data, "user", "remove", "ada").returncode == 2


def test_what_cannot_be_is_said_and_changes_nothing(tmp_path: Path) -> None:
    data = tmp_path / "data"
    wrong = llmtap(data, "user", "add", "ada", "--role", "viewr", typed=f"{PASSWORD}\n")
    assert (wrong.returncode, "did you mean viewer?" in wrong.stderr) == (2, True)
    short = llmtap(data, "user", "add", "ada", "--role", "viewer", typed="short\n")
    assert (short.returncode, "from 10 to 1000" in short.stderr) == (2, True)
    assert llmtap(data, "user", "passwd", "ada", typed=f"{PASSWORD}\n").returncode == 2
    assert not Accounts(data).any_people()


def test_on_a_terminal_the_password_is_asked_for_twice_and_not_shown(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with Pseudo("user", "add", "ada", "--role", "viewer", "--data-dir", str(data)) as terminal:
        for asked in (b"Password: ", b"Once more: "):
            terminal.until(asked)
            terminal.enter(PASSWORD)
        assert PASSWORD.encode() not in terminal.until(b"ada may log in")
    assert right(PASSWORD, Accounts(data).password("ada"))


def test_a_token_is_printed_once_and_revoked(tmp_path: Path) -> None:
    data = tmp_path / "data"
    made = llmtap(data, "token", "create", "ci", "--role", "viewer", "--days", "7")
    secret = made.stdout.strip()
    found = Accounts(data).token(digest(secret), 0)
    assert found is not None
    assert found.expires_at_us == found.created_at_us + 7 * 86_400_000_000
    listed = llmtap(data, "token", "list").stdout
    assert secret not in listed
    assert f"…{secret[-4:]}" in listed
    assert llmtap(data, "token", "create", "ci", "--role", "viewer").returncode == 2
    assert llmtap(data, "token", "revoke", "ci").stdout == "ci is revoked\n"
    assert Accounts(data).token(digest(secret), 0) is None
    [line] = llmtap(data, "token", "list", "--json").stdout.splitlines()
    assert json.loads(line)["revoked_at"] is not None
    forever = llmtap(data, "token", "create", "ci", "--role", "viewer", "--never-expires").stdout.strip()
    assert Accounts(data).tokens()[0].expires_at_us is None
    assert Accounts(data).token(digest(forever), 1 << 60) is not None
