"""Streams end with the right to them: a token that is revoked, a session that is left, roles that are taken away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest

from proxy.clock import wall_us
from proxy.console.access.visitors import COOKIE, IDLE_US
from proxy.console.permissions import read_grant
from proxy.store.sqlite.accounts import Accounts
from tests.cli.recorded import exchanged, new_call
from tests.console.serving import Console

PASSWORD = "correct horse battery"
SOON_S = 20.0


@pytest.fixture
async def console(tmp_path: Path) -> AsyncIterator[Console]:
    async with Console(tmp_path / "data") as made:
        made.person("ada", PASSWORD, "viewer")
        await made.record(exchanged(new_call()))
        yield made


async def to_its_end(console: Console, path: str, headers: dict[str, str], then: Callable[[], object]) -> None:
    """Begin a stream, do something, and read until the console ends it. Raises ``TimeoutError`` when it does not."""
    async with (
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as client,
        client.get(f"http://127.0.0.1:{console.port}{path}", headers=headers) as answer,
    ):
        assert (answer.status, answer.content_type) == (200, "text/event-stream")
        await answer.content.readany()
        await asyncio.to_thread(then)
        async with asyncio.timeout(SOON_S):
            try:
                while await answer.content.readany():
                    pass
            except aiohttp.ClientError:
                pass


async def entered(console: Console) -> dict[str, str]:
    """The cookie of somebody who has logged in."""
    form = {"name": "ada", "password": PASSWORD}
    async with console.client.post("/login", data=form, allow_redirects=False) as answer:
        return {"Cookie": f"{COOKIE}={answer.cookies[COOKIE].value}"}


@pytest.mark.parametrize("path", ["/api/stream", "/live"])
async def test_the_stream_of_a_revoked_token_ends(console: Console, path: str) -> None:
    bearer = {"Authorization": f"Bearer {console.token('viewer', name='ci')}"}
    await to_its_end(console, path, bearer, lambda: Accounts(console.data).revoke("ci", wall_us()))


async def test_the_stream_of_somebody_with_other_roles_ends(console: Console) -> None:
    grants = [read_grant("viewer:other")]
    accounts = Accounts(console.data)
    await to_its_end(console, "/live", await entered(console), lambda: accounts.set_grants("ada", grants))


async def test_a_stream_keeps_no_session_alive(console: Console) -> None:
    cookie = await entered(console)

    def years_pass() -> None:
        with Accounts(console.data)._changing() as access:
            access.execute("UPDATE session SET seen_at_us = seen_at_us - ?", (IDLE_US,))

    await to_its_end(console, "/api/stream", cookie, years_pass)


async def test_a_stream_goes_on_for_those_who_are_still_known(console: Console) -> None:
    bearer = {"Authorization": f"Bearer {console.token('viewer')}"}
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(3.0):  # longer than between two looks
            await to_its_end(console, "/api/stream", bearer, lambda: None)


@pytest.mark.parametrize("path", ["/api/stream", "/live"])
async def test_a_stream_has_no_head_alone(console: Console, path: str) -> None:
    """Its events would come behind the head, where the answer to the next request is expected."""
    bearer = {"Authorization": f"Bearer {console.token('viewer')}"}
    async with console.client.head(path, headers=bearer) as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "GET")
    async with console.client.get("/api/calls", headers=bearer) as answer:
        assert answer.status == 200
