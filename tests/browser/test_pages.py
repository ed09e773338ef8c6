"""Every page, as it comes: it says what it is, loads nothing from elsewhere, and complains of nothing."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from .conftest import Opener, Studio

PAGES = (
    "/", "/conversations", "/users", "/prompts", "/monitor", "/costs", "/review", "/audit", "/settings", "/compare",
    "/login",
)  # fmt: skip


@pytest.mark.parametrize("path", PAGES)
def test_a_page_opens_and_says_what_it_is(page: Page, path: str) -> None:
    answer = page.goto(path, wait_until="networkidle" if path != "/" else "load")
    assert answer is not None
    assert answer.status == 200
    assert "llmtap" in page.title()
    expect(page.locator("main")).to_have_count(1)


@pytest.mark.parametrize("path", PAGES)
def test_on_a_phone_nothing_is_wider_than_the_page(opener: Opener, studio: Studio, path: str) -> None:
    page = opener(studio.url, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page.goto(path)
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide == 0, page.evaluate(
        "[...document.querySelectorAll('body *')].filter(it => it.getBoundingClientRect().right > innerWidth + 1)"
        ".slice(0, 8).map(it => `${it.tagName}.${it.className} ${it.getBoundingClientRect().right}`)"
    )
