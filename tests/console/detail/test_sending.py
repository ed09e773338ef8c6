"""What is sent again: the recorded request, edited, with who asks for it in its headers."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from proxy.config import Config, load
from proxy.console.detail.copies import sent
from proxy.console.detail.sending import addressed, edited, form, headers, own_key
from proxy.errors import UsageError
from proxy.records import Exchange, Header, evolve
from proxy.settings import Upstream
from tests.cli.recorded import REQUEST, exchanged, new_call


def recorded(body: bytes = REQUEST) -> Exchange:
    exchange = exchanged(new_call(), body).exchange
    assert exchange is not None
    more = (
        Header(b"content-type", b"application/json"),
        Header(b"x-llmtap-user", b"ada"),
        Header(b"cookie", b"fp:1", True),
    )
    return evolve(exchange, begin=evolve(exchange.begin, headers=(*exchange.begin.headers, *more)))


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return load(environment={"XDG_CONFIG_HOME": str(tmp_path)}, flags={("data", "dir"): str(tmp_path)})


def test_the_form_holds_the_request_and_gives_it_back(config: Config) -> None:
    shown = form(recorded(), config)
    assert (shown.model, shown.means, shown.key_known) == ("gpt-5-mini", "messages", False)
    fields = {"model": shown.model, "asked": shown.asked, "parameters": shown.parameters}
    assert json.loads(edited(recorded(), config, fields)) == json.loads(REQUEST)


def test_what_is_edited_is_sent(config: Config) -> None:
    fields = {"model": "other", "asked": '[{"role": "user", "content": "hi"}]', "parameters": '{"temperature": 0}'}
    body = json.loads(edited(recorded(), config, fields))
    assert body == {"model": "other", "messages": [{"role": "user", "content": "hi"}], "temperature": 0}


@pytest.mark.parametrize(
    ("fields", "named"),
    [({"asked": "[{"}, "messages: this is not JSON"), ({"parameters": "[]"}, "parameters: write an object")],
)
def test_mistakes_are_named(config: Config, fields: dict[str, str], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        edited(recorded(), config, fields)


@pytest.mark.parametrize("body", [b"", b"[1]", b"plain", b'{"x":"' + b"y" * (1 << 20) + b'"}'])
def test_what_cannot_be_edited(config: Config, body: bytes) -> None:
    with pytest.raises(UsageError):
        form(recorded(body), config)


def test_a_re_run_says_what_it_is_and_repeats_nothing_of_who_asked(config: Config) -> None:
    request = sent(recorded(), config, "http://h")
    assert request is not None
    made = headers(request, new_call(id="the-first", project="shop"), "grace\r\nX: 1", "secret")
    assert made == {
        "Content-Type": "application/json",
        "X-Llmtap-Project": "shop",
        "X-Llmtap-Exclude": "rerun",
        "X-Llmtap-Meta-Rerun-Of": "the-first",
        "X-Llmtap-Meta-Rerun-By": "graceX: 1",
        "authorization": "Bearer secret",
    }
    assert "authorization" not in headers(request, new_call(), "grace", "")


def test_a_key_of_the_environment_counts_only_where_the_settings_name_it(config: Config) -> None:
    name = next(name for name, value in os.environ.items() if value)
    named = evolve(config, upstreams=(Upstream(name="openai", base="http://h", api_key_env=name),))
    assert own_key(named, "openai") == os.environ[name]
    assert own_key(named, "anthropic") == own_key(config, "openai") == ""


def test_a_key_goes_only_where_one_stood(config: Config) -> None:
    fingerprint = "fp:0123456789abcdef"
    exchange = recorded()
    target = f"/gemini/v1beta/models/x:generateContent?monkey={fingerprint}&key={fingerprint}&alt=sse"
    request = sent(evolve(exchange, begin=evolve(exchange.begin, target=target, headers=())), config, "http://relay")
    assert request is not None
    assert request.key_in_url
    url = addressed(request, "AIza&x=1#y")
    assert (
        url == f"http://relay/gemini/v1beta/models/x:generateContent?monkey={fingerprint}&key=AIza%26x%3D1%23y&alt=sse"
    )
