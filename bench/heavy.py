"""What is long: a conversation of 10,000 messages, a body of 50 MB; and how soon a new call is on the screen."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from playwright.sync_api import Browser, Page

from proxy.clock import wall_us
from proxy.datadir import prepare
from tests.browser.stored import MINUTE_US, chat

from .__main__ import process
from .ingesting import Ingest
from .pages import opened

MESSAGES = 10_000
BODY_BYTES = 50_000_000
COMING = 10  #: calls that appear
_TURNS = [
    {"role": ("user", "assistant")[number % 2], "content": f"Message {number}: what is said, at some length. " * 4}
    for number in range(MESSAGES - 1)
]
#: Notes the longest time that the page answered to nothing, and when its rows changed.
_WATCH = """(() => {
  window.longest = 0;
  const see = ({ duration }) => { window.longest = Math.max(window.longest, duration); };
  new PerformanceObserver((list) => list.getEntries().forEach(see)).observe({ type: "longtask", buffered: true });
})()"""
_COMES = """text => {
  const look = () => {
    const row = document.querySelector("#calls tbody tr");
    if (row?.textContent.includes(text)) window.cameAt = performance.timeOrigin + performance.now();
    else requestAnimationFrame(look);
  };
  window.cameAt = 0;
  requestAnimationFrame(look);
}"""
_USABLE = "() => new Promise((done) => requestAnimationFrame(() => setTimeout(() => done(performance.now()), 0)))"

Line = Callable[..., None]


def heavy(browser: Browser, data: Path, line: Line) -> None:
    """Measure and print."""
    with ThreadPoolExecutor(1) as apart:  # the browser's loop holds this thread
        loop = asyncio.new_event_loop()
        ingest = apart.submit(loop.run_until_complete, Ingest.open(prepare(data))).result()

        def take(exchange: object) -> str:
            return apart.submit(loop.run_until_complete, ingest.take([(exchange, None)])).result()[0].call.id

        now_us = wall_us()
        long = take(chat(now_us - 2 * MINUTE_US, "And then?", "The end.", more=_TURNS))
        large = take(chat(now_us - MINUTE_US, "x" * BODY_BYTES, "That was long."))
        with process("bench.served", str(data)) as (_, port), opened(browser, f"http://127.0.0.1:{port}") as page:
            page.context.add_init_script(_WATCH)
            for name, path in (
                (f"{MESSAGES:,} messages", f"/call/{long}"),
                (f"{MESSAGES:,} messages, as a conversation", f"/conversation/{long}"),
                (f"{BODY_BYTES // 1_000_000} MB body", f"/call/{large}"),
                (f"{BODY_BYTES // 1_000_000} MB body, as sent", f"/call/{large}?tab=request"),
            ):
                usable, longest = _usable(page, path)
                line(f"{name}: usable, ms (longest task)", f"{usable:.0f} ({longest:.0f})", "no freeze")
            _appearing(page, take, line)
        apart.submit(loop.run_until_complete, ingest.close()).result()
        loop.close()


def _usable(page: Page, path: str) -> tuple[float, float]:
    page.goto(path)
    return page.evaluate(_USABLE), page.evaluate("window.longest")


def _appearing(page: Page, take: Callable[[object], str], line: Line) -> None:
    page.goto("/")
    page.wait_for_timeout(500)
    took_ms = []
    for number in range(COMING):
        page.evaluate(_COMES, f"Coming {number}!")
        take(chat(wall_us(), f"Coming {number}!", "Here."))
        committed_ms = wall_us() / 1000
        page.wait_for_function("() => window.cameAt")
        took_ms.append(max(0.0, page.evaluate("window.cameAt") - committed_ms))
    said = f"{statistics.median(took_ms):.0f} ({max(took_ms):.0f})"
    line("commit to row on screen, ms (worst)", said, "<=200", "1 s poll")
