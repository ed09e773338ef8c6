"""The settings page and the audit page, over real sockets."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.clock import CallIds, wall_us
from proxy.records import Event, EventKind
from proxy.store.sqlite.accounts import Accounts
from tests.console.serving import Console
from tests.console.test_access import PASSWORD, ask, login, origin, session

TOKEN = r"llmtap_[A-Za-z0-9_-]{43}"


@pytest.fixture
async def console(tmp_path: Path) -> AsyncIterator[Console]:
    async with Console(tmp_path / "data") as made:
        made.person("ada", PASSWORD, "admin")
        made.person("vera", PASSWORD, "viewer:own")
        yield made


class Person:
    """Somebody who has logged in, and fills in forms."""

    def __init__(self, console: Console, held: str) -> None:
        self._console, self.held = console, held

    async def send(self, path: str, **form: str) -> tuple[int, str]:
        answer = await ask(self._console, "POST", path, form, self.held, Origin=origin(self._console))
        return answer.status, html.unescape(answer.leads or answer.text)

    async def see(self, path: str) -> tuple[int, str]:
        answer = await ask(self._console, "GET", path, session=self.held)
        return answer.status, html.unescape(answer.text)


async def person(console: Console, name: str) -> Person:
    return Person(console, await session(console, name))


async def test_somebody_is_added_changed_and_removed(console: Console) -> None:
    ada = await person(console, "ada")
    form = {"name": "bob", "password": PASSWORD, "roles": "viewer, reviewer:own"}
    assert await ada.send("/settings/people", do="add", **form) == (303, "/settings?done=add#people")
    _, page = await ada.see("/settings?done=add")
    assert "Added." in page
    assert "viewer, reviewer:own" in page
    bob = await person(console, "bob")
    assert (await ada.send("/settings/people", do="roles", name="bob", roles="auditor"))[0] == 303
    assert (await bob.see("/settings"))[0] == 401  # the session has ended
    assert (await ada.send("/settings/people", do="reset", name="bob", password=PASSWORD + "!"))[0] == 303
    assert (await login(console, "bob")).status == 401
    assert (await login(console, "bob", PASSWORD + "!")).status == 303
    assert (await ada.send("/settings/people", do="remove", name="bob"))[0] == 303
    assert (await login(console, "bob", PASSWORD + "!")).status == 401
    assert [row[:3] for row in console.audit() if row[1].startswith("user")] == [
        ("ada", "user add", "bob"),
        ("ada", "user roles", "bob"),
        ("ada", "user reset", "bob"),
        ("ada", "user remove", "bob"),
    ]


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"do": "add", "name": "vera", "password": PASSWORD, "roles": "viewer"}, "already"),
        ({"do": "add", "name": "<b>", "password": PASSWORD, "roles": "viewer"}, "cannot be"),
        ({"do": "add", "name": "bob", "password": "short", "roles": "viewer"}, "from 10"),
        ({"do": "add", "name": "bob", "password": PASSWORD, "roles": "viewr"}, "did you mean viewer"),
        ({"do": "add", "name": "bob", "password": PASSWORD, "roles": "auditor:own"}, "write auditor alone"),
        ({"do": "roles", "name": "nobody", "roles": "viewer"}, "nobody called"),
        ({"do": "roles", "name": "Ada", "roles": "viewer"}, "your own account"),
        ({"do": "remove", "name": "ada"}, "your own account"),
        ({"do": "burn", "name": "vera"}, "one of add"),
        ({}, "one of add"),
    ],
)
async def test_what_cannot_be_done_is_said_on_the_page(console: Console, form: dict[str, str], says: str) -> None:
    before = Accounts(console.data).people()
    status, page = await (await person(console, "ada")).send("/settings/people", **form)
    assert status == 400
    assert says in page
    assert "<h1>Settings</h1>" in page
    assert PASSWORD not in page
    assert [each.grants for each in Accounts(console.data).people()] == [each.grants for each in before]


async def test_a_token_is_shown_once_used_and_revoked(console: Console) -> None:
    ada = await person(console, "ada")
    status, page = await ada.send("/settings/tokens", name="ci", roles="viewer:own", days="7", do="token")
    assert status == 201
    [secret] = re.findall(TOKEN, page)
    _, page = await ada.see("/settings")
    assert re.findall(TOKEN, page) == []
    assert f"…{secret[-4:]}" in page
    assert secret.encode() not in (console.data / "access.db").read_bytes()
    bearer = f"Bearer {secret}"
    assert (await ask(console, "GET", "/api/calls", Authorization=bearer)).status == 200
    [made] = Accounts(console.data).tokens()
    assert made.used_at_us is not None
    assert made.expires_at_us is not None
    assert (made.made_by, made.expires_at_us - made.created_at_us) == ("ada", 7 * 86_400_000_000)
    assert (await ada.send("/settings/tokens/revoke", token=str(made.id)))[0] == 303
    assert (await ask(console, "GET", "/api/calls", Authorization=bearer)).status == 401


@pytest.mark.parametrize("days", ["0", "3651", "-1", "x", "1" * 5000])
async def test_days_are_a_number(console: Console, days: str) -> None:
    ada = await person(console, "ada")
    status, page = await ada.send("/settings/tokens", name="ci", roles="viewer", days=days)
    assert (status, "from 1 to 3650" in page, Accounts(console.data).tokens()) == (400, True, [])


async def test_one_changes_ones_own_password_and_stays_logged_in(console: Console) -> None:
    vera = await person(console, "vera")
    elsewhere = await person(console, "vera")
    assert (await vera.send("/settings/password", password="wrong", new_password=PASSWORD + "!"))[0] == 400
    form = {"password": PASSWORD, "new_password": PASSWORD + "!"}
    answer = await ask(console, "POST", "/settings/password", form, vera.held, Origin=origin(console))
    assert (answer.status, answer.leads) == (303, "/settings?done=password")
    assert (await Person(console, answer.session.value).see("/settings"))[0] == 200
    assert (await vera.see("/settings"))[0] == 401
    assert (await elsewhere.see("/settings"))[0] == 401
    assert (await login(console, "vera", PASSWORD + "!")).status == 303


async def test_who_does_not_manage_sees_their_own_account_only(console: Console) -> None:
    vera = await person(console, "vera")
    status, page = await vera.see("/settings")
    assert status == 200
    assert "viewer:own" in page
    assert "ada" not in page
    for path in ("/settings/people", "/settings/tokens", "/settings/tokens/revoke", "/settings/tags"):
        assert (await vera.send(path, do="add", name="x"))[0] == 403


async def test_tags_are_described(console: Console) -> None:
    ada = await person(console, "ada")
    assert (await ada.send("/settings/tags", do="add", name="bug", color="#ff0000", description="Look at it"))[0] == 303
    assert (await ada.send("/settings/tags", do="add", name="bug", color="red"))[0] == 400
    assert (await ada.send("/settings/tags", do="change", name="bug", renamed="defect"))[0] == 303
    assert (await ada.send("/settings/tags", do="delete", name="defect"))[0] == 303
    said = [event.said for event in console.written() if event.kind == EventKind.TAG]
    assert [each["name"] for each in said] == ["bug", "bug", "defect"]
    assert (said[0]["color"], said[1]["renamed"], said[2]["deleted"]) == ("#ff0000", "defect", True)


# --- the audit -------------------------------------------------------------------------------------------


async def test_the_audit_is_read_in_pages_by_auditors_alone(console: Console) -> None:
    console.person("otto", PASSWORD, "auditor")
    ids = CallIds()
    hostile = "<script>alert(1)</script>"
    said = [{"action": "view", "target": f"call-{number}", "project": hostile} for number in range(250)]
    events = [
        Event(id=ids.next(wall_us()), kind=EventKind.AUDIT, at_us=wall_us(), author="eve", said=each) for each in said
    ]
    await console.record(events=events)
    otto = await person(console, "otto")
    answer = await ask(console, "GET", "/audit", session=otto.held)
    assert (answer.status, "<script>alert" in answer.text) == (200, False)
    first = re.findall(r"call-(\d+)", answer.text)
    older = re.findall(r'href="(/audit\?before=\d+)"', answer.text)
    _, page = await otto.see(older[0])
    assert [int(number) for number in first + re.findall(r"call-(\d+)", page)] == list(range(249, -1, -1))
    assert (await otto.see("/audit?before=x"))[0] == 400
    assert (await (await person(console, "ada")).see("/audit"))[0] == 403
