"""Every route, asked by every role in every project: what is not theirs never shows.

The routes are taken from the program. One that nobody knows how to ask fails this test: then its
parameters go into the tables here.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from msgspec import Struct

from proxy.console.app import routes_of
from proxy.console.permissions import ROLES, WHOLE, Permission
from proxy.console.routes import OPEN, Route
from proxy.console.site import Site
from proxy.store.sqlite.reader import SqliteReader
from tests.console.planted import KNOWN, SAID, SAVED, Planted, plant
from tests.console.serving import Console

PIECES = sorted(path.stem for path in Path("proxy/console/templates/pieces").glob("*.html"))
STREAM_S = 0.4  #: a stream has sent what it has


class Ask(Struct, frozen=True):
    """One request."""

    method: str
    path: str
    query: dict[str, str] = {}
    headers: dict[str, str] = {}
    json: Any = None
    form: dict[str, str] | None = None
    target: Planted | None = None  #: whose call, note or view it names
    writes: bool = False


# --- how routes are asked -----------------------------------------------------------------------------


def path_values(name: str, route: Route, of: Planted) -> list[str]:
    """What may stand in the place of ``{name}``. Raises ``KeyError`` for a place that nobody knows."""
    if name == "id":
        kinds = {"/api/notes/{id}": [of.note], "/api/views/{id}": [of.view]}
        return kinds.get(route.path, [of.call, of.failed] if route.method == "GET" else [of.call])
    table = {
        "user": [of.words["user"]],
        "project": [of.project],
        "place": ["sys", "in.0.0", "in.1.0", "out.0.0", "res.0"],
        "form": ["curl", "python", "json"],
        "side": ["request", "response"],
        "number": ["0", "1"],
        "name": [of.words["tag"]],
    }
    return table[name]


#: Of documented queries: everything that a value could bring to light. None of them holds a marker.
QUERIES: dict[str, list[str]] = {
    "filter": ["status in ('ok','error')", "not user = 'nobody'", "text match 'promptqotherz'", "failure:x"],
    "fields": ["id,user,model,input,output,system_prompt,tool_calls,metadata,tags"],
    "by": ["user", "model", "tag", "project", "session", "agent"],
    "sort": ["updated", "newest"],
    "every": ["1", "true"],
    "after": ["0"],
    "compare": ["1", "true"],
    "call": [],
    "project": [],
    "cursor": [],
    "limit": ["2"],
    "since": ["30d"],
    "until": ["0h"],
    "tz": ["UTC"],
    "steps": ["5"],
    "order": ["calls"],
    "what_if": ["gpt-5-mini"],
    "bins": ["5"],
    "period": ["30d"],
    "group": ["user"],
}

#: Of pages, whose queries are not documented.
PAGE_QUERIES: list[dict[str, str]] = [
    {},
    {"t": "30d"},
    {"q": "not user = 'nobody'", "t": "30d"},
    {"q": "text match 'promptqotherz'"},
    {"q": "error_message like '%'"},
    {"by": "user", "t": "30d"},
    {"by": "project", "t": "30d"},
    {"q": "", "at": "0"},
    {"q": "user:", "at": "5"},
    {"q": "tag:", "at": "4"},
    {"q": "project:", "at": "8"},
    {"rev": "0"},
    *({"tab": tab} for tab in ("request", "response", "timeline", "cost", "details", "said")),
]


#: Pages that go on for ever are asked less.
STREAMS = {"/live": [{"rev": "0"}, {"rev": "0", "q": "not user = 'nobody'"}, {"q": "text match 'promptqotherz'"}]}


def bodies(own: Planted, of: Planted) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """How routes that change something are asked about a call of ``of``: as JSON or as a form."""
    good = [{"name": "helpful", "value": 1}]
    return {
        ("POST", "/call/{id}/feedback"): [{"form": {"review": "good", "comment": "x"}}],
        ("POST", "/call/{id}/notes"): [{"form": {"text": "x"}}],
        ("POST", "/call/{id}/tags"): [{"form": {"add": "x"}}],
        ("POST", "/call/{id}/rerun"): [{"form": {"body": "{}", "key": "none"}}],
        ("POST", "/api/feedback"): [{"json": {"call": of.call, "scores": good}}],
        ("POST", "/api/notes"): [{"json": {"call": of.call, "text": "x"}}],
        ("PUT", "/api/notes/{id}"): [
            {"json": {"call": of.call, "text": "x"}},
            {"json": {"call": own.call, "text": "x"}},
        ],
        ("DELETE", "/api/notes/{id}"): [{"query": {"call": of.call}}],
        ("POST", "/api/calls/{id}/tags"): [{"json": {"add": ["x"]}}],
        ("POST", "/api/tags"): [{"json": {"name": "x"}}],
        ("PUT", "/api/tags/{name}"): [{"json": {"description": "x"}}],
        ("DELETE", "/api/tags/{name}"): [{}],
        ("POST", "/api/views"): [{"json": {"name": "x", "page": "/"}}],
        ("PUT", "/api/views/{id}"): [{"json": {"name": "x", "page": "/"}}],
        ("DELETE", "/api/views/{id}"): [{}],
        ("POST", "/api/query"): [{"json": {"sql": "select * from calls"}}],
        ("POST", "/api/flush"): [{"json": {"timeout_s": 0}}],
        ("POST", "/views"): [{"form": {"name": "x"}}],
        ("POST", "/review"): [{"form": {"name": "x"}}],
        ("POST", "/login"): [{"form": {"name": "", "password": "x"}}],
        ("POST", "/logout"): [{"form": {}}],
        ("POST", "/settings/password"): [{"form": {"password": "x"}}],
        ("POST", "/settings/people"): [{"form": {"do": "remove", "name": "nobody"}}],
        ("POST", "/settings/tokens"): [{"form": {"name": "x", "roles": "none"}}],
        ("POST", "/settings/tokens/revoke"): [{"form": {"token": "nothing"}}],
        ("POST", "/settings/tags"): [{"form": {"do": "nothing", "name": "x"}}],
    }


def paths(route: Route, of: Planted) -> Iterator[str]:
    names = re.findall(r"\{(\w+)\}", route.path)
    for values in product(*(path_values(name, route, of) for name in names)):
        filled = route.path
        for name, value in zip(names, values, strict=True):
            filled = filled.replace(f"{{{name}}}", value)
        yield filled


def asks(route: Route, own: Planted, of: Planted) -> Iterator[Ask]:
    """All requests that are made of a route, about a project. Raises ``KeyError`` for what nobody knows."""
    named = of if "{id}" in route.path or route.path in ("/api/feedback", "/api/notes") else None
    for path in paths(route, of):
        if route.method != "GET":
            for body in bodies(own, of)[route.method, route.path]:
                yield Ask(method=route.method, path=path, target=named, writes=True, **body)
        elif route.doc is not None:
            yield Ask(method="GET", path=path, target=named)
            for name, value in ((each, value) for each in route.doc.query for value in QUERIES[each]):
                yield Ask(method="GET", path=path, query={name: value}, target=named)
        else:
            yield from page_asks(path, named, of)


def every_ask(route: Route, garden: Garden) -> list[Ask]:
    """About both projects, none twice."""
    found: list[Ask] = []
    for of in (garden.own, garden.other):
        found += [ask for ask in asks(route, garden.own, of) if ask not in found]
    return found


def page_asks(path: str, named: Planted | None, of: Planted) -> Iterator[Ask]:
    if path.startswith("/assets/"):
        return
    if path in STREAMS:
        yield from (Ask(method="GET", path=path, query=query) for query in STREAMS[path])
        return
    if of.failed in path:  # what failed differs by its message alone
        yield from (Ask(method="GET", path=path, query=query, target=named) for query in ({}, {"tab": "details"}))
        return
    for query in [*PAGE_QUERIES, {"a": of.call, "b": of.failed}, {"sel": of.call}, {"at": of.call}]:
        yield Ask(method="GET", path=path, query=query, target=named)
    for piece in PIECES:
        yield Ask(method="GET", path=path, headers={"X-Fragment": piece}, target=named)


# --- asking ---------------------------------------------------------------------------------------------


async def answered(console: Console, ask: Ask, secret: str) -> tuple[int, str]:
    headers = {**ask.headers, "Authorization": f"Bearer {secret}", "Accept": "text/html, application/json"}
    body = {"json": ask.json} if ask.json is not None else {"data": ask.form}
    async with console.client.request(
        ask.method, ask.path, params=ask.query, headers=headers, allow_redirects=False, **body
    ) as response:
        return response.status, f"{response.headers.get('Location', '')}\n{await text_of(response)}"


async def text_of(response: aiohttp.ClientResponse) -> str:
    """All of it; of a stream, what comes at once."""
    if response.content_type != "text/event-stream":
        return await response.text(errors="replace")
    found = b""
    try:
        async with asyncio.timeout(STREAM_S):
            while chunk := await response.content.readany():
                found += chunk
    except TimeoutError:
        pass
    return found.decode("utf-8", "replace")


class Garden(Struct):
    """A console with two projects."""

    console: Console
    routes: tuple[Route, ...]
    own: Planted
    other: Planted


@pytest.fixture
async def garden(tmp_path: Path) -> AsyncIterator[Garden]:
    async with Console(tmp_path / "data", login="always") as console:
        own, other = await plant(console)
        routes = routes_of(Site(console.config, SqliteReader(console.data)))
        yield Garden(console, routes, own, other)


def forbidden(role: str, scope: str, own: Planted, other: Planted) -> set[str]:
    """Markers that a role in a scope must not meet."""
    allowed = {"own": [own], "other": [other], "*": [own, other]}[scope]
    kinds = set(SAID + KNOWN + SAVED)
    if Permission.CONTENT in ROLES[role]:
        kinds -= set(SAID)
    if Permission.ROWS in ROLES[role]:
        kinds -= set(KNOWN) | (set(SAVED) if scope == "*" else set())
    hidden = {project.words[kind] for project in allowed for kind in kinds}
    return hidden | {word for project in (own, other) if project not in allowed for word in project.words.values()}


def visitors() -> list[tuple[str, str]]:
    """Each role in one project and in all; and, as a proof of the test itself, one in the other project."""
    scoped = [(role, "own") for role, may in ROLES.items() if not may <= WHOLE]
    return [*scoped, *((role, "*") for role in ROLES), ("viewer", "other")]


@pytest.mark.parametrize(("role", "scope"), visitors())
async def test_nothing_of_others_shows_in_any_answer(garden: Garden, role: str, scope: str) -> None:
    own, other = garden.own, garden.other
    projects = {"own": own.project, "other": other.project}
    secret = garden.console.token(role if scope == "*" else f"{role}:{projects[scope]}", name=f"{role}-{scope[:1]}x")
    hidden = forbidden(role, scope, own, other)
    seen: set[str] = set()
    leaks, broken = [], []
    for route in garden.routes:
        for ask in every_ask(route, garden):
            status, text = await answered(garden.console, ask, secret)
            sent = f"{ask.path} {ask.query} {ask.json} {ask.form}"
            shown = {word for word in hidden if word in text and word not in sent}
            if shown:
                leaks.append((ask.method, ask.path, ask.query, ask.headers, sorted(shown)))
            if writes_elsewhere(garden.console, ask, status, scope, own, other):
                leaks.append((ask.method, ask.path, status))
            if status == 500:
                broken.append((ask.method, ask.path, ask.query, ask.headers))
            seen |= {word for project in (own, other) for word in project.words.values() if word in text}
            if route.audited is None and any(word in text for word in own.markers(*SAID) | other.markers(*SAID)):
                leaks.append(("not audited", route.method, route.path))
    assert leaks == []
    assert broken == []
    assert seen >= expected(role, scope, own, other)


def writes_elsewhere(console: Console, ask: Ask, status: int, scope: str, own: Planted, other: Planted) -> bool:
    """Whether something was taken down about a call of a project that is not the visitor's."""
    theirs = {"own": [other], "other": [own], "*": []}[scope]
    if not ask.writes or ask.target not in theirs or status >= 400:
        return False
    if ask.path == "/api/feedback":  # it may be said before the call is stored: then the store decides, by projects
        return ask.target.project in (console.written()[-1].said["projects"] or [ask.target.project])
    return True


