"""Roll-ups equal the rows: after any changes, for any question, under floods of names; verify finds what does not."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from datetime import UTC, timedelta, timezone, tzinfo
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.query.parse import parse_filter
from proxy.query.tree import Filter
from proxy.records import Call, Status, evolve
from proxy.store.base import EVERY_GROUP, Batch, Layout, ReportRow, StoredCall
from proxy.store.sqlite.files import connect_reader
from proxy.store.sqlite.find import Texts
from proxy.store.sqlite.report import Question, report
from proxy.store.sqlite.rollups.levels import DAY_US, HOUR_US, LEVELS, MINUTE_US
from proxy.store.sqlite.rollups.spreads import bucket, changed, counts_of, merged, value_of
from proxy.store.sqlite.store import SqliteStore
from proxy.store.sqlite.sums import percentile
from tests.store.samples import NOON_US, an_id, collected, ended, running, write

EVERYTHING = 1 << 62  #: calls: so few are always read from the rows
TIMES = ("latency_p50_us", "latency_p95_us", "latency_p99_us", "ttft_p50_us", "ttft_p95_us", "ttft_p99_us")
SPEEDS = ("tokens_per_s_p50", "tokens_per_s_p5")
APPROXIMATE = {*TIMES, *SPEEDS, "first_us", "last_us", "approximate"}
MIDNIGHT_US = NOON_US - 12 * HOUR_US


def now_us() -> int:
    """A day after noon."""
    return NOON_US + DAY_US


@contextmanager
def main_db(data: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(data / "store" / "main.db", isolation_level=None)) as connection:
        yield connection


@asynccontextmanager
async def opened(data: Path, clock: Callable[[], int] = now_us) -> AsyncIterator[SqliteStore]:
    store = await SqliteStore.open(data, now_us=clock)
    try:
        yield store
    finally:
        await store.close()


async def recounted(store: SqliteStore) -> int:
    """Count everything again; how many sums were wrong."""
    step = await store.recount()
    differences = step.differences
    while not step.done:
        step = await store.recount(step.after)
        differences += step.differences
    return differences


def answer(data: Path, *by: str, layout: Layout = EVERY_GROUP, exact_below: int = 0, **asked: Any) -> list[ReportRow]:
    """A report, from roll-ups whenever they can answer."""
    question = Question(
        **{"by": by, "since_us": None, "until_us": None, "where": None, "zone": UTC, "every": False, **asked},
        exact_below=exact_below,
    )
    with closing(connect_reader(data / "store" / "main.db")) as connection:
        return report(connection, Texts(), question, layout)


def same(rolled: list[ReportRow], scanned: list[ReportRow]) -> None:
    """Sums are equal, percentiles within 3 %, the first and the last call in the same hour or day."""
    assert {row.group for row in rolled} == {row.group for row in scanned}
    exact = {row.group: row for row in scanned}
    for row in rolled:
        other = exact[row.group]
        for name in ReportRow.__struct_fields__:
            if name not in APPROXIMATE:
                assert getattr(row, name) == getattr(other, name), name
        for name in (*TIMES, *SPEEDS):
            assert near(getattr(row, name), getattr(other, name), 1000), name
        assert (row.first_us or 0) <= (other.first_us or 0)
        assert (row.last_us or 0) >= (other.last_us or 0)


def near(rolled: float | None, exact: float | None, slack: float = 1) -> bool:
    if rolled is None or exact is None:
        return rolled is exact
    return abs(rolled - exact) <= max(0.03 * exact, slack)


# --- spreads -----------------------------------------------------------------------------------------

buckets = st.lists(st.integers(0, 255), max_size=150)


@given(st.lists(st.tuples(buckets, st.integers(0, 150)), max_size=6))
def test_a_spread_is_the_same_in_whatever_order_values_come_and_go(acts: list[tuple[list[int], int]]) -> None:
    packed, left = None, list[int]()
    for more, less in acts:
        left += more
        gone, left = left[:less], left[less:]
        packed = changed(packed, bytes(more), bytes(gone))
    assert counts_of(packed) == Counter(left)
    assert (packed is None) == (not left)


@given(st.lists(st.integers(1_000, 3 * 10**9), min_size=1, max_size=300))
def test_percentiles_are_within_three_percent(some: list[int]) -> None:
    spread = merged([changed(None, bytes(bucket(value / 1000) for value in some), b"")])
    ordered = sorted(some)
    for percent, found in zip((5, 50, 95, 99), spread.percentiles((5, 50, 95, 99)), strict=True):
        assert near((found or 0) * 1000, percentile(ordered, percent))


def test_buckets_hold_what_they_say() -> None:
    for value in (1, 2, 10, 999, 10**6, 3 * 10**6):
        assert abs(value_of(bucket(value)) - value) <= 0.03 * value
    assert [bucket(value) for value in (0, -5, 0.9, 10**7, 1e308, float("inf"))] == [0, 0, 0, 255, 255, 255]


def test_few_values_take_a_byte_each_and_many_no_more_than_their_buckets() -> None:
    assert len(changed(None, bytes(range(200, 230)), b"") or b"") == 31
    assert len(changed(None, bytes(100 + number % 40 for number in range(10_000)), b"") or b"") == 2 + 40


@pytest.mark.parametrize("packed", [b"", b"\x03abc", b"\x01", b"\x01\xff\x01\x01", b"\x02\x00\x01"])
def test_a_damaged_spread_counts_as_nothing(packed: bytes) -> None:
    assert merged([packed]).percentiles((50,)) == [None]
    assert counts_of(changed(packed, b"\x07", b"")) == {7: 1}


# --- any changes, any questions -----------------------------------------------------------------------

_names = st.sampled_from(["a", "b", "a-2025-08-07", None])
_counts = st.integers(0, 1000) | st.just(2**62) | st.none()
_durations = st.integers(0, 3 * 10**9) | st.none()
calls = st.fixed_dictionaries(
    {
        "started_at_us": st.integers(MIDNIGHT_US - DAY_US, MIDNIGHT_US + 2 * DAY_US)
        | st.sampled_from([MIDNIGHT_US, MIDNIGHT_US - 1, NOON_US]),
        "status": st.sampled_from([*Status]),
        "project": st.sampled_from(["p", "q"]),
        "upstream": st.sampled_from(["u", None]),
        "model": _names,
        "model_requested": _names,
        "key": st.sampled_from(["k", "l", None]),
        "user": st.sampled_from(["ada", "bob", None]),
        "excluded": st.sampled_from([None, None, "path"]),
        "latency_us": _durations,
        "ttft_us": _durations,
        "tokens_per_s": st.floats(0.01, 1000) | st.none(),
        "input_tokens": _counts,
        "output_tokens": _counts,
        "cached_tokens": _counts,
        "cost_nano_usd": _counts,
    }
)
steps = st.lists(
    st.tuples(
        st.sampled_from(["write", "rewrite", "interrupt"]), st.lists(st.tuples(st.integers(0, 9), calls), max_size=6)
    ),
    min_size=1,
    max_size=8,
)
groups = st.lists(
    st.sampled_from(
        ["day", "hour", "minute", "week", "month", "model", "project", "upstream", "status", "key", "user", "dialect"]
    ),
    max_size=3,
    unique=True,
)
filters = st.sampled_from(
    [
        None,
        "model = 'a'",
        "model != 'b'",
        "status in ('ok', 'error')",
        "not (project = 'p' and upstream is null)",
        "key = 'k' or status = 'running'",
        "user like 'a%'",
        "excluded is not null",
        "tags has 'x'",
    ]
)
zones = st.sampled_from([UTC, timezone(timedelta(hours=2)), timezone(timedelta(hours=5, minutes=30))])
edges = (
    st.none()
    | st.integers(MIDNIGHT_US - DAY_US, MIDNIGHT_US + 2 * DAY_US)
    | st.sampled_from([MIDNIGHT_US, MIDNIGHT_US + DAY_US, NOON_US, NOON_US + 1])
)


async def play(data: Path, acts: list[tuple[str, list[tuple[int, dict[str, Any]]]]]) -> list[str]:
    """Do it all; what verify says."""
    ids = [an_id() for _ in range(10)]
    async with opened(data) as store:
        for act, some in acts:
            stored = [stored_call(ids[number], fields) for number, fields in some]
            if act == "write":
                await store.write(Batch(calls=stored))
            elif act == "rewrite":
                await store.rewrite([each for each in stored if each.call.status != Status.RUNNING])
            else:
                await store.interrupt_running([], NOON_US)
        return await collected(store.verify())


def stored_call(call_id: str, fields: dict[str, Any]) -> StoredCall:
    return running(call_id, **fields) if fields["status"] == Status.RUNNING else ended(call_id, **fields)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    acts=steps,
    questions=st.lists(st.tuples(groups, filters, zones, edges, edges, st.booleans()), min_size=5, max_size=10),
)
def test_what_roll_ups_say_is_what_the_rows_say(
    acts: list[Any], questions: list[tuple[list[str], str | None, tzinfo, int | None, int | None, bool]]
) -> None:
    with TemporaryDirectory() as folder:
        data = Path(folder)
        assert asyncio.run(play(data, acts)) == []
        for by, where, zone, since_us, until_us, every in questions:
            tree = parse_filter(where) if where else None
            asked: dict[str, Any] = {
                "since_us": since_us,
                "until_us": until_us,
                "where": tree,
                "zone": zone,
                "every": every,
            }
            same(answer(data, *by, **asked), answer(data, *by, **asked, exact_below=EVERYTHING))


# --- what is answered from where ------------------------------------------------------------------------


@pytest.fixture
async def data(tmp_path: Path) -> Path:
    """Two days of calls, one every ten minutes."""
    async with opened(tmp_path) as store:
        await write(store, *some_calls())
    return tmp_path


def some_calls() -> list[StoredCall]:
    return [
        ended(
            started_at_us=MIDNIGHT_US + number * 10 * MINUTE_US,
            model="ab"[number % 2],
            key="kl"[number % 2],
            project="p",
            user=f"u{number % 3}",
            status="error" if number % 10 == 0 else "ok",
            latency_us=1000 * (number + 1),
            cost_nano_usd=number,
        )
        for number in range(288)
    ]


@pytest.mark.parametrize(
    ("by", "asked", "rolled"),
    [
        (["day", "model"], {}, True),
        (["hour", "project"], {}, True),
        (["key"], {"where": parse_filter("model = 'a' and status = 'ok'")}, True),
        (["user"], {"since_us": MIDNIGHT_US}, True),
        (["model"], {"since_us": NOON_US + 1}, True),
        (["day"], {"zone": timezone(timedelta(hours=-3))}, True),
        (["day"], {"zone": timezone(timedelta(hours=5, minutes=30))}, True),
        (["day", "key"], {"zone": timezone(timedelta(hours=-3))}, False),
        (["hour"], {"zone": timezone(timedelta(hours=5, minutes=30))}, False),
        (["user", "model"], {}, False),
        (["stream"], {}, False),
        (["model"], {"where": parse_filter("latency_ms > 10")}, False),
        (["model"], {"where": parse_filter("metadata.a is null")}, False),
    ],
)
async def test_roll_ups_answer_what_they_can(data: Path, by: list[str], asked: dict[str, Any], rolled: bool) -> None:
    rows = answer(data, *by, **asked)
    assert rows
    assert all(row.approximate == rolled for row in rows)
    same(rows, answer(data, *by, **asked, exact_below=EVERYTHING))


async def test_few_calls_are_read_and_exact(data: Path) -> None:
    (row,) = answer(data, exact_below=20_000)
    assert (row.approximate, row.latency_p50_us) == (False, 144_000)


async def test_the_first_and_last_call_of_all_are_known_exactly(data: Path) -> None:
    (row,) = answer(data, where=parse_filter("model = 'b'"))
    assert row.approximate
    assert (row.first_us, row.last_us) == (MIDNIGHT_US + 10 * MINUTE_US, MIDNIGHT_US + 287 * 10 * MINUTE_US)


async def test_pictures_over_time_come_from_roll_ups(data: Path) -> None:
    layout = Layout(edges_us=tuple(MIDNIGHT_US + place * 6 * HOUR_US for place in range(8)))
    rolled, scanned = (answer(data, "model", layout=layout, exact_below=below) for below in (0, EVERYTHING))
    assert all(row.approximate for row in rolled)
    same(rolled, scanned)
    assert sum(bins[2] for row in rolled for bins in row.series) == 29


@pytest.mark.parametrize(("step_us", "count"), [(MINUTE_US, 2000), (7 * MINUTE_US, 300), (HOUR_US, 48), (DAY_US, 2)])
@pytest.mark.parametrize("where", [None, parse_filter("model = 'a'"), parse_filter("key = 'k'")])
async def test_a_histogram_counts_calls_and_errors(data: Path, step_us: int, count: int, where: Filter | None) -> None:
    async with opened(data) as store:
        first_us, end_us = MIDNIGHT_US + step_us // 7, MIDNIGHT_US + step_us // 7 + count * step_us
        bins = await store.histogram([first_us + place * step_us for place in range(count)], end_us, where)
    assert len(bins) == count
    expected = [[0, 0] for _ in range(count)]
    for stored in some_calls():
        call = stored.call
        if first_us <= call.started_at_us < end_us and (where is None or call.model == "a"):
            place = (call.started_at_us - first_us) // step_us
            expected[place][0] += 1
            expected[place][1] += call.status == "error"
    assert [[found.calls, found.errors] for found in bins] == expected


# --- bounds ----------------------------------------------------------------------------------------------


async def test_floods_of_names_are_bounded_and_still_counted(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        most = LEVELS[4].combos_most
        for start in range(0, most + 500, 500):
            await write(store, *(ended(user=f"u{number}", model=f"m{number}") for number in range(start, start + 500)))
        late = [ended(user="late", status="error", cost_nano_usd=7, latency_us=5), running(user="late", model="x")]
        await write(store, *late)
        await write(store, ended(late[1].call.id, user="late", cost_nano_usd=9))
        assert await collected(store.verify()) == []
    with main_db(tmp_path) as main:
        for level, rows in main.execute("SELECT level, count(*) FROM rollup GROUP BY level"):
            assert rows <= LEVELS[level].combos_most + 1
        assert main.execute("SELECT count(*) FROM rollup_combo").fetchone()[0] < 4 * most
    for by in (["user"], ["model"], ["day"], []):
        same(answer(tmp_path, *by), answer(tmp_path, *by, exact_below=EVERYTHING))
    assert answer(tmp_path, "day")[0].approximate
    assert not answer(tmp_path, "user")[0].approximate  # those counted together cannot be told apart


async def test_old_minutes_go_and_late_calls_do_not_bring_them_back(tmp_path: Path) -> None:
    clock = [NOON_US]
    async with opened(tmp_path, lambda: clock[0]) as store:
        await write(store, *(ended(started_at_us=NOON_US + number * MINUTE_US) for number in range(200)))
        clock[0] += 4 * DAY_US
        for number in range(4):
            await write(store, ended(started_at_us=NOON_US + number * MINUTE_US), ended(started_at_us=clock[0]))
        assert await collected(store.verify()) == []
        bins = await store.histogram([NOON_US + place * MINUTE_US for place in range(200)], NOON_US + 200 * MINUTE_US)
        assert [found.calls for found in bins] == [2] * 4 + [1] * 196
        clock[0] = NOON_US + HOUR_US  # the clock is set back
        await write(store, ended(started_at_us=clock[0]))
        await recounted(store)
        assert await collected(store.verify()) == []
    with main_db(tmp_path) as main:
        assert main.execute("SELECT count(*) FROM rollup WHERE level = 9").fetchone()[0] == 201


# --- verify and recount -----------------------------------------------------------------------------------

DAMAGES = [
    (
        "UPDATE rollup SET calls = calls + 1 WHERE level = 2 AND combo % 2",
        "calls",
    ),
    ("UPDATE rollup SET cost_nano_usd = 'x' WHERE level = 1", "cost_nano_usd"),
    ("DELETE FROM rollup WHERE level = 8", "calls 0"),
    ("UPDATE rollup SET latency_us = x'0100' WHERE level = 3", "latency_us"),
    ("UPDATE rollup SET latency_us = x'ff' WHERE level = 3", "latency_us"),
    ("DELETE FROM rollup_combo", "lost"),
    ("UPDATE rollup SET span = span + 1000 WHERE level = 6", "by the rows 0"),
    (
        "INSERT INTO rollup SELECT level, span, 0, 5, 0,0,0,0,0,0,0,0,0, NULL, NULL, NULL FROM rollup WHERE level = 1",
        "others",
    ),
]


@pytest.mark.parametrize(("damage", "said"), DAMAGES)
async def test_what_is_wrong_is_found_and_mended(data: Path, damage: str, said: str) -> None:
    with main_db(data) as main:
        assert main.execute(damage).rowcount
    async with opened(data) as store:
        problems = await collected(store.verify())
        assert any(said in problem for problem in problems)
        await write(store, ended(model="a"))  # what is damaged stops nobody
        assert await recounted(store)
        assert await collected(store.verify()) == []
    same(answer(data, "day", "model"), answer(data, "day", "model", exact_below=EVERYTHING))


async def test_verify_says_which_sum_differs_and_by_how_much(data: Path) -> None:
    with main_db(data) as main:
        main.execute("UPDATE rollup SET errors = 99 WHERE level = 1 AND span = ?", (NOON_US // DAY_US,))
    async with opened(data) as store:
        (problem,) = await collected(store.verify())
    assert problem == "roll-up of the day 2026-11-21T00:00:00.000000Z by excluded (all): errors 99, by the rows 15"


async def test_a_recount_goes_on_while_calls_are_written(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await write(store, *(running(started_at_us=NOON_US + number) for number in range(100)))
        before = [ended(started_at_us=NOON_US + number, model=f"m{number % 7}") for number in range(12_000)]
        for start in range(0, len(before), 1000):
            await write(store, *before[start : start + 1000])
        with main_db(tmp_path) as main:
            main.execute("DELETE FROM rollup")
        step, steps = await store.recount(), 0
        while not step.done:
            steps += 1
            again = [evolve(stored, call=repriced(stored.call, steps)) for stored in before[:: 1000 + steps]]
            await store.rewrite(again)
            await write(store, ended(started_at_us=NOON_US + 11_000), ended(started_at_us=NOON_US))
            await store.interrupt_running([], NOON_US)
            step = await store.recount(step.after)
        assert steps > 2
        assert await collected(store.verify()) == []


def repriced(call: Call, nano_usd: int) -> Call:
    return evolve(call, cost_nano_usd=nano_usd)


async def test_rows_of_an_older_version_are_counted_when_the_store_is_opened(data: Path) -> None:
    with main_db(data) as main:
        main.execute("DELETE FROM rollup")
        main.execute("UPDATE rollup_state SET built = 0")
    assert not answer(data, "model")[0].approximate
    async with opened(data) as store:
        assert await collected(store.verify()) == []
    assert answer(data, "model")[0].approximate


async def test_sums_outlive_rows_that_retention_deletes(data: Path) -> None:
    with main_db(data) as main:
        day = NOON_US // DAY_US
        gone = main.execute("DELETE FROM call WHERE started_at_us < ? AND id % 2", (NOON_US,)).rowcount
        main.execute("INSERT INTO thinned (day, calls, last_us) VALUES (?, ?, ?)", (day, gone, NOON_US))
    async with opened(data) as store:
        await recounted(store)
        assert await collected(store.verify()) == []
        assert [row.calls for row in await store.report(["day"])] == [144, 144]
    with main_db(data) as main:
        main.execute("UPDATE rollup SET calls = 3 WHERE level = 1 AND span = ?", (day,))
    async with opened(data) as store:
        (problem,) = await collected(store.verify())
    assert "calls 3, by the rows" in problem
    assert "deleted" in problem
