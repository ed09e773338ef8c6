"""Callers that ask for one side's body not to be kept: it is on no disk, all else is recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import pytest

from proxy.records import Side
from tests.fakes.scripts import Close, sse
from tests.fakes.upstream import FakeUpstream
from tests.harness.client import request
from tests.harness.records import Recorded, read_journals
from tests.harness.server import LlmtapServer
from tests.harness.watched import files_with
from tests.harness.worker import RelayWorker

ASKED, ANSWERED = "words-of-the-question", "words-of-the-answer"
BODY = json.dumps({"model": "m", "messages": [{"role": "user", "content": ASKED}]}).encode()
CHAT = "/v1/chat/completions"


class Asking(NamedTuple):
    """Header lines, and which sides they keep from being recorded."""

    lines: tuple[tuple[str, str], ...]
    request: bool
    response: bool


CASES = {
    "nothing": Asking((), False, False),
    "the request": Asking((("Helicone-Omit-Request", "true"),), True, False),
    "the answer": Asking((("helicone-OMIT-response", " 1 "),), False, True),
    "either": Asking((("Helicone-Omit-Response", "TRUE"), ("Helicone-Omit-Request", "yes")), True, True),
    "LiteLLM's": Asking((("x-litellm-enable-message-redaction", "true"),), True, True),
    "false": Asking((("Helicone-Omit-Request", "False"), ("Helicone-Omit-Response", "0")), False, False),
    "off": Asking((("x-litellm-enable-message-redaction", "off"), ("Helicone-Omit-Response", "")), False, False),
    "no, then yes": Asking((("Helicone-Omit-Request", "no"), ("Helicone-Omit-Request", "true")), True, False),
}


@pytest.mark.parametrize("name", CASES)
def test_a_side_that_is_not_to_be_kept_leaves_only_its_size(
    name: str, tmp_path: Path, own_upstream: FakeUpstream
) -> None:
    lines, *omitted = CASES[name]
    events = [ANSWERED.encode(), b"x" * 50_000, b"2"]
    own_upstream.script(CHAT, sse(events))
    with RelayWorker(tmp_path, own_upstream.url) as relay:
        got = relay.ask(request("POST", CHAT, [("User-Agent", "app/1"), *lines], BODY))
    assert own_upstream.requests[0].body == BODY
    assert ANSWERED.encode() in got.body
    kept = {side: not omit for side, omit in zip(Side, omitted, strict=True)}
    call = read_journals(relay.data).calls[got.call_id or ""]
    assert bytes(call.bodies[Side.REQUEST]) == (BODY if kept[Side.REQUEST] else b"")
    assert bytes(call.bodies[Side.RESPONSE]) == (bytes(got.body) if kept[Side.RESPONSE] else b"")
    assert bool(files_with(ASKED.encode(), relay.data, relay.stderr)) is kept[Side.REQUEST]
    assert bool(files_with(ANSWERED.encode(), relay.data, relay.stderr)) is kept[Side.RESPONSE]
    assert_all_else(call, omitted, len(got.body))


def assert_all_else(call: Recorded, omitted: list[bool], answered: int) -> None:
    begin, head, end = call.begin, call.head, call.end
    assert begin
    assert head
    assert end
    assert [begin.omit_request, begin.omit_response, begin.no_log] == [*omitted, False]
    assert (begin.target, begin.endpoint, head.status) == (CHAT, CHAT, 200)
    assert {line.name.lower(): line.value for line in begin.headers}[b"user-agent"] == b"app/1"
    assert head.headers
    assert (end.request_bytes, end.response_bytes, end.lost_parts) == (len(BODY), answered, 0)
    assert (end.request_complete, end.response_complete) == (True, True)


def test_what_llmtap_says_itself_counts_as_the_answer(tmp_path: Path, own_upstream: FakeUpstream) -> None:
    own_upstream.script(CHAT, sse([b"1"], cut=Close()))
    with RelayWorker(tmp_path, own_upstream.url) as relay:
        refused = relay.ask(request("POST", "/x#y", [("Helicone-Omit-Response", "1")], BODY))
        cut = relay.ask(request("POST", CHAT, [("Helicone-Omit-Response", "1")], BODY))
    assert (refused.status, cut.whole) == (400, False)
    calls = read_journals(relay.data).calls
    for answer in (refused, cut):
        call = calls[answer.call_id or ""]
        assert call.end
        assert (bytes(call.bodies[Side.RESPONSE]), call.end.response_bytes) == (b"", len(answer.body))
        assert call.bodies[Side.REQUEST] == BODY


@pytest.mark.parametrize("name", ["the request", "the answer", "LiteLLM's"])
def test_ingest_and_show_say_what_is_true(name: str, server: LlmtapServer, upstream: FakeUpstream) -> None:
    lines, *omitted = CASES[name]
    streaming = json.dumps({"model": "m", "stream": True, "messages": [{"role": "user", "content": ASKED}]}).encode()
    for body in (BODY, streaming):
        call_id = str(server.ask(request("POST", CHAT, lines, body)).call_id)
        row = server.row(call_id)
        assert (row["status"], row["http_status"], row["request_bytes"]) == ("ok", 200, len(body))
        assert not [note for note in row["notes"] or () if "hole" in note or "could not" in note], row["notes"]
        for (side, word), omit in zip({"request": "request", "response": "answer"}.items(), omitted, strict=True):
            done = server.command("show", call_id, "--raw", side)
            assert (done.returncode, bool(done.stdout)) == ((1, False) if omit else (0, True))
            assert (f"its caller asked that no {word} be kept" in done.stderr.decode()) is omit
