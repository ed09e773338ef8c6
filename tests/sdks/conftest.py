"""One llmtap for the whole folder, each of its upstreams the same server of all providers."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.fakes.upstream import FakeUpstream
from tests.harness.server import LlmtapServer

from .logged import Logged
from .providers import Providers

#: Settings of a developer's own that would send an SDK elsewhere, or have it report there.
FOREIGN = ("OPENAI_", "ANTHROPIC_", "GOOGLE_", "GEMINI_", "OLLAMA_", "LANGCHAIN_", "LANGSMITH_")
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
CONFIG = """
[[upstreams]]
name = "openai"
prefix = "/"
base = "{base}"

[[upstreams]]
name = "asking"
base = "{base}"
inject_usage = true

[[prices]]
model = "text-embedding-3-small"
upstream = "openai"
input = 0.02
output = 0
""" + "".join(f'\n[[upstreams]]\nname = "{name}"\nbase = "{{base}}"\n' for name in ("anthropic", "gemini", "ollama"))


@pytest.fixture(scope="package", autouse=True)
def settings_of_nobody() -> Iterator[None]:
    """SDKs see no setting of the developer's own."""
    before = dict(os.environ)
    for name in before:
        if name.startswith(FOREIGN) or name.upper() in PROXIES:
            del os.environ[name]
    yield
    os.environ.update(before)


@pytest.fixture(scope="package")
def all_providers() -> Iterator[FakeUpstream]:
    """The server of all providers."""
    with FakeUpstream() as upstream:
        yield upstream


@pytest.fixture(scope="package")
def tap(all_providers: FakeUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlmtapServer]:
    """The llmtap that all SDKs of this folder are pointed at."""
    directory = tmp_path_factory.mktemp("sdks")
    with LlmtapServer(directory, config=CONFIG.format(base=all_providers.url)) as server:
        yield server


@pytest.fixture
def provider(all_providers: FakeUpstream) -> Iterator[FakeUpstream]:
    """All providers, without memory of earlier tests; what reaches them is sound HTTP."""
    all_providers.forget()
    all_providers.otherwise(Providers())
    yield all_providers
    assert all_providers.violations == []


@pytest.fixture
def logged(tap: LlmtapServer, provider: FakeUpstream) -> Logged:
    """What llmtap logs of this test's calls."""
    return Logged(tap, provider)
