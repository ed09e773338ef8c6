"""Runs ``requests.py`` against a live relay with a strict upstream behind it."""

from __future__ import annotations

import contextlib
import json

import pytest

from tests.fakes.scripts import Echo, Script
from tests.fakes.upstream import FakeUpstream
from tests.fakes.wire import Seen
from tests.harness.client import Answer, RawClient, request
from tests.harness.eventually import eventually
from tests.harness.worker import RelayWorker

from .requests import CANARY, CASES, Case, Forwarded, Refused


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_request_has_one_reading(case: Case, relay: RelayWorker, upstream: FakeUpstream) -> None:
    upstream.otherwise(Script((Echo(),)))
    expected = case.expect if isinstance(case.expect, Forwarded) else case.either
    answers = exchange(relay, case, len(expected.bodies) if isinstance(expected, Forwarded) else 1)
    seen = seen_before_sentinel(relay, upstream)

    assert upstream.violations == []
    problems = [problem(outcome, answers, seen) for outcome in (case.expect, case.either) if outcome is not None]
    assert None in problems, "; or ".join(str(each) for each in problems)
    for answer in answers:
        assert CANARY not in answer.head + answer.body


def exchange(relay: RelayWorker, case: Case, most: int) -> list[Answer]:
    """Send the bytes; read as many answers as there can be."""
    with relay.connect() as client:
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            client.send(case.raw)
        if case.finish:
            client.finish()
        method = case.raw.split(b" ", 1)[0].decode("latin-1")
        answers: list[Answer] = []
        while len(answers) < most:
            answers.append(client.answer(method))
            if answers[-1].ending != "whole":
                break
        return answers


def seen_before_sentinel(relay: RelayWorker, upstream: FakeUpstream) -> list[Seen]:
    """What the upstream got, once a harmless request after it has been answered."""
    assert relay.ask(request("GET", "/sentinel")).status == 200
    return [seen for seen in upstream.requests if seen.target != b"/sentinel"]


def problem(outcome: Refused | Forwarded, answers: list[Answer], seen: list[Seen]) -> str | None:
    """Why what happened is not this outcome; None when it is."""
    check = not_refused if isinstance(outcome, Refused) else not_forwarded
    return check(outcome, answers, seen)  # type: ignore[arg-type]


def not_refused(outcome: Refused, answers: list[Answer], seen: list[Seen]) -> str | None:
    answer = answers[0]
    if answer.status not in outcome.statuses:
        return f"answered {answer.status} ({bytes(answer.body[:200])!r}), not one of {sorted(outcome.statuses)}"
    if seen and not outcome.begun:
        return f"the upstream saw {seen[0].head!r}"
    if any(each.whole for each in seen):
        return f"the upstream got a whole request: {bytes(seen[0].body[:100])!r}"
    if seen:
        eventually(lambda: seen[0].closed_at, "the relay gives up the half request")
    return wrong_error_body(answer) if answer.status else None


def wrong_error_body(answer: Answer) -> str | None:
    """Our own errors are JSON of the shape that SDKs know."""
    try:
        error = json.loads(answer.body)["error"]
    except (ValueError, KeyError, TypeError):
        return f"not an error object: {bytes(answer.body[:200])!r}"
    if set(error) < {"message", "type", "code"} or not error["message"]:
        return f"incomplete error object: {error}"
    return None


def not_forwarded(outcome: Forwarded, answers: list[Answer], seen: list[Seen]) -> str | None:
    if [answer.status for answer in answers] != [200] * len(outcome.bodies):
        return f"answered {[(answer.status, bytes(answer.body[:200])) for answer in answers]}"
    if len(seen) != len(outcome.bodies):
        return f"the upstream saw {len(seen)} requests"
    if tuple(answers[0].interim) != outcome.interim:
        return f"interim answers {answers[0].interim}"
    for each, body in zip(seen, outcome.bodies, strict=True):
        wrong = wrong_view(outcome, each, body)
        if wrong:
            return wrong
    return None


def wrong_view(outcome: Forwarded, seen: Seen, body: bytes) -> str | None:
    if (seen.method, seen.target) != (outcome.method, outcome.target):
        return f"the upstream saw {seen.method!r} {seen.target[:200]!r}"
    if not seen.whole or seen.body != body:
        return f"the upstream got {len(seen.body)} bytes, {'not ' * (not seen.whole)}whole: {bytes(seen.body[:80])!r}"
    if (seen.value(b"host") or b"").split(b":")[0] != b"127.0.0.1":
        return f"Host was {seen.value(b'host')!r}"
    missing = [pair for pair in outcome.present if pair not in seen.headers]
    extra = [name for name in outcome.absent if seen.values(name)]
    return f"missing {missing[:3]}, not dropped {extra}" if missing or extra else None


def test_a_fault_in_one_request_does_not_reach_the_next(relay: RelayWorker, upstream: FakeUpstream) -> None:
    """A connection that brought a malformed request is not read on."""
    smuggled = b"GET /smuggled HTTP/1.1\r\nHost: relay\r\n\r\n"
    bad = b"POST /t HTTP/1.1\r\nHost: relay\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    with RawClient(relay.port) as client:
        assert client.ask(bad + smuggled).status == 400
        assert client.at_end() in ("eof", "reset")
    assert seen_before_sentinel(relay, upstream) == []


def test_an_http_1_0_client_gets_an_unchunked_answer_and_a_close(relay: RelayWorker, upstream: FakeUpstream) -> None:
    from tests.fakes.scripts import answer

    upstream.script("/t", answer(body=b"hello", framing="chunked"))
    with RawClient(relay.port) as client:
        got = client.ask(b"GET /t HTTP/1.0\r\nHost: relay\r\n\r\n")
        assert (got.status, got.body, got.whole) == (200, b"hello", True)
        assert got.value("transfer-encoding") is None
        assert client.at_end() == "eof"


def test_a_split_at_every_byte_changes_nothing(relay: RelayWorker, upstream: FakeUpstream) -> None:
    raw = (
        b"POST /t?q=%2F HTTP/1.1\r\nHost: relay\r\nX-A: 1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    )
    for at in range(1, len(raw), 3):
        with RawClient(relay.port) as client:
            client.send(raw[:at])
            client.send(raw[at:])
            assert client.answer("POST").body == b"hello"
    assert {(each.target, bytes(each.body)) for each in upstream.requests} == {(b"/t?q=%2F", b"hello")}
    assert upstream.violations == []
