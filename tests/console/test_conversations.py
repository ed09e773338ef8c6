"""Pages about conversations over real sockets: the list, the tree on one axis of time, a step's panel."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import pytest

from bench.traffic import loops_abreast
from proxy.console.narrowed import page_of
from proxy.query.tree import Comparison
from proxy.query.written import written
from tests.console.agents import chat, run_of_an_agent, store
from tests.console.serving import Console
from tests.console.test_app import PAYLOADS, tags


@pytest.fixture
async def console(tmp_path: Path) -> AsyncIterator[Console]:
    async with Console(tmp_path / "data") as made:
        yield made


def rows(page: str) -> list[str]:
    return re.findall(r'class="row" href="/conversation/([^"]+)"', page)


def steps(page: str) -> list[str]:
    return re.findall(r'<tr class="step[^"]*" data-id="([^"]+)"', page)


# --- the list ----------------------------------------------------------------------------------------


async def test_before_the_first_call_the_list_says_what_will_stand_there(console: Console) -> None:
    for path in ("/conversations", "/users", "/prompts"):
        status, page = await console.get(path)
        assert status == 200
        assert " yet</h1>" in page


async def test_conversations_are_listed_with_what_they_came_to(console: Console) -> None:
    ids = await store(console.data, run_of_an_agent(user="ada", session="s1"), chat(2000, "Hello?", user="bob"))
    _, page = await console.get("/conversations")
    assert rows(page) == [ids[6], ids[0], ids[1]]
    for piece in ("Which maker ships first?", "ada", "bob", "↳ sub-agent", f"/conversation/{ids[0]}", "15m01s"):
        assert piece in page


async def test_filters_choose_conversations_and_are_said_in_english(console: Console) -> None:
    ids = await store(console.data, run_of_an_agent(user="ada"), chat(2000, "About zebrafish?", user="bob"))
    found = {
        "status:error": [ids[0]],
        "user:bob": [ids[6]],
        "tool:web_search": [ids[1]],
        "zebrafish": [ids[6]],
        "text match 'zebrafish' and user = 'ada'": [],
    }
    for q, expected in found.items():
        status, page = await console.get(f"/conversations?q={quote(q)}")
        assert status == 200, page
        assert rows(page) == expected
    assert "No conversation matches" in page
    assert "whose text matches" in page


async def test_a_period_chooses_what_was_active_in_it(console: Console) -> None:
    ids = await store(console.data, chat(-7200, "Long ago?"), chat(3000, "Just now?"))
    for query, expected in (("t=1h", [ids[1]]), ("t=24h", [ids[1], ids[0]]), ("until=1h", [ids[0]]), ("", ids[::-1])):
        _, page = await console.get(f"/conversations?{query}")
        assert rows(page) == expected, query


async def test_pages_of_the_list_follow_each_other(console: Console) -> None:
    ids = await store(console.data, *(chat(number, f"Question {number}?") for number in range(103)))
    _, page = await console.get("/conversations")
    assert rows(page) == ids[:2:-1]
    (older,) = re.findall(r'href="([^"]+)" rel="next"', page)
    _, page = await console.get(older.replace("&amp;", "&"))
    assert rows(page) == ids[2::-1]
    assert "Newest" in page


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/conversations?q=nosuch:1", 400, "nosuch"),
        ("/conversations?q=status:%3E%3E", 400, ""),
        ("/conversations?t=3y", 400, "15m, 1h"),
        ("/conversations?since=yore", 400, "yore"),
        ("/conversations?before=nothing", 404, ""),
        ("/conversation/00000000-0000-7000-8000-000000000000", 404, ""),
        ("/users?sort=name", 400, "cost"),
        ("/prompts/default/1", 404, ""),
        ("/prompts/default/one", 404, ""),
        ("/prompts/", 404, ""),
    ],
)
async def test_what_cannot_be_shown_is_said(console: Console, path: str, status: int, says: str) -> None:
    await store(console.data, chat(0, "Hello?", system=""))
    found, problem = await console.get(path)
    assert (found, says in problem) == (status, True), problem


# --- one conversation ----------------------------------------------------------------------------------


async def test_a_run_is_a_tree_with_tools_sub_agents_retries_and_its_first_failure(console: Console) -> None:
    ids = await store(console.data, run_of_an_agent(user="ada", session="s1"))
    status, page = await console.get(f"/conversation/{ids[0]}")
    assert status == 200
    assert steps(page) == ids
    assert re.findall(r"⚙ <bdi>([^<]*)", page) == ["task", "web_search"]
    assert page.count("◆ sub-agent") == 1
    assert "<b>4</b> calls, 6 with 1 sub-agent" in page
    assert '<span class="chip">retry</span>' in page
    assert "Failed first at step 4" in page
    assert page.count("✕ failed first") == 1
    assert f'data-id="{ids[3]}" aria-selected="true"' in page  # the failure is what is shown first
    assert "Rate limit reached" in page.partition('id="step"')[2]


async def test_idle_time_is_folded_or_drawn_to_scale(console: Console) -> None:
    (first, *_) = await store(console.data, run_of_an_agent())
    _, page = await console.get(f"/conversation/{first}")
    assert re.search(r'<text class="fold"[^>]*>14m48s<', page)
    assert "axis=even" in page
    _, page = await console.get(f"/conversation/{first}?axis=even")
    assert 'class="fold" x=' not in page
    assert "fold idle time" in page


async def test_bars_lie_within_the_drawing(console: Console) -> None:
    (first, *_) = await store(console.data, run_of_an_agent())
    _, page = await console.get(f"/conversation/{first}")
    drawn = [(float(x), float(width)) for x, width in re.findall(r'<rect[^>]* x="([\d.]+)%" width="([\d.]+)%"', page)]
    assert len(drawn) >= 9
    assert all(x >= 0 and width > 0 and x + width <= 100.01 for x, width in drawn)


async def test_a_step_shows_what_is_new_in_it_or_everything(console: Console) -> None:
    ids = await store(console.data, run_of_an_agent())
    path = f"/conversation/{ids[0]}?sel={ids[5]}"
    _, panel = await console.get(path, **{"X-Fragment": "step"})
    assert "<html" not in panel
    assert "Step 6" in panel
    assert "Shorter, please." in panel
    assert "The first." in panel
    assert "Which maker ships first?" not in panel
    assert f"/compare?a={ids[4]}&amp;b={ids[5]}" in panel
    assert f'href="/call/{ids[5]}"' in panel
    _, panel = await console.get(f"{path}&show=all", **{"X-Fragment": "step"})
    assert "Which maker ships first?" in panel
    assert "You plan and delegate." in panel
    _, page = await console.get(path)
    assert "Shorter, please." in page.partition('id="step"')[2]


async def test_any_call_leads_to_its_conversation_and_is_chosen(console: Console) -> None:
    ids = await store(console.data, run_of_an_agent())
    _, page = await console.get(f"/conversation/{ids[4]}")
    assert steps(page) == ids
    assert f'data-id="{ids[4]}" aria-selected="true"' in page
    _, page = await console.get(f"/conversation/{ids[2]}")
    assert steps(page) == ids[1:3]
    assert "begun by this conversation" in page


async def test_others_of_the_session_stand_beside_but_not_what_is_in_the_tree(console: Console) -> None:
    ids = await store(console.data, run_of_an_agent(session="s1"), chat(2000, "Another matter?", session="s1"))
    _, page = await console.get(f"/conversation/{ids[0]}")
    assert rows(page.partition("Others of this session")[2]) == [ids[6]]


async def test_a_long_conversation_has_pages(console: Console) -> None:
    ids = await store(console.data, chat(0, *(f"Question {number}?" for number in range(405))))
    seen: list[str] = []
    path = f"/conversation/{ids[0]}"
    while path:
        status, page = await console.get(path)
        assert status == 200
        assert steps(page)[0] == ids[0]
        seen = steps(page)[1:] + seen
        earlier = re.search(r'earlier calls are not on this page. <a class="button" href="([^"]+)"', page)
        path = f"/conversation/{ids[0]}{earlier[1].replace('&amp;', '&')}" if earlier else ""
    assert seen == ids[1:]
    assert "Later calls are not on this page" in page


async def test_a_trace_of_thirty_steps_is_small(console: Console) -> None:
    await store(console.data, [exchange for batch in loops_abreast(1, 30) for exchange, _ in batch])
    _, page = await console.get("/conversations")
    (run,) = rows(page)
    _, page = await console.get(f"/conversation/{run}")
    assert len(steps(page)) >= 30
    assert len(page) < 100_000


# --- what is hostile, and who may look ------------------------------------------------------------------


async def pages(console: Console, text: str) -> list[str]:
    """Every page about two calls in which all that clients write is this text."""
    (first, _) = await store(console.data, chat(0, text, text, system=text, user=text, session=text))
    paths = ["/users", "/prompts", "/conversations", f"/conversation/{first}", f"/conversation/{first}?show=all"]
    paths += [page_of("/users", text), "/prompts/default/1", f"/conversations?q={quote(text_filter(text))}"]
    found = []
    for path in paths:
        status, page = await console.get(path)
        assert status == 200, page
        found.append(page)
    return found


def text_filter(text: str) -> str:
    return written(Comparison("user", "=", text))


@pytest.mark.parametrize("payload", PAYLOADS)
async def test_logged_text_is_never_markup(console: Console, tmp_path: Path, payload: str) -> None:
    async with Console(tmp_path / "plain") as plain:
        expected = await pages(plain, "harmless")
    for page, harmless in zip(await pages(console, payload), expected, strict=True):
        assert tags(page) - tags(harmless) <= {("input", "type"), ("input", "name"), ("input", "value")}
        assert not re.search(r"<[^>]* style=|<[^>]*\son\w+=\"", page)


async def test_projects_of_others_are_as_if_they_were_not_there(console: Console) -> None:
    ids = await store(
        console.data, chat(0, "Mine?", user="ada", project="own"), chat(9, "Theirs?", user="bob", project="other")
    )
    viewer = {"Authorization": f"Bearer {console.token('viewer:own')}"}
    _, page = await console.get("/conversations", **viewer)
    assert rows(page) == ids[:1]
    assert (await console.get(f"/conversation/{ids[1]}", **viewer))[0] == 404
    _, page = await console.get("/users", **viewer)
    assert ("ada" in page, "bob" in page) == (True, False)
    _, page = await console.get("/users/bob", **viewer)
    assert "Theirs?" not in page
    assert "No calls of this user" in page
    assert (await console.get("/prompts/other/1", **viewer))[0] == 404
    _, page = await console.get("/prompts", **viewer)
    assert "other" not in page.partition("<main")[2]


async def test_who_sees_figures_only_reads_no_words(console: Console) -> None:
    ids = await store(console.data, run_of_an_agent(user="ada"))
    looks = {"Authorization": f"Bearer {console.token('metadata-viewer')}"}
    for path in ("/conversations", f"/conversation/{ids[0]}", f"/conversation/{ids[0]}?show=all", "/users/ada"):
        status, page = await console.get(path, **looks)
        assert status == 200
        for words in ("Which maker", "One worker can look", "Rate limit", "You plan"):
            assert words not in page, (path, words)
    assert (await console.get("/prompts", **looks))[0] == 403
    assert (await console.get("/conversations?q=maker", **looks))[0] == 400
