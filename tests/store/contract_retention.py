"""What every engine must do about age: delete what is past its limits, and never what is pinned or on hold."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from proxy.errors import QueryError
from proxy.query.parse import parse_filter
from proxy.query.tree import Comparison, Or
from proxy.records import ToolSpan, evolve
from proxy.store.base import Store, StoredCall
from proxy.store.policy import Hold, Keeping, Policy, Purged
from tests.store.samples import DAY_US, NOON_US, chat_request, collected, ended, running, write

OpenStore = Callable[[], Awaitable[Store]]

MONTH = Policy(usual=Keeping(body_days=30, row_days=90))
LATER_US = NOON_US + 40 * DAY_US  #: bodies are past their limit
MUCH_LATER_US = NOON_US + 100 * DAY_US  #: rows are


async def purged(store: Store, policy: Policy, now_us: int) -> Purged:
    """A whole purge; its receipt."""
    receipts = [done async for done in store.purge(policy, now_us)]
    return receipts[-1]


def a_call(name: str, days: int = 0, **fields: object) -> StoredCall:
    """A call of some days after the first ones, with previews."""
    previews = {"preview_input": name, "preview_output": "fine"}
    return ended(
        request=chat_request(name * 900),
        started_at_us=NOON_US + days * DAY_US,
        **{**previews, **fields},  # type: ignore[arg-type]
    )


def bare(name: str, days: int = 0, **fields: object) -> StoredCall:
    """The same without bodies."""
    return evolve(a_call(name, days, **fields), exchange=None)


def a_hold(words: str, name: str = "case 7") -> Hold:
    """A hold with a filter."""
    where = parse_filter(words)
    assert where is not None
    return Hold(name=name, where=where, words=words, since_us=NOON_US)


class RetentionContract:
    """The promises of ``purge``, pins and holds."""

    async def test_without_limits_nothing_goes(self, open_store: OpenStore) -> None:
        store = await open_store()
        old = a_call("old")
        await write(store, old)
        for policy in (Policy(), evolve(MONTH, enabled=False)):
            assert await store.prunable(policy, MUCH_LATER_US) == []
            done = await purged(store, policy, MUCH_LATER_US)
            assert (done.segments, done.rows) == (0, 0)
        assert await store.exchange(old.call.id) == old.exchange

    async def test_bodies_go_first_and_readers_learn_since_when(self, open_store: OpenStore) -> None:
        store = await open_store()
        old = a_call("old")
        await write(store, old)
        rev = (await store.call(old.call.id)).rev
        done = await purged(store, MONTH, LATER_US)
        assert (done.segments, done.bodies, done.rows, done.problems) == (1, 1, 0, [])
        assert done.bytes > 0
        assert await store.exchange(old.call.id) is None
        absence = await store.absence(old.call.id)
        assert (absence.reason, absence.since_us) == ("expired", LATER_US)
        row = await store.call(old.call.id)
        assert (row.preview_input, row.preview_output, row.rev) == (None, None, rev)
        assert await collected(store.verify()) == []

    async def test_bodies_within_their_limit_stay(self, open_store: OpenStore) -> None:
        store = await open_store()
        old, young = a_call("old"), a_call("young", days=15)
        await write(store, old, young)
        done = await purged(store, MONTH, LATER_US)
        assert done.segments == 0
        assert await store.exchange(young.call.id) == young.exchange
        assert (await store.call(old.call.id)).preview_input == "old"

    async def test_rows_go_with_all_that_is_theirs(self, open_store: OpenStore) -> None:
        store = await open_store()
        span = ToolSpan(place=0, id="t", name="f", arguments_bytes=1, digest=5)
        old = evolve(a_call("old", metadata={"a": "b"}, tags=("x",)), tools=[span])
        await write(store, old, bare("bodiless"), bare("young", days=95))
        await purged(store, MONTH, LATER_US)
        done = await purged(store, MONTH, MUCH_LATER_US + DAY_US)
        assert done.rows == 2
        assert [call.preview_input for call in await store.find()] == ["young"]
        assert await store.find(parse_filter("metadata.a = 'b' or tags = 'x'")) == []
        assert await collected(store.verify()) == []

    async def test_the_last_row_stays_so_that_its_number_is_not_given_again(self, open_store: OpenStore) -> None:
        store = await open_store()
        await write(store, a_call("one"), a_call("two"))
        await purged(store, MONTH, MUCH_LATER_US)
        assert [call.preview_input for call in await store.find()] == [None]
        new = a_call("new", days=100)
        await write(store, new)
        assert await store.exchange(new.call.id) == new.exchange
        assert await collected(store.verify()) == []

    async def test_a_call_that_runs_stays(self, open_store: OpenStore) -> None:
        store = await open_store()
        await write(store, running(), bare("young", days=100))
        assert (await purged(store, MONTH, MUCH_LATER_US)).rows == 0

    async def test_each_project_has_its_own_limits(self, open_store: OpenStore) -> None:
        policy = evolve(MONTH, projects={"short": Keeping(7, 14), "long": Keeping()})
        store = await open_store()
        usual, short, long = (a_call(name, project=name) for name in ("default", "short", "long"))
        await write(store, usual, short, long)
        done = await purged(store, policy, NOON_US + 10 * DAY_US)
        assert (done.bodies, done.rows) == (1, 0)
        assert await store.exchange(short.call.id) is None
        await purged(store, policy, MUCH_LATER_US)
        assert await store.exchange(usual.call.id) is None
        assert await store.exchange(long.call.id) == long.exchange
        assert [call.project for call in await store.find()] == ["long"]

    async def test_a_body_never_outlives_its_row(self, open_store: OpenStore) -> None:
        store = await open_store()
        old = a_call("old")
        await write(store, old, bare("young", days=99))
        await purged(store, Policy(usual=Keeping(body_days=0, row_days=90)), MUCH_LATER_US)
        assert [call.preview_input for call in await store.find()] == ["young"]
        assert await store.exchange(old.call.id) is None

    # --- what is kept -----------------------------------------------------------------------------

    async def test_a_pinned_call_stays_whole(self, open_store: OpenStore) -> None:
        store = await open_store()
        pinned, other = a_call("pinned"), a_call("other")
        await write(store, pinned, other)
        assert await store.pin([pinned.call.id], NOON_US) == 1
        assert await store.pins() == 1
        done = await purged(store, MONTH, MUCH_LATER_US)
        assert (done.bodies, done.moved, done.rows) == (1, 1, 0)
        assert await store.exchange(pinned.call.id) == pinned.exchange
        assert (await store.call(pinned.call.id)).preview_input == "pinned"
        assert await store.exchange(other.call.id) is None
        assert await collected(store.verify()) == []

    async def test_a_pin_that_is_taken_away_lets_go(self, open_store: OpenStore) -> None:
        store = await open_store()
        first, second = a_call("first"), a_call("second")
        await write(store, first, second, bare("young", days=99))
        where = parse_filter("project = 'default' or status = 'ok'")
        assert where is not None
        assert await store.pin(where, NOON_US) == 3
        await purged(store, MONTH, MUCH_LATER_US)
        assert await store.pin([first.call.id], NOON_US, remove=True) == 1
        await purged(store, MONTH, MUCH_LATER_US)
        assert await store.exchange(first.call.id) is None
        assert await store.exchange(second.call.id) == second.exchange
        assert len(await store.find()) == 2
        assert await collected(store.verify()) == []

    async def test_a_hold_covers_calls_that_come_while_it_stands(self, open_store: OpenStore) -> None:
        store = await open_store()
        await store.hold(a_hold("user = 'ada'"))
        held, other = a_call("held", user="ada"), a_call("other", user="bob")
        await write(store, held, other)
        await purged(store, MONTH, MUCH_LATER_US)
        assert await store.exchange(held.call.id) == held.exchange
        assert [hold.words for hold in await store.holds()] == ["user = 'ada'"]
        assert await store.release("case 7")
        assert not await store.release("case 7")
        await purged(store, MONTH, MUCH_LATER_US)
        assert await store.exchange(held.call.id) is None

    async def test_a_hold_that_is_set_while_a_file_is_emptied_protects(self, open_store: OpenStore) -> None:
        store = await open_store()
        held = [a_call(f"held {number}", user="ada") for number in range(3)]
        pinned = [a_call(f"pinned {number}") for number in range(250)]
        await write(store, *held, *pinned, a_call("other"))
        await store.pin([each.call.id for each in pinned], NOON_US)
        async for done in store.purge(MONTH, MUCH_LATER_US):
            if done.moved and not done.segments and not await store.holds():
                await store.hold(a_hold("user = 'ada'"))
        assert [hold.name for hold in await store.holds()] == ["case 7"]
        assert [await store.exchange(each.call.id) for each in held] == [each.exchange for each in held]
        assert done.bodies == 1

    async def test_a_hold_that_cannot_be_asked_is_refused(self, open_store: OpenStore) -> None:
        store = await open_store()
        await store.hold(a_hold("user = 'ada'"))
        endless = Or(tuple(Comparison("user", "=", f"user {number}") for number in range(40_000)))
        with pytest.raises(QueryError, match="case 7"):
            await store.hold(evolve(a_hold("user = 'bob'"), where=endless))
        assert [hold.words for hold in await store.holds()] == ["user = 'ada'"]
        assert (await purged(store, MONTH, MUCH_LATER_US)).problems == []

    async def test_a_hold_of_unknown_values_is_no_hold_on_all(self, open_store: OpenStore) -> None:
        store = await open_store()
        await store.hold(a_hold("user != 'ada'"))
        unknown = a_call("unknown")
        await write(store, unknown)
        await purged(store, MONTH, LATER_US)
        assert await store.exchange(unknown.call.id) is None

    async def test_calls_to_be_kept_longer_are_moved_when_settings_change(self, open_store: OpenStore) -> None:
        store = await open_store()
        a, b = a_call("a", project="a"), a_call("b", project="b")
        await write(store, a, b)
        policy = Policy(projects={"a": Keeping(body_days=7)})
        done = await purged(store, policy, LATER_US)
        assert (done.bodies, done.moved) == (1, 1)
        assert await store.exchange(a.call.id) is None
        assert await store.exchange(b.call.id) == b.exchange
        assert (await purged(store, policy, LATER_US)).moved == 0
        assert await collected(store.verify()) == []

    # --- before and after ---------------------------------------------------------------------------

    async def test_what_would_go_is_said_by_day_and_project(self, open_store: OpenStore) -> None:
        store = await open_store()
        pinned = a_call("pinned")
        await write(store, pinned, a_call("one"), a_call("two"), a_call("other", project="other"))
        await store.pin([pinned.call.id], NOON_US)
        told = await store.prunable(MONTH, MUCH_LATER_US)
        assert [(each.day, each.project, each.bodies, each.rows, each.kept) for each in told] == [
            ("2026-11-21", "default", 2, 2, 1),
            ("2026-11-21", "other", 1, 0, 0),  # the last row stays
        ]
        assert all(each.bytes > 0 for each in told)
        done = await purged(store, MONTH, MUCH_LATER_US)
        assert (done.bodies, done.rows) == (3, 2)
        (left,) = await store.prunable(MONTH, MUCH_LATER_US)
        assert (left.bodies, left.rows, left.kept) == (0, 0, 1)

    async def test_a_clock_that_is_far_ahead_deletes_nothing_unless_somebody_is_sure(
        self, open_store: OpenStore
    ) -> None:
        store = await open_store()
        old = a_call("old")
        await write(store, old, a_call("young", days=3), a_call("younger", days=3))
        ages_later_us = NOON_US + 3000 * DAY_US
        done = await purged(store, MONTH, ages_later_us)
        assert (done.refused, done.bodies, done.rows, len(done.problems)) == (True, 0, 0, 1)
        assert "2,997 days" in done.problems[0]
        assert await store.exchange(old.call.id) == old.exchange
        *_, done = [each async for each in store.purge(MONTH, ages_later_us, sure=True)]
        assert (done.refused, done.bodies, done.rows, done.problems) == (False, 3, 2, [])
        assert not (await purged(store, MONTH, ages_later_us)).refused  # the last row, which never goes

    async def test_a_purge_that_stops_half_way_is_taken_up_again(self, open_store: OpenStore) -> None:
        store = await open_store()
        await write(store, *(a_call(f"call {number}") for number in range(300)))
        pinned = [call.id for call in await store.find(limit=150)]
        await store.pin(pinned, NOON_US)
        steps = 0
        while True:
            purge = store.purge(MONTH, MUCH_LATER_US)
            got = 0
            async for _ in purge:
                got += 1
                if got > steps:
                    break
            await purge.aclose()  # type: ignore[attr-defined]
            assert await collected(store.verify()) == []
            if got <= steps:
                break
            steps += 1
        assert sorted(call.id for call in await store.find(limit=999)) == sorted(pinned)
        assert None not in [await store.exchange(call_id) for call_id in pinned]
