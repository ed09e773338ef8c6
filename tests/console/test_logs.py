"""The logs over real sockets, as a browser without JavaScript sees them, and their pieces and rows for one with it."""

from __future__ import annotations

import asyncio
import gzip
import re
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path

import aiohttp
import pytest

from proxy.clock import CallIds, id_text, wall_us
from proxy.console.logs.listing import ROWS
from proxy.datadir import prepare
from proxy.records import Event, EventKind
from proxy.store.base import Batch, StoredCall
from proxy.store.sqlite.fulltext.index import Limits
from proxy.store.sqlite.store import SqliteStore
from tests.cli.recorded import exchanged, new_call
from tests.console.serving import Console

SOON_S = 20.0
_ids = CallIds()


@pytest.fixture
async def console(tmp_path: Path) -> AsyncIterator[Console]:
    async with Console(tmp_path / "data") as made:
        yield made


def stored(minutes_ago: int = 0, **fields: object) -> StoredCall:
    at_us = wall_us() - minutes_ago * 60_000_000
    return StoredCall(call=new_call(id=id_text(_ids.next(at_us)), started_at_us=at_us, **fields))


def shown(page: str) -> list[str]:
    """First words of the rows, in their order."""
    return re.findall(r"question \d+", page)


def link(page: str, text: str) -> str:
    """Where a link leads."""
    found = re.search(rf'<a[^>]* href="([^"]*)"[^>]*>\s*{re.escape(text)}', page)
    assert found is not None, text
    return unescape(found[1])


# --- the list ----------------------------------------------------------------------------------------


async def test_pages_lead_to_older_and_newer_calls_and_back(console: Console) -> None:
    many = 2 * ROWS + 5
    await console.record(*(stored(many - n, preview_input=f"question {n}") for n in range(many)))
    _, first = await console.get("/")
    _, second = await console.get(link(first, "older →"))
    _, third = await console.get(link(second, "older →"))
    assert shown(first + second + third) == [f"question {n}" for n in reversed(range(many))]
    assert "That is all" in third
    _, back = await console.get(link(third, "← newer"))
    assert shown(back) == shown(second)
    _, top = await console.get(link(back, "← newer"))
    assert shown(top) == shown(first)
    assert "data-live" in top
    assert "data-live" not in second


async def test_last_updated_first(console: Console) -> None:
    first, second = stored(2, preview_input="question 1", status="running"), stored(1, preview_input="question 2")
    await console.record(first, second)
    await console.record(StoredCall(call=new_call(id=first.call.id, preview_input="question 1")))
    _, newest = await console.get("/")
    _, updated = await console.get(link(newest, "Last updated first"))
    assert shown(newest) == ["question 2", "question 1"]
    assert shown(updated) == ["question 1", "question 2"]


async def test_a_filter_narrows_the_list_and_is_said_in_english(console: Console) -> None:
    await console.record(
        stored(preview_input="question 1", user="ada"),
        stored(preview_input="question 2", user="bob", status="error", http_status=429, error_message="slow down"),
    )
    _, page = await console.get("/?q=status%3Aerror")
    assert shown(page) == ["question 2"]
    assert "error 429" in page
    assert "slow down" in page
    assert unescape(page).count("Calls whose status is 'error'") == 1
    _, sql = await console.get("/?q=user+%3D+%27ada%27+and+latency_ms+%3E+1")
    assert shown(sql) == ["question 1"]
    _, everything = await console.get("/")
    user = re.search(r'href="([^"]*user[^"]*ada)" tabindex="-1" aria-label="only these"', everything)
    assert user is not None
    assert shown((await console.get(unescape(user[1])))[1]) == ["question 1"]
    assert shown((await console.get(link(everything, "Errors")))[1]) == ["question 2"]


async def test_a_period_narrows_the_list(console: Console) -> None:
    await console.record(stored(200, preview_input="question 1"), stored(3, preview_input="question 2"))
    _, page = await console.get("/")
    assert shown((await console.get(link(page, "15m")))[1]) == ["question 2"]
    assert shown((await console.get("/?since=2020-01-01&until=2020-01-02"))[1]) == []


@pytest.mark.parametrize(
    ("q", "said", "marked"),
    [
        ("statsu:error", "did you mean status?", "statsu"),
        ("model:a user:", "a value is expected", " "),
        ("cost_usd >", "near", None),
        ("/", "no word to search for", None),
    ],
)
async def test_a_bad_filter_is_shown_with_its_place(console: Console, q: str, said: str, marked: str | None) -> None:
    async with console.client.get("/", params={"q": q}) as response:
        page = unescape(await response.text())
        assert response.status == 400
    assert said in page
    assert f'value="{q}"' in page
    if marked is not None:
        assert f"<mark>{marked}</mark>" in page


@pytest.mark.parametrize(
    "query", ["t=3w", "sort=upward", "cols=modle", "before=x", "since=tomorrow", "before=" + "1" * 99]
)
async def test_what_cannot_be_read_is_a_400(console: Console, query: str) -> None:
    await console.record(stored())
    status, _ = await console.get(f"/?{query}")
    assert status == 400


