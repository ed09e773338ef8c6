"""Names of fields, contrast, focus: what a program can check, on every page, light and dark."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from playwright.sync_api import Page

from .conftest import Opener, Studio
from .test_pages import PAGES

NAMELESS = """() => [...document.querySelectorAll(
  "input:not([type=hidden]), select, textarea, button, a[href]:not([tabindex='-1']), summary," +
  "[role=button], [role=img], dialog, nav, aside",
)]
  .filter((it) => it.checkVisibility())
  .filter((it) => !(it.getAttribute("aria-label") || it.getAttribute("aria-labelledby") || it.labels?.length
    || (!/INPUT|SELECT|TEXTAREA|NAV|ASIDE/.test(it.tagName) && (it.textContent.trim() || it.title))
    || /^(submit|reset)$/.test(it.type) && it.value))
  .map((it) => it.outerHTML.slice(0, 160))"""
#: Of every element that holds text of its own: its colour against what lies behind it.
PALE = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a), 1];
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
  const behind = (it) => {
    const layers = [];
    for (let each = it; each; each = each.parentElement) layers.push(rgba(getComputedStyle(each).backgroundColor));
    return layers.reverse().reduce((below, layer) => over(layer, below), rgba("canvas"));
  };
  const found = new Map();
  for (const it of document.querySelectorAll("body *")) {
    if (!it.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
    if (it.closest("svg, [disabled], option, .skip")) continue;
    if (![...it.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim())) continue;
    const style = getComputedStyle(it);
    const back = behind(it);
    const [a, b] = [light(over(rgba(style.color), back)), light(back)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio >= 4.5) continue;
    const what = `${it.tagName}.${it.className} ${style.color} on ${back.map(Math.round)}`;
    found.set(what, `${ratio.toFixed(2)} ${it.textContent.trim().slice(0, 30)}`);
  }
  return [...found].map(String);
}"""
#: After each press of Tab: what has the focus, where it is, and whether one sees that it has it.
FOCUSED = """() => {
  const it = document.activeElement;
  const { outlineStyle, outlineWidth, boxShadow, borderColor } = getComputedStyle(it);
  const box = it.getBoundingClientRect();
  const row = it.closest("tr, li");
  const lit = Boolean(row && row.matches(":has(:focus-visible)") && getComputedStyle(row).boxShadow !== "none");
  const seen = lit || (outlineStyle !== "none" && parseFloat(outlineWidth) > 0) || boxShadow !== "none";
  const name = `${it.tagName} ${it.className} ${it.textContent.trim().slice(0, 20)}`;
  return { name, seen, y: box.y + scrollY, body: it === document.body };
}"""


def shown(opener: Opener, studio: Studio, path: str, scheme: str) -> Page:
    page = opener(studio.url, color_scheme=scheme)
    page.goto(path)
    if path == "/":
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        page.wait_for_selector("#panel [data-call]")
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", PAGES)
def test_every_text_can_be_read(opener: Opener, studio: Studio, path: str, scheme: str) -> None:
    assert shown(opener, studio, path, scheme).evaluate(PALE) == []


@pytest.mark.parametrize("path", PAGES)
def test_everything_that_can_be_used_has_a_name(opener: Opener, studio: Studio, path: str) -> None:
    page = shown(opener, studio, path, "light")
    assert page.evaluate(NAMELESS) == []
    assert page.locator("main").count() == 1
    assert page.locator("main h1").count() <= 1
    assert page.evaluate("document.documentElement.lang") == "en"
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(it => it.id)")
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("path", ["/", "/conversations", "/monitor", "/settings"])
def test_the_focus_is_seen_and_goes_from_top_to_bottom(opener: Opener, studio: Studio, path: str) -> None:
    page = opener(studio.url)
    page.goto(path)
    places: list[dict[str, Any]] = []
    for _ in range(25):
        page.keyboard.press("Tab")
        place = page.evaluate(FOCUSED)
        if place["body"]:
            break
        places.append(place)
    assert len(places) > 8
    assert [place["name"] for place in places if not place["seen"]] == []
    back = [b["name"] for a, b in pairwise(places) if b["y"] < a["y"] - 60]
    assert back == []


def test_what_opens_says_so_and_gives_the_focus_back(page: Page) -> None:
    page.goto("/?live=0")
    page.keyboard.press("?")
    assert page.evaluate("document.querySelector('dialog[open]').contains(document.activeElement)")
    page.keyboard.press("Escape")
    page.locator("#calls a.row").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#panel [data-call]")
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.closest('#calls') !== null")
    assert page.locator("[aria-live]").count() >= 1
