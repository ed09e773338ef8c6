"""What ``llmtap report`` can be asked for: periods, zones, comparisons, other models, Markdown, pictures."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from proxy.clock import wall_us
from proxy.console.reports.periods import Period, earlier, period
from proxy.errors import UsageError
from proxy.query.spans import microseconds
from proxy.zones import zone_named
from tests.cli.pseudo import Pseudo
from tests.cli.recorded import exchanged, llmtap, new_call, record
from tests.cli.test_report import ZURICH
from tests.query.test_spans import needs_zones

DAY_US = 86_400_000_000
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
NOON_US = microseconds(NOON)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two days of calls at noon, UTC; the second has one that is excluded."""
    path = tmp_path_factory.mktemp("forms") / "data"
    calls = [
        new_call(user="a", cost_nano_usd=2_000_000, latency_us=1_000_000, started_at_us=NOON_US),
        new_call(user="gone", cost_nano_usd=500_000, started_at_us=NOON_US + 1),
        *(
            new_call(user="a", cost_nano_usd=1_500_000, latency_us=2_000_000, started_at_us=NOON_US + DAY_US + place)
            for place in range(2)
        ),
        new_call(
            user="new|*", cost_nano_usd=None, tags=("x", "y"), metadata={"Team": "red"}, started_at_us=NOON_US + DAY_US
        ),
        new_call(user="test", excluded="rule 1", started_at_us=NOON_US + DAY_US),
    ]
    record(path, *map(exchanged, calls))
    return path


