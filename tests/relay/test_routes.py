"""Where a target goes: a table against the route table, and no way around it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config import Config, Relay, Upstream
from proxy.errors import RefusedRequest
from proxy.relay.routes import BUILT_IN, Routes

ROUTES = Routes(Config())


def sent(routes: Routes, target: str, *, anthropic: bool = False) -> str:
    """The URL that a target becomes."""
    to = routes.resolve(target, anthropic_version=anthropic)
    query = "" if to.query is None else f"?{to.query}"
    return f"{to.route.scheme}://{to.route.authority}{to.path}{query}"


@pytest.mark.parametrize(
    ("target", "url"),
    [
        ("/v1/chat/completions", "https://api.openai.com/v1/chat/completions"),
        ("/", "https://api.openai.com/"),
        ("/?", "https://api.openai.com/?"),
        ("/v1/x?a=%2F&b", "https://api.openai.com/v1/x?a=%2F&b"),
        ("/v1/a%2Fb/../c//d", "https://api.openai.com/v1/a%2Fb/../c//d"),
        ("/anthropic/v1/messages", "https://api.anthropic.com/v1/messages"),
        ("/anthropic", "https://api.anthropic.com/"),
        ("/anthropics/x", "https://api.openai.com/anthropics/x"),
        ("/openrouter/v1/chat/completions", "https://openrouter.ai/api/v1/chat/completions"),
        ("/groq/v1/models", "https://api.groq.com/openai/v1/models"),
        ("/ollama/api/chat", "http://127.0.0.1:11434/api/chat"),
        ("//evil.example/x", "https://api.openai.com//evil.example/x"),
        ("http://169.254.169.254/latest", "https://api.openai.com/latest"),
        ("http://user:pass@evil.example", "https://api.openai.com/"),
        ("https://evil.example?x=1", "https://api.openai.com/?x=1"),
        ("http://evil/groq/v1/x", "https://api.groq.com/openai/v1/x"),
    ],
)
def test_targets(target: str, url: str) -> None:
    assert sent(ROUTES, target) == url


@given(st.text(alphabet="/abchtp:@.?&=%-_~1", min_size=1, max_size=60))
def test_no_target_chooses_a_host_of_its_own(target: str) -> None:
    hosts = {base.partition("://")[2].partition("/")[0] for _, _, base in BUILT_IN}
    try:
        to = ROUTES.resolve(target)
    except RefusedRequest:
        return
    assert to.route.authority in hosts
    assert to.path.startswith("/")


@pytest.mark.parametrize("target", ["/x#frag", "*", "example.com:443", ""])
def test_targets_that_cannot_be_passed_on_are_refused(target: str) -> None:
    with pytest.raises(RefusedRequest) as refused:
        ROUTES.resolve(target)
    assert refused.value.status == 400


def test_a_root_request_with_anthropic_version_goes_to_anthropic() -> None:
    assert sent(ROUTES, "/v1/messages", anthropic=True) == "https://api.anthropic.com/v1/messages"
    assert sent(ROUTES, "/groq/v1/x", anthropic=True) == "https://api.groq.com/openai/v1/x"


@pytest.mark.parametrize(
    ("target", "project", "url"),
    [
        ("/p/shop/v1/x", "shop", "https://api.openai.com/v1/x"),
        ("/p/shop/groq/v1/x", "shop", "https://api.groq.com/openai/v1/x"),
        ("/p/shop", "shop", "https://api.openai.com/"),
        ("/p/shop?a=1", "shop", "https://api.openai.com/?a=1"),
        ("/page/x", "default", "https://api.openai.com/page/x"),
    ],
)
def test_projects(target: str, project: str, url: str) -> None:
    assert ROUTES.resolve(target).project == project
    assert sent(ROUTES, target) == url


@pytest.mark.parametrize("target", ["/p/", "/p//v1/x", "/p/a%20b/v1", f"/p/{'x' * 65}/v1"])
def test_bad_project_names_are_refused_with_an_example(target: str) -> None:
    with pytest.raises(RefusedRequest, match="/p/my-app/"):
        ROUTES.resolve(target)


def test_upstreams_add_and_replace_prefixes() -> None:
    routes = Routes(
        Config(
            upstreams=(
                Upstream(name="azure", base="https://me.openai.azure.com/openai/v1/"),
                Upstream(name="groq", base="http://10.0.0.1:9000", prefix="/fast"),
                Upstream(name="gateway", base="https://gw.example/x/v1", prefix="/"),
            )
        )
    )
    assert sent(routes, "/azure/v1/chat/completions") == "https://me.openai.azure.com/openai/v1/chat/completions"
    assert sent(routes, "/fast/v1/x") == "http://10.0.0.1:9000/v1/x"
    assert sent(routes, "/groq/v1/x") == "https://gw.example/x/groq/v1/x"
    assert sent(routes, "/v1/messages", anthropic=True) == "https://gw.example/x/v1/messages"


@pytest.mark.parametrize("base", ["https://h.example/x", "https://h.example/x/", "https://h.example/x/v1"])
def test_the_only_upstream_takes_everything_as_sent(base: str) -> None:
    routes = Routes(Config(relay=Relay(upstream=base)))
    assert sent(routes, "/v1/x") == "https://h.example/x/v1/x"
    assert sent(routes, "/groq/v1/x") == "https://h.example/x/groq/v1/x"
    assert sent(routes, "/v1/messages", anthropic=True) == "https://h.example/x/v1/messages"
    assert routes.resolve("/p/shop/v1/x").project == "shop"
    assert routes.resolve("/v1/x").route.upstream == "h.example"
