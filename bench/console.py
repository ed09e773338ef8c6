"""``python -m bench.console``: the console over a store of many calls, in a browser; beside goals and what others take.

The store is that of ``bench.queries``, made once and asked again the next time. ``--calls 1000000`` is
what the goals speak of. What others take was measured the same way, at 10,000 or 100,000 calls.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

from msgspec import Struct
from playwright.sync_api import Browser

from proxy.clock import rfc3339, wall_us
from proxy.query.parse import parse_filter
from proxy.store.sqlite.reader import SqliteReader

from .__main__ import cpu_us, process
from .bigstore import DAY_US, DAYS, Made, made
from .crowd import crowd
from .heavy import heavy
from .pages import SCREEN, chromium, first_look, loaded_later, opened, served_ms, weight
from .traffic import SEED

IDLE_S = 20
LATER = ("chart", "uplot", "uplot.css")  #: what the monitor loads when its page is there
_NEXT = 15  #: calls that are walked with j
#: Presses a key and waits until the frame is done in which the slide-out shows another call; ms.
_PRESSED = """key => new Promise((done) => {
  const panel = document.querySelector("#panel");
  const shown = () => panel.querySelector("[data-call]")?.dataset.call;
  const before = shown();
  const began = performance.now();
  const seen = new MutationObserver(() => {
    if (!shown() || shown() === before) return;
    seen.disconnect();
    requestAnimationFrame(() => setTimeout(() => done(performance.now() - began)));
  });
  seen.observe(panel, { childList: true });
  document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
})"""
_INSIDE = "rows => rows.filter(row => row.getBoundingClientRect().bottom <= innerHeight).length"


class Line(Struct, frozen=True):
    """A figure, what it should be, and what is known of others: numbers only."""

    name: str
    value: str
    goal: str
    others: str = ""


def line(name: str, value: str, goal: str, others: str = "") -> None:
    print(f"  {name:<46}{value:>16}{goal:>14}   {others}", flush=True)


def report(browser: Browser, url: str, pid: int, store: Made, middle: str, times: int) -> None:
    """Measure and print what is asked of the big store."""
    print(f"\nconsole: {store.calls:,} calls of {DAYS} days, cold browser cache, {SCREEN['width']}x{SCREEN['height']}")
    print(f"  {'':<46}{'':>16}{'goal':>14}   others, at 10,000 and 100,000 calls")
    _first(browser, url, times)
    _sizes(url)
    _server(url, store, middle)
    _detail(browser, url)
    _idle(browser, url, pid)


def _first(browser: Browser, url: str, times: int) -> None:
    paint, rows, asked = first_look(browser, url, "/", times)
    line("first contentful paint, ms", f"{paint:.0f}", "<=150", "170-3,860; 170-2,260")
    line("rows on screen, ms", f"{rows:.0f}", "<=150", "420-4,530; 322-2,390")
    own = [each for each in asked if "/live" not in each and "icon" not in each]
    outside = [each for each in asked if not each.startswith(url)]
    line("requests until rows are usable", f"{len(own)}", "<=4", "4-36")
    line("requests to other hosts", f"{len(outside)}", "0", "0-3")
    with opened(browser, url) as page:
        page.goto("/?live=0")
        inside = page.eval_on_selector_all("#calls tbody tr", _INSIDE)
    line("rows with texts above the fold", f"{inside}", ">=24", "1.5-22")


def _sizes(url: str) -> None:
    page, carried = weight(url, "/")
    line("list page, KB gzip", f"{page / 1000:.1f}", "<=20", "160-500")
    line("its scripts and styles, KB gzip", f"{carried / 1000:.1f}", "<=25", "25-6,403")
    _, monitor = weight(url, "/monitor")
    line(
        "monitor: scripts and styles, KB gzip", f"{(monitor + loaded_later(url, '/monitor', LATER)) / 1000:.1f}", "<=50"
    )


def _server(url: str, store: Made, middle: str) -> None:
    last_us = min(store.last_us, wall_us())
    day, month, until = (quote(rfc3339(last_us - days * DAY_US)) for days in (1, DAYS, 0))
    asked = (
        ("indexed filter", f"/?live=0&q={quote('model:gpt-5 status:ok')}", "<=50", "120-2,700"),
        (f"the {store.calls // 2:,}th row", f"/?live=0&before={middle}", "<=50"),
        ("text search, rare word", "/?live=0&q=quaternion", "<=50", "340-3,420"),
        ("text search, common word", "/?live=0&q=the", "<=50", "1,519-3,836"),
        ("monitor, 24 h", f"/monitor?since={day}&until={until}", "<=80"),
        ("monitor, 30 d", f"/monitor?since={month}&until={until}", "<=80"),
        ("costs, 30 d", f"/costs?since={month}&until={until}", "<=80"),
    )
    for name, path, goal, *others in asked:
        median, p95 = served_ms(url, path)
        line(f"{name}, server ms, p95", f"{p95:.0f} ({median:.0f})", goal, *others)


def _detail(browser: Browser, url: str) -> None:
    with opened(browser, url) as page:
        page.goto("/?live=0")
        page.wait_for_function("() => globalThis.llmtap?.list")
        first = page.evaluate(_PRESSED, "Enter")
        took_ms = []
        for _ in range(_NEXT):
            page.wait_for_load_state("networkidle")  # people read; the neighbours come meanwhile
            took_ms.append(page.evaluate(_PRESSED, "j"))
    line("a call opened, ms", f"{first:.0f}", "<=60", "103-1,230; 126-782")
    line("the next one by j, ms", f"{statistics.median(took_ms):.0f}", "<=20")


def _idle(browser: Browser, url: str, pid: int) -> None:
    with opened(browser, url) as page:
        page.goto("/", wait_until="domcontentloaded")
        page.wait_for_timeout(2000)
        before_us = cpu_us(pid)
        page.wait_for_timeout(IDLE_S * 1000)
        share = (cpu_us(pid) - before_us) / (IDLE_S * 1e6)
    line("an idle page, % of a core", f"{share * 100:.2f}", "<=0.5", "0.0-83.8")


def half_way(data_dir: Path, store: Made) -> str:
    """Id of the call in the middle of time."""

    async def found() -> str:
        reader = await SqliteReader.open(data_dir)
        try:
            middle = rfc3339(store.last_us - DAYS * DAY_US // 2)
            return (await reader.find(parse_filter(f"created < '{middle}'"), limit=1))[0].id
        finally:
            await reader.close()

    return asyncio.run(found())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.console", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--processes", type=int, default=1, help="that make calls; one writes")
    parser.add_argument("--dir", type=Path, help="where the store is kept for the next time")
    parser.add_argument("--times", type=int, default=10, help="that a page is loaded")
    parser.add_argument("--pairs", type=int, default=10, help="of seconds with tabs and without")
    options = parser.parse_args()
    directory = options.dir or Path(tempfile.gettempdir(), f"llmtap-bench-{options.calls}-{options.seed}")
    store = made(directory, options.calls, options.seed, options.processes)
    directory.chmod(0o700)  # or visits would not be written down
    middle = half_way(directory, store)
    with chromium() as browser, process("bench.served", str(directory)) as (console, port):
        report(browser, f"http://127.0.0.1:{port}", console.pid, store, middle, options.times)
    with tempfile.TemporaryDirectory() as place, chromium() as browser:
        heavy(browser, Path(place), line)
    with tempfile.TemporaryDirectory() as place:
        crowd(Path(place), options.pairs, line)


if __name__ == "__main__":
    began_s = time.perf_counter()
    main()
    print(f"\n  took {time.perf_counter() - began_s:.0f} s")
