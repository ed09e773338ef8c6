"""Full text in files of SQLite: what is found, and what becomes of it when files or processes go."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from proxy.errors import StoreError
from proxy.query.tree import And, Comparison, Match, Not
from proxy.records import evolve
from proxy.store.base import StoredCall
from proxy.store.sqlite.fulltext import matching, queue
from proxy.store.sqlite.fulltext.index import Limits
from proxy.store.sqlite.reader import SqliteReader
from proxy.store.sqlite.store import SqliteStore
from proxy.store.texts import Texts
from tests.store.contract_search import OpenSearch, Searchable, SearchContract, ids
from tests.store.samples import DAY_US, NOON_US, collected, write
from tests.store.searching import a_chat

ON = Limits()
BODY, TEXT = "body-forever-20261121.db", "fts-forever-20261121.db"


class TestSearch(SearchContract):
    """All of it."""

    @pytest.fixture
    async def open_search(self, tmp_path: Path) -> AsyncIterator[OpenSearch]:
        opened: list[SqliteStore] = []

        async def open_one() -> Searchable:
            store = await opened_store(tmp_path)
            opened.append(store)
            return store, store.text_settled

        yield open_one
        for store in opened:
            await store.close()


async def opened_store(data_dir: Path, day: int = 0, full_text: Limits | None = ON) -> SqliteStore:
    return await SqliteStore.open(data_dir, now_us=lambda: NOON_US + day * DAY_US, full_text=full_text)


async def stored(data_dir: Path, *calls: StoredCall, day: int = 0, full_text: Limits | None = ON) -> None:
    store = await opened_store(data_dir, day, full_text)
    await write(store, *calls)
    await store.text_settled()
    await store.close()


async def search(data_dir: Path, words: str) -> tuple[list[str], int, tuple[str, ...]]:
    """Ids, calls that full text is behind, problems; by a reader that only reads."""
    reader = await SqliteReader.open(data_dir)
    try:
        found = await reader.search(words)
        stats = await reader.stats()
        assert stats.text_behind == found.behind
        return ids(found.calls), found.behind.calls, (*found.problems, *stats.text_problems)
    finally:
        await reader.close()


def rows(data_dir: Path, name: str = TEXT) -> list[int]:
    """Numbers of the calls in a file, each as often as it is there."""
    with closing(sqlite3.connect(data_dir / "store" / name)) as connection:
        return [call for (call,) in connection.execute("SELECT id FROM words_docsize ORDER BY id")]


async def test_what_was_missed_while_full_text_was_off_is_made_up_for(tmp_path: Path) -> None:
    calls = [a_chat(f"refund {number}") for number in range(450)]
    await stored(tmp_path, *calls, full_text=None)
    found, behind, problems = await search(tmp_path, "refund")
    assert (found, behind, problems) == ([], 450, (f"{TEXT} is missing",))
    await stored(tmp_path)
    found, behind, problems = await search(tmp_path, "refund 449")
    assert (found, behind, problems) == ([calls[-1].call.id], 0, ())
    assert rows(tmp_path) == list(range(1, 451))


async def test_a_queue_that_overflows_loses_nothing(tmp_path: Path) -> None:
    store = await opened_store(tmp_path)
    await store.text_settled()
    large = Texts(input="refund " + "x " * (queue.QUEUE_CHARS // 8))
    for number in range(12):
        await write(store, a_chat(f"refund {number}", texts=large if number < 9 else Texts(input=f"refund {number}")))
    await store.text_settled()
    await store.close()
    found, behind, _ = await search(tmp_path, "refund")
    assert (len(found), behind) == (12, 0)
    assert rows(tmp_path) == list(range(1, 13))


async def test_what_comes_while_others_are_read_from_their_bodies_is_not(tmp_path: Path) -> None:
    store = await opened_store(tmp_path)
    await write(store, *(a_chat(f"refund {number}") for number in range(450)))
    handed_over = a_chat("refund", texts=Texts(input="these words stand in no body"))
    await write(store, handed_over)
    await store.text_settled()
    await store.close()
    found, behind, _ = await search(tmp_path, "words stand in no body")
    assert (found, behind) == ([handed_over.call.id], 0)
    assert rows(tmp_path) == list(range(1, 452))


async def test_closing_adds_what_is_queued(tmp_path: Path) -> None:
    store = await opened_store(tmp_path)
    await write(store, a_chat("refund"))
    await store.close()
    found, behind, _ = await search(tmp_path, "refund")
    assert (len(found), behind) == (1, 0)
    assert not [path for path in (tmp_path / "store").glob("*-wal") if path.stat().st_size]


@pytest.mark.parametrize("damage", ["missing", "no database", "empty", "other version"])
async def test_a_lost_file_is_made_anew_from_the_bodies(tmp_path: Path, damage: str) -> None:
    calls = [a_chat(f"refund {number}") for number in range(250)]
    await stored(tmp_path, *calls)
    path = tmp_path / "store" / TEXT
    if damage == "missing":
        path.unlink()
    elif damage == "other version":
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA user_version = 99")
    else:
        path.write_bytes(b"" if damage == "empty" else b"no database " * 1000)
    found, _, problems = await search(tmp_path, "refund")
    assert found == []
    assert problems
    assert TEXT in problems[0]
    await stored(tmp_path, a_chat("one more refund"))
    found, behind, problems = await search(tmp_path, "refund")
    assert (len(found), behind, problems) == (50, 0, ())
    assert rows(tmp_path) == list(range(1, 252))


async def test_a_damaged_page_costs_one_file_and_is_mended(tmp_path: Path) -> None:
    await stored(tmp_path, *[a_chat(f"old refund {number}", answer=f"w{number} " * 50) for number in range(300)])
    await stored(tmp_path, a_chat("new refund"), day=1)
    path = tmp_path / "store" / TEXT
    data = bytearray(path.read_bytes())
    data[4096 * 2 :] = b"\xff" * (len(data) - 4096 * 2)
    path.write_bytes(data)
    found, _, problems = await search(tmp_path, "refund")
    assert len(found) == 1
    assert TEXT in problems[0]
    reader = await SqliteReader.open(tmp_path)
    assert [problem for problem in await collected(reader.verify()) if TEXT in problem]
    await reader.close()
    await stored(tmp_path, day=1)
    found, behind, problems = await search(tmp_path, "old refund 299")
    assert (len(found), behind, problems) == (1, 0, ())


async def test_a_store_brought_back_from_a_backup_does_not_trust_newer_files(tmp_path: Path) -> None:
    await stored(tmp_path, a_chat("first refund"))
    main = (tmp_path / "store" / "main.db").read_bytes()
    await stored(tmp_path, a_chat("lost refund"))
    (tmp_path / "store" / "main.db").write_bytes(main)
    await stored(tmp_path, a_chat("second whale"))
    found, behind, _ = await search(tmp_path, "refund")
    assert (len(found), behind) == (1, 0)
    assert len((await search(tmp_path, "whale"))[0]) == 1


async def test_all_is_made_anew_when_somebody_asks_for_it(tmp_path: Path) -> None:
    store = await opened_store(tmp_path)
    await write(store, a_chat("refund", texts=Texts(input="stale")))
    await store.text_settled()
    assert len((await store.search("stale")).calls) == 1
    await store.rebuild_text()
    await store.text_settled()
    assert (await store.search("stale")).behind.calls == 0
    await write(store, a_chat("refund", texts=Texts(input="refund")))
    await store.text_settled()
    assert (await store.search("stale")).calls == []
    assert len((await store.search("refund")).calls) == 2
    await store.close()
    off = await opened_store(tmp_path, full_text=None)
    with pytest.raises(StoreError, match="full text is off"):
        await off.rebuild_text()
    await off.close()


async def test_a_file_that_goes_while_it_is_open_is_made_whole_again(tmp_path: Path) -> None:
    store = await opened_store(tmp_path)
    await write(store, a_chat("refund"))
    await store.text_settled()
    for path in (tmp_path / "store").glob("fts-*"):
        path.unlink()
    await write(store, a_chat("refund"))
    await store.text_settled()
    found = await store.search("refund")
    assert (len(found.calls), found.problems) == (2, ())
    await store.close()


async def test_files_of_bodies_that_are_gone_are_not_made_again(tmp_path: Path) -> None:
    await stored(tmp_path, a_chat("refund"))
    for name in (BODY, TEXT):
        (tmp_path / "store" / name).unlink()
    await stored(tmp_path, a_chat("refund"), day=1)
    assert not (tmp_path / "store" / TEXT).exists()
    assert len((await search(tmp_path, "refund"))[0]) == 1


async def test_bodies_that_go_while_the_file_is_open(tmp_path: Path) -> None:
    store = await opened_store(tmp_path)
    await write(store, a_chat("refund"))
    await store.text_settled()
    for path in (tmp_path / "store").glob("*-20261121.db*"):
        path.unlink()
    await write(store, a_chat("whale"))
    await store.text_settled()
    found = await store.search("refund OR whale")
    assert len(found.calls) == 1
    await store.close()


async def test_days_follow_each_other_and_old_files_are_put_in_order(tmp_path: Path) -> None:
    for day in range(3):
        store = await opened_store(tmp_path, day)
        for number in range(12):
            await write(store, a_chat(f"refund {day} {number}", started_at_us=NOON_US + day * DAY_US + number))
            await store.text_settled()
        await store.close()
    reader = await SqliteReader.open(tmp_path)
    pages: list[int] = []
    before = None
    while not pages or before is not None:
        found = await reader.search("refund", limit=10, before=before)
        pages += [call.started_at_us for call in found.calls]
        before = found.next
    await reader.close()
    assert pages == sorted(pages, reverse=True)
    assert len(pages) == 36
    with closing(sqlite3.connect(tmp_path / "store" / TEXT)) as connection:
        assert connection.execute("SELECT merged FROM about").fetchone() == (1,)
        assert connection.execute("PRAGMA freelist_count").fetchone() == (0,)
        assert connection.execute("SELECT count(DISTINCT segid) FROM words_idx").fetchone() == (1,)


async def test_texts_that_match_often_are_asked_for_row_by_row(tmp_path: Path) -> None:
    many = matching.LISTED + 100
    calls = [a_chat("?", texts=Texts(input="common" + " rare" * (number % 500 == 0))) for number in range(many)]
    await stored(tmp_path, *calls)
    reader = await SqliteReader.open(tmp_path)
    newest = [call.call.id for call in reversed(calls)]
    assert ids(await reader.find(Match("text", "common"), limit=5)) == newest[:5]
    assert ids(await reader.find(And((Match("text", "common"), Match("text", "rare"))), limit=99)) == [
        call.call.id for number, call in reversed(list(enumerate(calls))) if number % 500 == 0
    ]
    assert await reader.find(Not(Match("text", "common"))) == []
    assert ids(await reader.find(And((Match("text", "common"), Comparison("id", "=", newest[7]))))) == [newest[7]]
    await reader.close()


async def test_a_search_that_filters_much_away_stops_and_goes_on(tmp_path: Path) -> None:
    calls = [a_chat("?", texts=Texts(input="common"), project="a" if number else "b") for number in range(700)]
    await stored(tmp_path, *calls)
    reader = await SqliteReader.open(tmp_path)
    found = await reader.search("common", Comparison("project", "=", "b"))
    assert ids(found.calls) == [calls[0].call.id]
    assert found.next is None
    await reader.close()


async def test_without_a_store_there_is_nothing(tmp_path: Path) -> None:
    reader = await SqliteReader.open(tmp_path)
    found = await reader.search("refund")
    assert (found.calls, found.behind.calls, found.next) == ([], 0, None)
    await reader.close()


async def test_bodies_that_no_dialect_reads_are_looked_at_once(tmp_path: Path) -> None:
    odd = a_chat("refund")
    assert odd.exchange is not None
    broken = evolve(odd, exchange=evolve(odd.exchange, request_body=b"\xff{", response_body=b"\0"))
    await stored(tmp_path, broken)
    assert rows(tmp_path) == [1]
    assert await search(tmp_path, "refund") == ([], 0, ())


@pytest.fixture(autouse=True)
def _files_are_private(tmp_path: Path) -> Iterator[None]:
    yield
    for path in (tmp_path / "store").glob("fts-*"):
        assert path.stat().st_mode & 0o777 == 0o600
