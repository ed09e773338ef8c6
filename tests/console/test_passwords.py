"""Passwords, tokens, the header that carries them, roles as people write them, and how often one may try."""

from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.console.access.forms import local_path
from proxy.console.access.limits import Limiter
from proxy.console.access.passwords import checked_name, digest, hashed, new_token, right
from proxy.console.access.visitors import secret_in
from proxy.console.permissions import ROLES, Permission, Visitor, grant_text, read_grant, read_grants
from proxy.errors import UsageError

TOKEN = "s3cret-Tökén"


def basic(text: str) -> str:
    return f"Basic {b64encode(text.encode()).decode()}"


@pytest.mark.parametrize(
    ("header", "given"),
    [
        (f"Bearer {TOKEN}", TOKEN),
        (f"bearer  {TOKEN} ", TOKEN),
        (basic(f"anyone:{TOKEN}"), TOKEN),
        (basic(f":{TOKEN}"), TOKEN),
        (basic("a:b:c"), "b:c"),
        ("", ""),
        ("Bearer", ""),
        (f"Token {TOKEN}", ""),
        (basic(TOKEN), ""),
        ("Basic !!!", ""),
        ("Basic /w==", ""),
    ],
)
def test_what_a_header_carries(header: str, given: str) -> None:
    assert secret_in(header) == given


def test_a_password_is_kept_as_argon2id_and_compared() -> None:
    kept = hashed("correct horse battery")
    assert kept.startswith("$argon2id$")
    assert kept != hashed("correct horse battery")
    assert right("correct horse battery", kept)
    assert not right("correct horse batterx", kept)
    assert not right("correct horse battery", None)
    assert not right("x" * 5000, kept)
    assert not right("correct horse battery", "not a hash")


@pytest.mark.parametrize("password", ["", "too short", "x" * 1001])
def test_passwords_that_are_refused(password: str) -> None:
    with pytest.raises(UsageError, match="from 10 to 1000"):
        hashed(password)


def test_tokens_are_random_and_known_by_their_look() -> None:
    made = {new_token() for _ in range(100)}
    assert len(made) == 100
    assert all(token.startswith("llmtap_") and len(token) == 50 for token in made)
    assert len({digest(token) for token in made}) == 100


@pytest.mark.parametrize("name", ["", "owner", "Local", "a b", "<b>", "-x", "x" * 101, "ä", "a\n"])
def test_names_that_cannot_be(name: str) -> None:
    with pytest.raises(UsageError):
        checked_name(name)


@given(st.sampled_from(sorted(ROLES)), st.text("abcXYZ-_.:/ ", max_size=20))
def test_roles_are_read_as_they_are_written(role: str, project: str) -> None:
    text = f"{role}:{project}"
    if role == "auditor" and project.strip():
        with pytest.raises(UsageError):
            read_grant(text)
    else:
        grant = read_grant(text)
        assert (grant.role, grant.project) == (role, project.strip() or "*")
        assert read_grant(grant_text(grant)) == grant


@pytest.mark.parametrize(
    ("text", "says"), [("viewr", "did you mean viewer"), ("", "name from 1"), (" , ", "name from 1")]
)
def test_roles_that_cannot_be(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        read_grants(text)


def test_what_is_of_all_projects_is_not_had_by_an_admin_of_one() -> None:
    visitor = Visitor("ada", read_grants("admin:one, viewer:two"))
    assert visitor.may(Permission.EXPORT, "one")
    assert visitor.may(Permission.EXPORT)
    assert not visitor.may(Permission.EXPORT, "two")
    for whole in (Permission.SQL, Permission.MANAGE, Permission.AUDIT):
        assert not visitor.may(whole)


# --- how often --------------------------------------------------------------------------------------------


def test_failures_leak_out_one_by_one() -> None:
    limiter = Limiter(3, each_us=10)
    for _ in range(3):
        assert limiter.wait_us("a", 0) == 0
        limiter.failed("a", 0)
    assert limiter.wait_us("a", 0) == 10
    assert limiter.wait_us("a", 9) == 1
    assert limiter.wait_us("a", 10) == 0
    assert limiter.wait_us("b", 0) == 0
    limiter.forget("a")
    assert limiter.wait_us("a", 0) == 0


@given(st.lists(st.integers(0, 50), max_size=60))
def test_nobody_fails_more_often_than_allowed(pauses: list[int]) -> None:
    limiter, now, failures = Limiter(5, each_us=20), 0, []
    for pause in pauses:
        now += pause
        if limiter.wait_us("a", now) == 0:
            limiter.failed("a", now)
            failures.append(now)
    for first in range(len(failures)):
        for last in range(first, len(failures)):
            assert last - first + 1 <= 5 + (failures[last] - failures[first]) / 20 + 1


def test_what_is_remembered_is_bounded() -> None:
    limiter = Limiter(1, each_us=1000, kept=10)
    for number in range(50):
        limiter.failed(str(number), 0)
    assert sum(limiter.wait_us(str(number), 0) > 0 for number in range(50)) == 10


@pytest.mark.parametrize(
    ("text", "leads"),
    [
        ("/call/x?tab=chat", "/call/x?tab=chat"),
        ("/", "/"),
        ("", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/x\\y", "/"),
        ("https://evil.example/", "/"),
        ("javascript:alert(1)", "/"),
        ("/x\r\nSet-Cookie: a=b", "/"),
        ("/ä", "/"),
    ],
)
def test_where_a_login_may_lead(text: str, leads: str) -> None:
    assert local_path(text) == leads
