"""Feedback by the ids that an application has, through a real ``llmtap serve``."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.fakes.scripts import Script, answer
from tests.fakes.upstream import FakeUpstream
from tests.fakes.wire import Seen
from tests.harness.client import ask, request
from tests.harness.eventually import eventually
from tests.harness.server import LlmtapServer

WITHIN_S = 2.0
JSON = dict[str, Any]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlmtapServer]:
    with FakeUpstream() as upstream:
        upstream.script("/v1/chat/completions", _answer)
        with LlmtapServer(tmp_path_factory.mktemp("serve"), upstream.url) as running:
            yield running


def _answer(seen: Seen) -> Script:
    """With the ids of the name that the request has as its model."""
    name = json.loads(seen.body)["model"]
    body = {"id": f"chatcmpl-{name}", "object": "chat.completion", "model": "m", "choices": []}
    headers = [("Content-Type", "application/json"), ("x-request-id", f"req-{name}")]
    return answer(headers=headers, body=json.dumps(body).encode())


def said_and_done(server: LlmtapServer, name: str) -> str:
    """Ask a model; the id that llmtap gives the call."""
    asked = json.dumps({"model": name, "messages": []}).encode()
    found = ask(server.port, request("POST", "/v1/chat/completions", (), asked)).value("x-llmtap-call-id")
    assert found is not None
    return found.decode()


def api(server: LlmtapServer, method: str, path: str, body: Any = None) -> JSON:
    sent = urllib.request.Request(
        f"http://127.0.0.1:{server.gauges('console')['port']}{path}",
        None if body is None else json.dumps(body).encode(),
        {"Content-Type": "application/json"},
        method=method,
    )
    with urllib.request.urlopen(sent, timeout=30) as came:
        found: JSON = json.load(came)
        return found


def opinions(server: LlmtapServer, call: str) -> dict[str, Any]:
    try:
        found = api(server, "GET", f"/api/calls/{call}/judgements")["opinions"]
    except urllib.error.HTTPError as error:
        if error.code == 404:  # it is not stored yet
            return {}
        raise
    return {each["name"]: each["value"] if each["label"] is None else each["label"] for each in found}


def test_feedback_by_the_providers_ids_is_on_the_right_call_within_two_seconds(server: LlmtapServer) -> None:
    calls = [said_and_done(server, f"right-{number}") for number in range(3)]
    api(server, "POST", "/api/flush", {})
    for number, body in enumerate(
        ({"response_id": "chatcmpl-right-1"}, {"request_id": "req-right-2"}, {"call": calls[0]})
    ):
        scores = [{"name": "order", "value": number}, {"name": "tone", "value": "kind"}]
        api(server, "POST", "/api/feedback", {**body, "scores": scores, "author": "ada"})
    for call, number in zip((calls[1], calls[2], calls[0]), range(3), strict=True):
        expected = {"order": float(number), "tone": "kind"}
        eventually(lambda call=call, expected=expected: opinions(server, call) == expected, call, WITHIN_S)


def test_feedback_may_come_before_the_answer_is_stored(server: LlmtapServer) -> None:
    api(
        server, "POST", "/api/feedback", {"response_id": "chatcmpl-early", "scores": [{"name": "early", "value": True}]}
    )
    api(server, "POST", "/api/flush", {})
    call = said_and_done(server, "early")
    eventually(lambda: opinions(server, call) == {"early": 1.0}, "the early word is on the call")


def test_said_again_it_replaces_and_a_flush_waits_for_it(server: LlmtapServer) -> None:
    call = said_and_done(server, "again")
    api(server, "POST", "/api/flush", {})
    for value in (0.2, 0.7):
        api(server, "POST", "/api/feedback", {"call": call, "scores": [{"name": "worth", "value": value}]})
    api(server, "POST", "/api/feedback", [{"call": call, "author": "bob", "scores": [{"name": "worth", "value": 0.5}]}])
    api(server, "POST", "/api/notes", {"call": call, "text": "see the ticket"})
    api(server, "POST", f"/api/calls/{call}/tags", {"add": ["odd"]})
    api(server, "POST", "/api/tags", {"name": "good", "color": "#00aa00"})
    api(server, "POST", "/api/views", {"name": "odd ones", "page": "/", "query": "q=tag:odd"})
    api(server, "POST", "/api/flush", {})
    said = api(server, "GET", f"/api/calls/{call}/judgements")
    assert sorted((each["author"], each["value"]) for each in said["opinions"]) == [("bob", 0.5), ("local", 0.7)]
    assert [note["text"] for note in said["notes"]] == ["see the ticket"]
    assert api(server, "GET", f"/api/calls/{call}")["tags"] == ["odd"]
    assert {tag["name"] for tag in api(server, "GET", "/api/tags")["tags"]} >= {"odd", "good"}
    assert [view["name"] for view in api(server, "GET", "/api/views")["views"]] == ["odd ones"]
    [found] = api(server, "GET", "/api/calls?filter=scores.worth%20%3E%200.55")["calls"]
    assert found["id"] == call
