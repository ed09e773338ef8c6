"""With JavaScript off the console is links and forms, and does the same."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.harness.eventually import eventually

from .conftest import Opener, Studio


@pytest.fixture
def plain(opener: Opener, studio: Studio) -> Page:
    return opener(studio.url, java_script_enabled=False)


def test_a_call_is_filtered_found_and_read(plain: Page) -> None:
    plain.goto("/")
    plain.locator("#q").fill("status:error")
    plain.locator("#q").press("Enter")
    expect(plain.locator(".meaning")).to_be_visible()
    plain.locator("#calls a.row").first.click()
    expect(plain.locator("[data-tab-body=chat]")).to_be_visible()
    for name in ("request", "response", "timeline", "cost", "details", "said"):
        plain.locator(f"a[data-tab={name}]").first.click()
        expect(plain.locator(f"[data-tab-body={name}]")).to_be_visible()


def test_pages_and_periods_are_links(plain: Page) -> None:
    plain.goto("/")
    newest = plain.locator("#calls tr[data-id]").first.get_attribute("data-id")
    plain.locator("[data-does=older]").click()
    assert plain.locator("#calls tr[data-id]").first.get_attribute("data-id") != newest
    plain.locator(".times a", has_text="30d").click()
    expect(plain.locator("#calls tr[data-id]").first).to_be_visible()


def test_a_call_is_judged_by_a_form(plain: Page) -> None:
    plain.goto("/?q=status:ok")
    plain.locator("#calls a.row").nth(5).click()
    address = plain.url
    plain.locator("button.thumb.down").click()
    assert plain.locator("main").is_visible()

    def kept() -> bool:
        plain.goto(address)
        return plain.locator("button.thumb.down").get_attribute("aria-pressed") == "true"

    eventually(kept, "the store has it")


@pytest.mark.parametrize("path", ["/conversations", "/users", "/prompts", "/monitor", "/costs", "/review", "/audit"])
def test_other_pages_show_what_they_hold(plain: Page, path: str) -> None:
    plain.goto(path)
    expect(plain.locator("main")).to_be_visible()
    assert len(plain.locator("main").inner_text()) > 40


def test_charts_are_drawn_by_the_server(plain: Page) -> None:
    plain.goto("/monitor?t=7d")
    expect(plain.locator(".graph svg").first).to_be_visible()
