"""Finding out who asks: by a token in a header, by the cookie of a session, or, on loopback, by being there."""

from __future__ import annotations

import asyncio
import base64
import binascii
import enum
import hmac
import re

from aiohttp import web
from msgspec import Struct

from ...addresses import parse_address
from ...clock import wall_us
from ...config import Config
from ...store.sqlite.accounts import Accounts
from ..permissions import BY_TOKEN, NOBODY, OWNER, Visitor
from .passwords import TOKEN_PREFIX, digest, new_session_id

COOKIE = "llmtap_session"
IDLE_US = 12 * 3_600_000_000  #: a session that nobody uses ends
WHOLE_US = 7 * 24 * 3_600_000_000  #: so does one that has lasted so long
HOLDER = Visitor("owner", OWNER.grants)  #: of console.token
PROGRAM = Visitor("owner", OWNER.grants, program=True)


class By(enum.Enum):
    """How a visitor is known."""

    NOTHING = enum.auto()
    PLACE = enum.auto()  #: nobody need log in here
    HEADER = enum.auto()  #: Authorization
    COOKIE = enum.auto()


class Arrival(Struct, frozen=True):
    """Who asks, and how that is known."""

    visitor: Visitor
    by: By


UNKNOWN = Arrival(NOBODY, By.NOTHING)


class Visitors:
    """Knows visitors by what they bring."""

    def __init__(self, config: Config, accounts: Accounts) -> None:
        self._token = config.console.token
        self._accounts = accounts
        local = parse_address(config.console.listen, "console.listen").loopback
        self._locked = bool(not local or self._token or config.console.login == "always" or config.console.hosts)

    async def arrival(self, request: web.Request, *, seen: bool = True) -> Arrival:
        """Who asks. A token that opens nothing is nobody's, whatever else was sent.

        Not ``seen``: nothing was done, so that a session which is idle stays so.
        """
        secret = secret_in(request.headers.get("Authorization", ""))
        cookie = session_of(request)
        return await asyncio.to_thread(self._arrived, secret, cookie, seen=seen)

    def _arrived(self, secret: str, cookie: str, *, seen: bool) -> Arrival:
        if secret and (self.is_owners(secret) or secret.startswith(TOKEN_PREFIX) or self.locked()):
            visitor = self._holder(secret)
            return UNKNOWN if visitor is None else Arrival(visitor, By.HEADER)
        visitor = self._logged_in(cookie, seen=seen) if cookie else None
        if visitor is not None:
            return Arrival(visitor, By.COOKIE)
        return UNKNOWN if self.locked() else Arrival(OWNER, By.PLACE)

    def locked(self) -> bool:
        """Whether people must log in. Blocking."""
        return self._locked or self._accounts.any_people()

    def is_owners(self, secret: str) -> bool:
        """Whether it is ``console.token``; takes as long for a wrong one as for a right one."""
        return bool(self._token) and hmac.compare_digest(
            secret.encode("utf-8", "surrogateescape"), self._token.encode()
        )

    def _holder(self, secret: str) -> Visitor | None:
        if self.is_owners(secret):
            return PROGRAM
        token = self._accounts.token(digest(secret), wall_us())
        return None if token is None else Visitor(f"{BY_TOKEN}{token.name}", token.grants, program=True)

    def _logged_in(self, cookie: str, *, seen: bool) -> Visitor | None:
        session = self._accounts.session(digest(cookie), wall_us(), idle_us=IDLE_US, whole_us=WHOLE_US, seen=seen)
        if session is None:
            return None
        if session.person is not None:
            return Visitor(session.person.name, session.person.grants)
        return HOLDER if self._token and hmac.compare_digest(session.seal, digest(self._token)) else None

    # --- coming and going ----------------------------------------------------------------------------

    def begin(self, person: str | None, old: str) -> str:
        """Log somebody in (None: the holder of ``console.token``): the session's id. The ``old`` one ends. Blocking."""
        made = new_session_id()
        if old:
            self._accounts.end_session(digest(old))
        seal = digest(self._token) if person is None else b""
        self._accounts.begin_session(digest(made), person, seal, wall_us())
        return made

    def end(self, cookie: str) -> None:
        """Log out. Blocking."""
        if cookie:
            self._accounts.end_session(digest(cookie))


def secret_in(authorization: str) -> str:
    """The token in the header: ``Bearer``'s, or the password of ``Basic``; empty when there is none."""
    scheme, _, given = authorization.partition(" ")
    if scheme.lower() == "basic":
        return _password(given)
    return given.strip() if scheme.lower() == "bearer" else ""


def _password(encoded: str) -> str:
    try:
        return base64.b64decode(encoded.strip(), validate=True).decode("utf-8", "surrogateescape").partition(":")[2]
    except (binascii.Error, ValueError):
        return ""


# --- the cookie -----------------------------------------------------------------------------------------


def secure(request: web.Request) -> bool:
    """Whether the browser came by TLS, to us or to a proxy before us. Whoever lies about it harms only themselves."""
    return request.secure or request.headers.get("X-Forwarded-Proto", "").strip().lower() == "https"


def cookie_name(request: web.Request) -> str:
    """With TLS, a name that browsers let nobody else set."""
    return f"__Host-{COOKIE}" if secure(request) else COOKIE


def session_of(request: web.Request) -> str:
    """The id of the session that the browser sent; empty when it sent none that could be."""
    found = request.cookies.get(cookie_name(request), "")
    return found if re.fullmatch(r"[A-Za-z0-9_-]{20,100}", found) else ""


def set_session(request: web.Request, response: web.StreamResponse, session: str) -> None:
    """Let the browser keep a session; empty: forget it."""
    response.set_cookie(
        cookie_name(request),
        session,
        max_age=WHOLE_US // 1_000_000 if session else 0,
        path="/",
        httponly=True,
        secure=secure(request),
        samesite="Strict",
    )
