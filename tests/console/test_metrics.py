"""What Prometheus is told: read back by a strict parser, over real sockets, from a real store and real gauges."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from proxy.clock import monotonic_us, wall_us
from proxy.console.metrics.exposition import (
    CONTENT_TYPE,
    LABEL_MOST,
    Family,
    Metric,
    Sample,
    exposition,
)
from proxy.console.metrics.processes import NOT_SHOWN, SHOWN
from proxy.console.metrics.tally import MOST, OTHER, UNKNOWN, Tally, window
from proxy.datadir import prepare
from proxy.gauges import STALE_US, VITALS, Gauges
from proxy.records import evolve
from proxy.store.base import ReportRow, StoredCall
from proxy.store.sqlite.reader import SqliteReader
from proxy.store.sqlite.store import SqliteStore
from scripts.metrics_table import TABLE, document, metrics
from tests.cli.recorded import exchanged, new_call
from tests.console.serving import Console

HOSTILE = [
    'quote"',
    "back\\slash",
    "new\nline",
    "\\n",
    '"} 1\nllmtap_up{role="relay-0"} 7\n# HELP x ',
    "{}=,# ",
    "\r\t\x00\x85\u2028",
    "ünï 模型 🦙",
]
Labels = tuple[tuple[str, str], ...]


# --- a strict reader of the format ------------------------------------------------------------------------


class Read(Struct):
    """A metric as it was read."""

    kind: str
    help: str
    samples: dict[Labels, float]


_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\]|\\["\\n])*"'
_SAMPLE = re.compile(rf"({_NAME})(?:\{{({_LABEL}(?:,{_LABEL})*)\}})? ([0-9]+(?:\.[0-9]+)?)")
_ESCAPES = {"\\\\": "\\", "\\n": "\n", '\\"': '"'}


def parsed(text: str) -> dict[str, Read]:
    """Metrics by name. Raises AssertionError for whatever the format does not allow, and for what is said twice."""
    found: dict[str, Read] = {}
    lines = iter(text.removesuffix("\n").split("\n"))
    assert text.endswith("\n")
    name = ""
    for line in lines:
        if line.startswith("#"):
            name, help_ = re.fullmatch(rf"# HELP ({_NAME}) ((?:[^\\]|\\[\\n])+)", line).groups()  # type: ignore[union-attr]
            kind = re.fullmatch(rf"# TYPE {name} (counter|gauge)", next(lines))
            assert kind is not None, line
            assert name not in found, f"{name} is described twice"
            found[name] = Read(kind[1], help_, {})
            continue
        sample = _SAMPLE.fullmatch(line)
        assert sample is not None, line
        assert sample[1] == name, "samples stand behind the metric's own lines"
        labels = tuple(
            (key, re.sub(r"\\.", lambda escape: _ESCAPES[escape[0]], value[1:-1]))
            for key, _, value in (each.partition("=") for each in re.findall(_LABEL, sample[2] or ""))
        )
        assert labels not in found[name].samples, line
        found[name].samples[labels] = float(sample[3])
    assert all(read.samples for read in found.values())
    return found


async def scraped(console: Console, **headers: str) -> dict[str, Read]:
    async with console.client.get("/metrics", headers=headers) as response:
        text = (await response.read()).decode()
        assert response.status == 200, text
        assert response.headers["Content-Type"] == CONTENT_TYPE
    return parsed(text)


def by_label(read: Read) -> dict[str, float]:
    """Of a metric with one label."""
    return {value: number for ((_, value),), number in read.samples.items()}


@pytest.fixture
async def console(tmp_path: Path) -> AsyncIterator[Console]:
    async with Console(tmp_path / "data") as made:
        yield made


@contextmanager
def running(console: Console, name: str, **vitals: int) -> Iterator[Gauges]:
    """A process that is up, by its gauges."""
    gauges = Gauges.create(prepare(console.data) / "run" / f"{name}.gauges", VITALS)
    now = {"heartbeat_us": monotonic_us(), "started_at_us": wall_us(), "ready": 1}
    for vital, value in (now | vitals).items():
        gauges[vital] = value
    try:
        yield gauges
    finally:
        gauges.close()


# --- the format ----------------------------------------------------------------------------------------------


@given(st.text(), st.text(), st.integers(0, 2**80), st.sampled_from([0, 6, 9]))
def test_whatever_a_label_holds_comes_back(one: str, other: str, value: int, digits: int) -> None:
    metric = Metric(name="a_b", kind="gauge", help="A\\b\nc.", labels=("x", "y"), digits=digits)
    read = parsed(exposition([Family(metric, [Sample((one, other), value)])]).decode())["a_b"]
    replaced = [text.encode("utf-8", "replace").decode() for text in (one, other)]
    assert read.samples == {(("x", replaced[0]), ("y", replaced[1])): float(value) / 10**digits}
    assert read.help == "A\\\\b\\nc."


def test_a_metric_without_samples_is_left_out() -> None:
    assert exposition([Family(Metric(name="a", kind="gauge", help="A."), [])]) == b""


@pytest.mark.parametrize("text", ['a{b="c""} 1\n', "a 1\n", "# HELP a b\n# TYPE a gauge\na -1\n", "# HELP a b\na 1\n"])
def test_the_reader_of_this_file_is_strict(text: str) -> None:
    with pytest.raises((AssertionError, AttributeError)):
        parsed(text)


# --- names -----------------------------------------------------------------------------------------------------


def test_names_follow_the_customs_and_say_their_unit() -> None:
    names = [metric.name for metric in metrics()]
    assert len(set(names)) == len(names)
    for metric in metrics():
        assert re.fullmatch(r"llmtap_[a-z_]+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert re.fullmatch(r"[A-Z0-9].*\.", metric.help)
        if metric.digits == 6:
            assert metric.name.endswith("_seconds")


def test_every_vital_is_shown_or_has_a_reason_not_to_be() -> None:
    shown = {each.vital for each in SHOWN}
    assert shown | NOT_SHOWN == set(VITALS), "give the new vital a line in proxy/console/metrics/processes.py"
    assert not shown & NOT_SHOWN


def test_the_document_is_what_the_tables_say() -> None:
    assert TABLE.read_text(encoding="utf-8") == document(), "run make metrics-table"


# --- processes -------------------------------------------------------------------------------------------------


async def test_each_process_says_how_it_is(console: Console) -> None:
    began = wall_us()
    with (
        running(console, "relay-0", calls_accepted=12, calls_running=3, calls_lost=1, journal_worst_write_us=1_500),
        running(console, "ingest", calls_stored=9, journal_lag_bytes=4096, last_commit_us=monotonic_us()),
        running(console, "console", ready=0),
        running(console, "supervisor"),
    ):
        found = await scraped(console)
    assert by_label(found["llmtap_up"]) == {"supervisor": 1, "relay-0": 1, "ingest": 1, "console": 0}
    assert by_label(found["llmtap_relay_calls_accepted_total"]) == {"relay-0": 12}
    assert by_label(found["llmtap_relay_calls_running"]) == {"relay-0": 3}
    assert by_label(found["llmtap_relay_calls_lost_total"]) == {"relay-0": 1}
    assert by_label(found["llmtap_journal_worst_write_seconds"]) == {"relay-0": 0.0015}
    assert by_label(found["llmtap_ingest_calls_stored_total"]) == {"ingest": 9}
    assert by_label(found["llmtap_journal_lag_bytes"]) == {"ingest": 4096}
    assert by_label(found["llmtap_last_commit_age_seconds"]).keys() == {"ingest"}
    starts = by_label(found["llmtap_process_start_time_seconds"])
    assert starts.keys() == {"supervisor", "relay-0", "ingest", "console"}
    assert all(began / 1e6 - 1 <= start <= wall_us() / 1e6 + 1 for start in starts.values())


async def test_one_that_never_committed_has_no_age_of_its_last_commit(console: Console) -> None:
    with running(console, "ingest"):
        assert "llmtap_last_commit_age_seconds" not in await scraped(console)


async def test_a_dead_relay_and_a_hung_one_are_not_up(console: Console) -> None:
    with running(console, "relay-0", calls_accepted=5):
        assert by_label((await scraped(console))["llmtap_up"])["relay-0"] == 1
    dead = await scraped(console)
    assert by_label(dead["llmtap_up"])["relay-0"] == 0
    assert "llmtap_relay_calls_accepted_total" not in dead  # its successor begins at 0
    late_us = max(0, monotonic_us() - STALE_US - 1_000_000)
    with running(console, "relay-0", calls_accepted=5, heartbeat_us=late_us):
        hung = await scraped(console)
    assert by_label(hung["llmtap_up"])["relay-0"] == 0
    assert by_label(hung["llmtap_relay_calls_accepted_total"]) == {"relay-0": 5}
    assert by_label(hung["llmtap_heartbeat_age_seconds"])["relay-0"] > STALE_US / 1e6


# --- the store -------------------------------------------------------------------------------------------------


async def test_before_there_is_a_store_nothing_is_made_and_nothing_fails(console: Console) -> None:
    found = await scraped(console)
    assert found["llmtap_store_readable"].samples == {(): 1}
    assert found["llmtap_store_calls"].samples == {(): 0}
    assert set(by_label(found["llmtap_up"]).values()) == {0}
    assert not console.data.exists()


async def test_sizes_are_those_of_the_files(console: Console) -> None:
    await console.record(exchanged(new_call()))
    store = console.data / "store"
    (store / "stranger.db").write_bytes(b"x" * 77)
    found = await scraped(console)
    on_disk = sum(path.stat().st_size for path in store.glob("*.db*"))
    sizes = by_label(found["llmtap_store_bytes"])
    assert sizes.keys() == {"main", "body", "fts", "other"}
    assert sizes["other"] == 77
    assert sizes["body"] >= sum(path.stat().st_size for path in store.glob("body-*.db")) > 0
    assert 0 < sum(sizes.values()) <= on_disk  # opening it may have added to what lies beside
    assert found["llmtap_store_calls"].samples == {(): 1}


async def test_a_store_that_cannot_be_read_is_said_to_be_so_and_processes_are_told(console: Console) -> None:
    prepare(console.data)
    (console.data / "store").mkdir(exist_ok=True)
    (console.data / "store" / "main.db").write_bytes(b"no database " * 1000)
    with running(console, "relay-0"):
        found = await scraped(console)
    assert found["llmtap_store_readable"].samples == {(): 0}
    assert "llmtap_store_calls" not in found
    assert by_label(found["llmtap_up"])["relay-0"] == 1


# --- calls -----------------------------------------------------------------------------------------------------


async def test_calls_are_counted_as_they_end(console: Console) -> None:
    await console.record(exchanged(new_call()))
    before = await scraped(console)
    assert by_label(before["llmtap_calls_total"]) == {"ok": 0}, "counters begin with the first look"
    under_way = new_call(model_requested="slow", model=None, status="running", cost_nano_usd=None)
    failed = new_call(model_requested="gpt-5-mini", model=None, status="error", cost_nano_usd=None, input_tokens=None)
    await console.record(StoredCall(call=under_way), exchanged(failed), exchanged(new_call(project="shop")))
    after = await scraped(console)
    assert by_label(after["llmtap_calls_total"]) == {"ok": 1, "error": 1}
    assert by_label(after["llmtap_model_calls_total"]) == {"gpt-5-mini": 2}
    assert by_label(after["llmtap_model_errors_total"]) == {"gpt-5-mini": 1}
    assert by_label(after["llmtap_model_input_tokens_total"]) == {"gpt-5-mini": 1234}
    assert by_label(after["llmtap_project_calls_total"]) == {"default": 1, "shop": 1}
    assert by_label(after["llmtap_project_cost_usd_total"]) == {"default": 0, "shop": 0.0004825}
    assert by_label(after["llmtap_upstream_calls_total"]) == {"openai": 2}


async def test_hostile_names_come_back_as_they_were(console: Console) -> None:
    await scraped(console)
    names = [*HOSTILE, "long" * 100]
    await console.record(*(exchanged(new_call(model_requested=name, project=name)) for name in names))
    found = await scraped(console)
    expected = {name[:LABEL_MOST]: 1.0 for name in names}
    assert by_label(found["llmtap_model_calls_total"]) == expected
    assert by_label(found["llmtap_project_calls_total"]) == expected


async def test_names_beyond_the_bound_count_together(console: Console) -> None:
    def asking_for(*models: str) -> list[StoredCall]:
        return [exchanged(new_call(model_requested=model)) for model in models]

    await console.record(*asking_for(*(f"m{number}" for number in range(2 * MOST)), *["frequent"] * 3))
    assert "frequent" in by_label((await scraped(console))["llmtap_model_calls_total"])
    await console.record(*asking_for(*(f"n{number}" for number in range(7)), *["frequent"] * 2))
    calls = by_label((await scraped(console))["llmtap_model_calls_total"])
    assert len(calls) == MOST + 1
    assert calls[OTHER] == 7
    assert calls["frequent"] == 2


async def ended(console: Console) -> int:
    """How many calls the store's sums hold now."""
    reader = SqliteReader(console.data)
    rows = await reader.report(("status",))
    await reader.close()
    return sum(row.calls for row in rows)


