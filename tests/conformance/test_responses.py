"""Runs ``responses.py``: a scripted upstream behind a live relay, a raw client in front."""

from __future__ import annotations

import re

import pytest

from tests.fakes.scripts import Close
from tests.fakes.upstream import FakeUpstream
from tests.harness.client import Answer, RawClient, request
from tests.harness.worker import RelayWorker

from .responses import CASES, Case, Cut, Ours, Same
from .test_requests import wrong_error_body

ADDED = b"x-llmtap-call-id"
#: header lines that belong to a hop: the relay may say its own
HOP = {b"connection", b"keep-alive", b"transfer-encoding", ADDED}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_answer_has_one_reading(case: Case, relay: RelayWorker, upstream: FakeUpstream) -> None:
    upstream.script("/t", case.script)
    with RawClient(relay.port) as client:
        answer = client.ask(request(case.method, "/t", [("Connection", "keep-alive")], case.raw_body))
        upstream.open("read on")
        following = client.ask(request("GET", "/next", (), b"mine")) if answer.ending == "whole" else None

    problems = [problem(outcome, answer) for outcome in case.allowed]
    assert None in problems, "; or ".join(str(each) for each in problems)
    assert_clean(answer)
    assert len([seen for seen in upstream.requests if seen.target == b"/t"]) == 1
    if following is not None and following.status:
        closed = following.status == 502 and isinstance(case.script.steps[-1], Close)  # seen only when it was asked
        assert closed or (following.status, following.body) == (200, b"mine"), "the next request got another's bytes"


def problem(outcome: Same | Cut | Ours, answer: Answer) -> str | None:
    """Why this is not what the client got; None when it is."""
    check = {Same: not_same, Cut: not_cut, Ours: not_ours}[type(outcome)]
    return check(outcome, answer)  # type: ignore[operator]


def not_same(outcome: Same, answer: Answer) -> str | None:
    if answer.status != outcome.status:
        return f"status {answer.status}, not {outcome.status}: {bytes(answer.body[:200])!r}"
    if not answer.whole:
        return f"not whole: {answer.ending} after {len(answer.body)} bytes"
    if answer.body != outcome.body:
        return f"body of {len(answer.body)} bytes, not {len(outcome.body)}: {bytes(answer.body[:80])!r}"
    got, sent = end_to_end(answer.headers), end_to_end(outcome.headers)
    return None if got == sent else f"headers {got[:10]}, not {sent[:10]}"


def end_to_end(headers: list[tuple[bytes, bytes]] | tuple[tuple[bytes, bytes], ...]) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in headers if name.lower() not in HOP]


def not_cut(outcome: Cut, answer: Answer) -> str | None:
    if answer.whole and answer.framing != "close":
        return f"a clean end after {bytes(answer.body[:80])!r}"
    if answer.status != 200 or answer.body != outcome.body:
        return f"{answer.status} {bytes(answer.body[:80])!r}, not {outcome.body!r}"
    return None


def not_ours(outcome: Ours, answer: Answer) -> str | None:
    if answer.status != 502:
        return f"status {answer.status}, not 502"
    return wrong_error_body(answer)


def assert_clean(answer: Answer) -> None:
    """Nothing that a strict client would refuse is ever passed on."""
    assert not re.search(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", answer.head), answer.head[:300]
    assert not re.search(rb"\r\n[ \t]", answer.head), "a folded header line was passed on"
    assert not re.search(rb"[\r\n]", answer.head.replace(b"\r\n", b"")), "a bare CR or LF was passed on"
    lengths = answer.values("content-length")
    assert len(lengths) < 2, lengths
    assert not (lengths and answer.value("transfer-encoding")), "both framings were passed on"


def test_a_reason_phrase_is_kept(relay: RelayWorker, upstream: FakeUpstream) -> None:
    case = next(case for case in CASES if case.name.startswith("78e"))
    upstream.script("/t", case.script)
    assert relay.ask(request("GET", "/t")).reason == b"Fine With Me"


def test_the_call_id_is_the_one_added_header(relay: RelayWorker, upstream: FakeUpstream) -> None:
    got = relay.ask(request("GET", "/echo"))
    assert [name.lower() for name, _ in got.headers] == [b"content-length", ADDED]
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", got.call_id or "")