async def test_an_empty_answer_says_how_to_widen(console: Console) -> None:
    await console.record(stored(500))
    _, page = await console.get("/?q=user%3Anobody&t=1h")
    assert "No calls match" in page
    assert link(page, "Look at all times") == "/?q=user%3Anobody"
    assert link(page, "Drop the filter") == "/?t=1h"


async def test_words_are_searched_and_what_cannot_be_found_yet_is_said(tmp_path: Path) -> None:
    async with Console(tmp_path / "data") as console:
        store = await SqliteStore.open(prepare(console.data), full_text=Limits())
        await store.write(Batch(calls=[exchanged(new_call(user="ada")), exchanged(new_call(user="bob"))]))
        await store.text_settled()
        await store.close()
        _, page = await console.get("/?q=weather+user%3Aada")
        assert page.count("What is the weather in Bern?") == 1
        assert "cannot be found by their words yet" not in page
        await console.record(exchanged(new_call(user="ada")))
        _, page = await console.get("/?q=weather+user%3Aada")
        assert "1 stored calls cannot be found by their words yet" in page
        _, page = await console.get("/?q=weather&facets=1")
        assert "ada" in page
        assert "on this page" not in page


# --- columns, views ----------------------------------------------------------------------------------


async def test_columns_are_chosen_and_remembered(console: Console) -> None:
    await console.record(stored(metadata={"team": "red"}, preview_input="question 1"))
    form = [("q", "status:ok"), ("col", "model"), ("col", "user"), ("more", "metadata.team, project")]
    async with console.client.get("/", params=form, allow_redirects=False) as response:
        assert response.headers["Location"] == "/?q=status%3Aok"
        chosen = response.cookies["llmtap_cols"].value

    async def heads(path: str, columns: str) -> list[str]:
        _, page = await console.get(path, Cookie=f'llmtap_cols="{columns}"')
        return re.findall(r"<th [^>]*>([^<]*)", page)

    assert await heads("/", chosen) == ["Model", "User", "team", "project"]
    assert await heads("/?cols=cost,time", chosen) == ["Cost", "Time"]
    assert (await heads("/", "gone"))[:2] == ["Time", "Status"]
    async with console.client.get("/?col=", allow_redirects=False) as response:
        assert response.cookies["llmtap_cols"].value == ""


async def test_usual_columns_that_hold_nothing_are_left_out(console: Console) -> None:
    await console.record(stored(user=None))
    _, page = await console.get("/")
    assert "User</th>" not in page
    await console.record(stored(user="ada"))
    assert "User</th>" in (await console.get("/"))[1]


async def test_a_view_is_saved_by_a_form(console: Console) -> None:
    await console.record(stored())
    async with console.client.post(
        "/views", data={"name": "bad ones", "query": "q=status%3Aerror&cols=time&nonsense=1"}, allow_redirects=False
    ) as response:
        assert response.status == 303
        assert response.headers["Location"] == "/?q=status:error&cols=time"
    async with console.client.post("/views", data={"name": "", "query": ""}) as response:
        assert response.status == 400


async def test_a_view_is_deleted_where_it_stands(console: Console) -> None:
    said = {"name": "v", "page": "/", "query": "q=x"}
    event = Event(id=_ids.next(wall_us()), kind=EventKind.VIEW, at_us=wall_us(), author="local", said=said)
    await console.record(events=[event])
    _, page = await console.get("/")
    (view,) = re.findall(r'name="view" value="([^"]+)"', page)
    gone = {"view": view, "name": "v", "query": "", "deleted": "1"}
    async with console.client.post("/views", data=gone, allow_redirects=False) as response:
        assert response.status == 303
    (written,) = [event for event in console.written() if event.kind == EventKind.VIEW]
    assert (written.said["view"], written.said["deleted"]) == (view, True)
    async with console.client.post("/views", data=gone | {"view": "nobody's"}) as response:
        assert response.status == 404


# --- pieces ------------------------------------------------------------------------------------------


async def test_the_chart_counts_all_and_its_bars_lead_to_their_span(console: Console) -> None:
    await console.record(*(stored(n, status="error" if n % 10 == 0 else "ok") for n in range(60)))
    _, page = await console.get("/")
    assert "60 calls, 6 failed" in page
    bar = re.search(r'<a href="([^"]*since=[^"]*)" tabindex="-1"><title>[^<]*: (\d+) call', page)
    assert bar is not None
    _, span = await console.get(unescape(bar[1]))
    assert span.count("<tr class=") == int(bar[2])


async def test_a_chart_that_takes_a_while_comes_after_the_page(console: Console) -> None:
    await console.record(*(stored(n, user="ada") for n in range(ROWS + 10)))
    _, page = await console.get("/?q=user%3Aada")
    assert "data-more" in page
    _, piece = await console.get("/?q=user%3Aada", **{"X-Fragment": "chart"})
    assert f"{ROWS + 10} calls" in piece
    assert "<html" not in piece