def asked(data: Path, *arguments: str) -> str:
    done = llmtap(data, "report", "--tz", "UTC", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


def rows(data: Path, *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(asked(data, "--format", "json", *arguments))
    return found


SECOND_DAY = ("--since", "2026-11-22", "--until", "2026-11-23")


# --- what counts ---------------------------------------------------------------------------------------


def test_a_period_has_an_end(data: Path) -> None:
    assert [row["calls"] for row in rows(data, "--by", "day")] == [2, 3]
    assert [row["day"] for row in rows(data, "--by", "day", "--until", "2026-11-22")] == ["2026-11-21"]


def test_excluded_calls_can_be_brought_back(data: Path) -> None:
    assert sum(row["calls"] for row in rows(data, "--by", "user")) == 5
    assert sum(row["calls"] for row in rows(data, "--by", "user", "--all")) == 6
    done = llmtap(data, "report", "--filter", "user = 'test'")
    assert b"excluded calls, 1 of them: --all brings them in" in done.stderr


def test_groups_of_tags_and_metadata(data: Path) -> None:
    assert {row["tag"]: row["calls"] for row in rows(data, "--by", "Tags")} == {"x": 1, "y": 1, None: 4}
    assert {row["metadata.Team"]: row["calls"] for row in rows(data, "--by", "metadata.Team")} == {"red": 1, None: 4}
    table = asked(data, "--by", "tag")
    assert "(none)" in table
    assert "once in the total" in table
    assert next(line for line in table.splitlines() if line.startswith("total")).split()[1] == "5"


def test_an_empty_report_says_what_there_is(data: Path) -> None:
    done = llmtap(data, "report", "--since", "2030-01-01", "--tz", "UTC")
    assert done.stderr == b"nothing matched; calls recorded: 6, 2026-11-21 12:00 to 2026-11-22 12:00\n"
    assert llmtap(data, "report", "--since", "2030-01-01", "--format", "md").stdout == b""


@needs_zones
def test_days_and_dates_are_those_of_the_zone(data: Path) -> None:
    zone = ("--tz", "Pacific/Kiritimati", "--by", "day")  # 14 hours ahead
    assert [row["day"] for row in rows(data, *zone)] == ["2026-11-22", "2026-11-23"]
    assert [row["calls"] for row in rows(data, *zone, "--since", "2026-11-23")] == [3]
    assert [row["calls"] for row in rows(data, *zone, "--filter", "created >= '2026-11-23'")] == [3]


@pytest.mark.parametrize("name", ["Nowhere", "", "../etc/passwd", "Europe", "\0", "/etc/localtime"])
def test_no_such_zone(name: str) -> None:
    with pytest.raises(UsageError, match="no time zone"):
        zone_named(name)


@needs_zones
def test_a_city_is_enough_to_find_its_zone() -> None:
    with pytest.raises(UsageError, match="did you mean America/New_York"):
        zone_named("new york")


# --- figures -------------------------------------------------------------------------------------------


def test_figures_that_are_made_of_others(tmp_path: Path) -> None:
    calls = [new_call(cost_nano_usd=cost, tokens_per_s=10.0, cache_write_tokens=3) for cost in (1, 2, None)]
    record(tmp_path / "data", *map(exchanged, calls), exchanged(new_call(status="error", cost_nano_usd=None)))
    (row,) = rows(tmp_path / "data", "--by", "upstream")
    assert (row["error_percent"], row["cost_per_call_usd"], row["tokens_per_s_p50"]) == (25.0, 2e-9, 10.0)
    assert (row["cache_write_tokens"], row["tokens_per_s_p5"]) == (9, 10.0)


def test_sums_beyond_64_bits_are_written(tmp_path: Path) -> None:
    record(tmp_path / "data", *(exchanged(new_call(input_tokens=2**63 - 1)) for _ in range(2)))
    assert [row["input_tokens"] for row in rows(tmp_path / "data", "--by", "user")] == [2**64 - 2]


def test_order_and_limit(data: Path) -> None:
    by_calls = rows(data, "--by", "user", "--sort", "calls")
    assert [row["user"] for row in by_calls] == ["a", "gone", "new|*"]
    first, others = rows(data, "--by", "user,status", "--sort", "calls", "--limit", "1")
    assert (first["user"], first.get("others")) == ("a", None)
    assert (others["user"], others["status"], others["others"], others["calls"]) == ("(others)", None, 2, 2)
    assert "(others)" in asked(data, "--by", "user,status", "--limit", "1")
    assert asked(data, "--by", "user", "--limit", "1", "--format", "csv").splitlines()[-1].startswith("(others),2,")


# --- the period before ---------------------------------------------------------------------------------


def test_each_group_is_compared_with_itself(data: Path) -> None:
    found = {row["user"]: row for row in rows(data, "--by", "user", *SECOND_DAY, "--compare", "previous")}
    assert {user: row["state"] for user, row in found.items()} == {"a": "both", "new|*": "new", "gone": "gone"}
    a = found["a"]
    assert (a["calls"], a["previous"]["calls"], a["change"]["calls"]) == (2, 1, {"absolute": 1, "percent": 100.0})
    assert a["change"]["cost_usd"] == {"absolute": 0.001, "percent": 50.0}
    assert a["change"]["latency_p50_ms"] == {"absolute": 1000.0, "percent": 100.0}
    assert found["new|*"]["change"]["calls"] == {"absolute": 1, "percent": None}
    assert found["gone"]["latency_p50_ms"] is None
    assert found["gone"]["change"]["latency_p50_ms"] == {"absolute": None, "percent": None}


def test_a_comparison_for_people(data: Path) -> None:
    text = asked(data, "--by", "user", *SECOND_DAY, "--compare", "previous")
    lines = {line.split()[0]: line.split() for line in text.splitlines() if line}
    assert lines["a"][1:4] == ["2", "+1", "+100%"]
    assert lines["new|*"][1:4] == ["1", "+1", "new"]
    assert lines["gone"][1:4] == ["0", "-1", "gone"]
    assert lines["total"][1:4] == ["3", "+1", "+50%"]
    assert "Compared with 2026-11-21 00:00 to 2026-11-22 00:00." in text


def test_a_comparison_as_csv(data: Path) -> None:
    text = asked(data, "--by", "user", *SECOND_DAY, "--compare", "previous", "--format", "csv")
    found = {row["user"]: row for row in csv.DictReader(io.StringIO(text))}
    assert found["a"]["cost_usd_previous"] == "0.002"
    assert (found["a"]["cost_usd_change"], found["a"]["cost_usd_change_percent"]) == ("0.001", "50.0")
    assert (found["gone"]["state"], found["gone"]["latency_p50_ms_change"]) == ("gone", "")


def test_days_are_compared_with_days(data: Path) -> None:
    (row,) = rows(data, "--by", "day", *SECOND_DAY, "--compare", "previous")
    assert (row["day"], row["calls"], row["previous"]["calls"]) == ("2026-11-22", 3, 2)


def test_others_are_compared_with_others(data: Path) -> None:
    first, others = rows(data, "--by", "user", "--all", *SECOND_DAY, "--limit", "1", "--compare", "previous")
    assert (first["user"], first["state"]) == ("a", "both")
    assert (others["calls"], others["previous"]["calls"]) == (2, 1)


@needs_zones
def test_the_days_before_are_whole_days_though_clocks_change() -> None:
    zurich = zone_named("Europe/Zurich")
    now = period("2026-10-25", "2026-10-26", NOON_US, zurich)  # 25 hours
    before = earlier(now, NOON_US, zurich)
    assert now.since_us is not None
    assert before.period == Period(now.since_us - DAY_US, now.since_us)
    morning = datetime(2026, 10, 23, 23, tzinfo=UTC).astimezone(before.zone)
    assert morning.strftime("%Y-%m-%d %H:%M") == "2026-10-25 01:00"


def test_without_an_end_the_period_before_is_as_long_as_the_time_since() -> None:
    before = earlier(Period(NOON_US - 7, None), NOON_US, UTC)
    assert before.period == Period(NOON_US - 14, NOON_US - 7)
    assert NOON.astimezone(before.zone).replace(tzinfo=UTC) - NOON == timedelta(microseconds=7)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--compare", "previous"), b"needs --since"),
        (("--compare", "previous", "--since", "2100-01-01"), b"has not begun yet"),
        (("--since", "2026-11-22", "--until", "2026-11-22"), b"no time lies between"),
        (("--until", "soon"), b"--until 'soon': write a span"),
        (("--what-if", "no-such-model"), b"no price is known"),
        (("--what-if", "gpt-5", "--compare", "previous", "--since", "1d"), b"one at a time"),
        (("--tz", "Nowhere"), b"--tz: there is no time zone 'Nowhere'"),
        (("--limit", "0"), b"--limit"),
        (("--sort", "name"), b"cost"),
    ],
)
def test_what_cannot_be_asked(data: Path, arguments: tuple[str, ...], said: bytes) -> None:
    done = llmtap(data, "report", *arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert said in done.stderr


# --- other models --------------------------------------------------------------------------------------


@pytest.fixture
def priced(tmp_path: Path) -> Path:
    """A data directory, and settings in which ``ours`` costs a dollar a million input tokens and two of output."""
    data = tmp_path / "data"
    tokens = {"input_tokens": 1000, "output_tokens": 500, "cached_tokens": 0}  # 0.002 dollars
    calls = [
        new_call(user="a", cost_nano_usd=3_000_000, **tokens),
        new_call(user="a", cost_nano_usd=None, **tokens),
        new_call(user="b", cost_nano_usd=None, **tokens),
        new_call(user="c", status="error", cost_nano_usd=None, input_tokens=None, output_tokens=None),
    ]
    record(data, *map(exchanged, calls))
    (tmp_path / "llmtap").mkdir()
    (tmp_path / "llmtap" / "config.toml").write_text('[[prices]]\nmodel = "ours"\ninput = 1.0\noutput = 2.0\n')
    return data


def test_the_same_tokens_at_another_price(priced: Path) -> None:
    found = {row["user"]: row["what_if"]["ours"] for row in rows(priced, "--by", "user", "--what-if", "ours")}
    assert found == {
        "a": {"cost_usd": 0.004, "difference_usd": -0.001},  # of the call whose cost is known
        "b": {"cost_usd": 0.002, "difference_usd": None},
        "c": {"cost_usd": None, "difference_usd": None},
    }
    text = asked(priced, "--by", "user", "--what-if", "ours", "--what-if", "gpt-5", "--format", "csv")
    row = next(csv.DictReader(io.StringIO(text)))
    assert (row["ours cost_usd"], row["ours difference_usd"]) == ("0.004", "-0.001")
    assert "gpt-5 cost_usd" in row


def test_what_is_assumed_is_said(priced: Path) -> None:
    text = asked(priced, "--by", "user", "--what-if", "ours")
    lines = [line.split() for line in text.splitlines()]
    assert ["a", "2", "2,000", "0", "1,000", "$0.003000", "$0.004000", "-$0.001000", "-33%"] in lines
    assert "the same tokens at today's prices" in text
    assert "Differences are of the calls whose cost is known." in text


# --- forms ---------------------------------------------------------------------------------------------


def test_markdown_is_a_table_whatever_the_names(data: Path) -> None:
    lines = asked(data, "--by", "user", *SECOND_DAY, "--format", "md").splitlines()
    cells = [line.replace("\\|", "").count("|") for line in lines[:5]]
    assert len(set(cells)) == 1
    assert set(lines[1]) == set("|-: ")
    assert any(line.startswith(r"| new\|\* | 1 |") for line in lines)
    assert any(line.startswith("| total | 3 |") for line in lines)
    assert lines[-2:] == ["", "1 call (gpt-5-mini-2025-08-07) has no known cost; the sums leave it out."]


def seen(columns: int, *arguments: str, **env: str) -> str:
    with Pseudo("report", "--tz", "UTC", *arguments, columns=columns, env={"NO_COLOR": "1", **env}) as report:
        assert report.end() == 0
    return report.seen.decode()


def test_a_terminal_shows_each_group_over_time(data: Path) -> None:
    text = seen(120, "--by", "user", "--data-dir", str(data))
    assert "cost/hour" in text
    user = next(line for line in text.splitlines() if line.startswith("a "))
    assert user.rstrip().endswith(f"▆{'·' * 23}█")
    assert "Pictures show cost per hour" in text
    assert "cost/" not in seen(60, "--by", "user", "--data-dir", str(data))
    assert "calls/" in seen(120, "--by", "user", "--sort", "calls", "--data-dir", str(data))
    assert "cost/" not in seen(120, "--by", "user", "--data-dir", str(data), PYTHONIOENCODING="latin-1")


def test_a_terminal_shows_days_as_bars(data: Path) -> None:
    lines = seen(120, "--by", "day", "--data-dir", str(data)).splitlines()
    days = [line.rstrip() for line in lines if line.startswith("2026")]
    assert days[0].endswith("█████████████▍")
    assert days[1].endswith("█" * 16)


def test_a_group_of_unknown_cost_has_no_bar(data: Path) -> None:
    lines = [line.rstrip() for line in seen(120, "--by", "day,user", "--data-dir", str(data)).splitlines()]
    assert next(line for line in lines if " new|* " in line).endswith(" -")
    assert sum("█" in line for line in lines) == 3


@pytest.mark.parametrize("columns", [40, 60, 80, 140])
@pytest.mark.parametrize(
    "more", [("--compare", "previous", *SECOND_DAY), ("--what-if", "gpt-5-nano", "--what-if", "claude-opus-4-1")]
)
def test_no_figure_is_cut(data: Path, columns: int, more: tuple[str, ...]) -> None:
    text = seen(columns, "--by", "user,model,session", "--data-dir", str(data), *more)
    widest = max(map(len, text.splitlines()))
    assert widest <= columns or columns < 80
    figures = [word for word in text.split() if word.startswith(("$", "+$", "-$"))]
    assert figures
    assert not [word for word in figures if "…" in word]


def test_names_are_no_markup(tmp_path: Path) -> None:
    record(tmp_path / "data", exchanged(new_call(user="[red]x[/red] :smile:", started_at_us=wall_us())))
    assert "[red]x[/red] :smile:" in asked(tmp_path / "data", "--by", "user")


def test_the_local_zone_tells_the_two_hours_apart(tmp_path: Path) -> None:
    late = [datetime(2025, 10, 26, hour, 30, tzinfo=UTC) for hour in (0, 1)]
    record(tmp_path / "data", *(exchanged(new_call(started_at_us=microseconds(at))) for at in late))
    done = llmtap(tmp_path / "data", "report", "--by", "hour", "--format", "csv", env={"TZ": ZURICH})
    hours = [line.split(b",")[0] for line in done.stdout.splitlines()[1:]]
    assert hours == [b"2025-10-26 02:00+0200", b"2025-10-26 02:00+0100"]
