"""Settings: one's own password; for those who manage, people and tokens. Forms, without scripts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from ...clock import wall_us
from ...errors import UsageError
from ...records import EventKind
from ...store.accounts import Token
from ...store.judgements import AuditSaid
from ..access.forms import Fields, fields, see
from ..access.passwords import TAIL, checked_name, digest, hashed, new_token, right
from ..access.visitors import HOLDER, session_of, set_session
from ..permissions import ROLES, Permission, grant_text, read_grants
from ..routes import KNOWN, Route, get, post
from ..site import Site

_DAY_US = 86_400_000_000
DAYS_MAX = 3_650

Sent = Mapping[str, str]

#: What is said after something was done, by what the address says.
DONE = {
    "password": "The password is changed. Sessions elsewhere have ended.",
    "add": "Added.",
    "roles": "The roles are changed; that person logs in anew.",
    "reset": "The password is set; that person logs in anew.",
    "remove": "Removed.",
    "revoke": "The token is revoked.",
    "tag": "Written down; it shows within a moment.",
}


class Settings:
    """Handlers, and what they need."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._accounts = site.accounts
        self._people = {"add": self._add, "roles": self._roles, "reset": self._reset, "remove": self._remove}

    def routes(self) -> list[Route]:
        """What the console answers here."""
        return [
            get("/settings", self.settings, KNOWN),
            post("/settings/password", self.password, KNOWN),
            post("/settings/people", self.people, Permission.MANAGE),
            post("/settings/tokens", self.make, Permission.MANAGE),
            post("/settings/tokens/revoke", self.revoke, Permission.MANAGE),
        ]

    async def settings(self, request: web.Request) -> web.Response:
        """The page."""
        return await self._page(request, done=DONE.get(request.query.get("done", ""), ""))

    async def _page(self, request: web.Request, *, status: int = 200, **values: Any) -> web.Response:
        visitor = self._site.visitor(request)
        manages = visitor.may(Permission.MANAGE)
        people, tokens = await asyncio.to_thread(self._listed) if manages else ([], [])
        shown: dict[str, Any] = {"done": "", "error": "", "secret": "", "sent": Fields(), **values}
        return self._site.page(
            request,
            "settings.html",
            status=status,
            people=people,
            tokens=tokens,
            manages=manages,
            logged_in=not visitor.program,
            own=not visitor.program and visitor != HOLDER,
            tags=await self._site.reader(request).tags() if manages else [],
            roles=ROLES,
            now_us=wall_us(),
            grants=lambda holder: ", ".join(map(grant_text, holder.grants)),
            **shown,
        )

    def _listed(self) -> tuple[list[Any], list[Any]]:
        return self._accounts.people(), self._accounts.tokens()

    async def _taken(
        self, request: web.Request, act: Callable[[web.Request, Sent], Awaitable[web.Response]]
    ) -> web.Response:
        """Do what a form says; the page again, with what is wrong, when that cannot be."""
        sent = await fields(request)
        try:
            return await act(request, sent)
        except UsageError as error:
            kept = Fields({name: value for name, value in sent.items() if "password" not in name})
            return await self._page(request, status=400, error=str(error), sent=kept)

    def _write_down(self, request: web.Request, action: str, target: str) -> None:
        said = AuditSaid(action=action, target=target)
        self._site.recorder.append(EventKind.AUDIT, self._site.visitor(request).name, said)

    # --- one's own -----------------------------------------------------------------------------------

    async def password(self, request: web.Request) -> web.Response:
        """One's own password, for those who know the old one; all other sessions end."""
        return await self._taken(request, self._own_password)

    async def _own_password(self, request: web.Request, sent: Sent) -> web.Response:
        name = self._site.visitor(request).name
        kept = await asyncio.to_thread(self._accounts.password, name)
        if kept is None:
            raise UsageError("only people who have logged in have a password here")
        if not await asyncio.to_thread(right, sent["password"], kept):
            raise UsageError("that is not the present password")
        await asyncio.to_thread(self._set_password, name, sent["new_password"])
        self._write_down(request, "user passwd", name)
        response = see("/settings?done=password")
        set_session(request, response, await asyncio.to_thread(self._site.visitors.begin, name, session_of(request)))
        return response

    def _set_password(self, name: str, password: str) -> None:
        self._accounts.set_password(name, hashed(password))

    # --- people --------------------------------------------------------------------------------------

    async def people(self, request: web.Request) -> web.Response:
        """Add somebody, change roles, set a password, remove somebody: the field ``do`` says which."""
        return await self._taken(request, self._change_people)

    async def _change_people(self, request: web.Request, sent: Sent) -> web.Response:
        act = self._people.get(sent["do"])
        if act is None:
            raise UsageError(f"do: one of {', '.join(self._people)}")
        if sent["do"] in ("roles", "remove") and sent["name"].lower() == self._site.visitor(request).name.lower():
            raise UsageError("your own account is changed by somebody else, or on the command line: llmtap user")
        await asyncio.to_thread(act, sent)
        self._write_down(request, f"user {sent['do']}", sent["name"])
        return see(f"/settings?done={sent['do']}#people")

    def _add(self, sent: Sent) -> None:
        name, grants = checked_name(sent["name"].strip()), read_grants(sent["roles"])
        self._accounts.add(name, hashed(sent["password"]), grants, wall_us())

    def _roles(self, sent: Sent) -> None:
        self._accounts.set_grants(sent["name"], read_grants(sent["roles"]))

    def _reset(self, sent: Sent) -> None:
        self._set_password(sent["name"], sent["password"])

    def _remove(self, sent: Sent) -> None:
        self._accounts.remove(sent["name"])

    # --- tokens --------------------------------------------------------------------------------------

    async def make(self, request: web.Request) -> web.Response:
        """Make a token; the answer shows it, this once."""
        return await self._taken(request, self._make)

    async def _make(self, request: web.Request, sent: Sent) -> web.Response:
        secret = new_token()
        made = token_of(secret, sent["name"].strip(), sent["roles"], sent["days"], self._site.visitor(request).name)
        await asyncio.to_thread(self._accounts.add_token, made, digest(secret))
        self._write_down(request, "token create", made.name)
        return await self._page(request, status=201, secret=secret)

    async def revoke(self, request: web.Request) -> web.Response:
        """End a token."""
        return await self._taken(request, self._revoke)

    async def _revoke(self, request: web.Request, sent: Sent) -> web.Response:
        ended = await asyncio.to_thread(self._accounts.revoke, sent["token"], wall_us())
        self._write_down(request, "token revoke", ended.name)
        return see("/settings?done=revoke#tokens")


def token_of(secret: str, name: str, roles: str, days: str, made_by: str) -> Token:
    """A new token, of fields as people write them. Raises ``UsageError``."""
    if name.isdigit():
        raise UsageError("a token's name is no number: by a number, the token of that id is meant")
    now_us = wall_us()
    return Token(
        id=0,
        name=checked_name(name),
        tail=secret[-TAIL:],
        grants=read_grants(roles),
        made_by=made_by,
        created_at_us=now_us,
        expires_at_us=now_us + _days(days) * _DAY_US if days.strip() else None,
        used_at_us=None,
        revoked_at_us=None,
    )


def _days(text: str) -> int:
    digits = text.strip()
    if not (digits.isascii() and digits.isdigit() and 1 <= int(digits[:5]) <= DAYS_MAX):
        raise UsageError(f"days: write a number from 1 to {DAYS_MAX}, or nothing for a token that does not expire")
    return int(digits)
