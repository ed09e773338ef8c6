"""The accounts' file: people, sessions that end, tokens that are revoked; several processes at once."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from proxy.errors import StoreError, UsageError
from proxy.records import evolve
from proxy.store.accounts import Grant, Token
from proxy.store.sqlite import accounts as module
from proxy.store.sqlite.accounts import Accounts

HOUR = 3_600_000_000
LIMITS = {"idle_us": HOUR, "whole_us": 10 * HOUR}
VIEWER = (Grant("viewer"),)


@pytest.fixture
def accounts(tmp_path: Path) -> Accounts:
    return Accounts(tmp_path / "data")


def token(**fields: object) -> Token:
    usual = Token(
        id=0,
        name="ci",
        tail="wxyz",
        grants=VIEWER,
        made_by="ada",
        created_at_us=5,
        expires_at_us=100,
        used_at_us=None,
        revoked_at_us=None,
    )
    return evolve(usual, **fields)


def test_before_there_is_anybody_there_is_no_file(accounts: Accounts, tmp_path: Path) -> None:
    assert not accounts.any_people()
    assert (accounts.people(), accounts.tokens()) == ([], [])
    assert accounts.person("ada") is accounts.password("ada") is None
    assert accounts.session(b"x", 0, **LIMITS) is None
    accounts.end_session(b"x")
    assert not (tmp_path / "data").exists()


def test_people_come_change_and_go(accounts: Accounts, tmp_path: Path) -> None:
    accounts.add("Ada", "hash", VIEWER, 7)
    assert stat.S_IMODE((tmp_path / "data" / "access.db").stat().st_mode) == 0o600
    [ada] = accounts.people()
    assert (ada.name, ada.grants, ada.created_at_us, ada.login_at_us) == ("Ada", VIEWER, 7, None)
    assert accounts.person("aDA") == ada
    assert accounts.password("ADA") == "hash"
    with pytest.raises(UsageError, match="already"):
        accounts.add("ada", "other", (), 8)
    accounts.set_grants("ada", (Grant("admin", "x"),))
    accounts.set_password("ada", "new")
    assert accounts.person("ada") == evolve(ada, grants=(Grant("admin", "x"),))
    assert accounts.password("ada") == "new"
    accounts.remove("ADA")
    assert not accounts.any_people()


@pytest.mark.parametrize(
    "act",
    [
        lambda accounts: accounts.remove("bob"),
        lambda accounts: accounts.set_grants("bob", ()),
        lambda accounts: accounts.set_password("bob", "x"),
        lambda accounts: accounts.revoke("bob", 1),
    ],
)
def test_nobody_can_be_changed(accounts: Accounts, act: Callable[[Accounts], object]) -> None:
    with pytest.raises(UsageError, match="bob"):
        act(accounts)


# --- sessions --------------------------------------------------------------------------------------------


def test_a_session_ends_when_it_is_idle_or_old(accounts: Accounts) -> None:
    accounts.add("ada", "hash", VIEWER, 0)
    accounts.begin_session(b"idle", "ada", b"", 0)
    accounts.begin_session(b"busy", "ada", b"", 0)
    found = accounts.session(b"busy", 1, **LIMITS)
    assert found is not None
    assert found.person is not None
    assert (found.person.name, found.person.login_at_us) == ("ada", 0)
    seen = [accounts.session(b"busy", at * HOUR // 2, **LIMITS) is not None for at in range(1, 25)]
    assert seen == [True] * 19 + [False] * 5
    assert accounts.session(b"idle", HOUR - 1, **LIMITS) is None  # was forgotten with the other
    assert accounts.session(b"nobody", 0, **LIMITS) is None


@pytest.mark.parametrize(
    "act",
    [
        lambda accounts: accounts.end_session(b"one"),
        lambda accounts: accounts.set_password("ada", "new"),
        lambda accounts: accounts.set_grants("ada", ()),
        lambda accounts: accounts.remove("ada"),
    ],
)
def test_what_ends_a_session(accounts: Accounts, act: Callable[[Accounts], object]) -> None:
    for name in ("ada", "bob"):
        accounts.add(name, "hash", VIEWER, 0)
    accounts.begin_session(b"one", "ada", b"", 0)
    accounts.begin_session(b"two", "bob", b"", 0)
    accounts.begin_session(b"three", None, b"seal", 0)
    act(accounts)
    assert accounts.session(b"one", 1, **LIMITS) is None
    assert accounts.session(b"two", 1, **LIMITS) is not None
    held = accounts.session(b"three", 1, **LIMITS)
    assert held is not None
    assert (held.person, held.seal) == (None, b"seal")


# --- tokens ----------------------------------------------------------------------------------------------


def test_a_token_opens_until_it_expires_or_is_revoked(accounts: Accounts) -> None:
    accounts.add_token(token(), b"one")
    accounts.add_token(token(name="forever", expires_at_us=None), b"two")
    assert accounts.token(b"one", 99) == token(id=1)
    assert accounts.token(b"one", 100) is None
    assert accounts.token(b"three", 0) is None
    assert accounts.tokens()[1].used_at_us == 99
    assert accounts.revoke("FOREVER", 200).id == 2
    assert accounts.token(b"two", 201) is None
    accounts.add_token(token(name="forever", expires_at_us=None), b"four")
    assert accounts.revoke("3", 300).name == "forever"
    assert [each.revoked_at_us for each in accounts.tokens()] == [None, 300, 200]


def test_two_tokens_that_live_are_never_called_the_same(accounts: Accounts) -> None:
    accounts.add_token(token(), b"one")
    with pytest.raises(UsageError, match="already"):
        accounts.add_token(token(name="CI"), b"two")


# --- the file --------------------------------------------------------------------------------------------


def test_many_may_write_at_once_from_the_beginning(tmp_path: Path) -> None:
    def add(number: int) -> None:
        Accounts(tmp_path / "data").add(f"p{number}", "hash", VIEWER, number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(24)))
    assert len(Accounts(tmp_path / "data").people()) == 24


def test_a_file_of_tomorrow_or_of_something_else_is_refused(accounts: Accounts, tmp_path: Path) -> None:
    accounts.add("ada", "hash", VIEWER, 0)
    path = tmp_path / "data" / module.FILE
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="newer"):
        accounts.people()
    path.write_bytes(b"x" * 4096)
    with pytest.raises(StoreError, match="damaged"):
        accounts.any_people()


def test_neither_password_nor_token_lies_in_the_file(accounts: Accounts, tmp_path: Path) -> None:
    accounts.add("ada", "kept-hash", VIEWER, 0)
    accounts.set_password("ada", "next-hash")
    held = (tmp_path / "data" / module.FILE).read_bytes()
    assert b"next-hash" in held
    assert b"kept-hash" not in held
