"""What every engine must do with filters, orders and scores. Part of ``StoreContract``."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable

import pytest

from proxy.errors import QueryError
from proxy.query.match import matches
from proxy.query.parse import parse_filter
from proxy.query.tree import Comparison
from proxy.records import Score, ToolSpan
from proxy.store.base import Batch, Order, Store, StoredCall
from tests.store.samples import DAY_US, NOON_US, an_id, ended, write

OpenStore = Callable[[], Awaitable[Store]]


def score(call: StoredCall, value: float, *, name: str = "tone", author: str = "ada", at_us: int = NOON_US) -> Score:
    return Score(call=call.call.id, name=name, author=author, value=value, at_us=at_us)


def span(name: str | None, place: int = 0) -> ToolSpan:
    return ToolSpan(place=place, id=None, name=name, arguments_bytes=2, digest=place)


async def found(store: Store, text: str, **more: object) -> str:
    """The users of the calls that match, in their order."""
    calls = await store.find(parse_filter(text, now_us=NOON_US), **more)  # type: ignore[arg-type]
    return "".join(call.user or "-" for call in calls)


class QueriesContract:
    """The promises of ``store.base`` about questions."""

    # --- scores -----------------------------------------------------------------------------------

    async def test_scores_come_with_their_call_or_later(self, open_store: OpenStore) -> None:
        store = await open_store()
        first, second = ended(user="a"), ended(user="b")
        await store.write(Batch(calls=[first], scores=[score(first, 0.9)]))
        await store.write(Batch(calls=[second]))
        await store.write(Batch(scores=[score(second, 0.2), score(second, 1, name="other")]))
        assert await found(store, "scores.tone > 0.5") == "a"
        assert await found(store, "scores.tone < 0.5") == "b"
        assert await found(store, "scores.tone between 0.2 and 0.9") == "ba"
        assert await found(store, "scores.other = 1") == "b"
        assert await found(store, "scores.other is null") == "a"
        assert await found(store, "scores.nobody > 0 or scores.nobody is not null") == ""

    async def test_what_several_say_is_averaged_and_the_last_word_of_each_counts(self, open_store: OpenStore) -> None:
        store = await open_store()
        call = ended(user="a")
        await store.write(Batch(calls=[call], scores=[score(call, 0.1), score(call, 0.9, author="bob")]))
        assert await found(store, "scores.tone = 0.5") == "a"
        await store.write(Batch(scores=[score(call, 0.7, at_us=NOON_US + 1), score(call, 0.0)]))
        assert await found(store, "scores.tone = 0.8") == "a"
        assert await found(store, "scores.tone > 0.85") == ""

    async def test_a_call_that_is_scored_is_updated_and_no_news(self, open_store: OpenStore) -> None:
        store = await open_store()
        call = ended(user="a")
        await write(store, call)
        rev = await store.latest_rev()
        await store.write(Batch(scores=[score(call, 1)]))
        assert [changed.user for changed in await store.find(after_rev=rev)] == ["a"]
        assert await store.find(after_rev=rev, news=True) == []
        rev = await store.latest_rev()
        await store.write(Batch(scores=[score(call, 1)]))
        assert await store.latest_rev() == rev

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    async def test_what_is_no_score_is_passed_over(self, open_store: OpenStore, value: float) -> None:
        store = await open_store()
        call = ended(user="a")
        stranger = Score(call=an_id(), name="tone", author="ada", value=1, at_us=NOON_US)
        await store.write(Batch(calls=[call], scores=[score(call, value), stranger]))
        assert await found(store, "scores.tone is null") == "a"

    # --- tools ------------------------------------------------------------------------------------

    async def test_calls_are_found_by_the_tools_that_they_asked_for(self, open_store: OpenStore) -> None:
        store = await open_store()
        for user, names in (("a", ["search"]), ("b", ["read", "search"]), ("c", ["write", None]), ("d", [])):
            call = ended(user=user)
            tools = [span(name, place) for place, name in enumerate(names)]
            await write(store, StoredCall(call=call.call, exchange=call.exchange, tools=tools))
        assert await found(store, "tool = 'search'") == "ba"
        assert await found(store, "tool != 'search'") == "dc"
        assert await found(store, "tool in ('read', 'write')") == "cb"
        assert await found(store, "tool like 're%' and tool = 'search'") == "b"
        assert await found(store, "tool is null") == "d"

    # --- metadata ---------------------------------------------------------------------------------

    @pytest.mark.parametrize("value", ["x" * 985, "x" * 999, '"' * 600, "\1" * 400, "é\n" * 499])
    async def test_long_metadata_is_told_apart_by_its_last_letters(self, open_store: OpenStore, value: str) -> None:
        store = await open_store()
        texts = {"a": f"{value}1", "b": f"{value[:-1]}22"[:1000], "c": "short"}
        calls = {user: ended(user=user, metadata={"team": text, "n": "1"}) for user, text in texts.items()}
        await write(store, *calls.values())
        for user, text in texts.items():
            for op, value_, others in (("=", text, ""), ("in", (text, "y"), ""), ("!=", text, "abc")):
                where = Comparison("metadata", op, value_, "team")
                users = {call.user for call in await store.find(where)}
                assert users == (set(others) - {user} if others else {user})
                assert users == {one.call.user for one in calls.values() if matches(where, one.call)}
        assert await found(store, "metadata.team like '%1' or metadata.team like '%22'") == "ba"
        assert await found(store, "metadata.team > 5") == ""
        assert await found(store, "metadata.team is null or metadata.n > 0") == "cba"

    async def test_a_name_of_strange_characters_is_found(self, open_store: OpenStore) -> None:
        store = await open_store()
        await write(store, ended(user="a", metadata={"\1" * 200: "x" * 1000}))
        for op, value in (("=", "x" * 1000), ("like", "x%"), ("=", None)):
            users = [call.user for call in await store.find(Comparison("metadata", op, value, "\1" * 200))]
            assert users == ([] if value is None else ["a"])

    @pytest.mark.parametrize("text", ["cost_usd", "latency_ms", "input_tokens"])
    async def test_numbers_beyond_64_bits_are_compared(self, open_store: OpenStore, text: str) -> None:
        store = await open_store()
        await write(store, ended(user="a", cost_nano_usd=1, latency_us=1, input_tokens=1))
        assert await found(store, f"{text} > 999999999999999999") == ""
        assert await found(store, f"{text} < 999999999999999999999") == "a"

    # --- orders -----------------------------------------------------------------------------------

    async def test_by_newest_and_by_last_updated(self, open_store: OpenStore) -> None:
        store = await open_store()
        calls = {user: ended(user=user, started_at_us=NOON_US + at * DAY_US) for at, user in enumerate("abcd")}
        await write(store, *(calls[user] for user in "cadb"))
        assert "".join(str(call.user) for call in await store.find()) == "dcba"
        updated = await store.find(order=Order.UPDATED)
        assert "".join(str(call.user) for call in updated) == "bdac"
        await store.write(Batch(scores=[score(calls["c"], 1)]))
        assert await found(store, "user like '_'", order=Order.UPDATED) == "cbda"
        assert await found(store, "user like '_'", order=Order.UPDATED, before_rev=updated[1].rev) == "a"
        assert await found(store, "scores.tone > 0", order=Order.UPDATED) == "c"

    async def test_pages_of_a_filter_hold_every_match_once(self, open_store: OpenStore) -> None:
        store = await open_store()
        calls = [ended(user=str(n % 2), tags=("odd",) if n % 2 else (), started_at_us=NOON_US - n) for n in range(25)]
        await write(store, *calls)
        for text in ("tags has 'odd'", "user = '1'", "tags has 'odd' and user = '1' and created <= '2026-11-21 12:00'"):
            pages, before = [], None
            while page := await store.find(parse_filter(text), before=before, limit=5):
                pages += [call.id for call in page]
                before = page[-1].id
            assert pages == sorted((call.call.id for call in calls if call.call.tags), reverse=True)

    @pytest.mark.parametrize(
        ("text", "users"),
        [
            ("created >= '2026-11-21' and created < '2026-11-22'", "b"),
            ("created between '2026-11-20' and '2026-11-21'", "a"),
            ("created > CURRENT_DATE - INTERVAL 1 DAY", "cba"),
            ("created < now() - INTERVAL 1 HOUR", "a"),
            ("not created < CURRENT_DATE", "cb"),
            ("created = '2026-11-21 12:00'", "b"),
            ("created in ('2026-11-21 12:00', '2026-11-22 12:00')", "cb"),
        ],
    )
    async def test_spans_of_time(self, open_store: OpenStore, text: str, users: str) -> None:
        store = await open_store()
        for at, user in ((-1, "a"), (0, "b"), (1, "c")):
            await write(store, ended(user=user, started_at_us=NOON_US + at * DAY_US))
        assert await found(store, text) == users

    # --- lists in bounded steps ---------------------------------------------------------------------

    @pytest.mark.parametrize("order", list(Order))
    @pytest.mark.parametrize("text", ["latency:>50", "model:rare", "latency:>50 model:rare", "created:>=2025-11-13"])
    async def test_looking_page_by_page_finds_what_find_finds(
        self, open_store: OpenStore, order: Order, text: str
    ) -> None:
        store = await open_store()
        calls = [
            ended(user=str(number), latency_us=number * 1000, model="rare" if number % 7 == 0 else "common")
            for number in range(200)
        ]
        await write(store, *calls)
        where = parse_filter(text, now_us=NOON_US)
        wanted = [call.id for call in await store.find(where, limit=1000, order=order)]
        got: list[str] = []
        before = None
        while (looked := await store.look(where, before=before, limit=7, order=order)).next is not None:
            got += [call.id for call in looked.calls]
            before = looked.next
        got += [call.id for call in looked.calls]
        assert got == wanted
        last = looked.calls[-1] if looked.calls else await store.call(wanted[-1])
        back, after = [], last.id if order is Order.NEWEST else str(last.rev)
        while (looked := await store.look(where, after=after, limit=7, order=order)).next is not None:
            back = [call.id for call in looked.calls] + back
            after = looked.next
        assert [*(call.id for call in looked.calls), *back] == wanted[: wanted.index(last.id)]

    async def test_looking_for_all_is_the_newest(self, open_store: OpenStore) -> None:
        store = await open_store()
        assert (await store.look()).calls == []
        await write(store, *(ended(user=str(number)) for number in range(5)))
        assert "".join(call.user or "" for call in (await store.look(limit=3)).calls) == "432"

    @pytest.mark.parametrize("place", ["", "x", "-1", "12x", "9" * 30, "0" * 36])
    async def test_a_place_that_is_none_is_refused(self, open_store: OpenStore, place: str) -> None:
        store = await open_store()
        await write(store, ended())
        with pytest.raises(QueryError, match="no place"):
            await store.look(before=place)
