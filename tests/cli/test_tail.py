"""``llmtap tail``, run for real: in a terminal, in a pipe, beside a writer."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.datadir import prepare
from proxy.query.fields import FIELDS
from proxy.records import evolve
from proxy.store.base import StoredCall
from proxy.store.view import KEYS
from tests.cli.pseudo import Pseudo
from tests.cli.recorded import exchanged, llmtap, new_call, record
from tests.harness.watched import ROOT, clean_environment

NASTY = "\x1b]52;c;ZXZpbA==\x07\x9b2J\u202egpj\r\nmore"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def test_the_last_calls_oldest_first(data: Path) -> None:
    calls = [new_call(preview_input=f"question {number}") for number in range(5)]
    record(data, *map(exchanged, calls))
    done = llmtap(data, "tail", "--no-follow", "-n", "3")
    assert (done.returncode, done.stderr) == (0, b"")
    assert re.findall(rb"question \d", done.stdout) == [b"question 2", b"question 3", b"question 4"]


def test_json_lines_hold_every_key_and_the_bodies(data: Path) -> None:
    call = new_call(metadata={"team": "a"})
    record(data, exchanged(call), StoredCall(call=new_call(status="running", latency_us=None)))
    done = llmtap(data, "tail", "--no-follow", "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [list(line) for line in lines] == [list(KEYS)] * 2
    assert lines[0]["id"] == call.id
    assert lines[0]["output"] == "It is 12 degrees."
    assert lines[0]["system_prompt"] == "Be brief."
    assert lines[0]["cost_usd"] == 0.0004825
    assert lines[1]["status"] == "running"
    assert lines[1]["output"] is None
    assert b": " not in done.stdout.splitlines()[1]


def test_a_filter_chooses(data: Path) -> None:
    record(data, exchanged(new_call()), exchanged(new_call(status="error", preview_input="the bad one")))
    done = llmtap(data, "tail", "--no-follow", "--filter", "status != 'ok'")
    assert done.stdout.count(b"\n") == 1
    assert b"the bad one" in done.stdout


def test_a_bad_filter_points_at_the_mistake(data: Path) -> None:
    done = llmtap(data, "tail", "--no-follow", "--filter", "cost_usd > 1 and modle = 'x'")
    assert (done.returncode, done.stdout) == (2, b"")
    first, text, mark = done.stderr.decode().splitlines()
    assert first == "llmtap: --filter: there is no field 'modle'; did you mean model?"
    assert text[mark.index("^") :].startswith("modle")


def test_before_the_first_call_it_says_how_to_begin(data: Path) -> None:
    done = llmtap(prepare(data), "tail", "--no-follow")
    assert (done.returncode, done.stdout) == (0, b"")
    assert f"llmtap serve --data-dir {data}\n".encode() in done.stderr
    assert b"OPENAI_BASE_URL=http://127.0.0.1:8800/v1" in done.stderr


def test_the_usual_data_directory_need_not_exist_yet(tmp_path: Path) -> None:
    environment = {"LLMTAP_DATA_DIR": "", "XDG_DATA_HOME": str(tmp_path)}
    done = llmtap(tmp_path, "tail", "--no-follow", env=environment)
    assert (done.returncode, done.stdout) == (0, b"")
    assert b"start llmtap with: llmtap serve\n" in done.stderr
    assert not (tmp_path / "llmtap").exists()


@pytest.mark.parametrize("command", ["tail", "report", "show"])
def test_a_data_directory_that_was_named_must_exist(data: Path, command: str) -> None:
    done = llmtap(data, command)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == f"llmtap: the data directory {data} does not exist\n".encode()


def test_a_live_tail_begins_before_there_is_a_store_and_follows_running_calls(data: Path) -> None:
    with Pseudo("tail", "--data-dir", str(prepare(data))) as tail:
        tail.until(b"llmtap serve")
        waiting = new_call(status="running", latency_us=None, preview_input="the slow one", preview_output=None)
        record(data, StoredCall(call=waiting))
        tail.until(b"running")
        record(data, exchanged(new_call(preview_input="the quick one")))
        tail.until(b"the quick one")
        record(data, exchanged(evolve(waiting, status="ok", latency_us=2_000_000, preview_output="at last")))
        seen = tail.until(b"at last")
        assert b"\x1b[1F\x1b[J" in seen  # the running line was redrawn
        assert tail.interrupt() == 130
        assert b"Traceback" not in tail.seen


def test_a_followed_pipe_shows_a_running_call_when_it_has_ended(data: Path) -> None:
    record(data, exchanged(new_call(preview_input="the first one")))
    command = [sys.executable, "-m", "proxy", "tail", "--data-dir", str(data)]
    with subprocess.Popen(command, cwd=ROOT, env=clean_environment(), stdout=subprocess.PIPE) as tail:
        assert tail.stdout is not None
        assert b"the first one" in tail.stdout.readline()
        waiting = new_call(status="running", latency_us=None)
        record(data, StoredCall(call=waiting))
        record(data, exchanged(new_call(preview_input="the quick one")))
        assert b"the quick one" in tail.stdout.readline()
        record(data, exchanged(evolve(waiting, status="ok", latency_us=5)))
        assert b" ok " in tail.stdout.readline()
        tail.terminate()


def test_calls_whose_costs_are_worked_out_anew_are_not_told_again(data: Path, tmp_path: Path) -> None:
    record(data, *(exchanged(new_call(cached_tokens=None)) for _ in range(3)))
    prices = tmp_path / "dear.toml"
    prices.write_text('[[prices]]\nmodel = "*"\ninput = 1000.0\noutput = 2000.0\n')
    command = [sys.executable, "-m", "proxy", "tail", "--json", "-n", "1", "--data-dir", str(data)]
    with subprocess.Popen(command, cwd=ROOT, env=clean_environment(), stdout=subprocess.PIPE) as tail:
        assert tail.stdout is not None
        tail.stdout.readline()
        for _ in range(2):
            call = new_call(cached_tokens=None)
            record(data, exchanged(call))
            assert json.loads(tail.stdout.readline())["id"] == call.id
            assert b" 0 changed" not in llmtap(data, "reprice", "--config", str(prices)).stdout
        last = new_call()
        record(data, exchanged(last))
        assert json.loads(tail.stdout.readline())["id"] == last.id
        tail.terminate()


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_without_following_a_pipe_shows_running_calls_as_they_stand(data: Path, arguments: tuple[str, ...]) -> None:
    record(data, StoredCall(call=new_call(status="running", latency_us=None)))
    assert b"running" in llmtap(data, "tail", "--no-follow", *arguments).stdout


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_a_filter_that_finds_nothing_says_so(data: Path, arguments: tuple[str, ...]) -> None:
    record(data, exchanged(new_call()))
    done = llmtap(data, "tail", "--no-follow", "--filter", "status = 'blocked'", *arguments)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"nothing matched\n")


def test_the_filter_that_help_shows_finds_calls(data: Path) -> None:
    record(
        data,
        exchanged(new_call(status="error", model=None, model_requested="gpt-5", preview_input="asked")),
        exchanged(new_call(status="truncated", model="gpt-5-2025-08-07", preview_input="served")),
        exchanged(new_call(status="error", model=None, preview_input="another model")),
        exchanged(new_call(model="gpt-5-2025-08-07", preview_input="went well")),
    )
    example = "status != 'ok' and model = 'gpt-5'"
    assert example in " ".join(llmtap(data, "tail", "--help").stdout.decode().split())
    done = llmtap(data, "tail", "--no-follow", "--filter", example)
    assert re.findall(rb"asked|served|another|well", done.stdout) == [b"asked", b"served"]


@pytest.mark.parametrize("command", ["tail", "report"])
def test_help_names_the_fields(data: Path, command: str) -> None:
    text = " ".join(llmtap(data, command, "--help").stdout.decode().split())
    assert f"Fields: {', '.join(FIELDS)}." in text


def test_a_filtered_live_tail_forgets_calls_that_ended_otherwise(data: Path) -> None:
    waiting = new_call(status="running", latency_us=None, preview_input="the slow one")
    record(data, StoredCall(call=waiting))
    with Pseudo("tail", "--data-dir", str(data), "--filter", "status = 'running'") as tail:
        tail.until(b"the slow one")
        record(data, exchanged(evolve(waiting, status="ok", latency_us=5)))
        seen = tail.until(b"\x1b[1F\x1b[J")
        assert b" ok " not in seen


def test_a_day_is_named_when_it_changes(data: Path) -> None:
    record(data, exchanged(new_call(started_at_us=1_763_000_000_000_000)))
    with Pseudo("tail", "--data-dir", str(data), env={"TZ": "UTC"}) as tail:
        tail.until(b"Thursday 13 November 2025")


@pytest.mark.parametrize("field", ["preview_input", "preview_output", "model", "error_message"])
def test_no_escape_sequence_of_a_log_reaches_a_terminal(data: Path, field: str) -> None:
    record(data, exchanged(new_call(**{"status": "error", field: NASTY})))
    with Pseudo("tail", "--no-follow", "--data-dir", str(data), columns=500, env={"NO_COLOR": "1"}) as tail:
        assert tail.end() == 0
    assert not set(tail.seen) & {0x1B, 0x07, 0x9B}
    assert "\u202e".encode() not in tail.seen
    assert tail.seen.count(b"\n") == 1


def test_colours_are_all_that_is_sent_besides_text(data: Path) -> None:
    record(data, exchanged(new_call(preview_input=NASTY)))
    with Pseudo("tail", "--no-follow", "--data-dir", str(data)) as tail:
        assert tail.end() == 0
    assert b"\x1b[32mok" in tail.seen
    assert b"\x1b" not in re.sub(rb"\x1b\[[0-9;]*m", b"", tail.seen)


def test_a_narrow_locale_escapes_what_it_cannot_write(data: Path) -> None:
    record(data, exchanged(new_call(preview_input="Zürich 東京")))
    done = llmtap(data, "tail", "--no-follow", env={"PYTHONIOENCODING": "ascii", "LC_ALL": "C"})
    assert done.returncode == 0
    assert b"Z\\xfcrich \\u6771\\u4eac" in done.stdout


def test_a_closed_pipe_ends_it_without_a_word(data: Path) -> None:
    record(data, *(exchanged(new_call(preview_input="x" * 500)) for _ in range(300)))
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = llmtap(data, "tail", "--no-follow", "-n", "300", stdout=writing)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_one_line(data: Path) -> None:
    record(data, exchanged(new_call()))
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        done = llmtap(data, "tail", "--no-follow", stdout=full)
    finally:
        os.close(full)
    assert done.returncode == 1
    assert done.stderr == b"llmtap: No space left on device\n"


def test_a_plain_tail_loads_nothing_heavy(data: Path) -> None:
    record(data, exchanged(new_call()))
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "proxy", "tail", "--no-follow", "--data-dir", str(data)],
        cwd=ROOT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "aiosqlite" in loaded
    assert not loaded & {"aiohttp", "jinja2", "genai_prices", "pydantic", "rich", "sqlglot", "tiktoken", "uvloop"}
