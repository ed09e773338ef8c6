"""Logging in and out: a form, without scripts. A wrong name and a wrong password get the same answer, as slowly."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from aiohttp import web

from ...clock import monotonic_us
from ...records import EventKind
from ...store.judgements import AuditSaid
from ..access.forms import fields, local_path, see
from ..access.limits import Limiter
from ..access.passwords import right
from ..access.visitors import HOLDER, session_of, set_session
from ..permissions import NOBODY, Visitor
from ..routes import KNOWN, OPEN, Route, get, post
from ..site import Site

_AT_ONCE = 2  #: passwords that are compared; each takes 64 MiB
_WAITING_MAX = 16
_NAME_EACH_US = 30_000_000
_ADDRESS_EACH_US = 10_000_000
WRONG = "The name or the password is not right."


class Login:
    """Handlers, and what they need."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._names = Limiter(10, _NAME_EACH_US)
        self._addresses = Limiter(30, _ADDRESS_EACH_US)
        self._comparing = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0

    def routes(self) -> list[Route]:
        """What the console answers here."""
        return [
            get("/login", self.form, OPEN),
            post("/login", self.login, OPEN),
            post("/logout", self.logout, KNOWN),
        ]

    async def form(self, request: web.Request) -> web.Response:
        """The form; who is in already goes on."""
        after = local_path(request.query.get("next", "/"))
        if self._site.visitor(request) != NOBODY:
            return see(after)
        return await self._page(request, after)

    async def login(self, request: web.Request) -> web.Response:
        """Begin a session, a new one each time."""
        sent = await fields(request)
        name, after = sent["name"].strip()[:100], local_path(sent["next"])
        wait_us = self._wait_us(request, name)
        if wait_us or self._waiting >= _WAITING_MAX:
            return await self._later(request, after, name, wait_us)
        if not await self._right(name, sent["password"]):
            await self._failed(request, name)
            return await self._page(request, after, name, WRONG, 401)
        self._names.forget(name.lower())
        person = name or None
        session = await asyncio.to_thread(self._site.visitors.begin, person, session_of(request))
        visitor = await asyncio.to_thread(self._who, person)
        self._write_down(request, "login", visitor.name, HTTPStatus.OK)
        response = see(after if after != "/" else self._start(visitor))
        set_session(request, response, session)
        return response

    async def logout(self, request: web.Request) -> web.Response:
        """End the session."""
        await asyncio.to_thread(self._site.visitors.end, session_of(request))
        self._write_down(request, "logout", self._site.visitor(request).name, HTTPStatus.OK)
        response = see("/login")
        set_session(request, response, "")
        return response

    def _who(self, person: str | None) -> Visitor:
        found = self._site.accounts.person(person) if person else None
        return Visitor(found.name, found.grants) if found else HOLDER

    def _start(self, visitor: Visitor) -> str:
        """The first page of the menu that a visitor may see."""
        return next((place.path for place in self._site.places if visitor.may(place.needs)), "/settings")

    # --- passwords -----------------------------------------------------------------------------------

    async def _right(self, name: str, password: str) -> bool:
        if not name:
            return self._site.visitors.is_owners(password)
        self._waiting += 1
        try:
            async with self._comparing:
                return await asyncio.to_thread(lambda: right(password, self._site.accounts.password(name)))
        finally:
            self._waiting -= 1

    def _wait_us(self, request: web.Request, name: str) -> int:
        now_us = monotonic_us()
        by_name = self._names.wait_us(name.lower(), now_us) if name else 0  # the owner must not be locked out
        return max(by_name, self._addresses.wait_us(request.remote or "", now_us))

    async def _failed(self, request: web.Request, name: str) -> None:
        now_us = monotonic_us()
        self._names.failed(name.lower(), now_us)
        self._addresses.failed(request.remote or "", now_us)
        known = await asyncio.to_thread(self._called, name)
        self._write_down(request, "login", known, HTTPStatus.UNAUTHORIZED)

    def _called(self, name: str) -> str:
        """As the account has it; "" for nobody: what was typed may be a password in the wrong field."""
        person = self._site.accounts.person(name)
        return person.name if person else ""

    def _write_down(self, request: web.Request, action: str, who: str, status: int) -> None:
        said = AuditSaid(action=action, target=request.remote or "", status=status)
        self._site.recorder.append(EventKind.AUDIT, who, said)

    # --- the page ------------------------------------------------------------------------------------

    async def _later(self, request: web.Request, after: str, name: str, wait_us: int) -> web.Response:
        seconds = wait_us // 1_000_000 + 1
        error = f"Too many tries. Wait {seconds} second{'' if seconds == 1 else 's'}, then try again."
        response = await self._page(request, after, name, error, 429)
        response.headers["Retry-After"] = str(seconds)
        return response

    async def _page(
        self, request: web.Request, after: str, name: str = "", error: str = "", status: int = 200
    ) -> web.Response:
        people = await asyncio.to_thread(self._site.accounts.any_people)
        token = bool(self._site.config.console.token)
        return self._site.page(
            request, "login.html", after=after, name=name, error=error, people=people, token=token, status=status
        )
