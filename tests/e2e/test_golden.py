"""Every golden case as a real call: the client gets its bytes, and the row says what the case expects."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.dialects.golden import Case, cases
from tests.fakes.scripts import Close, Script, answer
from tests.fakes.upstream import FakeUpstream
from tests.harness.client import request
from tests.harness.server import LlmtapServer

SAME = ("stream", "model_requested", "model", "system_prompt", "output", "finish_reason", "response_id")
COUNTED = ("input_tokens", "output_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens")


def script(case: Case) -> Script:
    """The upstream of a case; one without a status gives no answer at all."""
    bodies = case.bodies
    if bodies.http_status is None:
        return Script((Close(),))
    headers = list(bodies.response_headers.items())
    framing = "chunked" if case.is_stream else "length"
    return answer(bodies.http_status, headers, bodies.response, framing=framing, sizes=(1, 7, 40, 200, 3000))  # type: ignore[arg-type]


def test_golden_cases_end_to_end(server: LlmtapServer, upstream: FakeUpstream) -> None:
    sent: dict[str, Case] = {}
    for case in cases():
        bodies = case.bodies
        upstream.script(bodies.path, script(case))
        got = server.ask(request(bodies.method, bodies.path, [("Content-Type", "application/json")], bodies.request))
        if bodies.http_status is not None:
            assert (got.status, got.body) == (bodies.http_status, bodies.response), case
        sent[str(got.call_id)] = case
    rows = server.rows(len(sent), lambda row: row["id"] in sent)
    wrong = {repr(sent[row["id"]]): problem for row in rows if (problem := differences(row, sent[row["id"]]))}
    assert wrong == {}


def differences(row: dict[str, Any], case: Case) -> dict[str, Any]:
    """Fields of a row that are not what the case says: name → (row, case)."""
    expected = orjson.loads(case.expected.read_bytes())
    if expected.get("background") or expected.get("retrieved"):
        return {}  # what one of these brings belongs to the other
    wanted = {name: expected.get(name) for name in SAME}
    if wanted["model_requested"] is None:
        del wanted["model_requested"]  # a path may name it, which a dialect is not shown
    usage = expected.get("usage") or {}
    if usage.get("input_tokens") is not None and usage.get("output_tokens") is not None:  # nothing to be estimated
        wanted |= {name: usage.get(name) for name in COUNTED} | {"tokens_source": "upstream"}
    return {name: (row[name], value) for name, value in wanted.items() if row[name] != value}


def test_there_are_cases() -> None:
    if not cases():
        pytest.fail("no golden cases were found")
