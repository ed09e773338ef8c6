"""One call: read, copied, judged, compared, sent again."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.harness.eventually import eventually

from .conftest import PATIENCE_MS, Opener, Studio
from .watching import chosen

TABS = ("chat", "request", "response", "timeline", "cost", "details", "said")


@pytest.fixture
def panel(opener: Opener, studio: Studio) -> Page:
    """The third call of the list in the slide-out."""
    page = opener(studio.url, permissions=["clipboard-read", "clipboard-write"])
    page.goto("/?live=0&q=model:gpt-5+status:ok")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_selector("#panel [data-call]")
    return page


def test_numbers_turn_to_the_parts_of_a_call(panel: Page) -> None:
    for number, name in enumerate(TABS, 1):
        panel.keyboard.press(str(number))
        expect(panel.locator("[data-tab-body]")).to_have_attribute("data-tab-body", name)
        expect(panel.locator("[data-tab-body]")).not_to_be_empty()
        expect(panel.locator(f"[data-tab={name}][aria-current=page]")).to_have_count(1)
    assert "tab=said" in panel.url
    panel.reload()
    expect(panel.locator("#panel [data-tab-body]")).to_have_attribute("data-tab-body", "said")


def test_it_is_copied_as_a_command_a_program_or_a_link(panel: Page, studio: Studio) -> None:
    call = chosen(panel)
    for letter, expected in (("c", "curl "), ("p", "client"), ("j", '"messages"'), ("u", f"/call/{call}")):
        panel.keyboard.press("y")
        panel.keyboard.press(letter)
        panel.wait_for_function("text => navigator.clipboard.readText().then(it => it.includes(text))", arg=expected)


def test_text_is_shown_as_sent_until_markdown_is_asked_for(panel: Page) -> None:
    expect(panel.locator("#panel .markdown")).to_have_count(0)
    panel.keyboard.press("m")
    expect(panel.locator("#panel .markdown").first).to_be_visible()


def test_one_key_judges_and_goes_on_and_one_takes_it_back(panel: Page) -> None:
    first = chosen(panel)
    panel.wait_for_selector("#panel .thumb")
    panel.evaluate("import(JSON.parse(document.documentElement.dataset.assets).detail)")
    panel.keyboard.press("+")
    panel.wait_for_function("id => document.querySelector('#panel [data-call]').dataset.call !== id", arg=first)
    assert chosen(panel) != first
    eventually(lambda: 'data-mine="good"' in panel.request.get(f"/call/{first}").text(), "the store has it")
    panel.keyboard.press("z")
    expect(panel.locator("#said")).to_contain_text("Undone")


def test_notes_tags_and_a_better_answer_are_kept(panel: Page) -> None:
    call = chosen(panel)
    panel.evaluate("import(JSON.parse(document.documentElement.dataset.assets).detail)")
    panel.fill("#panel .add-tag input[name=add]", "refunds")
    panel.keyboard.press("Enter")
    expect(panel.locator("#panel .tags .tag", has_text="refunds")).to_be_visible()
    panel.locator("#panel .detail-head").click()
    panel.locator("#panel [data-expected] summary").click()
    panel.fill("#panel textarea[name=expected]", "Say it in one line.")
    panel.locator("#panel [data-expected] button").click()
    expect(panel.locator("#said")).to_have_text("Saved")
    panel.locator("#panel a[data-tab=said]").click()
    panel.locator("#panel form[data-judges=note] textarea").last.fill("Ask the team.")
    panel.locator("#panel form[data-judges=note] button.main").last.click()
    expect(panel.locator("#panel .spoken", has_text="Ask the team.")).to_be_visible()

    def kept() -> bool:
        text = panel.request.get(f"/call/{call}?tab=said").text()
        return "Ask the team." in text and "Say it in one line." in text and "refunds" in text

    eventually(kept, "the store has all three")


def test_two_calls_are_compared(panel: Page) -> None:
    first = chosen(panel)
    panel.keyboard.press("x")
    panel.keyboard.press("j")
    panel.wait_for_function("id => document.querySelector('#panel [data-call]').dataset.call !== id", arg=first)
    with panel.expect_navigation():
        panel.keyboard.press("D")
    assert f"a={first}" in panel.url
    expect(panel.locator("main")).to_contain_text("gpt-5")


def test_a_call_is_sent_again_with_a_key_that_is_typed(panel: Page, studio: Studio) -> None:
    studio.upstream.forget()
    panel.goto(f"/call/{chosen(panel)}/rerun")
    key = panel.locator("input[type=password], input[name=key]").first
    key.fill("sk-typed-once")
    panel.locator("[data-rerun] button.main").click()
    eventually(lambda: bool(studio.upstream.requests), "the upstream is asked")
    expect(panel.locator("[data-result]")).not_to_be_empty(timeout=PATIENCE_MS)
    assert (b"authorization", b"Bearer sk-typed-once") in {
        (name.lower(), value) for name, value in studio.upstream.requests[-1].headers
    }


def test_an_unknown_call_is_not_found(page: Page) -> None:
    answer = page.goto("/call/01a1a1a1-0000-7000-8000-000000000000")
    assert answer is not None
    assert answer.status == 404


def test_a_queue_is_reviewed_by_keys_alone(page: Page) -> None:
    page.goto("/review?q=model:gpt-5")
    seen = set()
    for key in ("+", "-", "0", "+"):
        before = page.locator("[data-review] [data-judge]").get_attribute("data-judge")
        seen.add(before)
        page.keyboard.press(key)
        expect(page.locator("[data-review] [data-judge]")).not_to_have_attribute("data-judge", before or "")
    assert len(seen) == 4
