"""The suite runs whole on both engines."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fakes.upstream import FakeUpstream
from tests.harness.worker import RelayWorker


@pytest.fixture(scope="module", params=["aiohttp", "fast"])
def shared_relay(
    request: pytest.FixtureRequest, shared_upstream: FakeUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RelayWorker]:
    """A relay process in front of ``shared_upstream``, for all tests of a module."""
    with RelayWorker(tmp_path_factory.mktemp("relay"), shared_upstream.url, engine=request.param) as relay:
        yield relay
