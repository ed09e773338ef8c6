"""Nothing that is logged, and nothing that is asked for, runs in the browser or asks anybody for anything.

Every payload stands in every field, and is looked at on every page that shows it. The console's policy
would stop most of them from running; a page that lets one come that far complains, and fails the test.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Page

from proxy.clock import wall_us
from tests.harness.server import LlmtapServer

from .conftest import Opener
from .hostile import attacks, payloads, said
from .stored import MINUTE_US, fill

PAYLOADS = payloads()
TABS = ("chat", "request", "response", "timeline", "cost", "details", "said")
COLUMNS = (
    "time,status,model,user,session,in,out,latency,ttft,tokens,cost,scores,review,tags,metadata.team,agent,trace",
    "time,prompt,endpoint,client,finish_reason,error_type,error_message,scores.tone,conversation,path,request_id",
)
#: Runs in a page: whatever sets what payloads set says so.
TRAP = "Object.defineProperty(window, '__pwned', { set() { console.error('a payload ran: ' + location.href) } })"
#: Shows a part of some calls, as the slide-out does; gives how many there were.
SHOW = """async ([ids, tab]) => {
  const { elements, fragment } = globalThis.llmtap.dom;
  const panel = document.querySelector("#panel");
  panel.hidden = false;
  let shown = 0;
  for (const id of ids) {
    panel.replaceChildren(elements(await fragment(`/call/${id}?tab=${tab}`, "panel")));
    panel.querySelectorAll("details").forEach((each) => { each.open = true; });
    shown += panel.querySelectorAll("[data-call]").length;
    await new Promise(requestAnimationFrame);
  }
  return shown;
}"""
#: Pages that say again what they were asked.
ASKED = (
    "/?cols={0}&t={0}", "/?since={0}&sel={0}&tab={0}", "/compare?a={0}&b={0}", "/users?q={0}", "/conversations?q={0}",
    "/monitor?by={0}&q={0}", "/costs?by={0}", "/review?q={0}", "/login?next={0}", "/prompts?q={0}", "/call/{0}", "/{0}",
)  # fmt: skip
GROUPS = ("model", "user", "metadata.team", "tag", "agent")
AT_ONCE = 30
PARTS = 4  #: a test each: so that none takes too long


class Hostile:
    """A console whose store holds the attacks."""

    def __init__(self, server: LlmtapServer, calls: list[str]) -> None:
        self.url = f"http://127.0.0.1:{server.console_port}"
        self.calls = calls


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hostile]:
    place = tmp_path_factory.mktemp("hostile")
    now_us = wall_us()
    calls = fill(place / "data", attacks(now_us - MINUTE_US))
    words = [event for payload, call in zip(PAYLOADS, calls, strict=True) for event in said(payload, call, now_us)]
    fill(place / "data", [], words)
    with LlmtapServer(place) as server:
        yield Hostile(server, calls)


@pytest.fixture
def victim(opener: Opener, hostile: Hostile) -> Page:
    """Somebody who looks at them."""
    page = opener(hostile.url)
    page.context.add_init_script(TRAP)
    return page


def walked(page: Page, path: str, most: int = 20) -> int:
    """Look at a list page by page; how many pages it has."""
    page.goto(path)
    for number in range(1, most):
        older = page.locator("[data-does=older], [rel=next]").first
        if not older.count():
            return number
        older.click()
        page.wait_for_load_state()
    return most


def test_there_are_enough_of_them() -> None:
    assert len(set(PAYLOADS)) >= 300


@pytest.mark.parametrize("columns", COLUMNS)
def test_the_list_with_every_column_and_facet(victim: Page, columns: str) -> None:
    assert walked(victim, f"/?cols={columns}&facets=1&live=0") >= len(PAYLOADS) // 100


@pytest.mark.hostile
@pytest.mark.parametrize("tab", TABS)
def test_every_call_in_the_panel(victim: Page, hostile: Hostile, tab: str) -> None:
    victim.goto("/?live=0")
    victim.evaluate("import(JSON.parse(document.documentElement.dataset.assets).detail)")
    shown = 0
    for place in range(0, len(hostile.calls), AT_ONCE):
        shown += victim.evaluate(SHOW, [hostile.calls[place : place + AT_ONCE], tab])
    assert shown == len(hostile.calls)


@pytest.mark.hostile
@pytest.mark.parametrize("part", range(PARTS))
def test_every_call_as_a_page_of_its_own_with_its_markdown_rendered(victim: Page, hostile: Hostile, part: int) -> None:
    for call in hostile.calls[part::PARTS]:
        victim.goto(f"/call/{call}?m=1", wait_until="domcontentloaded")


@pytest.mark.parametrize(
    "path",
    [
        "/conversations", "/users", "/prompts", "/review?q=", "/audit", "/settings", "/monitor", "/costs",
        *(f"/{page}?by={by}" for page in ("monitor", "costs") for by in GROUPS),
    ],
)  # fmt: skip
def test_pages_of_many_calls(victim: Page, path: str) -> None:
    assert walked(victim, path) >= 1


def test_pages_of_one_of_them(victim: Page, hostile: Hostile) -> None:
    for place in range(0, len(PAYLOADS), 9):
        call, other = hostile.calls[place], hostile.calls[place - 1]
        victim.goto(f"/compare?a={other}&b={call}")
        victim.goto(f"/conversation/{call}")
        victim.goto(f"/call/{call}/rerun")
        victim.goto(f"/users/{quote(PAYLOADS[place], safe='')}")


@pytest.mark.hostile
@pytest.mark.parametrize("part", range(PARTS))
def test_what_is_asked_for_is_told_as_text(victim: Page, part: int) -> None:
    for place, payload in enumerate(PAYLOADS[part::PARTS]):
        said = quote(payload, safe="")
        victim.goto(f"/?q={said}&live=0", wait_until="domcontentloaded")
        if place % 10 == 0:
            for path in ASKED:
                victim.goto(path.format(said), wait_until="domcontentloaded")


def test_values_that_are_offered_while_one_types(victim: Page) -> None:
    victim.goto("/?live=0")
    for field in ("user:", "model:", "tag:", "session:", "metadata.", "metadata.team:", "agent:", "score:"):
        victim.fill("#q", "")
        with victim.expect_response(lambda answer: "/complete" in answer.url):
            victim.type("#q", field)
        victim.evaluate("new Promise(requestAnimationFrame)")


def test_the_trap_works(opener: Opener, hostile: Hostile) -> None:
    page = opener(hostile.url)
    page.context.add_init_script(TRAP)
    watch: Any = page.watch  # type: ignore[attr-defined]
    page.goto("/settings")
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=window.__pwned=1>')")
    page.evaluate("window.__pwned = 1")
    page.evaluate("new Image().src = 'http://evil.example/x.png'")
    page.wait_for_timeout(200)
    found = " ".join(watch.wrong)
    watch.wrong.clear()
    assert "CSP script-src-attr inline" in found
    assert "a payload ran" in found
    assert "CSP img-src http://evil.example/x.png" in found
