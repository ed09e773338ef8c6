"""``llmtap show``: the conversation, the JSON, the bytes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from proxy.datadir import prepare
from proxy.records import Call, evolve
from proxy.store.base import StoredCall
from tests.cli.pseudo import Pseudo
from tests.cli.recorded import REQUEST, RESPONSE, exchanged, llmtap, new_call, record

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
REQUEST_HEAD = (
    b"POST /v1/chat/completions?x=%2F HTTP/1.1\r\nHost: 127.0.0.1:8800\r\nauthorization: Bearer fp:00ff\r\n\r\n"
)


@pytest.fixture(scope="module")
def calls() -> list[Call]:
    return [new_call(metadata={"team": "a"}, user="ada"), new_call(status="error", error_message="no"), new_call()]


@pytest.fixture(scope="module")
def data(calls: list[Call], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("show") / "data"
    record(path, *map(exchanged, calls))
    return path


def test_the_conversation_reads_from_system_prompt_to_answer(data: Path, calls: list[Call]) -> None:
    done = llmtap(data, "show", calls[0].id)
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode()
    told = [
        f"call {calls[0].id}  ok",
        "gpt-5-mini-2025-08-07 served, gpt-5-mini asked",
        "took 812ms · first token after 210ms",
        "1,234 in (1,024 cached) · 87 out",
        "$0.0004825 by genai-prices 0.2.3",
        "user ada",
        "team=a",
        "── system prompt ",
        "Be brief.",
        "── user ",
        "What is the weather in Bern?",
        "https://example.com/sky.png",
        "── assistant ",
        '→ get_weather({"city": "Bern"})  call_7',
        "── tool ",
        "12 degrees",
        "── answer ",
        "(reasoning) The tool says so.",
        "It is 12 degrees.",
    ]
    places = [text.find(piece) for piece in told]
    assert -1 not in places, told[places.index(-1)]
    assert places == sorted(places)
    assert text.count("Be brief.") == 1


@pytest.mark.parametrize(("ref", "index"), [((), -1), (("-1",), -1), (("-3",), 0)])
def test_no_reference_is_the_last_call_and_numbers_count_back(
    data: Path, calls: list[Call], ref: tuple[str, ...], index: int
) -> None:
    done = llmtap(data, "show", *ref, "--json")
    assert json.loads(done.stdout)["id"] == calls[index].id


def test_a_short_id_will_do(data: Path, calls: list[Call]) -> None:
    assert json.loads(llmtap(data, "show", calls[1].id[-8:], "--json").stdout)["id"] == calls[1].id


def test_json_is_one_line_with_the_bodies(data: Path) -> None:
    done = llmtap(data, "show", "--json")
    assert done.stdout.count(b"\n") == 1
    shown = json.loads(done.stdout)
    assert [message["role"] for message in shown["input"]] == ["system", "user", "assistant", "tool"]
    assert shown["output"] == "It is 12 degrees."


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (("--raw", "request"), REQUEST),
        (("--raw", "response"), RESPONSE),
        (("--raw", "response", "--head"), HEAD + RESPONSE),
        (("--raw", "request", "--head"), REQUEST_HEAD + REQUEST),
    ],
)
def test_raw_is_the_exact_bytes(data: Path, arguments: tuple[str, ...], wanted: bytes) -> None:
    done = llmtap(data, "show", *arguments)
    assert (done.returncode, done.stdout, done.stderr) == (0, wanted, b"")


def test_raw_bytes_are_not_escaped_and_nothing_is_added(tmp_path: Path) -> None:
    body = bytes(range(256)) + b"\r\n\n"
    record(tmp_path / "data", exchanged(new_call(), response=body))
    assert llmtap(tmp_path / "data", "show", "--raw", "response").stdout == body


def test_heads_alone(data: Path) -> None:
    assert llmtap(data, "show", "--head").stdout == (REQUEST_HEAD + HEAD).replace(b"\r\n", b"\n")


@pytest.mark.parametrize(
    ("call", "change", "side", "left", "reason"),
    [
        ({}, {"holes": True}, "request", REQUEST, b"lost a part of its request"),
        ({"status": "truncated"}, {"end": None}, "response", RESPONSE, b"bytes of its response only"),
        ({"status": "error"}, {"head": None, "response_body": b""}, "response", b"", b"has no response: none came"),
    ],
)
def test_what_is_not_whole_is_given_with_a_warning(
    tmp_path: Path, call: dict[str, object], change: dict[str, object], side: str, left: bytes, reason: bytes
) -> None:
    record(tmp_path / "data", exchanged(new_call(**call), **change))
    done = llmtap(tmp_path / "data", "show", "--raw", side)
    assert (done.returncode, done.stdout) == (1, left)
    assert reason in done.stderr


def test_a_reader_that_left_after_the_last_event_has_a_whole_answer(tmp_path: Path) -> None:
    stored = exchanged(new_call())
    assert stored.exchange is not None
    end = evolve(stored.exchange.end, response_complete=False, outcome="client_closed")
    record(tmp_path / "data", exchanged(new_call(), end=end))
    assert llmtap(tmp_path / "data", "show", "--raw", "response").returncode == 0


def test_a_call_that_asked_for_no_log_says_so(tmp_path: Path) -> None:
    stored = exchanged(new_call())
    assert stored.exchange is not None
    begin = evolve(stored.exchange.begin, no_log=True)
    record(tmp_path / "data", exchanged(new_call(), request=b"", response=b"", begin=begin))
    done = llmtap(tmp_path / "data", "show", "--raw", "request")
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"asked that no content be kept" in done.stderr


def test_a_running_call_has_no_bytes_yet(tmp_path: Path) -> None:
    record(tmp_path / "data", StoredCall(call=new_call(status="running", latency_us=None)))
    done = llmtap(tmp_path / "data", "show", "--raw", "response")
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"still runs" in done.stderr
    assert b"still running" in llmtap(tmp_path / "data", "show").stdout


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("ffffffff",), b"ffffffff"),
        (("-9",), b"3 are stored"),
        (("--json", "--raw", "request"), b"--json goes neither with --raw"),
        (("--raw", "both"), b"'both' is not one of"),
        (("--jsn",), b"No such option '--jsn'"),
    ],
)
def test_mistakes_are_explained(data: Path, arguments: tuple[str, ...], reason: bytes) -> None:
    done = llmtap(data, "show", *arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert reason in done.stderr
    assert b"Traceback" not in done.stderr


def test_before_the_first_call_it_says_how_to_begin(tmp_path: Path) -> None:
    done = llmtap(prepare(tmp_path / "data"), "show")
    assert done.returncode == 2
    assert b"llmtap serve" in done.stderr


@pytest.mark.parametrize(("dialect", "said"), [("generic", True), ("openai_chat", False)])
def test_an_endpoint_that_is_not_understood_is_told(tmp_path: Path, dialect: str, said: bool) -> None:
    record(tmp_path / "data", exchanged(new_call(dialect=dialect)))
    shown = llmtap(tmp_path / "data", "show").stdout
    assert (b"not understood yet: --raw request and --raw response give its bytes" in shown) is said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--raw",), b"--raw needs a side: --raw request or --raw response"),
        (("--raw", "-1"), b"--raw needs a side"),
        (("--raw", "--head"), b"--raw needs a side"),
        (("-0",), b"there is no call -0: -1 is the last one"),
    ],
)
def test_what_lacks_a_word_is_told_which(data: Path, arguments: tuple[str, ...], said: bytes) -> None:
    done = llmtap(data, "show", *arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert said in done.stderr


def test_no_escape_sequence_of_a_conversation_reaches_a_terminal(tmp_path: Path) -> None:
    attack = "\\u001b]52;c;x\\u0007\\u009b2J\\u202e"
    request = f'{{"model":"{attack}","messages":[{{"role":"{attack}","content":"line one\\nline {attack} two"}}]}}'
    response = (
        f'{{"choices":[{{"index":0,"finish_reason":"{attack}","message":{{"role":"assistant","content":"{attack}",'
        f'"refusal":"{attack}","tool_calls":[{{"id":"{attack}","type":"function","function":'
        f'{{"name":"{attack}","arguments":"{attack}"}}}}]}}}}]}}'
    )
    call = new_call(model="\x1bm", path="\x1bp", user="\x1bu", metadata={"\x1bk": "\x1bv"}, tags=("\x1bt",), key="\x9b")
    record(tmp_path / "data", exchanged(call, request.encode(), response.encode()))
    with Pseudo("show", "--data-dir", str(tmp_path / "data"), env={"NO_COLOR": "1"}) as show:
        assert show.end() == 0
    assert not set(show.seen) & {0x1B, 0x07}
    assert b"\xc2\x9b" not in show.seen
    assert "\u202e".encode() not in show.seen
    assert b"line one\r\nline \\x1b]52;c;x\\x07" in show.seen
