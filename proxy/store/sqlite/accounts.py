"""Accounts of the console in a small file of their own, ``access.db`` in the data directory.

It is no part of the store: the console writes it, and so do commands, while ``serve`` runs or not; a
restored backup brings back calls and lets nobody in whose account is gone. Each question opens the file
anew (a fraction of a millisecond), so what a command changes counts at the next request. What
comes in are hashes: of passwords (argon2id), of tokens and session ids (SHA-256 of 256 random bits).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec

from ...datadir import prepare
from ...errors import StoreError, UsageError
from ..accounts import Grant, Person, Session, Token
from .files import create, schema_version, transaction, translated_errors
from .queries import parse

FILE = "access.db"
QUERIES = parse(Path(__file__).with_name("accounts.sql").read_text("utf-8"))
_VERSION = 1
_BUSY_S = 5.0
_SEEN_US = 60_000_000  #: when something was used is written down this often
SESSIONS_MAX = 10_000  #: beyond them the longest unseen end
TOKENS_MAX = 1_000  #: listed
PEOPLE_MAX = 10_000

_Row = tuple[Any, ...]
_GRANTS = msgspec.json.Decoder(tuple[Grant, ...])
_TOKEN = ("id", "name", "tail", "grants", "made_by", "created_at_us", "expires_at_us", "used_at_us", "revoked_at_us")


class Accounts:
    """The accounts of one data directory. Blocking; may be used from several threads."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / FILE

    # --- people --------------------------------------------------------------------------------------

    def any_people(self) -> bool:
        """Whether anybody has been added."""
        return any(row[0] for row in self._asked("are_people"))

    def people(self) -> list[Person]:
        """All, by name."""
        return [_person(row) for row in self._asked("people")]

    def person(self, name: str) -> Person | None:
        """The one of this name; upper and lower case are alike."""
        return next((_person(row) for row in self._asked("person", name)), None)

    def password(self, name: str) -> str | None:
        """The hash of somebody's password; None when there is no such person."""
        return next((str(row[0]) for row in self._asked("password", name)), None)

    def add(self, name: str, password: str, grants: Sequence[Grant], now_us: int) -> None:
        """Add somebody; ``password`` is its hash. Raises ``UsageError`` when the name is taken."""
        with self._changing() as connection:
            if connection.execute("SELECT count(*) FROM person").fetchone()[0] >= PEOPLE_MAX:
                raise UsageError(f"there are {PEOPLE_MAX:,} people already")
            added = connection.execute(QUERIES["add_person"], (name, password, _json(grants), now_us))
            if not added.rowcount:
                raise UsageError(f"there is somebody called {name!r} already")

    def set_password(self, name: str, password: str) -> None:
        """Replace the hash of a password; all sessions of that person end. Raises ``UsageError``: unknown."""
        self._change_person(name, "set_password", password)

    def set_grants(self, name: str, grants: Sequence[Grant]) -> None:
        """Replace what somebody may do; all sessions of that person end. Raises ``UsageError``: unknown."""
        self._change_person(name, "set_grants", _json(grants))

    def _change_person(self, name: str, query: str, value: str) -> None:
        with self._changing() as connection:
            _found(connection.execute(QUERIES[query], (value, name)), name)
            connection.execute(QUERIES["end_sessions_of"], (name,))

    def remove(self, name: str) -> None:
        """Remove somebody, with all sessions. Raises ``UsageError`` when there is no such person."""
        with self._changing() as connection:
            _found(connection.execute(QUERIES["remove_person"], (name,)), name)

    # --- sessions ------------------------------------------------------------------------------------

    def begin_session(self, digest: bytes, person: str | None, seal: bytes, now_us: int) -> None:
        """Somebody has logged in, or (None) whoever holds the key that ``seal`` is the hash of."""
        with self._changing() as connection:
            connection.execute(QUERIES["add_session"], (digest, person, seal, now_us, now_us))
            connection.execute(QUERIES["oldest_sessions"], (SESSIONS_MAX,))
            if person is not None:
                connection.execute(QUERIES["set_login"], (now_us, person))

    def session(self, digest: bytes, now_us: int, *, idle_us: int, whole_us: int, seen: bool = True) -> Session | None:
        """A session that has neither been idle nor lasted for too long; ``seen``: somebody uses it now."""
        row = next(iter(self._asked("session", digest)), None)
        if row is None:
            return None
        name, seal, begun_at_us, seen_at_us = row
        if now_us - seen_at_us >= idle_us or now_us - begun_at_us >= whole_us:
            self.forget_sessions(now_us, idle_us=idle_us, whole_us=whole_us)
            return None
        person = None if name is None else self.person(name)
        if name is not None and person is None:
            return None
        if seen and now_us - seen_at_us >= _SEEN_US:
            self._note("session_seen", now_us, digest)
        return Session(person=person, seal=seal, begun_at_us=begun_at_us, seen_at_us=seen_at_us)

    def end_session(self, digest: bytes) -> None:
        """Nobody is logged in by it any more."""
        if self._path.exists():
            with self._changing() as connection:
                connection.execute(QUERIES["end_session"], (digest,))

    def forget_sessions(self, now_us: int, *, idle_us: int, whole_us: int) -> None:
        """Delete those that are over."""
        with self._changing() as connection:
            connection.execute(QUERIES["forget_sessions"], (now_us - idle_us, now_us - whole_us))

    # --- tokens --------------------------------------------------------------------------------------

    def tokens(self) -> list[Token]:
        """The newest ``TOKENS_MAX``, revoked ones last."""
        return [_token(row) for row in self._asked("tokens", TOKENS_MAX)]

    def token(self, digest: bytes, now_us: int) -> Token | None:
        """The one of this hash, if it opens anything; it is used now."""
        found = next((_token(row) for row in self._asked("token", digest)), None)
        if found is None or not found.live(now_us):
            return None
        if found.used_at_us is None or now_us - found.used_at_us >= _SEEN_US:
            self._note("token_used", now_us, found.id)
        return found

    def add_token(self, token: Token, digest: bytes) -> None:
        """Keep a new one (its ``id`` is given here). Raises ``UsageError`` when a live one has that name."""
        values = (token.name, token.tail, digest, _json(token.grants), token.made_by)
        with self._changing() as connection:
            added = connection.execute(QUERIES["add_token"], (*values, token.created_at_us, token.expires_at_us))
            if not added.rowcount:
                raise UsageError(f"there is a token called {token.name!r} already; revoke it, or choose another name")

    def revoke(self, ref: str, now_us: int) -> Token:
        """End a token, by name or id; the token. Raises ``UsageError`` when none that lives is called so."""
        living = [token for token in self.tokens() if token.revoked_at_us is None]
        called = {token.name.lower(): token for token in living} | {str(token.id): token for token in living}
        found = called.get(ref.lower())  # ids first: the page sends them
        if found is None:
            raise UsageError(f"there is no token {ref!r}")
        with self._changing() as connection:
            connection.execute(QUERIES["revoke_token"], (now_us, found.id))
        return found

    # --- the file ------------------------------------------------------------------------------------

    def _asked(self, query: str, *values: object) -> Sequence[_Row]:
        """Rows; none while there is no file."""
        if not self._path.exists():
            return []
        with self._opened() as connection:
            return list(connection.execute(QUERIES[query], values)) if schema_version(connection) else []

    def _note(self, query: str, *values: object) -> None:
        with self._changing() as connection:
            connection.execute(QUERIES[query], values)

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        if not self._path.exists():
            prepare(self._path.parent)
            create(self._path)
        with self._opened() as connection:
            if not schema_version(connection):
                _make(connection)
            with transaction(connection):
                yield connection

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        uri = f"{self._path.absolute().as_uri()}?mode=rw"  # never makes a file; may finish what a killed writer began
        with translated_errors(self._path), closing(_connected(uri)) as connection:
            if schema_version(connection) > _VERSION:
                raise StoreError(f"{self._path} is of a newer llmtap: use that one")
            yield connection


def _connected(uri: str) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True, timeout=_BUSY_S, isolation_level=None)
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA secure_delete = ON").fetchone()
    return connection


def _make(connection: sqlite3.Connection) -> None:
    with transaction(connection, "EXCLUSIVE"):
        if not schema_version(connection):  # somebody else was quicker
            for statement in QUERIES["schema"].split(";"):
                connection.execute(statement)


def _found(changed: sqlite3.Cursor, name: str) -> None:
    if not changed.rowcount:
        raise UsageError(f"there is nobody called {name!r}")


def _json(grants: Sequence[Grant]) -> str:
    return msgspec.json.encode(grants).decode()


def _person(row: _Row) -> Person:
    name, grants, created_at_us, login_at_us = row
    return Person(name=name, grants=_GRANTS.decode(grants), created_at_us=created_at_us, login_at_us=login_at_us)


def _token(row: _Row) -> Token:
    return Token(**{**dict(zip(_TOKEN, row, strict=True)), "grants": _GRANTS.decode(row[3])})
