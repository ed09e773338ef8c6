"""Pages about users over real sockets, whatever users are called, and what they are made of."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from proxy.clock import CallIds
from proxy.console.moments import Moments
from proxy.console.narrowed import logs_of, page_of
from proxy.console.traces.journey import activity, opinions
from proxy.query.parse import parse_filter
from proxy.query.tree import And, Comparison
from proxy.records import Event, EventKind
from proxy.store.base import Bin
from proxy.store.judgements import Score
from tests.console.agents import START_US, chat, run_of_an_agent, store
from tests.console.serving import Console

NAMES = [
    "ada@example.com", "a/b", "a//b", "what?", "#1", "100%", "%2F", "a%2Fb", "..", ".", "{id}", "}{", "мария 日本 😀",
    "a b+c", "<b>&amp;", "'quoted' \"twice\"", "a\\b", "a;b=c&d", "x" * 200, "\u202eabc",
]  # fmt: skip


@pytest.fixture
async def console(tmp_path: Path) -> AsyncIterator[Console]:
    async with Console(tmp_path / "data") as made:
        yield made


async def test_every_user_has_a_page_whatever_the_name(console: Console) -> None:
    await store(console.data, *(chat(10 * place, f"I am {place}", user=name) for place, name in enumerate(NAMES)))
    _, listed = await console.get("/users?sort=calls")
    links = [unescape(link) for link in re.findall(r'class="row" href="([^"]+)"', listed)]
    assert len(links) == len(NAMES)
    for link in links:
        status, page = await console.get(link)
        assert status == 200, link
        (shown,) = re.findall(r"<h1><bdi>(.*?)</bdi></h1>", page, re.DOTALL)
        place = [name.strip() for name in NAMES].index(unescape(shown))
        assert re.findall(r"I am (\d+)<", page) == [str(place)]
        (logs,) = re.findall(r'href="([^"]+)">in the logs', page)
        (q,) = parse_qs(urlsplit(unescape(logs)).query)["q"]
        assert parse_filter(q) == Comparison("user", "=", unescape(shown))


async def test_a_name_that_nobody_has(console: Console) -> None:
    await store(console.data, chat(0, "Hello?", user="ada"))
    for path in ("/users/nobody", "/users/?name="):
        status, page = await console.get(path)
        assert status == 200
        assert "No calls of this user" in page


async def test_users_without_a_name_lead_to_their_calls(console: Console) -> None:
    await store(console.data, chat(0, "Hello?"))
    _, page = await console.get("/users")
    assert "no user was named" in page
    assert unescape(re.findall(r'class="row quiet" href="([^"]+)"', page)[0]) == "/?q=user+is+null"


async def test_a_journey_has_all_conversations_and_what_they_came_to(console: Console) -> None:
    ids = await store(
        console.data, run_of_an_agent(user="ada"), chat(2000, "And now?", user="ada"), chat(2100, "Mine?", user="bob")
    )
    _, page = await console.get("/users/ada")
    journey = page.partition('class="journey"')[2]
    assert re.findall(r'<a href="/conversation/([^"]+)"', journey) == [ids[6], ids[0], ids[1]]
    assert "Mine?" not in page
    for piece in ("<b>7</b> calls", "<b>1</b> error", "gpt-5-mini-2025-08-07", "first seen", "Nobody has judged"):
        assert piece in page, piece
    _, page = await console.get("/users/ada?q=status:error")
    assert re.findall(r'<a href="/conversation/([^"]+)"', page.partition('class="journey"')[2]) == [ids[0]]
    assert "<b>1</b> call<" in page


async def test_feedback_stands_at_the_conversation_and_in_the_sums(console: Console) -> None:
    ids = await store(console.data, chat(0, "One?", "Two?", user="ada"), chat(99, "Three?", user="ada"))
    making = CallIds()

    def judged(call: str, value: object, name: str = "review") -> Event:
        said = {"target": {"call": call}, "scores": [{"name": name, "value": value}]}
        at_us = START_US
        return Event(id=making.next(at_us), kind=EventKind.FEEDBACK, at_us=at_us, author="eve", said=said)

    await console.record(events=[judged(ids[0], True), judged(ids[1], False), judged(ids[2], "rude", "tone")])
    _, page = await console.get("/users/ada")
    assert "Nobody has judged" not in page
    assert re.search(r"review 0\.5</span>\s*</td><td class=\"figure\">2 calls", page)
    first, second = page.partition('class="journey"')[2].split("<li ")[1:]
    assert "<bdi>rude</bdi>" in first
    assert "review 0.5" in second


async def test_names_that_cannot_stand_in_a_path_stand_in_the_query() -> None:
    assert page_of("/users", "ada") == "/users/ada"
    assert page_of("/users", "a/b%") == "/users/a%2Fb%25"
    assert page_of("/users", "..") == "/users/?name=.."
    assert page_of("/prompts", "{p}", 3) == "/prompts/?name=%7Bp%7D&number=3"
    assert page_of("/prompts", "p", 3) == "/prompts/p/3"
    assert page_of("/users", "\ud800") == "/users/%3F"


def test_links_to_the_logs_are_filters_that_mean_the_same() -> None:
    link = logs_of(user="o'neil", status=("error", "truncated"))
    (q,) = parse_qs(urlsplit(link).query)["q"]
    expected = And((Comparison("user", "=", "o'neil"), Comparison("status", "in", ("error", "truncated"))))
    assert parse_filter(q) == expected


def test_opinions_are_averaged_over_calls() -> None:
    good = Score(name="review", mean=1.0, label=None, authors=2)
    bad = Score(name="review", mean=0.0, label=None, authors=1)
    tone = Score(name="tone", mean=None, label="rude", authors=1)
    review, said = opinions([[good, tone], [bad], [good]])
    assert (review.calls, round(review.mean or 0, 2), review.verdict, review.is_review) == (3, 0.67, "good", True)
    assert (said.mean, said.labels, said.verdict) == (None, (("rude", 1),), "")


def test_activity_is_as_high_as_its_busiest_bin() -> None:
    at = Moments(UTC, START_US)
    bars = activity([Bin(4, 0, 1), Bin(0, 0, 0), Bin(2, 0, 0)], [0, 1, 2], at)
    assert [(bar.x, bar.height, bar.bad) for bar in bars] == [(0, 100, 25), (66.667, 50, 0)]
    assert activity([], [], at) == ()


def test_moments_are_as_short_as_they_can_be() -> None:
    now_us = 1_795_262_400_000_000  # 2026-11-21 12:00 UTC
    at = Moments(UTC, now_us)
    hours = 3_600_000_000
    assert [at.short(now_us - ago * hours) for ago in (1, 30, 9000)] == ["11:00:00", "20 Nov 06:00", "11 Nov 2025"]
    assert [at.day(now_us - ago * hours) for ago in (1, 30, 100, 9000)] == [
        "Today",
        "Yesterday",
        "17 Nov",
        "11 Nov 2025",
    ]
    assert (at.full(now_us), at.clock(now_us)) == ("2026-11-21 12:00:00", "12:00:00")
