"""``llmtap report``: tables, CSV, JSON."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime
from pathlib import Path

import pytest

from proxy.cli.terminal import printable
from proxy.clock import wall_us
from proxy.datadir import prepare
from proxy.errors import UsageError
from proxy.query.since import since_us
from proxy.zones import LocalZone
from tests.cli.pseudo import Pseudo
from tests.cli.recorded import exchanged, llmtap, new_call, record

DAY_US = 86_400_000_000
ZURICH = "CET-1CEST,M3.5.0,M10.5.0/3"  #: spelled out: not every machine has the table of zones


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "data"
    calls = [new_call(project="shop", latency_us=us, cost_nano_usd=1_000_001) for us in (1000, 2000, 3000)]
    calls.append(new_call(project="=1+1", status="error", model=None, cost_nano_usd=None, ttft_us=None))
    calls.append(new_call(project="\x1b[31mred", cost_nano_usd=0, started_at_us=wall_us() - 3 * DAY_US))
    record(path, *map(exchanged, calls))
    return path


def rows(data: Path, *arguments: str) -> dict[str | None, dict[str, object]]:
    found = json.loads(llmtap(data, "report", "--by", "project", "--format", "json", *arguments).stdout)
    return {row["project"]: row for row in found}


def test_json_is_exact(data: Path) -> None:
    shop = rows(data)["shop"]
    assert shop["calls"] == 3
    assert shop["input_tokens"] == 3 * 1234
    assert shop["cost_usd"] == 0.003000003
    assert shop["latency_p50_ms"] == 2.0
    assert shop["latency_p99_ms"] == 3.0
    assert rows(data)["=1+1"]["calls_without_cost"] == 1
    assert rows(data)["=1+1"]["ttft_p50_ms"] is None


def test_since_and_filter_choose(data: Path) -> None:
    assert set(rows(data, "--since", "2d")) == {"shop", "=1+1"}
    assert set(rows(data, "--filter", "status = 'error'")) == {"=1+1"}


def test_csv_is_exact_and_holds_no_formula(data: Path) -> None:
    done = llmtap(data, "report", "--by", "project,status", "--format", "csv")
    read = {row["project"]: row for row in csv.DictReader(io.StringIO(done.stdout.decode()))}
    assert read["shop"]["cost_usd"] == "0.003000003"
    assert read["shop"]["errors"] == "0"
    assert "'=1+1" in read
    assert read["'=1+1"]["ttft_p50_ms"] == ""
    assert "\\x1b[31mred" in read


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_every_beginning_of_a_formula_is_neutralised(tmp_path: Path, start: str) -> None:
    record(tmp_path / "data", exchanged(new_call(user=f"{start}cmd()")))
    done = llmtap(tmp_path / "data", "report", "--by", "user", "--format", "csv")
    header, row = csv.reader(io.StringIO(done.stdout.decode(), newline=""))
    assert header[0] == "user"
    assert row[0] == f"'{printable(start)}cmd()"


def test_a_table_has_totals_and_says_what_is_unknown(data: Path) -> None:
    text = llmtap(data, "report", "--by", "project").stdout.decode()
    lines = [line.split() for line in text.splitlines()]
    assert lines[0][:3] == ["project", "calls", "errors"]
    shop = next(line for line in lines if line and line[0] == "shop")
    assert shop[1:4] == ["3", "0", "3,702"]
    assert shop[-1] == "$0.003000"
    total = next(line for line in lines if line and line[0] == "total")
    assert total[1:4] == ["5", "1", "(20%)"]
    assert text.endswith("1 call (gpt-5-mini-2025-08-07) has no known cost; the sums leave it out.\n")
    assert "\x1b" not in text
    assert "\\x1b[31mred" in text


@pytest.mark.parametrize("columns", [60, 80, 110, 160])
def test_a_table_fits_the_terminal_and_cuts_no_figure(data: Path, columns: int) -> None:
    arguments = ("report", "--by", "project", "--data-dir", str(data))
    with Pseudo(*arguments, columns=columns, env={"NO_COLOR": "1"}) as report:
        assert report.end() == 0
    lines = report.seen.decode().splitlines()
    assert max(map(len, lines)) <= columns
    assert "$0.003000" in report.seen.decode()
    assert ("p50" in lines[0]) == (columns >= 80)
    assert ("first token" in lines[0]) == (columns >= 110)


def test_one_group_needs_no_totals(data: Path) -> None:
    assert b"total" not in llmtap(data, "report", "--by", "project", "--filter", "project = 'shop'").stdout


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--by", "modle"), 2, b"did you mean model?"),
        (("--since", "yesterday"), 2, b"30m, 12h, 7d or 2w"),
        (("--format", "xml"), 2, b"xml"),
        (("--filter", "status = 'blocked'"), 0, b"nothing matched"),
        (("--filter", "qqqq = 1"), 2, b"known: id, created"),
        (("--filter", "model = upper('a')"), 2, b"model is compared with a text in single quotes"),
    ],
)
def test_what_cannot_be_shown_is_explained(data: Path, arguments: tuple[str, ...], code: int, said: bytes) -> None:
    done = llmtap(data, "report", *arguments)
    assert (done.returncode, done.stdout) == (code, b"")
    assert said in done.stderr


def test_before_the_first_call(tmp_path: Path) -> None:
    data = prepare(tmp_path / "data")
    assert b"llmtap serve" in llmtap(data, "report").stderr
    assert llmtap(data, "report", "--format", "json").stdout == b"[]\n"


def test_a_group_named_twice_is_one(data: Path) -> None:
    assert llmtap(data, "report", "--by", "project,Project").stdout == llmtap(data, "report", "--by", "project").stdout


def by_model(data: Path, *arguments: str) -> dict[str, tuple[int, int]]:
    found = json.loads(llmtap(data, "report", "--by", "model", "--format", "json", *arguments).stdout)
    return {row["model"]: (row["calls"], row["errors"]) for row in found}


def test_calls_that_no_model_served_count_for_the_one_they_would_have_reached(tmp_path: Path) -> None:
    failed = {"status": "error", "model": None}
    record(
        tmp_path / "data",
        exchanged(new_call(model_requested="one", model="one-2025-01-01")),
        exchanged(new_call(model_requested="one", **failed)),
        exchanged(new_call(model_requested="two", model="two-a")),
        exchanged(new_call(model_requested="two", model="two-b")),
        exchanged(new_call(model_requested="two", **failed)),
        exchanged(new_call(model_requested="three", **failed)),
        exchanged(new_call(model_requested=None, **failed)),
    )
    assert by_model(tmp_path / "data") == {
        "one-2025-01-01": (2, 1),
        "two-a": (1, 0),
        "two-b": (1, 0),
        "two": (1, 1),
        "three": (1, 1),
        None: (1, 1),
    }
    assert by_model(tmp_path / "data", "--filter", "status = 'error' and model = 'one'") == {"one": (1, 1)}


def test_only_tokens_can_lack_a_cost(tmp_path: Path) -> None:
    data = tmp_path / "data"
    record(data, exchanged(new_call(status="error", input_tokens=None, output_tokens=None, cost_nano_usd=None)))
    text = llmtap(data, "report", "--by", "project").stdout
    assert b"no known cost" not in text
    assert text.split()[-1] == b"-"
    record(data, exchanged(new_call(cost_nano_usd=None)))
    assert b"has no known cost" in llmtap(data, "report", "--by", "project").stdout


# --- moments ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"), [("30m", 1800), ("12h", 43_200), ("7d", 604_800), ("2w", 1_209_600), (" 7D ", 604_800)]
)
def test_spans_count_back(text: str, seconds: int) -> None:
    now_us = 1_763_000_000_000_000
    assert since_us(text, now_us) == now_us - seconds * 1_000_000


def test_dates_are_local() -> None:
    assert since_us("2025-07-01", 0) == round(datetime(2025, 7, 1).astimezone().timestamp()) * 1_000_000
    assert since_us("2025-07-01T12:00:00+02:00", 0) == 1_751_364_000_000_000


@pytest.mark.parametrize("text", ["", "7", "d", "-3d", "2025-13-01", "1e9d", "٣d"])
def test_other_words_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="write a span such as"):
        since_us(text, 0)


def test_the_local_zone_knows_summer_and_winter(tmp_path: Path) -> None:
    record(
        tmp_path / "data",
        exchanged(new_call(started_at_us=1_751_321_400_000_000)),  # 2025-06-30 22:10 UTC: July in Zurich
        exchanged(new_call(started_at_us=1_764_541_800_000_000)),  # 2025-11-30 22:30 UTC: still November
    )
    done = llmtap(tmp_path / "data", "report", "--by", "day", "--format", "csv", env={"TZ": ZURICH})
    assert [line.split(b",")[0] for line in done.stdout.splitlines()[1:]] == [b"2025-07-01", b"2025-11-30"]
    filtered = llmtap(
        tmp_path / "data",
        *("report", "--by", "day", "--format", "csv", "--filter", "created < '2025-07-01 00:11'"),
        env={"TZ": ZURICH},
    )
    assert filtered.stdout.count(b"\n") == 2


def test_a_moment_keeps_its_instant_in_the_local_zone() -> None:
    moment = datetime.fromisoformat("2025-06-30T22:10:00+00:00")
    assert moment.astimezone(LocalZone()).timestamp() == moment.timestamp()
