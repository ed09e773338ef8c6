"""Logging in, sessions, tokens, foreign pages, and what is written down of it, over real sockets."""

from __future__ import annotations

import io
import re
import sqlite3
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import closing
from http.cookies import Morsel
from pathlib import Path

import aiohttp
import pytest

from proxy.clock import wall_us
from proxy.config import Config
from proxy.console.access.visitors import COOKIE, IDLE_US, WHOLE_US
from proxy.console.app import make_app, routes_of
from proxy.console.site import Site
from proxy.store.sqlite.reader import SqliteReader
from tests.cli.recorded import exchanged, new_call
from tests.console.serving import Console

PASSWORD = "correct horse battery"
TOKEN = "the-owners-token"


@pytest.fixture
async def console(tmp_path: Path) -> AsyncIterator[Console]:
    """On loopback, without people."""
    async with Console(tmp_path / "data") as made:
        yield made


@pytest.fixture
async def peopled(tmp_path: Path) -> AsyncIterator[Console]:
    async with Console(tmp_path / "data") as made:
        made.person("ada", PASSWORD, "admin", "auditor")
        yield made


class Answer:
    """Status, headers, cookies and text of an answer; redirections are not followed."""

    def __init__(self, response: aiohttp.ClientResponse, text: str) -> None:
        self.status, self.headers, self.cookies, self.text = response.status, response.headers, response.cookies, text

    @property
    def leads(self) -> str:
        return self.headers.get("Location", "")

    @property
    def session(self) -> Morsel[str]:
        return next(morsel for name, morsel in self.cookies.items() if name.endswith(COOKIE))


async def ask(
    console: Console, method: str, path: str, data: Mapping[str, str] | None = None, session: str = "", **headers: str
) -> Answer:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if session:
        sent["Cookie"] = f"{COOKIE}={session}"
    async with (
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as client,
        client.request(
            method, f"http://127.0.0.1:{console.port}{path}", data=data, headers=sent, allow_redirects=False
        ) as response,
    ):
        return Answer(response, await response.text())


async def login(console: Console, name: str = "ada", password: str = PASSWORD, **headers: str) -> Answer:
    return await ask(console, "POST", "/login", {"name": name, "password": password}, **headers)


async def session(console: Console, name: str = "ada") -> str:
    return (await login(console, name)).session.value


def origin(console: Console) -> str:
    return f"http://127.0.0.1:{console.port}"


# --- who need log in ------------------------------------------------------------------------------------


async def test_on_loopback_nobody_need_log_in(console: Console) -> None:
    for path in ("/", "/api/calls", "/settings", "/audit"):
        assert (await ask(console, "GET", path)).status == 200, path
    assert (await ask(console, "GET", "/api/calls", Authorization="Bearer whatever")).status == 200
    assert (await ask(console, "GET", "/login")).leads == "/"


@pytest.mark.parametrize("told", [{"token": TOKEN}, {"login": "always"}, {"hosts": ("logs.example",)}, {}])
async def test_whoever_is_told_to_asks_everybody(tmp_path: Path, told: Mapping[str, object]) -> None:
    async with Console(tmp_path / "data", **told) as console:
        if not told:
            console.person("ada", PASSWORD, "viewer")
        for path in ("/", "/api/calls", "/settings", "/audit", "/call/x", "/nothing"):
            answer = await ask(console, "GET", path)
            assert answer.status == 401, path
            assert answer.headers["WWW-Authenticate"] == 'Bearer realm="llmtap"'
            assert answer.headers["Content-Type"] == "application/problem+json"
        page = await ask(console, "GET", "/call/x?tab=chat", Accept="text/html")
        assert (page.status, page.leads) == (303, "/login?next=%2Fcall%2Fx%3Ftab%3Dchat")
        assert (await ask(console, "GET", "/", Accept="text/html", X_Fragment="rows")).status == 401
        assert (await ask(console, "GET", "/healthz")).status == 503
        form = await ask(console, "GET", "/login")
        assert form.status == 200
        for link in re.findall(r'(?:src|href)="(/assets/[^"]*)"', form.text):
            assert (await ask(console, "GET", link)).status == 200


