"""Conversations when rows go, as retention deletes them: sums stay true, and a name is there as long as a call is."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from proxy.records import ToolSpan
from proxy.store.sqlite.store import SqliteStore
from tests.store.contract_conversations import talk
from tests.store.samples import collected, write

TOOL = ToolSpan(place=0, id="call_a1b2c3d4", name="add", arguments_bytes=2, digest=5)


@pytest.mark.parametrize("tools_first", [False, True])
async def test_deleted_calls_take_their_figures_with_them(tmp_path: Path, tools_first: bool) -> None:
    store = await SqliteStore.open(tmp_path)
    calls = [talk(at, f"a{at}", f"a{at - 1}", output_tokens=1, tools=(TOOL,)) for at in range(4)]
    await write(store, *calls)
    await store.close()
    for gone in range(4):
        with closing(sqlite3.connect(tmp_path / "store" / "main.db")) as database, database:
            (row,) = database.execute("SELECT min(id) FROM call").fetchone()
            statements = ["DELETE FROM call WHERE id = ?", "DELETE FROM tool_call WHERE call = ?"]
            for statement in reversed(statements) if tools_first else statements:
                database.execute(statement, (row,))
        store = await SqliteStore.open(tmp_path)
        left = calls[gone + 1 :]
        found = await store.conversations()
        sums = [(each.id, each.last, each.calls, each.tools, each.output_tokens) for each in found]
        assert sums == ([(left[0].call.id, calls[-1].call.id, len(left), len(left), len(left))] if left else [])
        if left:
            trace = await store.conversation(calls[-1].call.id)
            assert [step.call.id for step in trace.steps] == [each.call.id for each in left]
        await store.close()


async def test_wrong_sums_are_found(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path)
    await write(store, talk(0, "a"), talk(1, "b", "a"))
    assert await collected(store.verify()) == []
    await store.close()
    with closing(sqlite3.connect(tmp_path / "store" / "main.db")) as database, database:
        database.execute("UPDATE conversation SET calls = 3")
    store = await SqliteStore.open(tmp_path)
    assert await collected(store.verify()) == ["main.db: 1 conversations are not what their calls sum up to"]
    await store.close()
