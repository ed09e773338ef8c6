"""``llmtap sql``, run for real."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from tests.cli.recorded import exchanged, llmtap, new_call, record


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cli") / "data"
    calls = [new_call(user=name, cost_nano_usd=500_000_000) for name in ("ada", "=1+1", "\x1b[2Jeve|")]
    record(path, *map(exchanged, calls))
    return path


def test_a_table(data: Path) -> None:
    done = llmtap(data, "sql", "SELECT user, cost_usd FROM calls WHERE user = 'ada'")
    assert (done.returncode, done.stderr) == (0, b"")
    head, _, line = done.stdout.decode().splitlines()
    assert head.split() == ["user", "cost_usd"]
    assert line.split() == ["ada", "0.5"]


def test_json_csv_and_markdown(data: Path) -> None:
    text = "SELECT user, cost_usd, session FROM calls ORDER BY created, id"
    assert json.loads(llmtap(data, "sql", "--json", text).stdout)[0] == {
        "user": "ada",
        "cost_usd": 0.5,
        "session": None,
    }
    rows = list(csv.reader(io.StringIO(llmtap(data, "sql", "--csv", text).stdout.decode())))
    assert rows == [
        ["user", "cost_usd", "session"], ["ada", "0.5", ""], ["'=1+1", "0.5", ""], ["\\x1b[2Jeve|", "0.5", ""]
    ]  # fmt: skip
    lines = llmtap(data, "sql", "--md", text).stdout.decode().splitlines()
    assert lines[:3] == ["| user | cost\\_usd | session |", "| --- | --- | --- |", "| ada | 0.5 |  |"]
    assert lines[4] == "| \\\\x1b\\[2Jeve\\| | 0.5 |  |"


def test_it_says_when_it_is_cut_and_when_nothing_matched(data: Path) -> None:
    done = llmtap(data, "sql", "--limit", "2", "SELECT id FROM calls")
    assert done.stderr == b"cut after 2 rows: --limit takes more\n"
    done = llmtap(data, "sql", "--json", "SELECT id FROM calls WHERE user = 'bob'")
    assert (done.stdout, done.stderr) == (b"[]\n", b"nothing matched\n")


def test_a_mistake_is_pointed_at(data: Path) -> None:
    done = llmtap(data, "sql", "SELECT modle FROM calls")
    assert (done.returncode, done.stdout) == (2, b"")
    first, text, mark = done.stderr.decode().splitlines()
    assert first == "llmtap: no such column: modle; did you mean model?"
    assert text[mark.index("^") :].startswith("modle")


@pytest.mark.parametrize("arguments", [(), ("--schema",)])
def test_without_a_statement_it_shows_the_views(data: Path, arguments: tuple[str, ...]) -> None:
    lines = llmtap(data, "sql", *arguments).stdout.decode().splitlines()
    assert lines[0] == "calls: one line a call, excluded ones too"
    assert any(
        line.split() == ["latency_ms", "number,", "ms", "from", "accept", "to", "the", "last", "byte"] for line in lines
    )
    assert "scores: what calls were judged to be" in lines


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("SELECT instr(printf('%.*c', 999999, 'a'), printf('%.*c', 500000, 'a') || 'b')", b"took too long"),
        (
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 2000)"
            " SELECT count(*) FROM (SELECT DISTINCT printf('%.*c', 900000, 'a') || i FROM n)",
            b"too much memory",
        ),
    ],
    ids=["one step", "memory"],
)
def test_what_takes_too_much_ends_with_a_clear_line(data: Path, text: str, says: bytes) -> None:
    seconds = "0.1" if says == b"took too long" else "60"
    done = llmtap(data, "sql", "--timeout", seconds, text)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"llmtap: the statement ")
    assert says in done.stderr
    assert b"Traceback" not in done.stderr


def test_numbers_that_json_does_not_have_are_null(data: Path) -> None:
    done = llmtap(data, "sql", "--json", "SELECT 9e999 AS a, -9e999 AS b, 1.5 AS c")
    assert done.stdout == b'[{"a":null,"b":null,"c":1.5}]\n'


def test_before_the_first_call_it_says_how_to_begin(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    done = llmtap(tmp_path / "data", "sql", "SELECT 1")
    assert done.returncode == 1
    assert b"OPENAI_BASE_URL" in done.stderr