def expected(role: str, scope: str, own: Planted, other: Planted) -> set[str]:
    """What must have been met, lest an empty answer pass for a safe one."""
    mine = {"own": [own], "other": [other], "*": [own, other]}[scope]
    kinds: tuple[str, ...] = ("user", "model", "metavalue", "tag") if Permission.ROWS in ROLES[role] else ()
    if Permission.CONTENT in ROLES[role]:
        kinds += ("prompt", "system", "output", "argument", "failure", "first", "last", "result", "tool")
    return {project.words[kind] for project in mine for kind in kinds}


async def test_who_is_nobody_gets_nothing(garden: Garden) -> None:
    words = {word for project in (garden.own, garden.other) for word in project.words.values()}
    for route in garden.routes:
        for ask in asks(route, garden.own, garden.own):
            status, text = await answered(garden.console, ask, "llmtap_nobody")
            led = status == 303 and text.startswith("/login?next=")
            assert status in (401, 429) or led or route.needs is OPEN, (ask.method, ask.path)
            assert not {word for word in words if word in text and word not in f"{ask.path} {ask.query}"}


@pytest.mark.parametrize(
    ("route", "missing"),
    [("/call/{unheard}", "unheard"), ("/api/x", "unheard_query")],
)
async def test_a_route_that_nobody_knows_how_to_ask_is_noticed(garden: Garden, route: str, missing: str) -> None:
    known = next(each for each in garden.routes if each.doc is not None and each.method == "GET")
    documented: Mapping[str, Any] = {"doc": known.doc and type(known.doc)(summary="", query={missing: {}})}
    made = Route(method="GET", path=route, handler=known.handler, needs=Permission.ROWS, **documented)
    with pytest.raises(KeyError, match=missing):
        list(asks(made, garden.own, garden.other))
    changing = Route(method="POST", path="/api/x", handler=known.handler, needs=Permission.ROWS)
    with pytest.raises(KeyError, match="/api/x"):
        list(asks(changing, garden.own, garden.other))