async def test_counters_never_go_down_when_calls_go(console: Console) -> None:
    await scraped(console)
    calls = [new_call(model_requested=f"m{number % 3}") for number in range(9)]
    await console.record(*map(exchanged, calls))
    first = await scraped(console)
    assert await ended(console) == 9
    store = await SqliteStore.open(prepare(console.data))
    await store.rewrite([exchanged(evolve(call, excluded="test")) for call in calls[:6]])
    await store.close()
    assert await ended(console) == 3
    second = await scraped(console)
    await console.record(exchanged(new_call(model_requested="m1")))
    third = await scraped(console)
    for earlier, later in ((first, second), (second, third)):
        for name, read in earlier.items():
            if read.kind == "counter":
                assert all(later[name].samples[labels] >= value for labels, value in read.samples.items()), name
    grown = by_label(third["llmtap_model_calls_total"])["m1"] - by_label(second["llmtap_model_calls_total"])["m1"]
    assert grown == 1


async def test_scrapes_at_the_same_time_count_nothing_twice(console: Console) -> None:
    await scraped(console)
    await console.record(*(exchanged(new_call()) for _ in range(5)))
    found = await asyncio.gather(*(scraped(console) for _ in range(8)))
    assert {by_label(each["llmtap_calls_total"])["ok"] for each in found} == {5}


