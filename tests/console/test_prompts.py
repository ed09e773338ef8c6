"""Pages about system prompts over real sockets: versions beside each other, what changed, what it came to."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.console.traces.versions import Figures, change, lines, pieces
from proxy.store.traces import PromptVersion
from tests.console.agents import chat, store
from tests.console.serving import Console

RULES = "You are the assistant of a shop for garden tools. Answer briefly and politely, and never promise refunds. "
FIRST = f"{RULES}Say where the shop is when somebody asks for it, and when it opens on Mondays."
SECOND = f"{RULES}Say where the shop is when somebody asks for it, and when it opens on Mondays. Offer help with seeds."


@pytest.fixture
async def console(tmp_path: Path) -> AsyncIterator[Console]:
    async with Console(tmp_path / "data") as made:
        yield made


def row(page: str, number: int) -> list[str]:
    """The figures of a version, without their changes."""
    (found,) = re.findall(rf'<tr[^>]*>\s*<td><a class="row" href="[^"]*/{number}">.*?</tr>', page, re.DOTALL)
    return [
        re.sub(r"<[^>]*>", " ", cell).split()[-1] for cell in re.findall(r'<td class="figure[^"]*">(.+?)</td>', found)
    ]


async def test_versions_stand_side_by_side_with_what_changed(console: Console) -> None:
    await store(
        console.data,
        *(chat(10 * number, f"Question {number}?", system=FIRST) for number in range(3)),
        *(chat(100 + 10 * number, f"Question {number}?", system=SECOND) for number in range(2)),
    )
    _, page = await console.get("/prompts")
    assert re.findall(r'class="row" href="([^"]+)"', page) == ["/prompts/default/2"]
    _, page = await console.get("/prompts/default/2")
    assert (row(page, 2)[0], row(page, 1)[0]) == ("2", "3")
    assert row(page, 2)[1] == "0.0%"
    assert "Changed since version 1" in page
    assert re.findall(r"<ins>([^<]*)</ins>", page) == [" Offer help with seeds."]
    assert "<del>" not in page
    assert "system_version+%3D+2" in page
    _, page = await console.get("/prompts/default/1?from=2")
    assert re.findall(r"<del>([^<]*)</del>", page) == [" Offer help with seeds."]


async def test_places_that_vary_are_marked_and_a_written_ellipsis_is_not(console: Console) -> None:
    prompt = "You are a shop assistant… Today is {}. " + RULES
    days = (f"2026-11-{day:02d}" for day in range(1, 6))
    await store(console.data, *(chat(10 * n, "Hello?", system=prompt.format(day)) for n, day in enumerate(days)))
    _, page = await console.get("/prompts/default/1")
    assert page.count("<mark") == 1
    assert "assistant… Today is" in page


async def test_each_project_has_its_own(console: Console) -> None:
    await store(
        console.data,
        chat(0, "Hello?", system="You are the first.", project="one"),
        chat(9, "Hello?", system="You are the second.", project="two"),
    )
    _, page = await console.get("/prompts")
    assert ("You are the first." in page, "You are the second." in page) == (True, False)
    _, page = await console.get("/prompts?project=two")
    assert "You are the second." in page
    assert (await console.get("/prompts/two/1"))[0] == 200
    assert (await console.get("/prompts/?name=two&number=1"))[0] == 200
    assert (await console.get("/prompts/three/1"))[0] == 404


async def test_figures_are_of_a_period_and_a_filter(console: Console) -> None:
    await store(console.data, chat(0, "Hello?", system=FIRST, user="ada"), chat(9, "Hi?", system=FIRST, user="bob"))
    for query, calls in (("", "2"), ("?q=user:ada", "1"), ("?until=30d", "-"), ("?t=all", "2")):
        _, page = await console.get(f"/prompts/default/1{query}")
        assert row(page, 1)[0] == calls, query
    assert (await console.get("/prompts/default/1?from=x"))[0] == 400


def version(
    number: int, predecessor: int | None, line: int, last_us: int, segments: tuple[str, ...] = ()
) -> PromptVersion:
    return PromptVersion(
        project="p",
        number=number,
        line=line,
        predecessor=predecessor,
        first_us=0,
        last_us=last_us,
        text="",
        segments=segments,
    )


def test_prompts_are_listed_by_their_last_use() -> None:
    nothing: Figures = {}
    found = lines([version(1, None, 1, 9), version(2, None, 2, 5), version(3, 1, 1, 4)], nothing)
    assert [(line.number, [each.prompt.number for each in line.versions]) for line in found] == [(1, [3, 1]), (2, [2])]
    assert (found[0].calls, found[0].cost_nano_usd, found[0].newest.failing) == (0, None, None)


@pytest.mark.parametrize(
    ("now", "before", "said"),
    [
        (112, 100, "+12%"),
        (97, 100, "-3%"),
        (100, 100, ""),
        (None, 1, ""),
        (1, None, ""),
        (1, 0, ""),
        (400, 100, "+300%"),
    ],
)
def test_changes_are_said_in_percent(now: float | None, before: float | None, said: str) -> None:
    assert change(now, before) == said


def test_a_prompt_is_shown_up_to_a_bound() -> None:
    prompt = version(1, None, 1, 0, segments=("ab", "", "cdef"))
    assert [(piece.text, piece.varies) for piece in pieces(prompt, 4)] == [
        ("ab", False),
        ("…", True),
        ("…", True),
        ("cd", False),
    ]
