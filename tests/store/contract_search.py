"""What every engine must do that can search texts. A subclass gives the fixture ``open_search``: a function
that opens a store for writing, and another that waits until all that was written can be found.
"""

# ruff: noqa: RUF001
from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.errors import QueryError
from proxy.query.tree import And, Comparison, Match, Not, Or
from proxy.records import Call
from proxy.store.base import Store
from proxy.store.texts import COLUMNS, Texts
from tests.store.samples import DAY_US, NOON_US, running, write
from tests.store.searching import a_chat, holds

Searchable = tuple[Store, Callable[[], Awaitable[None]]]
OpenSearch = Callable[[], Awaitable[Searchable]]

HOSTILE = [
    '"', '""', '"""', "'", "''; DROP TABLE words; --", "a AND", "OR", "NOT", "NOT a", "a NOT b", "NEAR(a b, 3)",
    "input:", "{input output}: a", "^a", "a ^b", "*", "a*", "a**", "*a", "(", ")", "(a", "((((a))))", "a + b",
    "-", "--", "a -", "- a", "\0", "a\0b", "\x1a", "\\", "%", "_", "a:b", "rowid:1", "words:a", "👍",
    "👩\u200d👩\u200d👧", "\u202e", "\ud800", "ﷺ", "0", "-1", "1e9", "a" * 1000, "a " * 60, '"' * 999,
    "東" * 999, ":" * 1000, "a OR " * 30, "-a " * 60, "á̧̂", "\ufeff",
]  # fmt: skip

WORDS = ["a", "ab", "abc", "Été", "ete", "東京", "京", "สวัสดี", "हिन्दी", "x_y", "don’t", "👍", "ΑΣ", "ας"]


def ids(calls: list[Call]) -> list[str]:
    return [call.id for call in calls]


class SearchContract:
    """The promises of ``Reader.search``, and of matches in filters."""

    async def test_the_newest_come_first_page_by_page(self, open_search: OpenSearch) -> None:
        store, settled = await open_search()
        calls = [a_chat(f"refund {number}") for number in range(7)]
        await write(store, *calls)
        await settled()
        newest_first = [stored.call.id for stored in reversed(calls)]
        pages, before = [], None
        while True:
            found = await store.search("refund", limit=3, before=before)
            pages.append(ids(found.calls))
            before = found.next
            if before is None:
                break
        assert [call for page in pages for call in page] == newest_first
        assert [len(page) for page in pages] == [3, 3, 1]
        assert (found.behind.calls, found.problems) == (0, ())

    async def test_a_call_is_found_where_something_was_said_first(self, open_search: OpenSearch) -> None:
        store, settled = await open_search()
        answer = "A whale is a mammal of the sea, as you may know by now, my dear."
        first, second = a_chat("What is a whale?", answer=answer), a_chat("What is a whale?", answer, "And a bat?")
        await write(store, first, second)
        await settled()
        assert ids((await store.search("whale")).calls) == [first.call.id]
        assert ids((await store.search("bat")).calls) == [second.call.id]

    async def test_columns_filters_and_times(self, open_search: OpenSearch) -> None:
        store, settled = await open_search()
        asked = a_chat("a refund", project="a", started_at_us=NOON_US - DAY_US)
        answered = a_chat("hello", answer="a refund", project="b")
        hidden = a_chat("a refund", excluded="test")
        await write(store, asked, answered, hidden)
        await settled()
        assert ids((await store.search("refund")).calls) == [answered.call.id, asked.call.id]
        assert ids((await store.search("refund", columns=["input"])).calls) == [asked.call.id]
        assert ids((await store.search("refund", Comparison("project", "=", "b"))).calls) == [answered.call.id]
        assert ids((await store.search("refund", since_us=NOON_US)).calls) == [answered.call.id]
        assert len((await store.search("refund", every=True)).calls) == 3
        assert (await store.search("whale")).calls == []

    async def test_matches_in_filters(self, open_search: OpenSearch) -> None:
        store, settled = await open_search()
        both, one, none = a_chat("refund", answer="policy"), a_chat("refund"), a_chat("hello")
        await write(store, both, one, none)
        await settled()

        async def found(where: And | Or | Not | Match) -> set[str]:
            return set(ids(await store.find(where)))

        a, b, c = both.call.id, one.call.id, none.call.id
        assert await found(Match("text", "refund")) == {a, b}
        assert await found(Match("input", "policy")) == set()
        assert await found(Match("output", "policy")) == {a}
        assert await found(Not(Match("text", "policy"))) == {b, c}
        assert await found(Or((Match("text", "policy"), Match("text", "hello")))) == {a, c}
        assert await found(And((Match("text", "refund"), Not(Match("text", "policy"))))) == {b}

    async def test_a_call_that_runs_is_found_once_it_has_ended(self, open_search: OpenSearch) -> None:
        store, settled = await open_search()
        early, late = a_chat("first refund"), a_chat("second refund")
        await write(store, running(early.call.id))
        await write(store, late)
        await settled()
        assert ids((await store.search("refund")).calls) == [late.call.id]
        await write(store, early)
        await settled()
        assert set(ids((await store.search("refund")).calls)) == {early.call.id, late.call.id}

    async def test_nothing_that_is_typed_breaks_out(self, open_search: OpenSearch) -> None:
        store, settled = await open_search()
        call = a_chat("a b", answer="c")
        await write(store, call)
        await settled()
        for words in HOSTILE:
            with contextlib.suppress(QueryError):
                found = await store.search(words)
                assert found.problems == (), words
                assert await store.find(Match("text", words)) == found.calls, words

    async def test_a_place_to_go_on_from_is_checked(self, open_search: OpenSearch) -> None:
        store, _ = await open_search()
        for place in ("", "x", ".", "20261121", "20261121.-1", "20261121.1;", "1.1", "99999999." + "9" * 30):
            with pytest.raises(QueryError, match="is no place where a search stopped"):
                await store.search("a", before=place)

    async def test_it_finds_what_a_look_at_every_word_finds(self, open_search: OpenSearch) -> None:
        store, settled = await open_search()
        said = st.lists(st.sampled_from(WORDS), max_size=5).map(" ".join)
        texts = st.builds(Texts, input=said, output=said, system=said, tools=said)
        written: list[tuple[str, Texts]] = []

        @settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
        @given(st.lists(texts, min_size=1, max_size=12))
        def collect(some: list[Texts]) -> None:
            written.extend((a_chat("?", texts=each).call.id, each) for each in some)

        collect()
        calls = [a_chat("?", texts=each, call_id=call_id) for call_id, each in written]
        await write(store, *calls)
        await settled()
        queries = [
            "a", "ab*", "ete", '"a ab"', "a -ab", "京", "東京", '"京 a"', "x y", '"x y"', "don t", "👍", "ασ",
            "हिन्दी OR สวัส", "สดี", 'a OR 東京 -"ete a"', "ab* ete",
        ]  # fmt: skip
        for query in queries:
            for columns in (COLUMNS, ("input",), ("output", "tools")):
                found = await store.search(query, columns=columns, limit=10_000)
                wanted = [call_id for call_id, each in reversed(written) if holds(each, query, columns)]
                assert ids(found.calls) == wanted, (query, columns)
