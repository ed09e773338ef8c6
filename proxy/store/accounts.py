"""Who may use the console, as values: people, tokens of programs, and what each of them may do where.

What a role allows is the console's to say. Neither passwords nor tokens stand here: what is kept of
them are hashes, and those are seen by the code that compares them alone.
"""

from __future__ import annotations

from msgspec import Struct

EVERY_PROJECT = "*"


class Grant(Struct, frozen=True):
    """A role in a project, or in ``EVERY_PROJECT``."""

    role: str
    project: str = EVERY_PROJECT


class Person(Struct, frozen=True, kw_only=True):
    """Somebody who logs in with a password."""

    name: str
    grants: tuple[Grant, ...]
    created_at_us: int
    login_at_us: int | None  #: the last time


class Token(Struct, frozen=True, kw_only=True):
    """What a program shows in place of a password."""

    id: int
    name: str
    tail: str  #: its last characters, to tell it by
    grants: tuple[Grant, ...]
    made_by: str
    created_at_us: int
    expires_at_us: int | None  #: None: never
    used_at_us: int | None  #: to within a minute
    revoked_at_us: int | None

    def live(self, now_us: int) -> bool:
        """Whether it opens anything."""
        return self.revoked_at_us is None and (self.expires_at_us is None or now_us < self.expires_at_us)


class Session(Struct, frozen=True, kw_only=True):
    """A browser that somebody logged in with."""

    person: Person | None  #: None: whoever holds the key that ``seal`` was made of
    seal: bytes  #: empty for a person
    begun_at_us: int
    seen_at_us: int  #: to within a minute