@pytest.mark.parametrize("secret", [f"Bearer {TOKEN}", f"Basic {b64encode(f'me:{TOKEN}'.encode()).decode()}"])
async def test_the_setting_console_token_opens_everything(tmp_path: Path, secret: str) -> None:
    async with Console(tmp_path / "data", token=TOKEN) as console:
        assert (await ask(console, "GET", "/api/calls", Authorization=secret)).status == 200
        assert (await ask(console, "GET", "/audit", Authorization=secret)).status == 200
        assert (await ask(console, "GET", "/api/calls", Authorization=secret + "x")).status == 401
        assert (await login(console, "", "wrong")).status == 401
        entered = await login(console, "", TOKEN)
        assert (entered.status, entered.leads) == (303, "/")
        assert (await ask(console, "GET", "/settings", session=entered.session.value)).status == 200
    async with Console(tmp_path / "data", token="another-token") as console:
        assert (await ask(console, "GET", "/settings", session=entered.session.value)).status == 401


# --- sessions -------------------------------------------------------------------------------------------


async def test_a_session_from_login_to_logout(peopled: Console) -> None:
    entered = await ask(peopled, "POST", "/login", {"name": "ADA", "password": PASSWORD, "next": "/audit?before=9"})
    assert (entered.status, entered.leads) == (303, "/audit?before=9")
    morsel = entered.session
    assert morsel["httponly"]
    assert (morsel["samesite"], morsel["path"], morsel["secure"]) == ("Strict", "/", "")
    assert (await ask(peopled, "GET", "/login", session=morsel.value)).leads == "/"
    page = await ask(peopled, "GET", "/settings", session=morsel.value)
    assert "ada" in page.text
    gone = await ask(peopled, "POST", "/logout", {}, morsel.value, Origin=origin(peopled))
    assert (gone.status, gone.leads, gone.session.value) == (303, "/login", "")
    assert (await ask(peopled, "GET", "/settings", session=morsel.value)).status == 401
    assert [row[:2] for row in peopled.audit()] == [("ada", "login"), ("ada", "logout")]


async def test_each_login_makes_a_new_session_and_ends_the_old_one(peopled: Console) -> None:
    first = await session(peopled)
    second = await ask(peopled, "POST", "/login", {"name": "ada", "password": PASSWORD}, first, Origin=origin(peopled))
    assert second.session.value != first
    assert (await ask(peopled, "GET", "/", session=first)).status == 401
    assert (await ask(peopled, "GET", "/", session=second.session.value)).status == 200
    assert (await ask(peopled, "GET", "/", session="A" * 43)).status == 401


async def test_behind_tls_the_cookie_is_secure_and_nobody_elses(peopled: Console) -> None:
    entered = await login(peopled, X_Forwarded_Proto="https")
    assert entered.session["secure"]
    assert entered.session.key == f"__Host-{COOKIE}"


@pytest.mark.parametrize(("column", "limit_us"), [("seen_at_us", IDLE_US), ("begun_at_us", WHOLE_US)])
async def test_a_session_ends_by_itself(peopled: Console, column: str, limit_us: int) -> None:
    held = await session(peopled)
    for age_us, status in ((limit_us - 60_000_000, 200), (limit_us, 401)):
        with closing(sqlite3.connect(peopled.data / "access.db")) as connection, connection:
            connection.execute(f"UPDATE session SET {column} = ?", (wall_us() - age_us,))
        assert (await ask(peopled, "GET", "/settings", session=held)).status == status


async def test_a_link_from_elsewhere_finds_the_session(peopled: Console) -> None:
    """Strict cookies stay behind when a page elsewhere is left; the second, our own step brings them."""
    left = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
    step = await ask(peopled, "GET", "/call/x?tab=chat&a=1", Accept="text/html", **left)
    assert step.status == 200
    assert 'http-equiv="refresh" content="0;url=/call/x?tab=chat&amp;a=1"' in step.text
    away = await ask(peopled, "GET", "//evil.example/", Accept="text/html", **left)
    assert "evil" not in away.text


# --- wrong passwords ------------------------------------------------------------------------------------


async def test_a_wrong_name_and_a_wrong_password_get_the_same_answer(peopled: Console) -> None:
    wrong = [await login(peopled, "ada", "no"), await login(peopled, "ado", PASSWORD), await login(peopled, "ada", "")]
    assert {answer.status for answer in wrong} == {401}
    assert len({re.sub(r'value="ad[ao]"', "", answer.text) for answer in wrong}) == 1
    assert not any(answer.cookies for answer in wrong)
    assert [(who, action, status) for who, action, _, _, status in peopled.audit()] == [
        ("ada", "login", 401),
        ("", "login", 401),  # what was typed may be a password
        ("ada", "login", 401),
    ]
    assert {row[2] for row in peopled.audit()} == {"127.0.0.1"}


