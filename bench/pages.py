"""Timing pages in a browser: when something is seen first, when rows are there, how much came, what was asked."""

from __future__ import annotations

import html
import http.client
import json
import os
import re
import shutil
import statistics
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

SCREEN = {"width": 1440, "height": 900}
#: Notes when rows are on the page, in ms since its address was asked for.
_ROWS = """(() => {
  const look = () => {
    if (document.querySelector("#calls tbody tr")) requestAnimationFrame(() => { window.rowsAt = performance.now(); });
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})()"""
_FIRST = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"
_ASSET = re.compile(r'(?:href|src)="(/assets/[^"]+)"')


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's."""
    path = shutil.which("chromium")
    if path is None:
        raise SystemExit("bench.console needs chromium. On Debian and Ubuntu: apt-get install chromium")
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        yield browser
        browser.close()


@contextmanager
def opened(browser: Browser, url: str) -> Iterator[Page]:
    """A page with a cache of its own."""
    context: BrowserContext = browser.new_context(base_url=url, viewport=SCREEN)
    context.add_init_script(_ROWS)
    yield context.new_page()
    context.close()


def first_look(browser: Browser, url: str, path: str, times: int) -> tuple[float, float, list[str]]:
    """(ms to the first paint, ms to rows, what was asked until then) with a cold cache: medians, and the last."""
    paints, rows, asked = [], [], []
    for _ in range(times):
        with opened(browser, url) as page:
            asked = []
            page.on("request", lambda request, asked=asked: asked.append(request.url))
            page.goto(path, wait_until="domcontentloaded")
            rows.append(page.wait_for_function("() => window.rowsAt").json_value())
            until_rows = list(asked)
            paints.append(page.wait_for_function(_FIRST).json_value())
    return statistics.median(paints), statistics.median(rows), until_rows


def packed_bytes(url: str) -> int:
    """Of an answer's body, as browsers ask for it."""
    asked = urllib.request.Request(url, headers={"Accept-Encoding": "gzip", "Accept": "text/html"})
    with urllib.request.urlopen(asked) as answer:
        return len(answer.read())


def weight(url: str, path: str) -> tuple[int, int]:
    """(bytes of a page, bytes of the scripts and styles that it names), both as they come."""
    names = {name for name in _ASSET.findall(_page(url + path)) if name.endswith((".js", ".css"))}
    return packed_bytes(url + path), sum(packed_bytes(url + name) for name in names)


def loaded_later(url: str, path: str, names: Sequence[str]) -> int:
    """Bytes of what a page loads when it needs it."""
    found = re.search(r'data-assets="([^"]*)"', _page(url + path))
    paths = json.loads(html.unescape(found[1])) if found else {}
    return sum(packed_bytes(url + paths[name]) for name in names)


def _page(url: str) -> str:
    asked = urllib.request.Request(url, headers={"Accept": "text/html"})
    with urllib.request.urlopen(asked) as answer:
        return str(answer.read(), "utf-8")


def served_ms(url: str, path: str, times: int = 40, fragment: str = "") -> tuple[float, float]:
    """(median, p95) ms that the server takes for an answer, on one connection; the first does not count."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    headers = {"Accept": "text/html", "Accept-Encoding": "gzip"} | ({"X-Fragment": fragment} if fragment else {})
    took_ms = []
    for _ in range(times + 1):
        began_s = time.perf_counter()
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        answer.read()
        took_ms.append((time.perf_counter() - began_s) * 1000)
        if answer.status != 200:
            raise SystemExit(f"{path} was answered with {answer.status}")
    connection.close()
    ordered = sorted(took_ms[1:])
    return statistics.median(ordered), ordered[int(len(ordered) * 0.95)]
