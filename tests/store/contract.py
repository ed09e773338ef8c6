"""What every engine must do. A subclass gives the fixtures ``open_store`` and ``open_reader``:
functions that open the same store for writing and for reading, as often as they are called.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

import pytest

from proxy.errors import CallNotFound
from proxy.query.parse import parse_filter
from proxy.records import Call, evolve
from proxy.store.base import Gap, Position, Reader, Store, StoredCall
from tests.store.contract_conversations import ConversationsContract
from tests.store.contract_judgements import JudgementsContract
from tests.store.contract_links import LinksContract
from tests.store.contract_queries import QueriesContract
from tests.store.contract_reports import ReportsContract
from tests.store.contract_retention import RetentionContract
from tests.store.samples import (
    FULL,
    NOON_US,
    an_id,
    as_stored,
    chat_request,
    collected,
    ended,
    running,
    write,
)

OpenStore = Callable[[], Awaitable[Store]]
OpenReader = Callable[[], Awaitable[Reader]]


class StoreContract(
    ConversationsContract, JudgementsContract, LinksContract, QueriesContract, ReportsContract, RetentionContract
):
    """The promises of ``store.base``."""

    # --- what is written comes back ---------------------------------------------------------------

    async def test_a_call_comes_back_as_it_was(self, open_store: OpenStore) -> None:
        store = await open_store()
        await write(store, StoredCall(call=FULL))
        found = await store.call(FULL.id)
        assert as_stored(found) == FULL
        assert found.updated_at_us > 0
        assert list(found.metadata) == ["b", "a", "__proto__", "it's \"\0"]

    async def test_unknown_stays_unknown(self, open_store: OpenStore) -> None:
        store = await open_store()
        bare = Call(id=an_id(), started_at_us=NOON_US, status="ok")
        await write(store, StoredCall(call=bare))
        assert as_stored(await store.call(bare.id)) == bare

    async def test_values_out_of_bounds_are_fitted_and_never_stop_a_batch(self, open_store: OpenStore) -> None:
        store = await open_store()
        odd = Call(
            id=an_id(),
            started_at_us=NOON_US,
            status="ok",
            model="m" * 1_000_000,
            user="\ud800",
            input_tokens=1 << 70,
            error_message="e" * 1_000_000,
            metadata={"k" * 5000: "v" * 5000, **{f"n{index}": "" for index in range(500)}},
            tags=("t" * 5000, "\udfff"),
        )
        await write(store, StoredCall(call=odd))
        found = await store.call(odd.id)
        assert found.input_tokens is None
        assert found.user == "?"
        assert found.model is not None
        assert found.model.startswith("mmm")
        assert len(found.model) <= 1000
        assert len(found.metadata) <= 100
        assert max(map(len, found.metadata)) < 5000
        assert [call.id for call in await store.find(parse_filter(f"model = '{'m' * 3000}'"))] == [odd.id]

    async def test_an_exchange_comes_back_as_it_was(self, open_store: OpenStore) -> None:
        store = await open_store()
        stored = ended(
            request=chat_request("a" * 2000, "b"), response=bytes(range(256)) * 9, marks=((5, 10), (9, 10), (2304, 70))
        )
        await write(store, stored)
        assert await store.exchange(stored.call.id) == stored.exchange

    async def test_the_history_of_a_chat_is_stored_once(self, open_store: OpenStore) -> None:
        store = await open_store()
        turns = [f"{number}: " + "".join(chr(97 + (number * i * i) % 26) for i in range(3000)) for number in range(12)]
        calls = [ended(request=chat_request(*turns[: count + 1])) for count in range(12)]
        for stored in calls:
            await write(store, stored)
        for stored in calls:
            assert await store.exchange(stored.call.id) == stored.exchange
        grown = (await store.stats()).bytes
        assert sum(len(stored.exchange.request_body) for stored in calls if stored.exchange) > 230_000
        assert await collected(store.verify()) == []
        assert grown

    async def test_no_exchange_while_running_nor_for_strangers(self, open_store: OpenStore) -> None:
        store = await open_store()
        call = running()
        await write(store, call)
        assert await store.exchange(call.call.id) is None
        assert await store.exchange(an_id()) is None
        assert await store.exchange("nonsense") is None

    # --- once, and only once ----------------------------------------------------------------------

    async def test_a_running_call_is_replaced_by_its_end(self, open_store: OpenStore) -> None:
        store = await open_store()
        first = running(metadata={"a": "1"}, tags=("x", "y"), journal="j")
        last = ended(first.call.id, metadata={"a": "2"}, tags=("y",), journal="j", seq=4, latency_us=5)
        await write(store, first)
        rev = (await store.call(first.call.id)).rev
        await write(store, last)
        found = await store.call(first.call.id)
        assert as_stored(found) == last.call
        assert found.rev > rev
        assert await store.exchange(first.call.id) == last.exchange
        assert (await store.stats()).calls == 1
        assert await store.find(parse_filter("metadata.a = '1'")) == []
        assert await store.find(parse_filter("tags = 'x'")) == []
        assert len(await store.find(parse_filter("metadata.a = '2' and tags = 'y'"))) == 1

    async def test_an_end_is_stored_once(self, open_store: OpenStore) -> None:
        store = await open_store()
        first = ended(journal="j", seq=1, model="first")
        await write(store, first)
        rev = await store.latest_rev()
        await write(store, first)
        await write(store, ended(first.call.id, journal="other", seq=9, model="second"))
        await write(store, ended(journal="j", seq=1, model="third"))
        await write(store, running(first.call.id))
        assert [call.model for call in await store.find()] == ["first"]
        assert await store.latest_rev() == rev

    async def test_one_batch_may_name_a_call_several_times(self, open_store: OpenStore) -> None:
        store = await open_store()
        first = running(journal="j")
        end = ended(first.call.id, journal="j", seq=2, model="end")
        await write(store, first, end, running(first.call.id), ended(first.call.id, journal="j", seq=3, model="late"))
        await write(store, ended(journal="k", seq=1), ended(journal="k", seq=1))
        assert sorted(str(call.model) for call in await store.find()) == ["None", "end"]

    async def test_a_row_without_bodies_gets_them_later(self, open_store: OpenStore) -> None:
        store = await open_store()
        whole = ended(journal="j", seq=5)
        bare = StoredCall(call=evolve(whole.call, status="interrupted"))
        await write(store, bare)
        await write(store, bare)
        await write(store, whole)
        assert (await store.call(whole.call.id)).status == "ok"
        assert await store.exchange(whole.call.id) == whole.exchange

    async def test_everything_is_there_after_reopening(self, open_store: OpenStore) -> None:
        store = await open_store()
        calls = [ended(journal="j", seq=number, request=chat_request("x" * 2000)) for number in range(3)]
        await write(store, calls[0], calls[1])
        await store.close()
        store = await open_store()
        await write(store, *calls)
        assert len(await store.find()) == 3
        for stored in calls:
            assert await store.exchange(stored.call.id) == stored.exchange
        assert await collected(store.verify()) == []

    # --- journals ---------------------------------------------------------------------------------

    async def test_positions_and_ends_of_journals(self, open_store: OpenStore) -> None:
        store = await open_store()
        at = Position(journal="j", low_seq=3, read_seq=9, calls_lost=2)
        await write(store, ended(journal="j", seq=4), ended(journal="j", seq=8), positions=[at])
        assert await store.positions() == {"j": at}
        assert await store.stored_seqs("j", 0) == {4, 8}
        assert await store.stored_seqs("j", 5) == {8}
        assert await store.stored_seqs("unknown", 0) == set()
        later = evolve(at, low_seq=8, calls_lost=3)
        other = Position(journal="k", low_seq=0, read_seq=0)
        await write(store, positions=[later, other])
        assert await store.positions() == {"j": later, "k": other}
        await write(store, finished_journals=["j"])
        assert await store.positions() == {"k": other}
        assert (await store.stats()).calls_lost == 3

    async def test_gaps_are_counted_once(self, open_store: OpenStore) -> None:
        store = await open_store()
        gap = Gap(journal="j", first_seq=5, records=2, reason="damaged", noticed_at_us=NOON_US)
        await write(store, gaps=[gap])
        await write(store, gaps=[gap, evolve(gap, first_seq=9, records=1), evolve(gap, journal="k", records=4)])
        assert (await store.stats()).gaps == 7

    async def test_running_calls_of_dead_journals_are_interrupted(self, open_store: OpenStore) -> None:
        store = await open_store()
        dead, orphan, alive, over = running(journal="dead"), running(), running(journal="alive"), ended(journal="dead")
        await write(store, dead, orphan, alive, over)
        rev = await store.latest_rev()
        assert await store.interrupt_running(["alive"], NOON_US + 1) == 2
        assert await store.interrupt_running(["alive"], NOON_US + 2) == 0
        changed = await store.find(after_rev=rev)
        assert {(call.id, str(call.status), call.updated_at_us) for call in changed} == {
            (stored.call.id, "interrupted", NOON_US + 1) for stored in (dead, orphan)
        }
        stats = await store.stats()
        assert (stats.calls, stats.running) == (4, 1)

    # --- finding ----------------------------------------------------------------------------------

    async def test_find_pages_from_the_newest(self, open_store: OpenStore) -> None:
        store = await open_store()
        ids = [an_id(NOON_US + number * 1_000_000) for number in range(10)]
        await write(store, *(ended(call_id) for call_id in reversed(ids)))
        newest = await store.find(limit=4)
        assert [call.id for call in newest] == ids[:-5:-1]
        older = await store.find(before=newest[-1].id, limit=100)
        assert [call.id for call in older] == ids[5::-1]

    async def test_followers_see_each_change_in_order(self, open_store: OpenStore, open_reader: OpenReader) -> None:
        store, reader = await open_store(), await open_reader()
        first, second = running(), ended()
        await write(store, first)
        seen = await reader.latest_rev()
        await write(store, second)
        await write(store, ended(first.call.id))
        changes = await reader.find(after_rev=seen)
        assert [call.id for call in changes] == [second.call.id, first.call.id]
        assert changes[-1].rev == await reader.latest_rev()
        assert await reader.find(after_rev=changes[-1].rev) == []

    async def test_the_calls_of_one_relay(self, open_store: OpenStore) -> None:
        store = await open_store()
        ours = [ended(journal="relay-1-a", seq=1), running(journal="relay-1-b")]
        await write(store, *ours, ended(journal="relay-10-a", seq=1), ended(journal="relay-1", seq=1), ended())
        assert [call.id for call in await store.recorded_by("relay-1")] == [stored.call.id for stored in ours]
        assert await store.recorded_by("relay_1") == []

    async def test_parts_of_ids(self, open_store: OpenStore) -> None:
        store = await open_store()
        ids = [
            "01990000-0000-7000-8000-00000000aaaa",
            "01990000-0000-7000-8000-10000000aaaa",
            "01990000-ffff-7000-8000-20000000bbbb",
        ]
        await write(store, *(ended(call_id) for call_id in ids))
        for ref in (
            ids[0],
            ids[0].upper(),
            ids[0].replace("-", ""),
            "01990000-0000-7000-8000-0",
            "00000000aaaa",
            " -3 ",
        ):
            assert await store.resolve(ref) == ids[0]
        for ref in (None, "-1", "bbbb", "01990000f", "20000000bbbb"):
            assert await store.resolve(ref) == ids[2]
        with pytest.raises(CallNotFound, match="several") as caught:
            await store.resolve("aaaa")
        assert ids[0] in str(caught.value)
        assert ids[1] in str(caught.value)
        for ref in ("cccc", "-4", "xyz", "%", "", "0" * 40):
            with pytest.raises(CallNotFound):
                await store.resolve(ref)

    async def test_many_candidates_are_cut_to_five(self, open_store: OpenStore) -> None:
        store = await open_store()
        await write(store, *(ended() for _ in range(8)))
        with pytest.raises(CallNotFound) as caught:
            await store.resolve("0")
        assert len(re.findall(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", str(caught.value))) == 5

    async def test_calls_that_are_not_there(self, open_store: OpenStore) -> None:
        store = await open_store()
        for call_id in (an_id(), "nonsense"):
            with pytest.raises(CallNotFound):
                await store.call(call_id)
        with pytest.raises(CallNotFound, match="yet"):
            await store.resolve(None)

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("model = 'a'", "1"),
            ("model != 'a'", "2"),
            ("not model = 'a'", "23"),
            ("model = 'nobody'", ""),
            ("not model = 'nobody'", "123"),
            ("model < 'b'", "1"),
            ("model >= 'a'", "12"),
            ("model is null", "3"),
            ("model is not null", "12"),
            ("model = null", "3"),
            ("status = 'error' or cost_usd > 0.5", "23"),
            ("cost_usd = 0.25", "1"),
            ("cost_usd <= 0.25", "1"),
            ("latency_ms > 1.5", "2"),
            ("1500.001 > latency_ms", "12"),
            ("ttft_ms < 1", ""),
            ("stream = true", "1"),
            ("stream = false", "2"),
            ("stream is null", "3"),
            ("http_status >= 400 and http_status < 500", "2"),
            ("created >= '2026-11-21 12:00:00.000001'", "23"),
            ("created < '2026-11-21T13:00:00+01:00'", ""),
            ("created = '2026-11-21T13:00:00+01:00'", "1"),
            ("tags = 'prod'", "12"),
            ("tags != 'prod'", "3"),
            ("tags is null", "3"),
            ("metadata.user_id = '7'", "1"),
            ("metadata.user_id != '7'", "2"),
            ("metadata.user_id > '7'", "2"),
            ("metadata.user_id is null", "3"),
            ("metadata.user is not null", "3"),
            ("metadata.\"it's\" = '\"'", "3"),
            ("error_message = 'it''s % _ \"'", "2"),
            ("project = 'default' and (model = 'a' or not (status = 'ok'))", "12"),
            ("input_tokens < 99999999999999999999", "1"),
        ],
    )
    async def test_filters(self, open_store: OpenStore, text: str, expected: str) -> None:
        store = await open_store()
        await write(
            store,
            ended(
                model="a", status="ok", cost_nano_usd=250_000_000, latency_us=1500, stream=True, response_id="1",
                tags=("prod",), metadata={"user_id": "7"}, input_tokens=3,
            ),
            ended(
                model="b", status="error", latency_us=1501, stream=False, http_status=404, response_id="2",
                started_at_us=NOON_US + 1, tags=("x", "prod"), metadata={"user_id": "8"}, error_message="it's % _ \"",
            ),
            ended(
                status="ok", cost_nano_usd=600_000_000, response_id="3", started_at_us=NOON_US + 1,
                metadata={"user": "7", "it's": '"'},
            ),
        )  # fmt: skip
        found = await store.find(parse_filter(text))
        assert "".join(sorted(str(call.response_id) for call in found)) == expected

    async def test_an_id_is_a_filter_too(self, open_store: OpenStore) -> None:
        store = await open_store()
        one, other = ended(), ended()
        await write(store, one, other)
        assert [call.id for call in await store.find(parse_filter(f"id = '{one.call.id}'"))] == [one.call.id]
        assert [call.id for call in await store.find(parse_filter(f"id != '{one.call.id}'"))] == [other.call.id]

    # --- sizes -----------------------------------------------------------------------------------

    async def test_stats(self, open_store: OpenStore) -> None:
        store = await open_store()
        empty = await store.stats()
        assert (empty.calls, empty.running, empty.oldest_us, empty.newest_us) == (0, 0, None, None)
        await write(store, ended(), ended(started_at_us=NOON_US + 5), running(started_at_us=NOON_US + 3))
        stats = await store.stats()
        assert (stats.calls, stats.running, stats.oldest_us, stats.newest_us) == (3, 1, NOON_US, NOON_US + 5)
        assert sum(stats.bytes.values()) > 0

    # --- readers ----------------------------------------------------------------------------------

    async def test_a_store_that_is_not_there_yet_is_empty(self, open_reader: OpenReader, open_store: OpenStore) -> None:
        reader = await open_reader()
        assert await reader.find() == []
        assert await reader.report(["day"]) == []
        assert await reader.latest_rev() == 0
        assert await reader.exchange(an_id()) is None
        assert await reader.positions() == {}
        assert (await reader.stats()).calls == 0
        assert await collected(reader.verify()) == []
        with pytest.raises(CallNotFound):
            await reader.resolve("-1")
        with pytest.raises(CallNotFound):
            await reader.call(an_id())
        store = await open_store()
        stored = ended()
        await write(store, stored)
        assert [call.id for call in await reader.find()] == [stored.call.id]
        assert await reader.exchange(stored.call.id) == stored.exchange

    async def test_readers_work_after_the_writer_is_gone(self, open_reader: OpenReader, open_store: OpenStore) -> None:
        store = await open_store()
        stored = ended()
        await write(store, stored)
        early = await open_reader()
        assert len(await early.find()) == 1
        await store.close()
        late = await open_reader()
        for reader in (early, late):
            assert await reader.resolve(stored.call.id[-8:]) == stored.call.id
            assert await reader.exchange(stored.call.id) == stored.exchange
