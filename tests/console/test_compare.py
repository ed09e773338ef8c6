"""Two calls side by side."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cli.recorded import REQUEST, RESPONSE, exchanged, new_call

from .serving import Console


@pytest.fixture
async def console(tmp_path: Path) -> AsyncIterator[Console]:
    async with Console(tmp_path / "data") as made:
        yield made


async def test_figures_and_texts_that_differ_are_marked(console: Console) -> None:
    one, two = new_call(), new_call(model="other-model", latency_us=1_624_000)
    await console.record(exchanged(one), exchanged(two, REQUEST, RESPONSE.replace(b"12 degrees", b"14 degrees")))
    status, page = await console.get(f"/compare?a={one.id}&b={two.id[-8:]}")
    assert status == 200
    assert "<del>12</del>" in page
    assert "<ins>14</ins>" in page
    assert "2 times" in page
    assert page.count('class="differs"') == 2  # model, took
    assert page.count("the same in both") == 2  # system prompt, messages


async def test_a_call_that_there_is_not_is_named(console: Console) -> None:
    call = new_call()
    await console.record(exchanged(call))
    status, text = await console.get(f"/compare?a={call.id}&b=ffffffff")
    assert status == 404
    assert "b: " in text


async def test_without_two_calls_a_form_asks_for_them(console: Console) -> None:
    call = new_call()
    await console.record(exchanged(call))
    status, page = await console.get(f"/compare?a={call.id}")
    assert status == 200
    assert f'name="a" value="{call.id}"' in page


async def test_calls_without_bodies_are_compared_by_their_figures(console: Console) -> None:
    from proxy.store.base import StoredCall

    one, two = new_call(), new_call(status="running")
    await console.record(StoredCall(call=one), StoredCall(call=two))
    status, page = await console.get(f"/compare?a={one.id}&b={two.id}", **{"X-Fragment": "compare"})
    assert status == 200
    assert "still running" in page
    assert page.startswith('<div class="compared">')
