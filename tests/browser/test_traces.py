"""Conversations, users and prompts, walked through; charts, clicked and zoomed."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from .watching import longest

STEP = ".waterfall .step[aria-selected=true]"


def follow(page: Page, selector: str) -> None:
    with page.expect_navigation():
        page.locator(selector).first.click()


def test_a_run_is_walked_step_by_step(page: Page) -> None:
    page.goto("/conversations")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.goto(longest(page))
    expect(page.locator("#step")).not_to_be_empty()
    page.evaluate("import(JSON.parse(document.documentElement.dataset.assets).traces)")
    first = page.locator(STEP).get_attribute("data-id")
    page.keyboard.press("j")
    expect(page.locator(STEP)).not_to_have_attribute("data-id", first or "")
    moved = page.locator(STEP).get_attribute("data-id")
    assert f"sel={moved}" in page.url
    page.keyboard.press("k")
    expect(page.locator(STEP)).to_have_attribute("data-id", first or "")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert "/call/" in page.url


def test_a_user_is_followed_to_a_conversation(page: Page) -> None:
    page.goto("/users")
    follow(page, ".users a.row[href^='/users/']")
    expect(page.locator("h1")).to_have_count(1)
    expect(page.locator(".run-facts")).to_contain_text("call")
    follow(page, ".journey li a[href^='/conversation/']")
    expect(page.locator(".waterfall")).to_be_visible()


def test_a_prompt_and_its_versions(page: Page) -> None:
    page.goto("/prompts")
    follow(page, ".prompts a.row")
    assert re.search(r"/prompts/default/\d+", page.url)
    expect(page.locator("h1")).to_have_count(1)


@pytest.mark.parametrize("by", ["model", "user", "status"])
def test_charts_by_a_field(page: Page, by: str) -> None:
    page.goto(f"/monitor?t=7d&by={by}")
    expect(page.locator(".graph .uplot").first).to_be_visible()


def test_a_point_of_a_chart_leads_to_its_calls(page: Page) -> None:
    page.goto("/monitor?t=7d")
    plot = page.locator(".graph .u-over").first
    expect(plot).to_be_visible()
    box = plot.bounding_box()
    assert box is not None
    with page.expect_navigation():
        page.mouse.click(box["x"] + box["width"] * 0.9, box["y"] + box["height"] / 2)
    assert re.match(r".*/\?", page.url)
    expect(page.locator("#calls, .empty")).to_be_visible()


def test_a_stretch_of_a_chart_becomes_the_period(page: Page) -> None:
    page.goto("/monitor?t=7d")
    plot = page.locator(".graph .u-over").first
    expect(plot).to_be_visible()
    box = plot.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + 30)
    with page.expect_navigation():
        page.mouse.up()
    assert "since=" in page.url
    assert "until=" in page.url


def test_costs_by_a_dimension(page: Page) -> None:
    page.goto("/costs?t=7d&by=user")
    expect(page.locator("table").first).to_contain_text("$")
