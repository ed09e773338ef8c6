"""What every engine must say in reports: sums, percentiles, groups, order, and pictures over time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo

import pytest

from proxy.errors import QueryError
from proxy.query.parse import parse_filter
from proxy.store.base import Bin, Layout, ReportRow, Store
from tests.store.samples import DAY_US, NOON_US, ended, running, write

OpenStore = Callable[[], Awaitable[Store]]
HOUR_US = 3_600_000_000


def groups(rows: list[ReportRow]) -> list[str | None]:
    """The only name of each group."""
    return [name for row in rows for name in row.group]


class Autumn(tzinfo):
    """Clocks go back from 14:00 to 13:00 on 2026-11-21, at noon UTC."""

    def utcoffset(self, at: datetime | None) -> timedelta | None:
        if at is None:
            return None
        wall, back = at.replace(tzinfo=UTC, fold=0), datetime(2026, 11, 21, 13, tzinfo=UTC)
        return timedelta(hours=2 if wall < back or (wall < back + timedelta(hours=1) and not at.fold) else 1)

    def fromutc(self, at: datetime) -> datetime:
        since = at.replace(tzinfo=UTC) - datetime(2026, 11, 21, 12, tzinfo=UTC)
        before = since < timedelta()
        return (at + timedelta(hours=2 if before else 1)).replace(fold=int(not before and since < timedelta(hours=1)))

    def tzname(self, at: datetime | None) -> None:
        return None

    def dst(self, at: datetime | None) -> None:
        return None


class ReportsContract:
    """Reports."""

    async def test_a_report_sums_what_is_known(self, open_store: OpenStore) -> None:
        store = await open_store()
        await write(
            store,
            *(ended(model="a", latency_us=number, input_tokens=1, cost_nano_usd=10) for number in range(1, 101)),
            ended(model="a", status="error", output_tokens=7, cached_tokens=2, reasoning_tokens=3, ttft_us=9),
            ended(model="b", status="truncated"),
            running(model="b"),
        )
        top, rest = await store.report(["model"])
        assert (top.group, top.calls, top.errors, top.input_tokens, top.output_tokens) == (("a",), 101, 1, 100, 7)
        assert (top.cached_tokens, top.reasoning_tokens) == (2, 3)
        assert (top.cost_nano_usd, top.calls_with_cost, top.calls_without_cost) == (1000, 100, 1)
        assert (top.latency_p50_us, top.latency_p95_us, top.latency_p99_us) == (50, 95, 99)
        assert (top.ttft_p50_us, top.ttft_p99_us) == (9, 9)
        assert (rest.group, rest.calls, rest.errors, rest.calls_without_cost) == (("b",), 2, 1, 0)  # no tokens
        assert rest.latency_p50_us is None
        (everything,) = await store.report([])
        assert (everything.group, everything.calls) == ((), 103)
        assert [row.calls for row in await store.report(["model"], where=parse_filter("status = 'running'"))] == [1]

    async def test_reports_by_time(self, open_store: OpenStore) -> None:
        store = await open_store()
        offsets = (0, 11 * 3_600_000_000 + 119_999_999, DAY_US, 9 * DAY_US + DAY_US // 2)
        await write(store, *(ended(started_at_us=NOON_US + offset, stream=bool(offset)) for offset in offsets))
        for by, expected in {
            "minute": ["2026-11-21 12:00", "2026-11-21 23:01", "2026-11-22 12:00", "2026-12-01 00:00"],
            "hour": ["2026-11-21 12:00", "2026-11-21 23:00", "2026-11-22 12:00", "2026-12-01 00:00"],
            "day": ["2026-11-21", "2026-11-22", "2026-12-01"],
            "week": ["2026-11-16", "2026-11-30"],
            "month": ["2026-11", "2026-12"],
        }.items():
            assert [row.group for row in await store.report([by])] == [(label,) for label in expected]
        india = timezone(timedelta(hours=5, minutes=30))
        assert [row.group for row in await store.report(["day"], zone=india)] == [
            ("2026-11-21",),
            ("2026-11-22",),
            ("2026-12-01",),
        ]
        assert [row.calls for row in await store.report(["day"], zone=india)] == [1, 2, 1]
        assert [row.group for row in await store.report(["day", "stream"], since_us=NOON_US + 1)] == [
            ("2026-11-21", "true"),
            ("2026-11-22", "true"),
            ("2026-12-01", "true"),
        ]
        assert datetime.fromtimestamp(NOON_US / 1e6, UTC).hour == 12

    async def test_groups_that_are_none(self, open_store: OpenStore) -> None:
        store = await open_store()
        await write(store, ended(http_status=200), ended())
        assert {row.group for row in await store.report(["http_status", "user"])} == {("200", None), (None, None)}
        with pytest.raises(QueryError, match="did you mean model"):
            await store.report(["modle"])
        with pytest.raises(QueryError, match="latency_ms"):
            await store.report(["latency_ms"])

    async def test_a_report_sums_beyond_64_bits(self, open_store: OpenStore) -> None:
        store = await open_store()
        most = 2**63 - 1
        await write(store, *(ended(input_tokens=most, output_tokens=-3, cost_nano_usd=most) for _ in range(3)))
        (row,) = await store.report(["status"])
        assert (row.input_tokens, row.output_tokens, row.cost_nano_usd) == (3 * most, -9, 3 * most)

    async def test_a_report_says_how_fast_tokens_came_and_when(self, open_store: OpenStore) -> None:
        store = await open_store()
        await write(
            store, *(ended(tokens_per_s=number / 2, started_at_us=NOON_US + number) for number in range(1, 101))
        )
        await write(store, ended(cache_write_tokens=7))
        (row,) = await store.report([])
        assert (row.tokens_per_s_p50, row.tokens_per_s_p5) == (25, 2.5)
        assert (row.first_us, row.last_us, row.cache_write_tokens) == (NOON_US, NOON_US + 100, 7)

    async def test_a_report_ends_before_its_end(self, open_store: OpenStore) -> None:
        store = await open_store()
        await write(store, *(ended(started_at_us=NOON_US + number) for number in range(4)))
        (row,) = await store.report([], NOON_US + 1, until_us=NOON_US + 3)
        assert row.calls == 2

    async def test_excluded_calls_are_out_unless_they_are_asked_for(self, open_store: OpenStore) -> None:
        store = await open_store()
        await write(store, ended(), ended(excluded="path"))
        assert [row.calls for row in await store.report([])] == [1]
        assert [row.calls for row in await store.report([], every=True)] == [2]
        assert groups(await store.report(["excluded"], where=parse_filter("excluded is not null"))) == ["path"]

    async def test_a_call_counts_in_the_group_of_each_of_its_tags(self, open_store: OpenStore) -> None:
        store = await open_store()
        await write(
            store, ended(tags=("a", "b"), cost_nano_usd=5), ended(tags=("b", 'b"'), cost_nano_usd=3), ended(), ended()
        )
        assert {row.group: (row.calls, row.cost_nano_usd) for row in await store.report(["tag"])} == {
            ("a",): (1, 5),
            ("b",): (2, 8),
            ('b"',): (1, 3),
            (None,): (2, 0),
        }
        assert [row.calls for row in await store.report([])] == [4]

    @pytest.mark.parametrize("key", ["team", "it's", 'a"b', "$.x", "[0]", "ü", "a.b", "\\", "Team\n"])
    async def test_reports_by_metadata_of_any_name(self, open_store: OpenStore, key: str) -> None:
        store = await open_store()
        await write(
            store,
            ended(metadata={key: "red", "other": "x"}),
            ended(metadata={key: "red", "x": "y"}),
            ended(metadata={f"{key}2": "red"}),
            ended(),
        )
        rows = {row.group: row.calls for row in await store.report([f"metadata.{key}", "stream"])}
        assert rows == {("red", None): 2, (None, None): 2}

    async def test_an_hour_that_comes_twice_is_two_hours(self, open_store: OpenStore) -> None:
        store = await open_store()
        await write(store, *(ended(started_at_us=NOON_US + number * HOUR_US) for number in (-2, -1, 0, 1)))
        assert groups(await store.report(["hour"], zone=Autumn())) == [
            "2026-11-21 12:00",
            "2026-11-21 13:00+0200",
            "2026-11-21 13:00+0100",
            "2026-11-21 14:00",
        ]

    @pytest.mark.parametrize(
        ("order", "expected"),
        [("cost", "cba"), ("calls", "abc"), ("errors", "bac"), ("tokens", "bca"), ("latency", "cab")],
    )
    async def test_the_largest_comes_first(self, open_store: OpenStore, order: str, expected: str) -> None:
        store = await open_store()
        await write(
            store,
            *(ended(user="a", cost_nano_usd=1, latency_us=5) for _ in range(3)),
            *(ended(user="b", status="error", output_tokens=9, latency_us=1, cost_nano_usd=2) for _ in range(2)),
            ended(user="c", cost_nano_usd=8, input_tokens=8, latency_us=6),
        )
        assert groups(await store.report(["user"], layout=Layout(order=order))) == list(expected)

    async def test_groups_beyond_the_limit_stand_together(self, open_store: OpenStore) -> None:
        store = await open_store()
        calls = [ended(user=f"u{number}", cost_nano_usd=number, latency_us=10 * number) for number in range(1, 6)]
        await write(store, *calls)
        first, second, rest = await store.report(["user"], layout=Layout(limit=2))
        assert (first.group, second.group, rest.group) == (("u5",), ("u4",), (None,))
        assert (rest.merged, rest.calls, rest.cost_nano_usd) == (3, 3, 6)
        assert (rest.latency_p50_us, rest.latency_p99_us) == (20, 30)
        assert first.merged == 0
        assert [row.merged for row in await store.report(["user"], layout=Layout(limit=4))] == [0] * 5  # one is no rest
        kept = await store.report(["user"], layout=Layout(keep=frozenset({("u1",)})))
        assert [(row.group, row.merged) for row in kept] == [(("u1",), 0), ((None,), 4)]

    async def test_each_group_has_its_calls_and_cost_over_time(self, open_store: OpenStore) -> None:
        store = await open_store()
        edges = (NOON_US, NOON_US + HOUR_US, NOON_US + 3 * HOUR_US)  # of unequal length, as days are
        at = (-5, 0, HOUR_US - 1, HOUR_US, 2 * HOUR_US, 3 * HOUR_US, 99 * HOUR_US)
        await write(store, *(ended(user="a", started_at_us=NOON_US + offset, cost_nano_usd=2) for offset in at))
        await write(store, ended(user="b", started_at_us=NOON_US + 3 * HOUR_US, status="error"))
        a, b = await store.report(["user"], layout=Layout(edges_us=edges))
        assert (a.series, b.series) == (((3, 6, 0), (2, 4, 0), (2, 4, 0)), ((0, 0, 0), (0, 0, 0), (1, 0, 1)))
        one, _ = await store.report(["status"], layout=Layout(edges_us=edges[:1]))
        assert one.series == ((7, 14, 0),)

    async def test_a_report_without_percentiles_has_all_sums(self, open_store: OpenStore) -> None:
        store = await open_store()
        await write(
            store, *(ended(model="a", latency_us=5, ttft_us=2, tokens_per_s=3.0, cost_nano_usd=2) for _ in "ab")
        )
        (row,) = await store.report(["model"], layout=Layout(percentiles=False))
        assert (row.calls, row.cost_nano_usd) == (2, 4)
        assert (row.latency_p50_us, row.ttft_p50_us, row.tokens_per_s_p50) == (None, None, None)

    async def test_a_histogram_has_a_bin_for_each_edge(self, open_store: OpenStore) -> None:
        store = await open_store()
        edges = [NOON_US + place * HOUR_US for place in range(3)]
        assert await store.histogram(edges) == [Bin(0, 0, 0)] * 3
        assert await store.histogram([]) == []
        await write(
            store,
            ended(started_at_us=NOON_US - 1),
            ended(started_at_us=NOON_US, cost_nano_usd=7),
            ended(started_at_us=NOON_US + HOUR_US, status="error"),
            ended(started_at_us=NOON_US + HOUR_US + 1, user="ada", excluded="path"),
            ended(started_at_us=NOON_US + 9 * HOUR_US, user="ada"),
        )
        assert await store.histogram(edges) == [Bin(1, 7, 0), Bin(1, 0, 1), Bin(1, 0, 0)]
        assert await store.histogram(edges, edges[2]) == [Bin(1, 7, 0), Bin(1, 0, 1), Bin(0, 0, 0)]
        ada = parse_filter("user = 'ada'")
        assert await store.histogram(edges, None, ada, every=True) == [Bin(0, 0, 0), Bin(1, 0, 0), Bin(1, 0, 0)]
