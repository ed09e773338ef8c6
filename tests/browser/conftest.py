"""A browser, a served console with a few days of calls, and pages that are watched."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.fakes.upstream import FakeUpstream
from tests.harness.server import LlmtapServer

from .stored import demo
from .watching import Watch

CHROMIUM = shutil.which("chromium")
SCREEN = {"width": 1440, "height": 900}
PATIENCE_MS = 15_000


class Studio:
    """A running ``serve`` and what lies in its store."""

    def __init__(self, server: LlmtapServer, upstream: FakeUpstream, calls: list[str]) -> None:
        self.server = server
        self.upstream = upstream
        self.calls = calls  #: ids, as they were stored

    @property
    def url(self) -> str:
        """Of the console."""
        return f"http://127.0.0.1:{self.server.console_port}"


@pytest.fixture(scope="package")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """One for all tests of this folder."""
    place = tmp_path_factory.mktemp("studio")
    calls = demo(place / "data")
    with FakeUpstream() as upstream, LlmtapServer(place, upstream.url) as server:
        yield Studio(server, upstream, calls)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()


Opener = Callable[..., Page]


@pytest.fixture
def opener(browser: Browser) -> Iterator[Opener]:
    """``opener(origin, **context)`` gives a page of a context of its own; at the end nothing may have gone wrong."""
    contexts = []

    def opened(origin: str, **options: Any) -> Page:
        context = browser.new_context(**{"viewport": SCREEN, "base_url": origin, **options})
        context.set_default_timeout(PATIENCE_MS)
        watch = Watch(context, origin)
        contexts.append((context, watch))
        page = context.new_page()
        page.watch = watch  # type: ignore[attr-defined]
        return page

    yield opened
    for context, _ in contexts:
        context.close()
    assert [wrong for _, watch in contexts for wrong in watch.wrong] == []


@pytest.fixture
def page(opener: Opener, studio: Studio) -> Page:
    """A page of the usual console, as a person with a large screen sees it."""
    return opener(studio.url)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests here need a browser."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.system)
