"""Which rows a digest leads to: held in memory, bounded, and read again from the newest rows after a start.

An index on disk over random digests dirties a page for each call, and is larger than the rows that it
finds. Links are made to what was stored lately, so the newest rows are enough: what is forgotten makes
a link that is missing, never a wrong one.
"""

from __future__ import annotations

import sqlite3
from hashlib import blake2b
from typing import Any

from .queries import QUERIES
from .recent import Recent

MEMORY_BYTES = 64 << 20
_ENTRY_BYTES = 100  # about
_KINDS, _GENERATIONS = 5, 2
_SCOPES = 1000  # of hashes that are begun
_PER_DIGEST = 100  #: rows that one digest leads to

Rows = int | tuple[int, ...]


class Found:
    """Rows by digest. Holds two generations; the older one goes when the younger is full."""

    def __init__(self, entries: int) -> None:
        self._entries = entries
        self._added = 0
        self._young: dict[int, Rows] = {}
        self._old: dict[int, Rows] = {}

    def add(self, digest: int, row_id: int) -> None:
        """A digest leads to one more row."""
        if self._added >= self._entries:
            self._old, self._young, self._added = self._young, {}, 0
        self._added += 1
        known = self._young.get(digest)
        if known is None:
            self._young[digest] = row_id
        elif (rows := _tuple(known))[-1] != row_id:
            self._young[digest] = (*rows[1 - _PER_DIGEST :], row_id)

    def get(self, digest: int) -> tuple[int, ...]:
        """The rows of a digest, in the order in which they were added."""
        young, old = self._young.get(digest), self._old.get(digest)
        if young is None and old is None:
            return ()
        found = (*(() if old is None else _tuple(old)), *(() if young is None else _tuple(young)))
        return tuple(dict.fromkeys(found))[-_PER_DIGEST:]


def _tuple(rows: Rows) -> tuple[int, ...]:
    return (rows,) if isinstance(rows, int) else rows


class Digests:
    """64 bits of what a call is known by, mixed with a secret: nobody can make two texts that look alike here.

    ``scope``: numbers of the project and of the key, which no link crosses.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._begun: Recent[tuple[bytes, bytes], Any] = Recent(_SCOPES)

    def answer(self, scope: bytes, digest: bytes) -> int:
        """Of an answer, by its canonical form."""
        return self._of(b"a", scope, digest)

    def conversation(self, scope: bytes, name: str) -> int:
        """Of a conversation that the provider keeps. The only odd ones."""
        return self._of(b"c", scope, _bytes(name)) | 1

    def tool(self, scope: bytes, tool_id: str) -> int:
        """Of a tool call, by its id."""
        return self._of(b"t", scope, _bytes(tool_id))

    def task(self, scope: bytes, digest: bytes) -> int:
        """Of a text that was handed to a tool."""
        return self._of(b"s", scope, digest)

    def response(self, response_id: str) -> int:
        """Of an answer, by its id."""
        return self._of(b"r", b"", _bytes(response_id))

    def _of(self, kind: bytes, scope: bytes, what: bytes) -> int:
        begun = self._begun.get((kind, scope))
        if begun is None:
            begun = self._begun[kind, scope] = blake2b(digest_size=8, key=self._secret, salt=scope, person=kind)
        hashed = begun.copy()
        hashed.update(what)
        return int.from_bytes(hashed.digest(), "little", signed=True) & ~1


def is_conversation(digest: int) -> bool:
    """Whether it is a digest of a provider's own conversation."""
    return bool(digest & 1)


def scope(project: int | None, key: int | None) -> bytes:
    """What no link crosses."""
    return (project or 0).to_bytes(8, "little") + (key or 0).to_bytes(8, "little")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


class Memory:
    """What the newest rows are known by, within ``memory_bytes``."""

    def __init__(self, connection: sqlite3.Connection, secret: bytes, memory_bytes: int = MEMORY_BYTES) -> None:
        most = memory_bytes // _ENTRY_BYTES // _KINDS // _GENERATIONS
        self.digests = Digests(secret)
        self.answers = Found(most)  #: digests of answers, of tools that they ask for, and of providers' conversations
        self.responses = Found(most)  #: …of their ids
        self.requests = Found(most)  #: …of requests
        self.waiting = Found(most)  #: …of what requests continue that is not stored yet
        self.tasks = Found(most)  #: …of texts handed to tools; not read again: they are taken up at once
        self._read_again(connection, most)

    def _read_again(self, connection: sqlite3.Connection, rows: int) -> None:
        for row_id, answered, continues, request, response in connection.execute(QUERIES["remembered"], (rows,)):
            if answered is not None:
                self.answers.add(answered, row_id)
            if continues is not None:
                (self.answers if is_conversation(continues) else self.waiting).add(continues, row_id)
            if request is not None:
                self.requests.add(request, row_id)
            if response is not None:
                self.responses.add(self.digests.response(response), row_id)
        for tool_id, row_id, project, key in connection.execute(QUERIES["remembered_tools"], (rows,)):
            self.answers.add(self.digests.tool(scope(project, key), tool_id), row_id)