# --- the tally alone -------------------------------------------------------------------------------------------

DAY_US = 86_400_000_000


def row(day: str, model: str | None, calls: int) -> ReportRow:
    fields: dict[str, Any] = dict.fromkeys(ReportRow.__struct_fields__, 0)
    return ReportRow(**fields | {"group": (day, "ok", model, "openai", "default"), "calls": calls, "series": ()})


def counted(tally: Tally) -> dict[str, int]:
    family = next(each for each in tally.families() if each.metric.name == "llmtap_model_calls_total")
    return {sample.labels[0]: sample.value for sample in family.samples}


def test_days_that_leave_the_window_stay_counted_and_a_new_day_counts_from_its_beginning() -> None:
    tally = Tally()
    tally.look([row("d1", "a", 5)], 0)
    tally.look([row("d1", "a", 7), row("d2", "a", 1)], 0)
    tally.look([row("d2", "a", 4), row("d3", None, 2)], DAY_US)
    assert counted(tally) == {"a": 6, UNKNOWN: 2}


def test_a_clock_that_is_put_back_counts_nothing_again() -> None:
    tally = Tally()
    tally.look([row("d2", "a", 1)], DAY_US)
    tally.look([row("d1", "a", 90), row("d2", "a", 3)], 0)
    tally.look([row("d1", "a", 90), row("d2", "a", 4)], 0)
    assert counted(tally) == {"a": 1}