async def test_tries_are_limited_by_name(peopled: Console) -> None:
    for _ in range(10):
        assert (await login(peopled, "nobody", "wrong")).status == 401
    refused = await login(peopled, "NOBODY", "wrong")
    assert refused.status == 429
    assert 1 <= int(refused.headers["Retry-After"]) <= 30
    assert (await login(peopled)).status == 303


async def test_tries_are_limited_by_address(tmp_path: Path) -> None:
    async with Console(tmp_path / "data", token=TOKEN) as console:
        answers = [(await login(console, "", "wrong")).status for _ in range(31)]
        assert answers == [401] * 30 + [429]
        assert (await login(console, "", TOKEN)).status == 429


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"name=%ff%fe&password=x", "application/x-www-form-urlencoded", 401),
        (b"\xff=\xff", "application/x-www-form-urlencoded", 400),
        (b"name=a", "application/x-www-form-urlencoded; charset=nonsense", 400),
        (b'{"name":"ada"}', "application/json", 415),
        (io.BytesIO(b"x" * ((1 << 20) + 1)), "application/x-www-form-urlencoded", 413),
    ],
)
async def test_forms_that_cannot_be(peopled: Console, body: bytes | io.BytesIO, kind: str, status: int) -> None:
    async with peopled.client.post("/login", data=body, headers={"Content-Type": kind}) as response:
        assert response.status == status


async def test_a_body_that_does_not_say_its_size_is_too_large_as_well(peopled: Console) -> None:
    async def body() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"x" * 32_768

    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    async with peopled.client.post("/login", data=body(), headers=kind) as response:
        assert response.status == 413


@pytest.mark.parametrize("after", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"])
async def test_a_login_leads_nowhere_else(peopled: Console, after: str) -> None:
    entered = await ask(peopled, "POST", "/login", {"name": "ada", "password": PASSWORD, "next": after})
    assert entered.leads == "/"
    form = await peopled.client.get("/login", params={"next": after})
    assert 'name="next" value="/"' in await form.text()


async def test_a_login_leads_to_the_first_page_that_one_may_see(peopled: Console) -> None:
    peopled.person("otto", PASSWORD, "auditor")
    entered = await login(peopled, "otto")
    assert entered.leads == "/audit"
    assert (await ask(peopled, "GET", "/", session=entered.session.value)).status == 403


# --- tokens of programs ---------------------------------------------------------------------------------


async def test_a_token_does_what_its_roles_say(peopled: Console) -> None:
    own, other = new_call(project="own"), new_call(project="other")
    await peopled.record(exchanged(own), exchanged(other))
    bearer = f"Bearer {peopled.token('viewer:own', name='ci')}"
    assert (await ask(peopled, "GET", f"/api/calls/{own.id}", Authorization=bearer)).status == 200
    assert (await ask(peopled, "GET", f"/api/calls/{other.id}", Authorization=bearer)).status == 404
    assert (await ask(peopled, "GET", "/audit", Authorization=bearer)).status == 403
    assert peopled.audit() == [
        ("token:ci", "view", own.id, "own", 200),
        ("token:ci", "view", f"/api/calls/{other.id}", "", 404),
        ("token:ci", "view", "/audit", "", 403),
    ]


async def test_a_token_that_expired_or_never_was_opens_nothing(console: Console) -> None:
    for bearer in (console.token("viewer", expires_at_us=wall_us() - 1), "llmtap_" + "x" * 43):
        answer = await ask(console, "GET", "/api/calls", Authorization=f"Bearer {bearer}")
        assert answer.status == 401  # though nobody need log in here: whoever shows a token means it


# --- foreign pages --------------------------------------------------------------------------------------


def changing(config: Config) -> list[tuple[str, str]]:
    routes = routes_of(Site(config, SqliteReader(config.data_dir)))
    return [(route.method, re.sub(r"\{\w+\}", "x", route.path)) for route in routes if route.method != "GET"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Origin": "http://evil.example", "Content_Type": "application/json"},
        {"Origin": "http://evil.example", "Content_Type": "text/plain"},
    ],
)
async def test_no_foreign_page_changes_anything(peopled: Console, headers: dict[str, str]) -> None:
    held, bearer = await session(peopled), f"Bearer {peopled.token('admin')}"
    before = len(peopled.written())
    for method, path in changing(peopled.config):
        for proof in ({"session": held}, {"Authorization": bearer}, {}):
            answer = await ask(peopled, method, path, **proof, **headers)  # type: ignore[arg-type]
            assert answer.status == 403, (method, path)
            assert "another site" in answer.text
    assert len(peopled.written()) == before


