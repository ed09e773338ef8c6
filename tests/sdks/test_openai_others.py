"""The openai SDK: embeddings, moderations, models; retries; who asks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.fakes.upstream import FakeUpstream
from tests.harness.server import LlmtapServer

from . import saying
from .logged import JSON, Logged, told
from .openai_api import CATEGORIES, CHAT_MODELS, EMBEDDING_USAGE, LIMITED, OVERLOADED
from .providers import Providers

TEXTS = ["one text", "another text"]
ASKED: Any = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Weather?"}]}
CHAT = "/v1/chat/completions"
SOON = (("retry-after-ms", "5"),)


@pytest.fixture
def client(tap: LlmtapServer) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{tap.url}/v1", api_key="sk-test", max_retries=0) as client:
        yield client


# --- embeddings, moderations, models ------------------------------------------------------------------


@pytest.mark.parametrize(("more", "sent"), [({}, b"base64"), ({"encoding_format": "float"}, b"float")])
def test_embeddings(client: OpenAI, logged: Logged, provider: FakeUpstream, more: JSON, sent: bytes) -> None:
    answer = client.embeddings.create(model="text-embedding-3-small", input=TEXTS, **more)
    assert b'"encoding_format":"' + sent in provider.requests[0].body
    assert [each.embedding for each in answer.data] == saying.vectors(TEXTS)
    assert answer.usage.to_dict() == EMBEDDING_USAGE
    row = logged.row()
    told(row, status="ok", dialect="openai_embeddings", model="text-embedding-3-small", stream=False, notes=[])
    told(row, tokens_source="upstream", input_tokens=answer.usage.prompt_tokens, output_tokens=None)
    assert row["cost_usd"] == pytest.approx(8 * 0.02e-6)
    assert [part["text"] for message in row["input"] for part in message["parts"]] == TEXTS


def test_moderations(client: OpenAI, logged: Logged) -> None:
    answer = client.moderations.create(model="omni-moderation-latest", input="I will.")
    assert answer.results[0].flagged
    assert answer.results[0].categories.violence
    row = logged.row()
    told(
        row, status="ok", dialect="openai_moderations", model="omni-moderation-latest", response_id=answer.id, notes=[]
    )
    assert row["input"][-1]["parts"] == [{"type": "text", "text": "I will."}]
    assert "violence" in CATEGORIES


def test_models(client: OpenAI, logged: Logged) -> None:
    assert [model.id for model in client.models.list()] == list(CHAT_MODELS)
    told(logged.row(), status="ok", method="GET", dialect="models", endpoint="/v1/models", input_tokens=None, notes=[])


# --- retries ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "error"), [(500, OVERLOADED), (429, LIMITED)])
@pytest.mark.parametrize("stream", [False, True])
def test_a_retry_is_linked_to_what_it_repeats(
    tap: LlmtapServer, provider: FakeUpstream, logged: Logged, status: int, error: JSON, stream: bool
) -> None:
    failing = saying.refused(status, error, SOON)
    provider.script(CHAT, failing, failing, Providers())
    with OpenAI(base_url=f"{tap.url}/v1", api_key="sk-test", max_retries=2) as client:
        answer = client.chat.completions.create(**ASKED, stream=stream)
        if stream:
            assert list(answer)[-1].choices[0].finish_reason == "stop"
    rows = logged.rows()
    assert [row["http_status"] for row in rows] == [status, status, 200]
    assert [row["status"] for row in rows] == ["error", "error", "ok"]
    assert [row["retry"] or 0 for row in rows] == [0, 1, 2]
    assert [row["retry_of"] for row in rows] == [None, rows[0]["id"], rows[1]["id"]]
    for row in rows[:2]:
        told(row, retry_after_ms=5, cost_usd=None, input_tokens=None)
        assert stream or row["error_message"] == error["message"]  # of a stream, it leaves the error unread


def test_an_error_reaches_the_sdk_and_the_row(client: OpenAI, logged: Logged) -> None:
    with pytest.raises(openai.NotFoundError) as raised:
        client.responses.retrieve("resp_unknown")
    told(logged.row(), status="error", http_status=404, error_message=raised.value.body["message"])


# --- who asks ---------------------------------------------------------------------------------------


def test_headers_and_fields_say_who_asks(tap: LlmtapServer, provider: FakeUpstream, logged: Logged) -> None:
    with OpenAI(
        base_url=f"{tap.url}/p/shop/v1",
        api_key="sk-test",
        default_headers={"X-Llmtap-Session": "session-7", "X-Llmtap-Tag": "beta,eu", "X-Llmtap-Meta-Team": "search"},
    ) as client:
        client.chat.completions.create(**ASKED, user="ada", metadata={"order": "4711"})
    row = logged.row()
    told(row, project="shop", session="session-7", user="ada", tags=["beta", "eu"])
    assert row["metadata"].items() >= {"team": "search", "order": "4711"}.items()
    assert row["client"].startswith("OpenAI/Python")
    assert row["key"].startswith("fp:")
    assert not [name for name, _ in provider.requests[0].headers if name.lower().startswith(b"x-llmtap-")]
