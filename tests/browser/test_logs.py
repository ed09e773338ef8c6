"""The list of calls, used as a person does: by keys, by mouse, with what is typed, and by waiting."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.fakes.scripts import chat

from .conftest import Studio
from .watching import chosen, texts

ROW = "#calls tbody tr"
CHOSEN = f"{ROW}[aria-selected=true]"


@pytest.fixture
def logs(page: Page) -> Page:
    page.goto("/?live=0")
    return page


def test_keys_walk_the_list_and_the_panel_follows(logs: Page) -> None:
    ids = logs.eval_on_selector_all(ROW, "rows => rows.map(row => row.dataset.id)")
    logs.keyboard.press("j")
    assert chosen(logs) == ids[0]
    logs.keyboard.press("j")
    logs.keyboard.press("j")
    logs.keyboard.press("k")
    assert chosen(logs) == ids[1]
    logs.keyboard.press("Enter")
    expect(logs.locator("#panel [data-call]")).to_have_attribute("data-call", ids[1])
    assert f"sel={ids[1]}" in logs.url
    logs.keyboard.press("j")
    expect(logs.locator("#panel [data-call]")).to_have_attribute("data-call", ids[2])
    logs.keyboard.press("Escape")
    expect(logs.locator("#panel")).to_be_hidden()
    assert "sel=" not in logs.url


def test_the_newest_error_is_read_with_two_keys(logs: Page) -> None:
    with logs.expect_navigation():
        logs.keyboard.press("e")
    logs.keyboard.press("Enter")
    expect(logs.locator("#panel .title .status")).to_have_class(re.compile("error|truncated|interrupted"))
    expect(logs.locator("#panel [data-tab-body=chat]")).not_to_be_empty()


def test_a_filter_is_completed_by_keys_and_told_in_english(logs: Page) -> None:
    logs.keyboard.press("/")
    logs.keyboard.type("stat")
    expect(logs.locator("#offers li").first).to_contain_text("status")
    logs.keyboard.press("Tab")
    expect(logs.locator("#q")).to_have_value(re.compile("^status"))
    logs.keyboard.type("err")
    logs.keyboard.press("Tab")  # at once: what is offered for these letters may still be on its way
    expect(logs.locator("#q")).to_have_value("status:error ")
    logs.keyboard.press("Enter")
    expect(logs.locator(".meaning")).to_contain_text("status")
    assert set(logs.eval_on_selector_all(ROW, "rows => rows.map(row => row.className.split(' ')[0])")) == {"error"}


def test_a_filter_that_is_wrong_shows_where(logs: Page) -> None:
    logs.fill("#q", "latency:>banana")
    logs.keyboard.press("Enter")
    expect(logs.locator("#mistake h1")).to_have_text("This filter cannot be understood")
    expect(logs.locator("#mistake mark")).to_have_count(1)
    expect(logs.locator("#q")).to_have_attribute("aria-invalid", "true")


def test_facets_count_and_narrow(logs: Page) -> None:
    logs.keyboard.press("f")
    value = logs.locator(".facets li a").first
    expect(value).to_be_visible()
    name = value.locator("bdi").inner_text()
    with logs.expect_navigation():
        value.click()
    assert "facets=1" in logs.url
    expect(logs.locator(".meaning")).to_contain_text(name)


def test_a_bar_of_the_chart_shows_its_calls_and_a_span_can_be_drawn(logs: Page) -> None:
    expect(logs.locator(".chart rect.all").first).to_be_attached()
    box = logs.locator(".chart > svg").bounding_box()
    assert box is not None
    logs.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 20)
    logs.mouse.down()
    logs.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + 20)
    with logs.expect_navigation():
        logs.mouse.up()
    assert "since=" in logs.url
    expect(logs.locator(ROW).first).to_be_visible()
    before = logs.url
    bar = logs.locator(".chart a").first
    with logs.expect_navigation():
        bar.dispatch_event("click")
    assert logs.url != before


def test_columns_are_chosen_and_remembered(logs: Page) -> None:
    logs.click("summary:text-is('Columns')")
    logs.locator("input[name=col]:checked").first.uncheck()
    logs.fill("input[name=more]", "endpoint")
    with logs.expect_navigation():
        logs.click(".columns button.main")
    chosen_now = texts(logs, "#calls th")
    assert any("endpoint" in title.lower() for title in chosen_now)
    logs.goto("/?live=0")
    assert texts(logs, "#calls th") == chosen_now


def test_a_view_is_saved_under_a_name(logs: Page) -> None:
    logs.goto("/?q=status:error&t=7d&live=0")
    logs.click("summary:text-is('Views')")
    logs.fill("input[name=name]", "What failed")
    with logs.expect_navigation():
        logs.click("form[action='/views'] button")
    link = logs.locator("details a", has_text="What failed")
    for _ in range(50):  # it goes by the journal
        if link.count():
            break
        logs.goto("/?live=0")
    logs.click("summary:text-is('Views')")
    with logs.expect_navigation():
        link.first.click()
    expect(logs.locator("#q")).to_have_value("status:error")


def test_pages_go_on_where_the_last_one_ended(logs: Page) -> None:
    seen = logs.eval_on_selector_all(ROW, "rows => rows.map(row => row.dataset.id)")
    with logs.expect_navigation():
        logs.keyboard.press("]")
    older = logs.eval_on_selector_all(ROW, "rows => rows.map(row => row.dataset.id)")
    assert not set(seen) & set(older)
    assert max(older) < min(seen)
    with logs.expect_navigation():
        logs.keyboard.press("[")
    assert logs.eval_on_selector_all(ROW, "rows => rows.map(row => row.dataset.id)") == seen


def test_a_call_appears_by_itself(page: Page, studio: Studio) -> None:
    page.goto("/")
    first = page.locator(ROW).first.get_attribute("data-id")
    studio.upstream.script("/v1/chat/completions", chat("By itself."))
    body = b'{"model":"gpt-5-mini","messages":[{"role":"user","content":"Does it appear?"}]}'
    head = (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    )
    studio.server.ask(head % len(body) + body)
    expect(page.locator(ROW).first).to_contain_text("Does it appear?")
    assert page.locator(ROW).first.get_attribute("data-id") != first


def test_keys_are_listed_and_none_fires_while_one_types(logs: Page) -> None:
    logs.keyboard.press("?")
    dialog = logs.locator("dialog#keys")
    expect(dialog).to_be_visible()
    expect(dialog).to_contain_text("next call")
    logs.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    logs.keyboard.press("/")
    logs.keyboard.type("jke")
    expect(logs.locator(CHOSEN)).to_have_count(0)
    expect(logs.locator("#q")).to_have_value("jke")


def test_keys_go_from_page_to_page(logs: Page) -> None:
    for letter, path in (("m", "/monitor"), ("t", "/conversations"), ("c", "/costs"), ("l", "/")):
        with logs.expect_navigation():
            logs.keyboard.press("g")
            logs.keyboard.press(letter)
        assert re.sub(r"\?.*", "", logs.url).endswith(path)


def test_the_theme_is_turned_and_stays(logs: Page) -> None:
    before = logs.evaluate("getComputedStyle(document.body).backgroundColor")
    logs.click("[data-does=theme]")
    after = logs.evaluate("getComputedStyle(document.body).backgroundColor")
    assert after != before
    logs.goto("/monitor")
    assert logs.evaluate("getComputedStyle(document.body).backgroundColor") == after


def test_enough_rows_stand_above_the_fold(logs: Page) -> None:
    inside = logs.eval_on_selector_all(
        ROW, "rows => rows.filter(row => row.getBoundingClientRect().bottom <= innerHeight).length"
    )
    assert inside >= 24
