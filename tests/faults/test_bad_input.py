"""Odd requests and odd answers, the whole way: client, relay, upstream, and the row that comes of it.

Whatever is sent passes as it is, or is cut or refused as documented; its row arrives, says what
could not be understood, and gives back every byte; and the call after it is as any other.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from proxy.errors import CallNotFound
from proxy.records import Call, Exchange, Status, evolve
from proxy.store.sqlite.reader import SqliteReader
from proxy.store.view import BODY_KEYS, summary_json
from tests.conformance.responses import Cut, Ours, Same
from tests.conformance.test_responses import problem
from tests.fakes.upstream import FakeUpstream
from tests.fakes.wire import Seen
from tests.harness.client import Answer, RawClient, chunked_request, request
from tests.harness.eventually import eventually
from tests.harness.server import LlmtapServer
from tests.harness.watched import rss_bytes

from . import bad_answers, bad_http, bad_requests, bad_streams
from .bad_input import Case
from .big_input import BODY_BYTES, CONFIG, LARGE

CASES = (*bad_requests.CASES, *bad_answers.CASES, *bad_streams.CASES, *bad_http.CASES)
ORDINARY = "an ordinary call behind case"
ORDINARY_EVERY = 10  # cases; most of which have one half that is ordinary
FRAMING = (b"host", b"content-length", b"transfer-encoding")
#: By what the client sees: what the row says, if its case does not say otherwise.
ROWS = {
    Same: lambda answer: {"status": "ok" if answer.status < 400 else "error", "http_status": answer.status},
    Cut: lambda answer: {"status": "truncated", "error_type": "upstream_cut", "http_status": answer.status},
    Ours: lambda answer: {"status": "error", "http_status": 502},
}


class Played(Struct, frozen=True):
    """One case, as everybody saw it."""

    answer: Answer
    seen: tuple[Seen, ...]  #: by the upstream
    row: dict[str, Any]
    exchange: Exchange | None


#: Upstreams here close in the moment in which the next call comes. What becomes of a call on such a connection is
#: told by tests/relay; these calls are each on their own.
FRESH = {"LLMTAP_LIMITS_UPSTREAM_KEEP_ALIVE_S": "0.000001"}


@pytest.fixture(scope="module")
def server(shared_upstream: FakeUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlmtapServer]:
    with LlmtapServer(tmp_path_factory.mktemp("llmtap"), shared_upstream.url, config=CONFIG, env=FRESH) as server:
        yield server


@pytest.fixture(scope="module")
def rows(server: LlmtapServer, answers: dict[str, Answer]) -> dict[str, dict[str, Any]]:
    """What ``tail --json`` gives, by id, once all calls have ended."""
    ids = [str(answer.call_id) for answer in answers.values()]
    asyncio.run(recorded(server, ids))
    return {row["id"]: row for row in server.calls()}


@pytest.fixture(scope="module")
def answers(server: LlmtapServer, shared_upstream: FakeUpstream) -> dict[str, Answer]:
    """Every case, played one after the other, with ordinary calls between them."""
    got: dict[str, Answer] = {}
    for place, case in enumerate(CASES):
        got[case.name] = play(case, place, server, shared_upstream)
        if place % ORDINARY_EVERY == ORDINARY_EVERY - 1:
            got[f"{ORDINARY} {place}"] = ask_ordinarily(server)
    return got


@pytest.fixture(scope="module")
def played(
    server: LlmtapServer,
    shared_upstream: FakeUpstream,
    answers: dict[str, Answer],
    rows: dict[str, dict[str, Any]],
) -> dict[str, Played]:
    """Every case, as everybody saw it."""
    seen: dict[str, list[Seen]] = {}
    for each in shared_upstream.requests:
        seen.setdefault(each.path, []).append(each)
    found = asyncio.run(recorded(server, [str(answers[case.name].call_id) for case in CASES]))
    return {
        case.name: Played(
            answers[case.name],
            tuple(seen.get(f"/{place}{case.path}", ())),
            rows[str(answers[case.name].call_id)],
            found[str(answers[case.name].call_id)][1],
        )
        for place, case in enumerate(CASES)
    }


def play(case: Case, place: int, server: LlmtapServer, upstream: FakeUpstream) -> Answer:
    """The answer to the case, on a path of its own."""
    path = f"/{place}{case.path}"
    upstream.script(path, case.script)
    with RawClient(server.port) as client:
        answer = client.ask(raw(case, path), case.method)
        if not case.uploaded:
            upstream.open("read on")
        return answer


def ask_ordinarily(server: LlmtapServer) -> Answer:
    body = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'
    return server.ask(request("POST", "/v1/chat/completions", (), body))


def raw(case: Case, path: str) -> bytes:
    if case.framing == "chunked":
        return chunked_request(case.method, path, case.headers, [bytes([byte]) for byte in case.request or b""])
    return request(case.method, path, case.headers, case.request)


async def recorded(server: LlmtapServer, ids: list[str]) -> dict[str, tuple[dict[str, Any], Exchange | None]]:
    """Rows, without what was said, and bytes of these calls, once all of them have ended."""
    reader = await SqliteReader.open(server.data)
    try:
        async with asyncio.timeout(120):
            rows = {call_id: summary_json(await ended(reader, call_id)) for call_id in reversed(ids)}
        return {call_id: (row, await reader.exchange(call_id)) for call_id, row in rows.items()}
    finally:
        await reader.close()


async def ended(reader: SqliteReader, call_id: str) -> Call:
    while True:
        with contextlib.suppress(CallNotFound):
            call = await reader.call(call_id)
            if call.status != Status.RUNNING:
                return call
        await asyncio.sleep(0.02)


# --- small ones -------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_input(case: Case, played: dict[str, Played]) -> None:
    got = played[case.name]
    assert_passed(case, got)
    assert differences(case, got.answer, got.row) == {}
    assert_given_back(case, got.answer, got.exchange)


def test_the_calls_between_are_as_any_other(answers: dict[str, Answer], rows: dict[str, dict[str, Any]]) -> None:
    between = [rows[str(answer.call_id)] for name, answer in answers.items() if name.startswith(ORDINARY)]
    assert len(between) == len(CASES) // ORDINARY_EVERY
    told = {(row["status"], row["output"], row["input_tokens"], tuple(row["notes"])) for row in between}
    assert told == {("ok", "Hello there.", 1, ())}


def test_there_is_one_row_for_each_call(answers: dict[str, Answer], rows: dict[str, dict[str, Any]]) -> None:
    assert sorted(rows) == sorted(str(answer.call_id) for answer in answers.values())


def test_nothing_is_in_quarantine_and_nothing_is_behind(answers: dict[str, Answer], server: LlmtapServer) -> None:
    assert list((server.data / "quarantine").glob("*")) == []
    eventually(lambda: server.gauges("ingest")["journal_lag_bytes"] == 0, "ingest has read everything")
    assert "Traceback" not in server.log
    assert server.command("check").returncode == 0


def assert_passed(case: Case, got: Played) -> None:
    """The client got one of the outcomes, and the upstream what the client sent."""
    problems = [problem(outcome, got.answer) for outcome in case.client]
    assert None in problems, "; or ".join(str(each) for each in problems)
    (seen,) = got.seen
    sent = case.request or b""
    assert seen.body == sent if case.uploaded else sent.startswith(seen.body)
    assert [(n.decode(), v.decode()) for n, v in seen.headers if n.lower() not in FRAMING] == list(case.headers)


def differences(case: Case, answer: Answer, row: dict[str, Any]) -> dict[str, Any]:
    """Fields of a row that are not what the case says: name → (row, case)."""
    outcome = next(outcome for outcome in case.client if problem(outcome, answer) is None)
    calls = [(tool["id"], tool["name"], tool["arguments"]) for tool in row.get("tool_calls") or ()]
    row = row | {"tool_calls": calls}
    wanted = ROWS[type(outcome)](answer) | case.row
    wrong = {name: (row[name], value) for name, value in wanted.items() if value not in (..., row[name])}
    if case.notes is not None and not begin_with(row["notes"], case.notes):
        wrong["notes"] = (row["notes"], case.notes)
    return wrong


def begin_with(texts: list[str], beginnings: tuple[str, ...]) -> bool:
    pairs = zip(texts, beginnings, strict=False)
    return len(texts) == len(beginnings) and all(text.startswith(beginning) for text, beginning in pairs)


def assert_given_back(case: Case, answer: Answer, exchange: Exchange | None) -> None:
    """The store rebuilds what was sent, both ways, byte for byte."""
    assert exchange is not None
    sent = case.request or b""
    assert exchange.request_body == sent if case.uploaded else sent.startswith(exchange.request_body)
    assert exchange.response_body == answer.body
    assert not exchange.holes


# --- large ones -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LARGE)
def test_large_input(name: str, server: LlmtapServer, shared_upstream: FakeUpstream) -> None:
    shared_upstream.requests.clear()
    case = LARGE[name]()
    pids = {role: server.pid(role) for role in ("relay-0", "ingest")}
    before = {role: begin_peak(pid) for role, pid in pids.items()}
    answer, after = play(case, 0, server, shared_upstream), ask_ordinarily(server)
    found = asyncio.run(recorded(server, [str(answer.call_id), str(after.call_id)]))
    grown = {role: peak_bytes(pid) - before[role] for role, pid in pids.items()}

    row, exchange = found[str(answer.call_id)]
    assert_passed(case, Played(answer, tuple(shared_upstream.requests[:1]), row, exchange))
    assert differences(without_bodies(case), answer, row) == {}
    assert_given_back(case, answer, exchange)
    assert found[str(after.call_id)][0]["status"] == "ok"
    assert grown["ingest"] < 8 * max(BODY_BYTES, len(case.request or b"")), "what bodies expand to is bounded"
    assert grown["relay-0"] < 64 << 20, "the relay holds no bodies"
    assert {role: server.pid(role) for role in pids} == pids, "nobody died of it"


def without_bodies(case: Case) -> Case:
    """The case with what its row alone can say: to read what was said again takes long."""
    return evolve(case, row={name: value for name, value in case.row.items() if name not in BODY_KEYS})


def begin_peak(pid: int) -> int:
    """Resident memory of a process now; where the system can, its peak is counted from here on."""
    counted = Path(f"/proc/{pid}/clear_refs")
    if counted.exists():
        counted.write_text("5")
    return rss_bytes(pid)


def peak_bytes(pid: int) -> int:
    """The most memory that a process has held; where the system does not tell, what it holds now."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return rss_bytes(pid)
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def test_raw_bytes_by_the_command_line(server: LlmtapServer, shared_upstream: FakeUpstream) -> None:
    """What is not text comes out of ``show --raw`` as it went in."""
    case = next(case for case in bad_streams.CASES if case.name.startswith("63"))
    answer = play(case, 0, server, shared_upstream)
    asyncio.run(recorded(server, [str(answer.call_id)]))
    assert server.raw(str(answer.call_id), "request") == case.request
    assert server.raw(str(answer.call_id), "response") == answer.body
