"""``python -m tests.browser.screenshots``: pictures of all pages, light and dark, over a few days of calls.

All of them go into build/screenshots; those that the README and the documentation show, into docs/screenshots.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from proxy.clock import CallIds, wall_us
from proxy.records import Event, EventKind
from tests.harness.server import LlmtapServer
from tests.harness.watched import ROOT

from .stored import demo, fill
from .watching import longest

ALL = ROOT / "build" / "screenshots"
SHOWN = ROOT / "docs" / "screenshots"
SCREEN = {"width": 1200, "height": 750}
PHONE = {"width": 390, "height": 844}
QUALITY = 70
TAGS = {"billing": "#2563eb", "refund": "#d97706", "follow-up": "#7c3aed"}

Prepared = Callable[[Page], None]


def _open_panel(page: Page) -> None:
    for _ in range(4):
        page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_selector("#panel [data-call]")


def _complete(page: Page) -> None:
    page.keyboard.press("/")
    page.keyboard.type("model:gpt-5 sta")
    page.wait_for_selector("#offers li")


def _first(selector: str) -> Prepared:
    def followed(page: Page) -> None:
        with page.expect_navigation():
            page.locator(selector).first.click()

    return followed


def _longest(page: Page) -> None:
    page.goto(longest(page))


def _nothing(page: Page) -> None:
    page.wait_for_load_state()


def _drawn(page: Page) -> None:
    page.wait_for_selector(".graph .uplot")


#: Picture → where it is taken, and what is done there before.
PICTURES: dict[str, tuple[str, Prepared]] = {
    "logs": ("/?t=7d", _nothing),
    "call": ("/?t=7d&q=status:ok", _open_panel),
    "filter": ("/?t=7d&facets=1", _complete),
    "conversations": ("/conversations", _nothing),
    "conversation": ("/conversations", _longest),
    "users": ("/users", _nothing),
    "user": ("/users", _first(".users a.row[href^='/users/']")),
    "prompts": ("/prompts", _nothing),
    "prompt": ("/prompts", _first(".prompts a.row")),
    "monitor": ("/monitor?t=7d&by=model", _drawn),
    "costs": ("/costs?t=7d&by=model", _nothing),
    "review": ("/review?q=model:gpt-5", _nothing),
    "settings": ("/settings", _nothing),
    "audit": ("/audit", _nothing),
    "login": ("/login", _nothing),
}
#: Those that are committed.
BEST = ("logs-light", "call-dark", "monitor-light", "review-light", "call-phone")


def taken(browser: Browser, url: str, directory: Path) -> None:
    """Take all of them."""
    for scheme in ("light", "dark"):
        for name, (path, prepare) in PICTURES.items():
            file = directory / f"{name}-{scheme}.jpg"
            _picture(browser, url, path, prepare, file, color_scheme=scheme, viewport=SCREEN)
    for name in ("logs", "call", "monitor"):
        path, prepare = PICTURES[name]
        _picture(browser, url, path, prepare, directory / f"{name}-phone.jpg", viewport=PHONE)


def _picture(browser: Browser, url: str, path: str, prepare: Prepared, file: Path, **options: object) -> None:
    context = browser.new_context(base_url=url, **options)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(path)
    prepare(page)
    page.evaluate("document.fonts.ready.then(() => new Promise(requestAnimationFrame))")
    page.screenshot(path=file, type="jpeg", quality=QUALITY)
    context.close()


def judged(calls: list[str]) -> list[Event]:
    """What reviewers have said of some of them."""
    ids, now_us = CallIds(), wall_us()

    def event(kind: EventKind, author: str, said: dict[str, object]) -> Event:
        return Event(id=ids.next(now_us), kind=kind, at_us=now_us, author=author, said=said)

    events = [event(EventKind.TAG, "ada", {"name": tag, "color": color}) for tag, color in TAGS.items()]
    for place, call in enumerate(calls):
        if place % 3 == 0:
            score = {"name": "review", "value": place % 4 != 0}
            said = {"target": {"call": call}, "scores": [score]}
            events.append(event(EventKind.FEEDBACK, ("ada", "grace")[place % 2], said))
        if place % 9 == 0:
            events.append(event(EventKind.TAGS, "ada", {"call": call, "add": [[*TAGS][place % len(TAGS)]]}))
    return events


def main() -> None:
    ALL.mkdir(parents=True, exist_ok=True)
    SHOWN.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        data = Path(place, "data")
        fill(data, [], judged(demo(data)))
        flags = ["--no-sandbox"] if os.geteuid() == 0 else []
        with LlmtapServer(Path(place)) as server, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
            taken(browser, f"http://127.0.0.1:{server.console_port}", ALL)
            browser.close()
    for name in BEST:
        shutil.copy(ALL / f"{name}.jpg", SHOWN / f"{re.sub('-light$', '', name)}.jpg")
    print(f"{len([*ALL.glob('*.jpg')])} pictures in {ALL.relative_to(ROOT)}, {len(BEST)} in {SHOWN.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
