"""The pages of figures: monitor and costs, over real sockets."""

from __future__ import annotations

import html
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from proxy.clock import wall_us
from tests.cli.recorded import exchanged, new_call
from tests.console.serving import Console

HOUR_US = 3_600_000_000


@pytest.fixture
async def console(tmp_path: Path) -> AsyncIterator[Console]:
    async with Console(tmp_path / "data") as made:
        yield made


def charts(page: str) -> dict[str, dict[str, object]]:
    found = [json.loads(html.unescape(each)) for each in re.findall(r'data-chart="([^"]*)"', page)]
    return {chart["title"]: chart for chart in found}


async def some_calls(console: Console) -> None:
    now_us = wall_us()
    usual = {"cost_nano_usd": 2_000_000, "input_tokens": 100, "output_tokens": 10, "latency_us": 800_000}
    await console.record(
        *(
            exchanged(new_call(started_at_us=now_us - hours * HOUR_US, model=model, user=user, **usual))
            for hours, model, user in [(5, "a", "ada"), (4, "a", "bob"), (1, "b", "ada"), (1, "b", None)]
        ),
        exchanged(
            new_call(started_at_us=now_us - HOUR_US, model="b", status="error", http_status=500, cost_nano_usd=None)
        ),
    )


async def test_before_the_first_call_the_page_says_so(console: Console) -> None:
    for path in ("/monitor", "/costs", "/monitor?by=model&vs=1", "/monitor?since=2090-01-01"):
        status, page = await console.get(path)
        assert status == 200
        assert "No calls in this period" in page


async def test_charts_hold_what_the_rows_say(console: Console) -> None:
    await some_calls(console)
    status, page = await console.get("/monitor?t=24h")
    assert status == 200
    shown = charts(page)
    calls, failed = shown["Calls"]["series"]  # type: ignore[misc]
    assert sum(value or 0 for value in calls["values"]) == 5
    assert sum(value or 0 for value in failed["values"]) == 1
    assert sum(value or 0 for value in shown["Cost"]["series"][0]["values"]) == 8_000_000  # type: ignore[index]
    assert len(calls["values"]) == 6, "from the first call on, not the whole day"
    assert None in calls["values"], "an hour without calls is a gap"


async def test_periods_without_calls_and_in_the_future_are_no_mistake(console: Console) -> None:
    await some_calls(console)
    for query in ("since=2090-01-01", "until=1990-01-01", "since=2090-01-01&until=2090-01-02", "since=2020-01-01&vs=1"):
        status, _ = await console.get(f"/monitor?{query}")
        assert status == 200, query


async def test_each_span_leads_to_its_calls(console: Console) -> None:
    await some_calls(console)
    _, page = await console.get("/monitor?t=24h&q=user:ada")
    links = json.loads(html.unescape(re.findall(r'data-links="([^"]*)"', page)[0]))
    values = charts(page)["Calls"]["series"][0]["values"]  # type: ignore[index]
    for link, value in zip(links, values, strict=True):
        asked = {name: texts[0] for name, texts in parse_qs(urlsplit(link).query).items()}
        assert asked["q"] == "user:ada"
        status, listed = await console.get(link)
        assert status == 200
        assert len(set(re.findall(r'data-id="([^"]+)"', listed))) == (value or 0)


async def test_groups_are_lines_and_lead_to_their_calls(console: Console) -> None:
    await some_calls(console)
    _, page = await console.get("/monitor?t=24h&by=user")
    labels = [series["label"] for series in charts(page)["Calls"]["series"]]  # type: ignore[attr-defined]
    assert sorted(labels) == ["(none)", "ada", "bob"]
    links = [html.unescape(link) for link in re.findall(r'<li class="s\d"><a href="([^"]+)"', page)]
    found = {}
    for label, link in zip(labels, links, strict=True):
        _, listed = await console.get(link)
        found[label] = len(set(re.findall(r'data-id="([^"]+)"', listed)))
    assert found == {"(none)": 2, "ada": 2, "bob": 1}


async def test_costs_add_up_and_lead_to_their_calls(console: Console) -> None:
    await some_calls(console)
    _, page = await console.get("/costs?t=24h&by=model")
    rows = re.findall(
        r'<td class="model"><a href="([^"]+)"><bdi>([^<]+)</bdi></a></td>\s*<td class="figure">([^<]+)', page
    )
    assert sorted((name, cost) for _, name, cost in rows) == [("a", "$0.004"), ("b", "$0.004")]
    for link, _, _ in rows:
        _, listed = await console.get(html.unescape(link))
        assert len(set(re.findall(r'data-id="([^"]+)"', listed))) in (2, 3)
    _, compared = await console.get("/costs?t=24h&by=user&vs=1")
    assert "Before" in compared
    _, elsewhere = await console.get("/costs?t=24h&model=gpt-5-mini")
    assert "With gpt-5-mini" in elsewhere


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/monitor?by=modle", "did you mean model"),
        ("/monitor?t=9y", "t is one of"),
        ("/costs?model=no-such-model", "no price is known"),
        (f"/costs?q={quote('statsu:ok')}", "did you mean status"),
    ],
)
async def test_what_cannot_be_asked_is_said(console: Console, path: str, said: str) -> None:
    status, text = await console.get(path)
    assert status == 400
    assert said in text


async def test_names_of_groups_are_only_text(console: Console) -> None:
    hostile = "</script><img src=x onerror=alert(1)>\"'&"
    await console.record(exchanged(new_call(user=hostile, model=hostile, cost_nano_usd=5)))
    for path in ("/monitor?by=user", "/costs?by=user", "/costs?by=model", f"/monitor?q={quote('user is not null')}"):
        status, page = await console.get(path)
        assert status == 200
        assert "<img" not in page.replace('<img src="/assets/', "")
        assert "</script><" not in page