def test_a_name_that_is_called_like_the_rest_counts_with_it() -> None:
    tally = Tally(most=2)
    tally.look([], 0)
    tally.look([row("d", "a", 3), row("d", "b", 2), row("d", OTHER, 1), row("d", "c", 1)], 0)
    assert counted(tally) == {"a": 3, "b": 2, OTHER: 2}


@given(st.lists(st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 50)), max_size=8))
def test_whatever_sums_do_counters_go_up_and_are_few(looks: list[dict[str, int]]) -> None:
    tally = Tally(most=3)
    before: dict[str, int] = {}
    for sums in looks:
        tally.look([row("d", model, calls) for model, calls in sums.items()], 0)
        now = counted(tally)
        assert all(now[name] >= value for name, value in before.items())
        assert len(now.keys() - {OTHER}) <= 3
        before = now


@given(st.lists(st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 9)), min_size=1, max_size=8))
def test_of_sums_that_grow_nothing_is_missed(steps: list[dict[str, int]]) -> None:
    tally, total = Tally(most=2), dict.fromkeys("abcdef", 0)
    tally.look([], 0)
    for step in steps:
        total = {name: calls + step.get(name, 0) for name, calls in total.items()}
        tally.look([row("d", name, calls) for name, calls in total.items() if calls], 0)
    assert sum(counted(tally).values()) == sum(total.values())


def test_the_window_begins_with_yesterday() -> None:
    assert window(10 * DAY_US) == window(11 * DAY_US - 1) == 9 * DAY_US


# --- who may look ------------------------------------------------------------------------------------------------


async def test_a_token_that_sees_figures_of_all_projects_may_scrape_and_nothing_is_audited(tmp_path: Path) -> None:
    async with Console(tmp_path / "data", login="always") as console:
        await console.record(exchanged(new_call()))
        assert (await console.get("/metrics"))[0] == 401
        found = await scraped(console, Authorization=f"Bearer {console.token('metadata-viewer')}")
        assert by_label(found["llmtap_calls_total"]) == {"ok": 0}
        for role in ("admin:shop", "viewer:shop", "auditor"):
            status, text = await console.get("/metrics", Authorization=f"Bearer {console.token(role)}")
            assert (status, "permission metrics" in text) == (403, True)
        assert console.audit() == []