async def test_facets_count_and_narrow(console: Console) -> None:
    await console.record(*(stored(user="ada", tags=("x",)) for _ in range(3)), stored(user="bob", status="error"))
    _, piece = await console.get("/?q=-status:blocked", **{"X-Fragment": "facets"})
    found = dict(re.findall(r"<bdi>([^<]*)</bdi><span>([^<]*)", piece))
    assert found["ada"] == "3"
    assert found["bob"] == "1"
    assert found["x"] == "3"
    assert found["error"] == "1"
    narrowed = link(piece, "<bdi>ada")
    assert narrowed == "/?q=-status%3Ablocked+user%3Aada"
    _, page = await console.get(f"{narrowed}&facets=1")
    assert link(page, "<bdi>ada") == "/?q=-status%3Ablocked&facets=1"


async def test_completion_knows_names_and_values(console: Console) -> None:
    await console.record(*(stored(user="ada", metadata={"team": "red"}) for _ in range(2)), stored(user="bob"))

    async def labels(q: str) -> list[str]:
        found = await console.json(f"/complete?{aiohttp.client.URL.build(query={'q': q}).query_string}")
        return [option["label"] for option in found["options"]]  # type: ignore[attr-defined]

    assert (await labels("mod"))[0] == "model"
    assert await labels("user:") == ["ada", "bob"]
    assert await labels("metadata.") == ["team"]
    assert await labels("metadata.team:") == ["red"]
    assert await labels("status:e") == ["error"] or await labels("status:o") == ["ok"]


# --- live --------------------------------------------------------------------------------------------


async def events(response: aiohttp.ClientResponse, many: int = 1) -> list[tuple[str, str]]:
    """The next events: their names and what they carry."""
    found: list[tuple[str, str]] = []
    buffer = ""
    async with asyncio.timeout(SOON_S):
        while len(found) < many:
            buffer += (await response.content.readany()).decode()
            *whole, buffer = buffer.split("\n\n")
            for event in whole:
                lines = dict.fromkeys(("event", "data"), "")
                for line in event.splitlines():
                    name, _, value = line.partition(": ")
                    if name in lines:
                        lines[name] += value
                if lines["event"]:
                    found.append((lines["event"], lines["data"]))
    return found


async def test_rows_come_as_they_are_in_the_list(console: Console) -> None:
    await console.record(stored(preview_input="question 1"))
    _, page = await console.get("/?q=status%3Aok&cols=time,in")
    live, rev = re.search(r'data-live="([^"]*)" data-rev="(\d+)"', page).groups()  # type: ignore[union-attr]
    async with console.client.get(f"{unescape(live)}&rev={rev}") as response:
        assert response.content_type == "text/event-stream"
        await console.record(stored(preview_input="question 2"), stored(preview_input="question 3", status="error"))
        ((name, row),) = await events(response)
    assert name == "rows"
    assert shown(row) == ["question 2"]
    assert row.count("<td") == 2


async def test_a_page_that_is_far_behind_loads_again(console: Console) -> None:
    await console.record(*(stored() for _ in range(501)))
    async with console.client.get("/live?rev=0") as response:
        assert await events(response) == [("reload", "")]


async def test_a_bad_filter_is_not_followed(console: Console) -> None:
    assert (await console.get("/live?q=statsu%3Ax"))[0] == 400


# --- what is sent ------------------------------------------------------------------------------------


async def test_pages_are_packed_for_those_who_can_read_that(console: Console) -> None:
    await console.record(*(stored(n) for n in range(ROWS)))
    async with aiohttp.ClientSession(auto_decompress=False) as client:
        url = f"http://127.0.0.1:{console.port}/"
        async with client.get(url, headers={"Accept-Encoding": "gzip"}) as packed:
            body = await packed.read()
            assert packed.headers["Content-Encoding"] == "gzip"
            assert packed.headers["Vary"] == "Accept-Encoding"
        async with client.get(url, headers={"Accept-Encoding": "identity"}) as plain:
            assert "Content-Encoding" not in plain.headers
            assert len(await plain.read()) == pytest.approx(len(gzip.decompress(body)), rel=0.05)
    assert len(body) < 20_000


async def test_hostile_texts_stay_texts(console: Console) -> None:
    evil = '"><img src=x onerror=alert(1)><script>alert(1)</script>'
    names = ("user", "session", "project", "model", "model_requested", "upstream", "error_message", "preview_input",
             "preview_output", "error_type", "finish_reason", "client", "agent", "key")  # fmt: skip
    await console.record(stored(**dict.fromkeys(names, evil), tags=(evil,), metadata={evil: evil}, status="error"))
    columns = f"time,status,model,in,out,user,session,tags,project,upstream,client,metadata.{evil.replace(',', '')}"
    for path in ("/", "/?facets=1", f"/?cols={aiohttp.client.URL.build(path=columns).path}"):
        async with console.client.get("/", params={"cols": columns} if "cols" in path else {"facets": "1"}) as response:
            page = await response.text()
        assert response.status == 200
        assert "<img src=x" not in page
        assert "<script>alert" not in page
    async with console.client.get("/", params={"q": evil}) as response:
        assert "<img src=x" not in await response.text()
