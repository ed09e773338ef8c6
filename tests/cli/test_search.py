"""``llmtap search``, run for real."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest

from proxy.datadir import prepare
from proxy.store.base import Batch, StoredCall
from proxy.store.sqlite.fulltext.index import Limits
from proxy.store.sqlite.store import SqliteStore
from proxy.store.view import summary_json
from tests.cli.pseudo import Pseudo
from tests.cli.recorded import exchanged, llmtap, new_call, record
from tests.harness.server import LlmtapServer

ASKED = b'{"model":"gpt-5-mini","messages":[{"role":"user","content":"%s"}]}'
ANSWERED = b'{"choices":[{"index":0,"message":{"role":"assistant","content":"%s"}}]}'


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def a_call(asked: str, answered: str = "fine", **fields: object) -> StoredCall:
    return exchanged(new_call(**fields), ASKED % asked.encode(), ANSWERED % answered.encode())


def record_findable(data_dir: Path, *calls: StoredCall) -> None:
    async def write() -> None:
        store = await SqliteStore.open(prepare(data_dir), full_text=Limits())
        await store.write(Batch(calls=calls))
        await store.text_settled()
        await store.close()

    asyncio.run(write())


def test_a_call_is_shown_with_the_place_of_the_words(data: Path) -> None:
    call = a_call("what of my refund?", "Our refund policy says no.", user="ada")
    record_findable(data, call, a_call("hello"))
    done = llmtap(data, "search", "policy", "REFUND")
    assert (done.returncode, done.stderr) == (0, b"")
    head, place = done.stdout.decode().splitlines()
    assert re.fullmatch(rf"{call.call.id[-8:]} \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d gpt-5-mini-2025-08-07\s+ada", head)
    assert place == "    output: Our refund policy says no."


def test_hits_are_marked_on_a_terminal(data: Path) -> None:
    record_findable(data, a_call("what of my refund?"))
    with Pseudo("search", "refund", env={"LLMTAP_DATA_DIR": str(data)}) as terminal:
        terminal.until(b"what of my \x1b[1;33mrefund\x1b[0m?")


def test_parts_filters_and_words_to_leave_out(data: Path) -> None:
    asked, answered = a_call("refund"), a_call("hello", "a refund", project="b")
    record_findable(data, asked, answered)

    def found(*arguments: str) -> list[str]:
        done = llmtap(data, "search", "--json", *arguments)
        assert done.returncode == 0
        return [json.loads(line)["id"] for line in done.stdout.splitlines()]

    assert found("refund") == [answered.call.id, asked.call.id]
    assert found("refund", "--in", "input,tools") == [asked.call.id]
    assert found("refund", "-hello") == [asked.call.id]
    assert found("refund", "--filter", "project = 'b'") == [answered.call.id]
    assert found("refund", "--since", "1h", "--limit", "1") == [answered.call.id]


def test_json_lines_hold_the_row_and_the_place(data: Path) -> None:
    call = a_call("what of my Rückerstattung?")
    record_findable(data, call)
    (line,) = llmtap(data, "search", "ruckerstattung", "--json").stdout.splitlines()
    shown = json.loads(line)
    place = shown.pop("snippet")
    assert list(shown) == list(summary_json(call.call))
    assert place == {"in": "input", "text": "what of my Rückerstattung?", "hits": [[11, 25]]}


def test_pages(data: Path) -> None:
    record_findable(data, *[a_call(f"refund {number}") for number in range(5)])
    done = llmtap(data, "search", "refund", "--limit", "3")
    assert done.stdout.count(b"input: refund") == 3
    remark = re.search(rb"there may be more: --before (\S+)\n", done.stderr)
    assert remark is not None
    done = llmtap(data, "search", "refund", "--before", remark[1].decode())
    assert re.findall(rb"refund \d", done.stdout) == [b"refund 1", b"refund 0"]


def test_nothing_found(data: Path) -> None:
    record_findable(data, a_call("hello"))
    done = llmtap(data, "search", "refund")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"nothing found\n")


def test_it_says_what_it_cannot_find_yet(data: Path) -> None:
    record(data, a_call("refund"))
    done = llmtap(data, "search", "refund")
    assert re.fullmatch(
        rb"nothing found; full text is [\d.]+ ?m?s behind: 1 call cannot be found yet\n", done.stderr
    ), done.stderr
    done = llmtap(data, "search", "refund", env={"LLMTAP_STORE_FULL_TEXT": "false"})
    assert done.stderr == b"nothing found; full text is off (store.full_text): 1 call cannot be found\n"


def test_a_damaged_file_is_named(data: Path) -> None:
    record_findable(data, a_call("refund"))
    (path,) = (data / "store").glob("fts-*.db")
    path.write_bytes(b"x" * 8192)
    done = llmtap(data, "search", "refund")
    assert done.returncode == 0
    assert path.name.encode() in done.stderr
    assert b"llmtap rebuild --text" in done.stderr


def test_a_file_is_made_anew(data: Path) -> None:
    record_findable(data, a_call("refund"))
    (path,) = (data / "store").glob("fts-*.db")
    path.write_bytes(b"x" * 8192)
    done = llmtap(data, "rebuild", "--text")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"full text is made anew\n", b"")
    assert b"input: refund" in llmtap(data, "search", "refund").stdout
    assert llmtap(data, "rebuild").returncode == 2
    off = llmtap(data, "rebuild", "--text", env={"LLMTAP_STORE_FULL_TEXT": "false"})
    assert off.stderr == b"llmtap: full text is off: set store.full_text\n"


def test_a_running_ingest_makes_files_anew(data: Path) -> None:
    record_findable(data, a_call("refund"))
    with LlmtapServer(data.parent, data=data):
        done = llmtap(data, "rebuild", "--text")
        assert (done.returncode, done.stdout, done.stderr) == (0, b"full text is made anew\n", b"")
        assert b"input: refund" in llmtap(data, "search", "refund").stdout


def test_status_tells_how_far_it_is(data: Path) -> None:
    record(data, a_call("refund"))
    text = json.loads(llmtap(data, "status", "--json").stdout)["store"]["text"]
    assert (text["on"], text["calls_behind"]) == (True, 1)
    assert len(text["problems"]) == 1
    record_findable(data, a_call("one more"))
    assert b"full text   up to date\n" in llmtap(data, "status").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-refund"], "say also what to find, not only what to leave out"),
        (["?!"], "there is no word to search for"),
        (["refund", "--in", "outputs"], "--in 'outputs': write one or more of input, output, system, tools"),
        (["refund", "--before", "x"], "'x' is no place where a search stopped"),
        (["refund", "--limt", "3"], "No such option '--limt'"),
        ([], "Missing argument 'WORDS...'"),
    ],
)
def test_what_is_wrong_is_said(data: Path, arguments: list[str], message: str) -> None:
    done = llmtap(prepare(data), "search", *arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert message in done.stderr.decode()


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help(data: Path, flag: str) -> None:
    done = llmtap(prepare(data), "search", flag)
    assert done.returncode == 0
    assert b"Case and accents do not count" in done.stdout


def test_before_the_first_call_it_says_how_to_begin(data: Path) -> None:
    done = llmtap(prepare(data), "search", "refund")
    assert (done.returncode, done.stdout) == (0, b"")
    assert b"OPENAI_BASE_URL" in done.stderr