async def test_a_browser_that_is_logged_in_says_where_a_change_comes_from(peopled: Console) -> None:
    held = await session(peopled)
    for method, path in changing(peopled.config):
        if path != "/login":
            assert (await ask(peopled, method, path, session=held)).status == 403, (method, path)
    form = {"do": "add", "name": "bob", "password": PASSWORD, "roles": "viewer"}
    assert (await ask(peopled, "POST", "/settings/people", form, held, Sec_Fetch_Site="same-origin")).status == 303


async def test_a_program_says_nothing_of_where_it_comes_from(peopled: Console) -> None:
    bearer = f"Bearer {peopled.token('admin')}"
    form = {"do": "add", "name": "bob", "password": PASSWORD, "roles": "viewer"}
    assert (await ask(peopled, "POST", "/settings/people", form, Authorization=bearer)).status == 303


async def test_other_pages_may_link_here_and_load_nothing(console: Console) -> None:
    loads = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors", "Sec_Fetch_Dest": "image"}
    links = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
    assert (await ask(console, "GET", "/api/calls", **loads)).status == 403
    assert (await ask(console, "GET", "/", **links)).status == 200


async def test_a_name_that_was_pointed_here_is_refused_everywhere(console: Console, peopled: Console) -> None:
    """DNS rebinding: the browser believes that this is evil.example, and sends what it has of that name."""
    for served in (console, peopled):
        for method, path in [("GET", "/"), ("GET", "/login"), ("GET", "/healthz"), *changing(served.config)]:
            origin = f"http://evil.example:{served.port}"
            answer = await ask(served, method, path, Host=f"evil.example:{served.port}", Origin=origin)
            assert answer.status == 421, (method, path)


async def test_names_of_the_settings_are_served(tmp_path: Path) -> None:
    async with Console(tmp_path / "data", hosts=("logs.example",), token=TOKEN) as console:
        assert (await ask(console, "GET", "/login", Host="logs.example")).status == 200
        assert (await ask(console, "GET", "/login", Host="evil.example")).status == 421
        forwarded = {"Host": "logs.example", "Origin": "https://logs.example", "X_Forwarded_Proto": "https"}
        assert (await login(console, "", TOKEN, **forwarded)).status == 303


# --- headers, and what every route has -----------------------------------------------------------------


async def test_every_answer_forbids_frames_foreign_scripts_and_guesses(peopled: Console) -> None:
    for method, path in [("GET", "/"), ("GET", "/login"), ("GET", "/nothing"), ("POST", "/login"), ("PUT", "/")]:
        headers = (await ask(peopled, method, path)).headers
        policy = headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        for rule in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"):
            assert rule in policy
        assert (headers["X-Content-Type-Options"], headers["X-Frame-Options"]) == ("nosniff", "DENY")
        assert headers["Cache-Control"] == "no-store"


def test_no_two_routes_are_the_same(tmp_path: Path) -> None:
    config = Console(tmp_path / "data").config
    known = [(route.method, route.path) for route in routes_of(Site(config, SqliteReader(config.data_dir)))]
    assert len(known) == len(set(known))
    assert make_app(config).router.routes()


@pytest.mark.parametrize("path", ["/api/report?by=model&filter=", "/api/histogram?filter=", "/costs?q=", "/monitor?q="])
async def test_what_is_looked_for_in_sums_is_written_down(peopled: Console, path: str) -> None:
    await peopled.record(exchanged(new_call()))
    bearer = f"Bearer {peopled.token('viewer', name='ci')}"
    assert (await ask(peopled, "GET", f"{path}status:ok", Authorization=bearer)).status == 200
    assert peopled.audit() == []
    assert (await ask(peopled, "GET", f"{path}error_message:weather", Authorization=bearer)).status == 200
    assert peopled.audit() == [("token:ci", "search", f"{path}error_message:weather", "", 200)]


async def test_a_token_is_ended_by_the_id_that_the_page_shows(peopled: Console) -> None:
    entered = await session(peopled)
    form = {"name": "7", "roles": "viewer", "days": ""}
    refused = await ask(peopled, "POST", "/settings/tokens", form, entered, Origin=origin(peopled))
    assert (refused.status, "no number" in refused.text) == (400, True)
    first, second = peopled.token("viewer", name="first"), peopled.token("viewer", name="1")
    ended = await ask(peopled, "POST", "/settings/tokens/revoke", {"token": "1"}, entered, Origin=origin(peopled))
    assert ended.status == 303
    assert (await ask(peopled, "GET", "/api/calls", Authorization=f"Bearer {first}")).status == 401
    assert (await ask(peopled, "GET", "/api/calls", Authorization=f"Bearer {second}")).status == 200
