"""The SDK calls of ``sdk_calls.py`` against the fake upstream, and what SDKs do when things go wrong."""

from __future__ import annotations

import openai
import pytest

from tests.fakes.scripts import Close, Script, Stall, chat_chunks, json_answer, sse
from tests.fakes.upstream import FakeUpstream
from tests.harness.eventually import eventually
from tests.harness.server import LlmtapServer

from .sdk_calls import MESSAGES, all_calls, assert_rows_agree, client_of, unary

PATH = "/v1/chat/completions"


def test_rows_agree_with_the_sdk(server: LlmtapServer, upstream: FakeUpstream) -> None:
    calls = all_calls(server)
    assert [got.text for got in calls] == ["Hello there."] * 3
    assert_rows_agree(server, calls)
    assert [seen.value(b"authorization") for seen in upstream.requests] == [b"Bearer sk-e2e-canary-41c7"] * 3


def test_an_error_of_the_provider_reaches_the_sdk_as_it_is(server: LlmtapServer, upstream: FakeUpstream) -> None:
    error = {
        "error": {"message": "Rate limit reached", "type": "requests", "param": None, "code": "rate_limit_exceeded"}
    }
    upstream.script(PATH, json_answer(error, 429))
    with client_of(server) as client, pytest.raises(openai.RateLimitError) as raised:
        unary(client)
    assert raised.value.code == "rate_limit_exceeded"
    row = server.row(raised.value.response.headers["x-llmtap-call-id"])
    assert (row["status"], row["http_status"]) == ("error", 429)
    assert row["error_message"] == "Rate limit reached"


def test_an_error_of_ours_is_readable_in_the_sdk(server: LlmtapServer, upstream: FakeUpstream) -> None:
    upstream.script(PATH, Script((Close(),)))
    with client_of(server) as client, pytest.raises(openai.APIStatusError) as raised:
        unary(client)
    assert raised.value.status_code == 502
    assert "closed the connection" in raised.value.message


def test_a_stream_cut_by_the_provider_is_an_error_in_the_sdk(server: LlmtapServer, upstream: FakeUpstream) -> None:
    events = chat_chunks({"model": "m"}, ["Hel", "lo"])[:2]
    upstream.script(PATH, sse(events, done=False, cut=Close()))
    texts: list[str] = []
    with client_of(server) as client:
        stream = client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
        with pytest.raises(Exception, match=r"(?i)incomplete|closed|peer|connection"):
            texts.extend(chunk.choices[0].delta.content or "" for chunk in stream)
        call_id = stream.response.headers["x-llmtap-call-id"]
    row = server.row(call_id)
    assert (row["status"], row["output"]) == ("truncated", "Hel")


def test_breaking_out_of_a_stream_ends_the_call_upstream(server: LlmtapServer, upstream: FakeUpstream) -> None:
    upstream.script(PATH, sse(chat_chunks({"model": "m"}, ["Hel", "lo"])[:2], done=False, cut=Stall()))
    with client_of(server) as client:
        stream = client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
        for chunk in stream:
            if chunk.choices[0].delta.content:
                break
        call_id = stream.response.headers["x-llmtap-call-id"]
        stream.close()
        eventually(lambda: upstream.requests[-1].closed_at, "the upstream is told")
    row = server.row(call_id)
    assert (row["status"], row["output"]) == ("client_closed", "Hel")
