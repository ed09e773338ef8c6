"""Fixtures that several folders share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.fakes.upstream import FakeUpstream
from tests.harness.server import LlmtapServer
from tests.harness.worker import RelayWorker

settings.register_profile("busy", deadline=None)  # tests run beside each other: slow is not wrong
settings.load_profile("busy")


@pytest.fixture(scope="module")
def shared_upstream() -> Iterator[FakeUpstream]:
    """A fake upstream for all tests of a module."""
    with FakeUpstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def shared_relay(shared_upstream: FakeUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RelayWorker]:
    """A relay process in front of ``shared_upstream``, for all tests of a module."""
    with RelayWorker(tmp_path_factory.mktemp("relay"), shared_upstream.url) as relay:
        yield relay


@pytest.fixture(scope="module")
def shared_server(shared_upstream: FakeUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlmtapServer]:
    """A whole ``serve`` in front of ``shared_upstream``, for all tests of a module."""
    with LlmtapServer(tmp_path_factory.mktemp("llmtap"), shared_upstream.url) as server:
        yield server


@pytest.fixture
def upstream(shared_upstream: FakeUpstream) -> FakeUpstream:
    """The module's upstream without memory of earlier tests."""
    shared_upstream.forget()
    return shared_upstream


@pytest.fixture
def relay(shared_relay: RelayWorker, upstream: FakeUpstream) -> RelayWorker:
    """The module's relay process: for what needs no rows."""
    return shared_relay


@pytest.fixture
def server(shared_server: LlmtapServer, upstream: FakeUpstream) -> LlmtapServer:
    """The module's ``serve``: for what ends in rows."""
    return shared_server


@pytest.fixture
def own_upstream() -> Iterator[FakeUpstream]:
    """A fake upstream for one test."""
    with FakeUpstream() as upstream:
        yield upstream
